"""What every test may use: the repository's root, and tests marked `gpu` skipped where there is no CUDA device."""

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
    """The repository's own files: what git tracks or would track; without git, all but hidden and built ones."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=root, capture_output=True)
    if listed.returncode == 0:
        names = sorted(set(listed.stdout.decode().split("\0")) - {""})
        return [root / name for name in names if (root / name).is_file()]
    built = {"_build", "build", "dist", "data", "runs", "__pycache__"}
    return [path for path in sorted(root.rglob("*")) if path.is_file()
            and not any(part in built or part == ".venv" or part.endswith(".egg-info")
                        for part in path.relative_to(root).parts)]
