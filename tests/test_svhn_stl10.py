"""SVHN and STL-10 from small copies in their true file formats."""

import importlib.util
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

import fixmatch_lite as fm
from fixmatch_lite import stl10, svhn
from fixmatch_lite.labeled import OWN_SPLIT, draw_labeled

SVHN_COUNTS = (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659)  # of the digits 0 to 9, training part


# SVHN ------------------------------------------------------------------------------------------------------------

def write_mat(path, count, **changes):
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
    labels = (np.arange(count) % 10 + 1).astype(np.uint8)[:, None]  # 1 … 10
    savemat(path, {"X": images, "y": labels} | changes)
    return images, labels


def test_svhn_ten_is_the_digit_zero(tmp_path):
    images, labels = write_mat(tmp_path / "train_32x32.mat", 30)
    found, targets = svhn.read_mat(tmp_path / "train_32x32.mat")
    assert found.shape == (30, 3, 32, 32) and found.dtype == torch.uint8 and targets.dtype == torch.int64
    assert targets.tolist() == [int(k) % 10 for k in labels[:, 0]] and targets[9] == 0
    assert found[4, 2, 7, 11] == images[7, 11, 2, 4]  # image, channel, row, column


def test_T22_svhn_is_never_mirrored(tmp_path, monkeypatch):
    files = []
    for file, count in zip(svhn.FILES, (60, 20)):
        path = tmp_path / file.filename
        write_mat(path, count)
        files.append(file._replace(md5=md5_of(path), size=path.stat().st_size, urls=()))
    monkeypatch.setattr(svhn, "FILES", tuple(files))
    data = fm.load_data("svhn", labels=20, seed=1, root=tmp_path, split="proportional")
    assert data.x.shape == (20, 3, 32, 32) and len(data.u) == 60 and len(data.x_test) == 20 and not data.flip
    assert data.class_names == tuple("0123456789")
    metrics = next(fm.fit(fm.recipe("svhn", labels=20, depth=10, width=1, steps=1, batch_size=4, mu=1), data))
    assert metrics.step == 1


def md5_of(path):
    from fixmatch_lite.download import file_md5

    return file_md5(path)


@pytest.mark.parametrize("changes", [
    {"y": np.full((30, 1), 11, np.uint8)}, {"y": np.ones((7, 1), np.uint8)}, {"X": np.zeros((32, 32, 1, 30), np.uint8)},
    {"X": np.zeros((32, 32, 3, 30))},
])
def test_svhn_of_another_form_gets_one_sentence(tmp_path, changes):
    write_mat(tmp_path / "a.mat", 30, **changes)
    with pytest.raises(fm.FixMatchError, match="download it again.$"):
        svhn.read_mat(tmp_path / "a.mat")
    (tmp_path / "a.mat").write_bytes(b"no such file")
    with pytest.raises(fm.FixMatchError, match="download it again.$"):
        svhn.read_mat(tmp_path / "a.mat")


def test_T18_proportional_draw_is_the_original_codes():
    targets = np.repeat(np.arange(10), SVHN_COUNTS)
    chosen = draw_labeled(targets, 40, seed=3, split="proportional")
    counts = np.bincount(targets[list(chosen)], minlength=10)
    assert np.roll(counts, -1).tolist() == [7, 6, 4, 4, 4, 3, 3, 3, 3, 3]  # the original counts the digit 1 first
    even = np.repeat(np.arange(10), 100)
    assert np.bincount(even[list(draw_labeled(even, 40, 0, split="proportional"))]).tolist() == [4] * 10
    assert draw_labeled(targets, 40, seed=3, split="proportional") == chosen != draw_labeled(targets, 40, seed=4,
                                                                                            split="proportional")


