"""What every test may use: the repository's root, and tests marked `gpu` skipped where there is no CUDA device."""

import logging
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from set_address import own_files  # noqa: E402


def pytest_collection_modifyitems(items):
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def remarks_of_one_test_are_not_the_next_ones():
    """The command line, called in a test, lets the module's remarks through, to a stream that the test takes with it."""
    log = logging.getLogger("fixmatch_lite")
    handlers, level = [*log.handlers], log.level
    yield
    log.handlers[:] = handlers
    log.setLevel(level)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def project_files(root) -> list[Path]:
    return own_files(root)


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
