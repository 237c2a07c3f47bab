# SPDX-License-Identifier: AGPL-3.0-or-later
"""programs.py HTTP DOCUMENT DIRECTORY - runs the contract's two Python programs as printed.

Both in one interpreter, one after the other: the second uses what the first imported. Only the address of
the server and the two paths are other ones, by substitution in the text. They must end by themselves; a
program that does not complete its job prints so little that the shell test around this notices.
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent


def printed():
    """The Python blocks of the contract, in order."""
    text = (HERE / "background-processing.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.S)


def main():
    http, document, directory = sys.argv[1:]
    names = ["upload_with_progress.py", "batch_with_monitoring.py"]
    blocks = printed()
    if len(blocks) != len(names):
        sys.exit(f"the contract has {len(blocks)} programs, not {len(names)}")
    world = {"__name__": "__main__"}
    for name, block in zip(names, blocks):
        source = (HERE / name).read_text(encoding="utf-8")
        if source != block:
            sys.exit(f"{name} is not what the contract prints")
        for old, new in (
            ("localhost:8080", http),
            ('"document.pdf"', repr(document)),
            ('"/app/data/uploads"', repr(directory)),
        ):
            source = source.replace(old, new)
        print(f"--- {name}", flush=True)
        exec(compile(source, name, "exec"), world)  # pylint: disable=exec-used


if __name__ == "__main__":
    main()
