"""Bring the notebooks into the form they are committed in, or with --check say which are not:

    python tools/strip_notebooks.py [--check]

No outputs and no execution counts, save those of cells tagged nbval-check-output, whose text the tests compare;
no widget state (GitHub and Colab refuse a notebook with a broken one); the plain python3 kernel; one-space JSON.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def stripped(text: str) -> str:
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        tags = cell["metadata"].get("tags", [])
        if "nbval-check-output" not in tags:
            cell["outputs"] = []
        cell["execution_count"] = 1 if cell["outputs"] else None  # nbval refuses outputs of a cell that was never run
        for output in cell["outputs"]:
            if "execution_count" in output:
                output["execution_count"] = None
        for passing in ("execution", "collapsed", "scrolled"):
            cell["metadata"].pop(passing, None)
    notebook["metadata"] = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].rstrip(":"))
    parser.add_argument("--check", action="store_true", help="change nothing, and say which are not in that form")
    check = parser.parse_args().check
    wrong = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        before = path.read_text(encoding="utf-8")
        after = stripped(before)
        if before != after:
            wrong.append(path.name)
            if not check:
                path.write_text(after, encoding="utf-8")
    for name in wrong:
        print(f"{name}: {'not in the committed form' if check else 'stripped'}")
    return int(check and bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
