"""CIFAR-10's archive: read exactly, only after its checksum, and by a reader that runs no code."""

import hashlib
import importlib.util
import io
import os
import pickle
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import fixmatch_lite as fm
from fixmatch_lite import cifar
from fixmatch_lite.errors import FixMatchError

NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()


class Python2:
    """Writes pickles as Python 2 did in 2009: every string is a byte string, arrays as numpy 1.3 made them."""

    def dumps(self, value) -> bytes:
        return b"\x80\x02" + self.write(value) + b"."

    def write(self, value) -> bytes:
        if value is None:
            return b"N"
        if isinstance(value, int):
            return b"J" + struct.pack("<i", value)
        if isinstance(value, bytes):
            return b"T" + struct.pack("<i", len(value)) + value
        if isinstance(value, (list, tuple)):
            inside = b"".join(self.write(v) for v in value)
            return b"(" + inside + b"t" if isinstance(value, tuple) else b"](" + inside + b"e"
        if isinstance(value, dict):
            return b"}(" + b"".join(self.write(k) + self.write(v) for k, v in value.items()) + b"u"
        dtype = b"cnumpy\ndtype\n" + self.write((b"u1", 0, 1)) + b"R"
        dtype += self.write((3, b"|", None, None, None, -1, -1, 0)) + b"b"
        state = b"(" + self.write(1) + self.write(value.shape) + dtype + b"\x89" + self.write(value.tobytes()) + b"t"
        return (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + self.write((0,)) + self.write(b"b")
                + b"tR" + state + b"b")


def archive_of(path, files, folder="cifar-10-batches-py"):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return hashlib.md5(path.read_bytes()).hexdigest()


def batch_of(first, count=4):
    rows = np.random.default_rng(first).integers(0, 256, (count, 3072), dtype=np.uint8)
    return {b"batch_label": b"made for a test", b"labels": [(first + i) % 10 for i in range(count)], b"data": rows,
            b"filenames": [b"made_up.png"] * count}


META = {b"num_cases_per_batch": 4, b"label_names": [n.encode() for n in NAMES], b"num_vis": 3072}


@pytest.fixture
def made(tmp_path):
    """A small archive in the true format, members in the true archive's jumbled order."""
    order = "data_batch_4 test_batch data_batch_3 batches.meta data_batch_2 data_batch_5 data_batch_1".split()
    batches = {name: batch_of(int(name[-1]) if name[-1].isdigit() else 9) for name in order if name != "batches.meta"}
    files = {name: Python2().dumps(batches.get(name, META)) for name in order}
    files["readme.html"] = b"<html>"
    path = tmp_path / cifar.CIFAR10.archive.filename
    return path, archive_of(path, files), batches, files


def test_the_writer_of_this_test_writes_what_python_reads(made):
    batch = pickle.loads(made[3]["data_batch_1"], encoding="bytes")
    assert np.array_equal(batch[b"data"], made[2]["data_batch_1"][b"data"])


def test_images_and_targets_come_in_the_order_of_the_batches(made):
    path, md5, batches, _ = made
    images, targets, test_images, test_targets, names = cifar.read_archive(path, md5=md5)
    assert images.dtype == test_images.dtype == torch.uint8 and targets.dtype == test_targets.dtype == torch.int64
    assert images.shape == (20, 3, 32, 32) and test_images.shape == (4, 3, 32, 32)
    assert names == tuple(NAMES)
    assert targets.tolist() == [(b + i) % 10 for b in range(1, 6) for i in range(4)]
    assert test_targets.tolist() == batches["test_batch"][b"labels"]
    # red first, then line by line: the value at row 2, column 5 of channel 1 of the second image of batch 3
    assert images[9, 1, 2, 5] == batches["data_batch_3"][b"data"][1, 1024 + 2 * 32 + 5]
    assert torch.equal(test_images.reshape(4, -1), torch.from_numpy(batches["test_batch"][b"data"]))


def test_load_cifar_finds_the_archive_in_its_folder(made, monkeypatch):
    path, md5, _, _ = made
    known = cifar.CIFAR10.archive._replace(md5=md5, size=path.stat().st_size, urls=())  # nobody may be asked
    source = replace(cifar.CIFAR10, archive=known)
    assert cifar.load_cifar(source, path.parent)[0].shape == (20, 3, 32, 32)
    monkeypatch.setattr(cifar, "CIFAR10", source)
    data = fm.load_data("cifar10", labels=10, seed=0, root=path.parent)
    assert data.x.shape == (10, 3, 32, 32) and len(data.u) == 20 and data.flip


class Evil:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_nothing_is_opened_before_the_checksum(made, monkeypatch):
    path, md5, _, _ = made
    with open(path, "ab") as file:
        file.write(b"?")
    monkeypatch.setattr(tarfile, "open", lambda *_: pytest.fail("opened an archive with a wrong checksum"))
    with pytest.raises(FixMatchError, match="not the archive it should be.*download it again"):
        cifar.read_archive(path, md5=md5)


