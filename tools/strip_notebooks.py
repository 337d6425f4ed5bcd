"""Bring the notebooks into the form they are committed in, or with --check say which are not:

    python tools/strip_notebooks.py [--check]

No outputs and no execution counts, save those of cells tagged nbval-check-output, whose text the tests compare;
no widget state (GitHub and Colab refuse a notebook with a broken one); the plain python3 kernel; one-space JSON.
"""

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


def main(argv) -> int:
    wrong = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        before = path.read_text(encoding="utf-8")
        after = stripped(before)
        if before != after:
            wrong.append(path.name)
            if "--check" not in argv:
                path.write_text(after, encoding="utf-8")
    for name in wrong:
        print(f"{name}: {'not in the committed form' if '--check' in argv else 'stripped'}")
    return 1 if wrong and "--check" in argv else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
