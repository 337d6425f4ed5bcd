"""What every test may use: the repository's root, and tests marked `gpu` skipped where there is no CUDA device."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def project_files(root) -> list[Path]:
    return own_files(root)


def own_files(root) -> list[Path]:
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
    built = {"_build", "build", "dist", "data", "runs", "__pycache__"}
    foreign = lambda part: (part in built or part.endswith(".egg-info")
                            or part.startswith(".") and part not in (".ci", ".github"))
    return [path for path in sorted(root.rglob("*")) if path.is_file() and not any(map(foreign, path.relative_to(root).parts))]


@pytest.fixture(scope="session")
def digits():
    """Forty labeled digits, the draw of seed 0; nobody changes them."""
    import fixmatch_lite as fm

    return fm.load_data("digits", labels=40, seed=0)


@pytest.fixture()
def another_disk(monkeypatch):
    """Call it with a folder: from then on that folder cannot be renamed, as if its target lay on another disk."""
    rename = os.rename

    def lies_there(source):
        def renamed(a, b):
            if a == source:
                raise OSError(18, "Invalid cross-device link")
            rename(a, b)

        monkeypatch.setattr(os, "rename", renamed)

    return lies_there
