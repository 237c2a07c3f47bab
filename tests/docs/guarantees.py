# SPDX-License-Identifier: AGPL-3.0-or-later
"""guarantees.py [PAGE] - does every promise of docs/guarantees.md name tests that exist?

In the last cell of each row a path sets the file, and what follows in backquotes must be in it: for C the
name of a test that the program runs, for everything else a part of a line.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def exists(text, path, name):
    if path.suffix == ".c":  # defined, and in the table of tests
        return len(re.findall(rf'(?<![\w"]){re.escape(name)}(?!\w)', text)) > 1 or f'"{name}"' in text
    if path.name == "CMakeLists.txt":
        return re.search(rf"\b{re.escape(name)}\b", text) is not None
    return name in text


def main():
    page = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs/guarantees.md")
    wrong, promises, named = [], 0, 0
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if not line.startswith("| ") or len(cells) != 3 or cells[0] == "promise":
            continue
        promises += 1
        path, text, here = None, "", 0
        for word in re.findall(r"`([^`]+)`", cells[2]):
            if word.startswith("tests/"):
                path = ROOT / word
                if not path.is_file():
                    wrong.append(f'"{word}" does not exist')
                    path = None
                    continue
                text = path.read_text(encoding="utf-8")
            elif path and exists(text, path, word):
                here += 1
            elif path:
                wrong.append(f'"{word}" is not in {path.relative_to(ROOT)}')
        if here == 0:
            wrong.append(f'no test of "{cells[0][:60]}"')
        named += here
    if promises < 10:
        wrong.append(f"only {promises} promises: the page was not read right")
    print("\n".join([*wrong, f"{promises} promises, {named} tests named, {len(wrong)} wrong"]))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