def test_code_in_a_pickle_is_refused_even_with_the_right_checksum(made, tmp_path):
    path, _, _, files = made
    target = tmp_path / "was here"
    files["data_batch_2"] = pickle.dumps({b"data": Evil(target), b"labels": []}, protocol=4)
    md5 = archive_of(path, files)
    with pytest.raises(FixMatchError, match="mkdir"):
        cifar.read_archive(path, md5=md5)
    assert not target.exists()
    pickle.loads(files["data_batch_2"])
    assert target.exists()  # so the trap was a real one


@pytest.mark.parametrize("call", [
    b"cbuiltins\neval\n(X\x05\x00\x00\x001 + 1tR.",
    b"cnumpy\nload\n(X\x01\x00\x00\x00xtR.",
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\nK\x00U\x01btR.",
])
def test_the_reader_builds_arrays_and_nothing_else(call):
    with pytest.raises(pickle.UnpicklingError):
        cifar._unpickle(b"\x80\x02" + call)


@pytest.mark.parametrize("spoil", [
    lambda files: files.pop("data_batch_3"),
    lambda files: files.update(data_batch_1=b"\x80\x02}."),
    lambda files: files.update(data_batch_1=files["data_batch_1"][:500]),
    lambda files: files.update(data_batch_1=Python2().dumps({**batch_of(1), b"labels": [1, 2]})),
    lambda files: files.update(data_batch_1=Python2().dumps({**batch_of(1), b"labels": [1, 2, 3, 10]})),
    lambda files: files.update(data_batch_1=Python2().dumps({**batch_of(1), b"data": np.zeros((4, 100), np.uint8)})),
])
def test_an_archive_of_another_form_gets_one_sentence(made, spoil):
    path, _, _, files = made
    spoil(files)
    with pytest.raises(FixMatchError, match="download it again.$") as caught:
        cifar.read_archive(path, md5=archive_of(path, files))
    assert "\n" not in str(caught.value)


def test_an_archive_that_is_not_there_gets_one_sentence(tmp_path):
    with pytest.raises(FixMatchError, match="check the path"):
        cifar.read_archive(tmp_path / "nothing.tar.gz")


def test_the_numbers_are_those_that_torchvision_enforces():
    found = importlib.util.find_spec("torchvision")
    if found is None:
        pytest.skip("torchvision is not installed")
    # read, not imported: the published torchvision does not import beside a torch built for the CPU
    text = (Path(found.origin).parent / "datasets" / "cifar.py").read_text()
    for source in (cifar.CIFAR10, cifar.CIFAR100):
        archive = source.archive
        for value in (archive.md5, archive.filename, archive.urls[-1], source.folder, *source.train_files,
                      *source.test_files):
            assert f'"{value}"' in text


@pytest.fixture
def made100(tmp_path):
    """CIFAR-100's archive, small: its path, what is in its files, and the rows of pixels."""
    rows = np.random.default_rng(0).integers(0, 256, (300, 3072), dtype=np.uint8)
    part = lambda rows, first: {b"data": rows, b"fine_labels": [(first + i) % 100 for i in range(len(rows))],
                                b"coarse_labels": [0] * len(rows)}
    names = [f"kind {k}".encode() for k in range(100)]
    files = {"meta": {b"fine_label_names": names, b"coarse_label_names": [b"one"]}, "test": part(rows[200:], 5),
             "train": part(rows[:200], 0)}
    return tmp_path / cifar.CIFAR100.archive.filename, files, rows


def archive100_of(path, files):
    return archive_of(path, {name: Python2().dumps(content) for name, content in files.items()}, "cifar-100-python")


def test_cifar100_has_fine_labels_and_a_file_a_part(made100):
    path, files, rows = made100
    md5 = archive100_of(path, files)
    images, targets, x_test, y_test, class_names = cifar.read_archive(path, cifar.CIFAR100, md5)
    assert images.shape == (200, 3, 32, 32) and x_test.shape == (100, 3, 32, 32) and len(class_names) == 100
    assert targets.tolist() == [i % 100 for i in range(200)] and y_test[0] == 5 and class_names[7] == "kind 7"
    assert torch.equal(images.reshape(200, -1), torch.from_numpy(rows[:200]))
    with pytest.raises(FixMatchError, match="does not hold CIFAR-10 in the form"):
        cifar.read_archive(path, cifar.CIFAR10, md5)


@pytest.mark.parametrize("spoil, says", [
    (lambda files: files.pop("train"), "does not hold CIFAR-100 in the form"),
    (lambda files: files["train"].pop(b"fine_labels"), "does not hold CIFAR-100 in the form"),
    (lambda files: files["meta"][b"fine_label_names"].pop(), "has a label without a class name"),
])
def test_cifar100_of_another_form_gets_one_sentence(made100, spoil, says):
    path, files, _ = made100
    spoil(files)
    with pytest.raises(FixMatchError, match=f"{says}.*download it again.$"):
        cifar.read_archive(path, cifar.CIFAR100, archive100_of(path, files))
