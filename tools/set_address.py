"""Rewrite the repository's address everywhere it occurs, for a fork:

    python tools/set_address.py https://github.com/you/your-fork

The address is written once, in pyproject.toml under [project.urls]; this finds that owner/name in every file git
tracks (links, the book's settings, each notebook's set-up cell, Colab links) and puts the new one in its place. Where
there is no git it looks in every file that is neither hidden nor built.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")
# Where an owner/name may follow: GitHub itself, and Colab's /github/ links.
BEFORE = r"(?P<before>github\.com/|colab\.research\.google\.com/github/)"
BUILT = {"_build", "build", "dist", "data", "__pycache__"}


def owner_and_name(address: str) -> str:
    match = ADDRESS.fullmatch(address)
    if not match:
        sys.exit(f"{address!r} is not an address like https://github.com/you/your-fork (Colab opens notebooks from GitHub).")
    return match[1]


def own_files() -> list:
    """The names of the repository's own files; an unpacked archive has no git, or lies in somebody else's."""
    try:
        done = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                              cwd=ROOT, capture_output=True)
        listed = done.stdout.decode().split("\0")
    except FileNotFoundError:
        listed = []
    if "pyproject.toml" in listed:
        return [name for name in listed if (ROOT / name).is_file()]
    files = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    hidden = lambda part: part.startswith(".") and part not in (".ci", ".github")
    return [str(path) for path in files if not any(part in BUILT or hidden(part) for part in path.parts)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].rstrip(":"))
    parser.add_argument("address", help="like https://github.com/you/your-fork")
    new = owner_and_name(parser.parse_args().address)
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    old = owner_and_name(pyproject["project"]["urls"]["Repository"])
    pattern = re.compile(BEFORE + re.escape(old) + r"(?![\w-])")
    found = []
    for name in own_files():
        path = ROOT / name
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue
        changed, count = pattern.subn(rf"\g<before>{new}", text)
        if count:
            path.write_bytes(changed.encode("utf-8"))
            print(f"{name}: {count}")
            found.append(name)
    if "pyproject.toml" not in found:
        sys.exit(f"pyproject.toml still has {old}; write the new address there by hand, under [project.urls].")


if __name__ == "__main__":
    main()
