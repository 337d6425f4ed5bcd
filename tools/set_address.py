"""Rewrite the repository's address everywhere it occurs, for a fork:

    python tools/set_address.py https://github.com/you/your-fork

The address is written once, in pyproject.toml under [project.urls]; this finds that owner/name in every file git
tracks (links, the book's settings, each notebook's set-up cell, Colab links) and puts the new one in its place.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")
# Where an owner/name may follow: GitHub itself, and Colab's /github/ links.
BEFORE = r"(?P<before>github\.com/|colab\.research\.google\.com/github/)"


def owner_and_name(address: str) -> str:
    match = ADDRESS.fullmatch(address)
    if not match:
        sys.exit(f"{address!r} is not an address like https://github.com/you/your-fork (Colab opens notebooks from GitHub).")
    return match[1]


def main(argv) -> None:
    if len(argv) != 1:
        sys.exit(__doc__)
    new = owner_and_name(argv[0])
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    old = owner_and_name(pyproject["project"]["urls"]["Repository"])
    pattern = re.compile(BEFORE + re.escape(old) + r"(?![\w-])")
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, listed):
        path = ROOT / name
        try:
            text = path.read_bytes().decode("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        changed, count = pattern.subn(rf"\g<before>{new}", text)
        if count:
            path.write_bytes(changed.encode("utf-8"))
            print(f"{name}: {count}")


if __name__ == "__main__":
    main(sys.argv[1:])
