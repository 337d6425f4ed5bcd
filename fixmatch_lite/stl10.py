"""STL-10 (Coates et al. 2011): 96-pixel photographs made for semi-supervised learning.

5,000 labeled images in ten classes and ten folds of 1,000, 8,000 to test, and 100,000 without labels, which hold other
animals and vehicles too. Unpacked they take 3 GB, so they exist once: the archive is read in blocks straight into the
one tensor that training draws from.
"""

import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .download import RemoteFile, fetch
from .errors import FixMatchError
from .hints import PathLike

ARCHIVE = RemoteFile("stl10_binary.tar.gz", ("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",),
                     "91f7769df0f17e558f3565bffb0c7dfb", 2_640_397_119)
SIDE, TRAIN, BLOCK = 96, 5000, 100
IMAGE = 3 * SIDE * SIDE  # bytes


def load_stl10(root: PathLike | None = None) -> tuple[Any, ...]:
    """``(pool, train_images, train_targets, test_images, test_targets, class_names, folds)``.

    ``pool`` is uint8 ``(105000, 3, 96, 96)``: the training images, then those without labels; ``train_images`` is a view
    of its beginning. Targets are int64, ``folds`` ten tuples of 1,000 positions in the training images. ``root`` is the
    archive's folder, ``data`` unless given; it is fetched first if it is not there (2.6 GB).

    Raises:
        FixMatchError: the archive cannot be fetched, or is not STL-10's.
    """
    return read_archive(fetch(*ARCHIVE, "data" if root is None else root))


def read_archive(path: PathLike) -> tuple[Any, ...]:
    """The same from the archive at ``path``."""
    found = {}
    try:
        with tarfile.open(path, "r|gz") as archive:  # one pass: going back in a gzip file means unpacking it again
            for member in archive:
                name = Path(member.name).name
                if member.isfile():
                    file = archive.extractfile(member)
                    found[name] = _images(file, member.size, name) if name.endswith("_X.bin") else file.read()
        pool, train, test = found["unlabeled_X.bin"], found["train_X.bin"], found["test_X.bin"]
        start = TRAIN - len(train)
        if start < 0:
            raise ValueError(f"{len(train)} training images")
        pool[start:TRAIN] = train
        names = tuple(found["class_names.txt"].decode("ascii").split())
        targets = [_targets(found[f"{part}_y.bin"], len(images), names)
                   for part, images in (("train", train), ("test", test))]
        folds = tuple(tuple(int(i) for i in line.split()) for line in found["fold_indices.txt"].split(b"\n") if line)
        if not all(fold and 0 <= min(fold) and max(fold) < len(train) for fold in folds):
            raise ValueError("a fold that names an image that is not there")
    except (LookupError, ValueError, OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise FixMatchError(f"{path} does not hold STL-10 in its binary form ({error}): delete it and download it "
                            "again.") from error
    pool = torch.from_numpy(pool[start:])
    return pool, pool[:len(train)], targets[0], torch.from_numpy(test), targets[1], names, folds


def _images(file, size, name):
    """The images of one member; before the unlabeled ones there is room for the labeled ones."""
    count, rest = divmod(size, IMAGE)
    if rest or not count:
        raise ValueError(f"{size} bytes of images in {name}")
    room = TRAIN if name.startswith("unlabeled") else 0  # memory that is never touched is never taken
    images = np.empty((room + count, 3, SIDE, SIDE), dtype=np.uint8)
    for first in range(0, count, BLOCK):
        block = np.frombuffer(file.read(min(BLOCK, count - first) * IMAGE), dtype=np.uint8)
        # the file goes down the columns, as MATLAB does
        images[room + first: room + first + BLOCK] = block.reshape(-1, 3, SIDE, SIDE).transpose(0, 1, 3, 2)
    return images


def _targets(content, count, names):
    labels = np.frombuffer(content, dtype=np.uint8).astype(np.int64)
    if len(labels) != count or labels.min() < 1 or labels.max() > len(names):
        raise ValueError(f"{len(labels)} labels for {count} images and {len(names)} class names")
    return torch.from_numpy(labels - 1)