@pytest.fixture
def small_svhn(tmp_path, monkeypatch):
    """A folder with SVHN's two files, small, in which the digit 1 is as frequent as all others together."""
    files = []
    for file, count in zip(svhn.FILES, (180, 20)):
        path = tmp_path / file.filename
        labels = np.where(np.arange(count) % 2, np.arange(count) // 2 % 10 + 1, 1).astype(np.uint8)[:, None]
        write_mat(path, count, y=labels)
        files.append(file._replace(md5=md5_of(path), size=path.stat().st_size, urls=()))
    monkeypatch.setattr(svhn, "FILES", tuple(files))
    return tmp_path


def test_data_and_recipe_draw_the_labeled_set_alike(small_svhn, tmp_path):
    """A recorded run says how its labeled set was drawn, so what nobody asked for must be the same in both."""
    own, even, drawn = (fm.load_data("svhn", labels=20, root=small_svhn, split=split)
                        for split in (None, "balanced", fm.recipe("svhn").split))
    assert own.labeled_indices == drawn.labeled_indices != even.labeled_indices
    assert torch.bincount(own.y).tolist() == [1, 11] + [1] * 8 and torch.bincount(even.y).tolist() == [2] * 10
    for name in fm.data.DATASETS:
        assert fm.recipe(name).split == OWN_SPLIT.get(name, "balanced")


def test_svhn_from_the_command_line(small_svhn, tmp_path):
    from typer.testing import CliRunner

    from fixmatch_lite import cli

    told = CliRunner().invoke(cli.app, ["download", "svhn", "--root", str(small_svhn)], catch_exceptions=False)
    assert told.stdout.split() == [str(small_svhn / file.filename) for file in svhn.FILES]
    words = ["train", "svhn", "--labels", "20", "--root", str(small_svhn), "--out", str(tmp_path / "run"), "--steps", "1",
             "--batch-size", "2", "--mu", "1", "--device", "cpu", "--set", "depth=10", "--set", "width=1", "--quiet"]
    CliRunner().invoke(cli.app, words, catch_exceptions=False)
    run = fm.runs.load(tmp_path / "run")
    own = fm.load_data("svhn", labels=20, root=small_svhn)
    assert run.recipe.split == "proportional" and run.provenance["labeled_hash"] == own.labeled_hash


def test_a_machine_too_small_is_not_told_to_download_again(tmp_path, monkeypatch):
    import scipy.io

    def refuse(*_, **__):
        raise MemoryError

    monkeypatch.setattr(scipy.io, "loadmat", refuse)
    with pytest.raises(MemoryError):
        svhn.read_mat(tmp_path / "a.mat")


def test_recipe_says_how_the_labeled_set_is_drawn():
    assert fm.recipe("svhn").split == "proportional" and fm.recipe("cifar10").split == "balanced"
    with pytest.raises(fm.FixMatchError, match="one of balanced, proportional"):
        fm.recipe("svhn", split="fair")
    with pytest.raises(fm.FixMatchError, match="There is no split 'fair'"):
        fm.load_data("digits", split="fair")


# STL-10 ----------------------------------------------------------------------------------------------------------

def stl_files(train=40, test=20, unlabeled=30):
    random = np.random.default_rng(0)
    images = {part: random.integers(0, 256, (count, 3, 96, 96), dtype=np.uint8)
              for part, count in (("train", train), ("test", test), ("unlabeled", unlabeled))}
    files = {f"{part}_X.bin": np.ascontiguousarray(x.transpose(0, 1, 3, 2)).tobytes() for part, x in images.items()}
    files |= {f"{part}_y.bin": (np.arange(len(images[part])) % 10 + 1).astype(np.uint8).tobytes()
              for part in ("train", "test")}
    names = "airplane bird car cat deer dog horse monkey ship truck".split()
    files["class_names.txt"] = "\n".join(names).encode() + b"\n"
    files["fold_indices.txt"] = b"".join(
        b" ".join(b"%d" % i for i in range(10 * k, 10 * k + 10)) + b" \n" for k in range(4))
    return images, files


def write_stl(path, files, order=("test_X.bin", "unlabeled_X.bin", "train_X.bin")):
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name in [*order, *(name for name in files if name not in order)]:
            if name in files:
                member = tarfile.TarInfo(f"stl10_binary/{name}")
                member.size = len(files[name])
                archive.addfile(member, io.BytesIO(files[name]))
    return path


@pytest.mark.parametrize("order", [("train_X.bin", "unlabeled_X.bin"), ("unlabeled_X.bin", "train_X.bin")])
def test_stl10_pool_is_one_tensor_labeled_images_first(tmp_path, order):
    images, files = stl_files()
    pool, train, targets, test, y_test, names, folds = stl10.read_archive(write_stl(tmp_path / "a.tar.gz", files, order))
    assert np.array_equal(pool[:40].numpy(), images["train"]) and np.array_equal(pool[40:].numpy(), images["unlabeled"])
    assert np.array_equal(test.numpy(), images["test"]) and train.data_ptr() == pool.data_ptr()
    assert targets.tolist() == [k % 10 for k in range(40)] and y_test.dtype == torch.int64
    assert names[3] == "cat" and folds[2] == tuple(range(20, 30))


def test_stl10_seed_names_a_fold_of_the_archive(tmp_path, monkeypatch):
    path = write_stl(tmp_path / stl10.ARCHIVE.filename, stl_files()[1])
    monkeypatch.setattr(stl10, "ARCHIVE", stl10.ARCHIVE._replace(md5=md5_of(path), size=path.stat().st_size, urls=()))
    data = fm.load_data("stl10", labels=10, seed=3, root=tmp_path)
    assert data.labeled_indices == tuple(range(30, 40)) and len(data.u) == 70 and data.flip
    assert (data.u_true[:40] >= 0).all() and (data.u_true[40:] == -1).all()
    assert len(fm.load_data("stl10", labels=20, seed=4, root=tmp_path).x) == 20


@pytest.mark.parametrize("seed", [-1, 10])
def test_stl10_seed_without_a_fold_is_refused_before_anything_is_fetched(monkeypatch, seed):
    monkeypatch.setattr(stl10, "fetch", lambda *_: pytest.fail("2.6 GB for nothing"))
    with pytest.raises(fm.FixMatchError, match=f"cannot be {seed}: with 1,000 labels of stl10.*from 0 to 9.$"):
        fm.load_data("stl10", labels=1000, seed=seed)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_of_other_labeled_sets(seed):
    with pytest.raises(fm.FixMatchError, match=f"cannot be {seed}; give a whole number from 0 to 4294967295.$"):
        fm.load_data("digits", labels=40, seed=seed)
    assert len(fm.load_data("digits", labels=40, seed=2**32 - 1).x) == 40


@pytest.mark.parametrize("spoil", [
    lambda files: files.pop("unlabeled_X.bin"), lambda files: files.pop("class_names.txt"),
    lambda files: files.update({"train_y.bin": b"\x0b" * 40}), lambda files: files.update({"test_y.bin": b"\x01"}),
    lambda files: files.update({"train_X.bin": files["train_X.bin"][:-5]}),
    lambda files: files.update({"fold_indices.txt": b"1 2 40\n"}),
])
def test_stl10_of_another_form_gets_one_sentence(tmp_path, spoil):
    files = stl_files()[1]
    spoil(files)
    with pytest.raises(fm.FixMatchError, match="does not hold STL-10.*download it again.$"):
        stl10.read_archive(write_stl(tmp_path / "a.tar.gz", files))


HELD = """
import re, sys
from pathlib import Path
import fixmatch_lite as fm
from fixmatch_lite import download, stl10
path = Path(sys.argv[1])
stl10.ARCHIVE = stl10.ARCHIVE._replace(md5=download.file_md5(path), size=path.stat().st_size, urls=())
peak = lambda: int(re.search("VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
before = peak()
data = fm.load_data("stl10", labels=40, root=path.parent).to("cpu")
print((peak() - before) / data.u.numel())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak")
def test_stl10_is_never_held_twice(tmp_path):
    _, files = stl_files(train=40, test=10, unlabeled=4000)  # 110 MB unpacked
    path = write_stl(tmp_path / stl10.ARCHIVE.filename, files)
    done = subprocess.run([sys.executable, "-c", HELD, path], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).resolve().parent.parent)
    assert 0.9 < float(done.stdout) < 1.3  # beside the block that is being read, 3 MB


def test_every_label_is_a_view_and_stays_one_on_its_way_to_a_device(tmp_path, monkeypatch):
    path = write_stl(tmp_path / stl10.ARCHIVE.filename, stl_files()[1])
    monkeypatch.setattr(stl10, "ARCHIVE", stl10.ARCHIVE._replace(md5=md5_of(path), size=path.stat().st_size, urls=()))
    data = fm.load_data("stl10", labels=None, root=tmp_path)
    assert len(data.x) == len(data.y) == 40 and torch.equal(data.x, data.u[:40])
    for moved in (data, data.to("cpu"), data.to("meta")):  # a device without memory: only the sharing is seen there
        assert moved.x.untyped_storage()._cdata == moved.u.untyped_storage()._cdata and moved.x.shape == data.x.shape
    few = fm.load_data("stl10", labels=20, root=tmp_path).to("meta")
    assert few.x.untyped_storage()._cdata != few.u.untyped_storage()._cdata and len(few.x) == 20


def test_stl10s_net_has_the_papers_size():
    recipe = fm.recipe("stl10")
    model = fm.WideResNet(recipe.depth, recipe.width, 10, 3, groups=recipe.groups)
    assert sum(p.numel() for p in model.parameters()) == 5_933_770  # the paper: 5.9 million
    assert model.eval()(torch.zeros(1, 3, 96, 96)).shape == (1, 10)
    with pytest.raises(fm.FixMatchError, match="8 n \\+ 5.*depth|depth.*8 n \\+ 5"):
        fm.recipe("stl10", depth=28)
    with pytest.raises(fm.FixMatchError, match="8 n \\+ 5 layers; 28 is not such a number, use 13, 21, 29, 37"):
        fm.WideResNet(28, groups=4)


def test_the_numbers_of_both_are_those_that_torchvision_enforces():
    found = importlib.util.find_spec("torchvision")
    if found is None:
        pytest.skip("torchvision is not installed")
    folder = Path(found.origin).parent / "datasets"
    for module, files in (("svhn.py", svhn.FILES), ("stl10.py", (stl10.ARCHIVE,))):
        text = (folder / module).read_text()
        for file in files:
            assert f'"{file.md5}"' in text and f'"{file.filename}"' in text and file.urls[-1] in text
