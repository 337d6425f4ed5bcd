"""Write a blank copy of each chapter into notebooks/blank, for those who want to type the code themselves:

    python tools/blank_notebooks.py [--check]

The text stays, and so do the set-up cell, the guess, the quiz and the questions of the exercises. Of every other code
cell its first comment is left, of a worked solution nothing. With --check, say which copies are not in step. A notebook of
no chapter is named and never deleted: it may be somebody's work.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks" / "blank"
KEPT = ("fm.widgets.Guess(", "fm.widgets.Quiz(")  # they need nothing that the reader has yet to write
NOTE = "*A blank copy: the code is yours to write. The full chapter stands in the folder above, under the same name.*\n\n"


def emptied(source: str) -> str:
    """The cell's first comment that has a line of its own, or nothing."""
    return next((line.strip() for line in source.splitlines() if line.strip().startswith("# ")), "")


def blank(text: str) -> str:
    """The blank copy of a notebook; both as JSON."""
    notebook = json.loads(text)
    cells, asked, noted = [], False, False
    for cell in notebook["cells"]:
        source, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        if cell["cell_type"] == "markdown":
            asked = asked or "## Exercises" in source.splitlines()
            if not noted:
                title, _, rest = source.partition("\n\n")
                source, noted = f"{title}\n\n{NOTE}{rest}", True
            source = source.replace("](../", "](../../")
        elif "solution" in tags:
            continue
        elif "setup" not in tags and not source.startswith(KEPT) and not (asked and "answer = ..." in source):
            source = emptied(source)
            cell["metadata"] = {}
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
        cells.append(cell | {"source": source.splitlines(keepends=True)})
    return json.dumps(notebook | {"cells": cells}, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].rstrip(":"))
    parser.add_argument("--check", action="store_true", help="write nothing, and say which copies are not in step")
    check = parser.parse_args().check
    wanted = {path.name: blank(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.ipynb")}
    wrong = sorted(name for name in wanted if wanted[name] != there.get(name))
    unknown = sorted(there.keys() - wanted.keys())
    if not check:
        FOLDER.mkdir(exist_ok=True)
        for name in wrong:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
    for name in wrong:
        print(f"{'not in step' if check else 'written'}: notebooks/blank/{name}")
    for name in unknown:
        print(f"of no chapter: notebooks/blank/{name} (left as it is; delete it if its chapter is gone, else move it elsewhere)")
    return int(check and bool(wrong or unknown))


if __name__ == "__main__":
    sys.exit(main())
