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
BUILT = {"_build", "build", "dist", "data", "runs", "__pycache__"}


def owner_and_name(address: str) -> str:
    match = ADDRESS.fullmatch(address)
    if not match:
        sys.exit(f"{address!r} is not an address like https://github.com/you/your-fork (Colab opens notebooks from GitHub).")
    return match[1]


def own_files(root: Path) -> list[Path]:
    """The repository's own files: what git tracks or would track; without git, all but hidden and built ones. An archive
    that was unpacked below somebody else's repository has a git that lists nothing of it."""
    try:
        done = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                              cwd=root, capture_output=True)
        names = set(done.stdout.decode().split("\0"))
    except FileNotFoundError:
        names = set()
    if "pyproject.toml" in names:
        return [root / name for name in sorted(names) if (root / name).is_file()]
    foreign = lambda part: (part in BUILT or part.endswith(".egg-info")
                            or part.startswith(".") and part not in (".ci", ".github"))
    return [path for path in sorted(root.rglob("*")) if path.is_file() and not any(map(foreign, path.relative_to(root).parts))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].rstrip(":"))
    parser.add_argument("address", help="like https://github.com/you/your-fork")
    new = owner_and_name(parser.parse_args().address)
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    old = owner_and_name(pyproject["project"]["urls"]["Repository"])
    pattern = re.compile(BEFORE + re.escape(old) + r"(?![\w-])")
    found = []
    for path in own_files(ROOT):
        name = path.relative_to(ROOT).as_posix()
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
