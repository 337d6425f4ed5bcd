"""CIFAR-10 whose images went through JPEG (quality 75, chroma halved): the data of the recorded runs named "(JPEG)".

It is read from ``cifar10-jpeg.tar.xz`` or a folder ``cifar10-jpeg``, with ``train/<class>/0000.jpg`` … and
``test/<class>/0000.jpg`` … in it. Where there is neither, CIFAR-10 itself is encoded again: the pictures come in the same
order (by class, within a class as in the original), so a seed draws the same labeled images. Taught in: chapter 12.
"""

import io
import lzma
import tarfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .cifar import CIFAR10, load_cifar
from .errors import FixMatchError
from .hints import PathLike

ARCHIVE, FOLDER, QUALITY = "cifar10-jpeg.tar.xz", "cifar10-jpeg", 75


def load_cifar_jpeg(root: PathLike | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, tuple[str, ...]]:
    """As `cifar.load_cifar`: ``(train_images, train_targets, test_images, test_targets, class_names)``.

    Raises:
        FixMatchError: the archive is damaged, or there is none and CIFAR-10 cannot be fetched.
    """
    root = Path("data" if root is None else root)
    archive = root if root.is_file() else root / ARCHIVE
    if archive.is_file():
        return _sorted(_from_archive(archive), archive)
    if (root / FOLDER / "train").is_dir():
        files = (root / FOLDER).glob("t*/*/*.jpg")
        return _sorted({path.relative_to(root / FOLDER).as_posix(): path.read_bytes() for path in files}, root / FOLDER)
    *parts, names = load_cifar(CIFAR10, root)
    return *_encoded(*parts[:2]), *_encoded(*parts[2:]), names


def _from_archive(path):
    content = {}
    try:
        with tarfile.open(path, "r|xz") as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".jpg"):
                    content[member.name.removeprefix("./")] = archive.extractfile(member).read()
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError) as error:
        raise FixMatchError(f"{path} cannot be read ({error}); take another copy of it.") from error
    return content


def _sorted(content, path):
    """The pictures by their names ``train/<class>/<number>.jpg``, in sorted order."""
    parts, names = [], sorted({name.split("/")[1] for name in content})
    for part in ("train", "test"):
        chosen = sorted(name for name in content if name.startswith(f"{part}/"))
        if not chosen:
            raise FixMatchError(f"{path} holds no pictures of {part}/; take another copy of it.")
        parts.append(torch.stack([_decoded(content[name]) for name in chosen]))
        parts.append(torch.tensor([names.index(name.split("/")[1]) for name in chosen]))
    return *parts, tuple(names)


def _decoded(data):
    return torch.from_numpy(np.array(Image.open(io.BytesIO(data)).convert("RGB"))).permute(2, 0, 1)


def _encoded(images, targets):
    """The images through JPEG, sorted by class; CIFAR-10's classes are numbered in alphabetical order."""
    order, through = targets.sort(stable=True).indices, []
    for image in images[order]:
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=QUALITY)
        through.append(_decoded(file.getvalue()))
    return torch.stack(through), targets[order]
