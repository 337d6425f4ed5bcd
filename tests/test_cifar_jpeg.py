"""CIFAR-10 through JPEG: from an archive, a folder, or the original, always the same pictures in the same order."""

import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

import fixmatch_lite as fm
from fixmatch_lite import cifar_jpeg
from fixmatch_lite.names import data_title

NAMES = ("airplane", "automobile", "bird")


@pytest.fixture()
def original(monkeypatch):
    """A small CIFAR-10 whose classes come mixed, as in the original."""
    generator = torch.Generator().manual_seed(0)
    small = torch.randint(256, (15, 3, 4, 4), generator=generator, dtype=torch.uint8)
    images = small.repeat_interleave(8, 2).repeat_interleave(8, 3)
    targets = torch.arange(15) * 2 % 3
    parts = images[:12], targets[:12], images[12:], targets[12:], NAMES
    monkeypatch.setattr(cifar_jpeg, "load_cifar", lambda source, root: parts)
    return parts


def jpeg(image):
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=75)
    return file.getvalue()


@pytest.fixture()
def files(original):
    """The pictures as files, named as in the archive: numbered within their class."""
    found = {}
    for part, images, targets in (("train", *original[:2]), ("test", *original[2:4])):
        for number, name in enumerate(NAMES):
            for k, image in enumerate(images[targets == number]):
                found[f"{part}/{name}/{k:04}.jpg"] = jpeg(image)
    return found


def archive(files, path):
    with tarfile.open(path, "w:xz") as out:
        for name, content in sorted(files.items(), reverse=True):  # its order must not matter
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))


def test_archive_folder_and_original_are_the_same_data(files, original, tmp_path):
    encoded = cifar_jpeg.load_cifar_jpeg(tmp_path / "nothing")
    (tmp_path / "a").mkdir()
    archive(files, tmp_path / "a" / "cifar10-jpeg.tar.xz")
    for name, content in files.items():
        path = tmp_path / "b" / "cifar10-jpeg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for root in ("a", "b", "a/cifar10-jpeg.tar.xz"):
        found = cifar_jpeg.load_cifar_jpeg(tmp_path / root)
        assert all(torch.equal(a, b) for a, b in zip(found[:4], encoded)) and found[4] == encoded[4] == NAMES
    assert encoded[1].tolist() == [0] * 4 + [1] * 4 + [2] * 4 and encoded[0].dtype == torch.uint8
    # one picture by hand: the second airplane of the training part
    image = original[0][original[1] == 0][1]
    assert np.array_equal(encoded[0][1].permute(1, 2, 0), np.array(Image.open(io.BytesIO(jpeg(image)))))
    assert not torch.equal(encoded[0][1], image)


def test_loads_by_name_and_says_its_name(files, tmp_path):
    archive(files, tmp_path / "cifar10-jpeg.tar.xz")
    data = fm.load_data("cifar10-jpeg", labels=3, seed=0, root=tmp_path)
    assert data.name == "cifar10-jpeg" and len(data.x) == 3 and len(data.u) == 12 and data.flip
    assert data_title(data.name) == "CIFAR-10 (JPEG)"
    assert fm.recipe("cifar10-jpeg").changed(dataset="cifar10") == fm.recipe("cifar10")


def test_a_damaged_archive_is_refused(files, tmp_path):
    path = tmp_path / "cifar10-jpeg.tar.xz"
    archive(files, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(fm.FixMatchError, match="take another copy"):
        cifar_jpeg.load_cifar_jpeg(tmp_path)
    archive({k: v for k, v in files.items() if k.startswith("train")}, path)
    with pytest.raises(fm.FixMatchError, match="no pictures of test/"):
        cifar_jpeg.load_cifar_jpeg(tmp_path)
