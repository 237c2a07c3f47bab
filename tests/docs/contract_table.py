# SPDX-License-Identifier: AGPL-3.0-or-later
"""contract_table.py [TABLE] - does docs/contract.md name a test for everything that was promised?

What was promised is read from where it is written: RPCs and routes from the proto files; TASK_* and REDIS_*
variables, columns, states, job types and command lines from the contract; TASK_* and REDIS_* variables from
the table of settings too; commands from the command line's own table. Each needs one row, each row must
still be needed, each test it names must exist, and one of them must mention what it is said to hold.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTRACT = (ROOT / "tests/contract/background-processing.md").read_text(encoding="utf-8")
found = []


def wrong(text):
    found.append(text)
    print(text)


def needed():
    """Everything that needs a row, with the word its test must mention."""
    need = {}
    for proto in sorted((ROOT / "proto/localrag/v1").glob("*.proto")):
        service, method = None, None
        for line in proto.read_text(encoding="utf-8").splitlines():
            if m := re.match(r"service (\w+)", line):
                service = m[1]
            elif m := re.match(r"\s+rpc (\w+)\(", line):
                method = m[1]
                need[f"{service}.{method}"] = method
            elif m := re.search(r"google\.api\.http\) = \{(\w+): \"([^\"]+)\"", line):
                # the RPC's word: REST and gRPC are one handler, and conformance demands every route
                need[f"{m[1].upper()} {m[2]}"] = method
    for text in (CONTRACT, (ROOT / "jobs/settings.c").read_text(encoding="utf-8")):
        for name in re.findall(r"\b((?:TASK|REDIS)_[A-Z_]+)\b[\"=]", text):
            need[name] = name
    for table, columns in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", CONTRACT, re.S):
        for column in re.findall(r"^\s+([a-z_]+) [A-Z]", columns, re.M):
            need[f"{table}.{column}"] = table
    for state in re.findall(r"^- \*\*`(\w+)`\*\*:", CONTRACT, re.M):
        need[f"state {state}"] = state
    for kind in re.findall(r"^### .*\(`(\w+)`\)", CONTRACT, re.M):
        need[f"type {kind}"] = kind
    for path in sorted((ROOT / "client").glob("cmd_*.c")):
        for name in re.findall(r"\.name = \"([^\"]+)\"", path.read_text(encoding="utf-8")):
            need[f"localrag {name}"] = name.split()[-1]
    for number in range(1, CONTRACT.count("```python\n") + 1):
        need[f"program {number}"] = "programs"
    return need


def main():
    table = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs/contract.md")
    need, seen, held = needed(), set(), 0
    for line in table.read_text(encoding="utf-8").splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if not line.startswith("| `") or len(cells) < 2:
            continue
        tests = re.findall(r"`([^`]+)`", cells[-1])
        for item in re.findall(r"`([^`]+)`", " ".join(cells[:-1])):
            if item in seen:
                wrong(f'"{item}" has two rows')
            seen.add(item)
            if item not in need:
                wrong(f'"{item}" is in the table and nowhere else')
                continue
            if not tests:
                wrong(f'"{item}" has no test')
            texts = []
            for test in tests:
                path = ROOT / test
                if not test.startswith("tests/") or not path.is_file():
                    wrong(f'"{item}" is said to be held by "{test}", which does not exist')
                else:
                    texts.append(path.read_text(encoding="utf-8"))
            if texts and not any(re.search(rf"\b{re.escape(need[item])}\b", text) for text in texts):
                wrong(f'no test of "{item}" mentions "{need[item]}"')
            held += 1
    for item in need:
        if item not in seen:
            wrong(f'"{item}" has no row in {table.name}')
    if len(need) < 80:
        wrong(f"only {len(need)} things were promised: the sources were not read right")
    print(f"{held} of {len(need)} held, {len(found)} wrong")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
