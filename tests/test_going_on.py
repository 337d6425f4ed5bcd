"""What an engineer found who trained on data and nets of their own: views of one tensor, stops at odd moments, a run that goes
on with other pictures, names in two forms."""

import csv
import dataclasses
import json
import os
import types
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image
from test_distributed import torchrun
from test_folders import put, tree  # noqa: F401 (a fixture)
from test_training import Small, assert_same, small, weights
from torch import nn

import fixmatch_lite as fm
from fixmatch_lite import confidence, pictures, predicting
from fixmatch_lite.folders import load_folder
from fixmatch_lite.labels_file import read_labels
from fixmatch_lite.metrics import at_once, evaluate


# Data of one's own -------------------------------------------------------------------------------------------------

def mine(digits, **changes):
    return dataclasses.replace(digits, name="mine", drawn=None, **changes)


@pytest.mark.parametrize("step", [1, 2, 32])
def test_labeled_pictures_that_are_every_nth_of_the_pool_stay_themselves(digits, step):
    pool, classes = digits.u[:96], digits.u_true[:96]
    data = mine(digits, x=pool[::step], y=classes[::step], u=pool, u_true=classes, labeled_indices=range(0, 96, step))
    moved = data.to("cpu")
    assert torch.equal(moved.x, pool[::step]) and moved.labeled_indices == data.labeled_indices
    assert (moved.x.data_ptr() == moved.u.data_ptr()) == (step == 1 or pool[::step].data_ptr() == pool.data_ptr())


def test_indices_and_names_may_be_arrays(digits, tmp_path):
    data = mine(digits, labeled_indices=torch.tensor(digits.labeled_indices), class_names=np.array(digits.class_names))
    assert data.labeled_indices == digits.labeled_indices and data.class_names == digits.class_names
    list(fm.runs.record(tmp_path / "run", small().changed(dataset="mine"), data, device="cpu"))
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["labeled_indices"] == list(digits.labeled_indices)


CHANGES = {"test pictures": lambda d: {"x_test": d.x_test[:100], "y_test": d.y_test[:100]},
           "unlabeled pictures": lambda d: {"u": 255 - d.u},
           "names of the classes": lambda d: {"class_names": d.class_names[::-1]},
           "mirrored picture": lambda d: {"flip": not d.flip}}


@pytest.mark.parametrize("other", CHANGES)
def test_a_run_does_not_go_on_with_other_data(digits, tmp_path, other):
    recipe, data = small().changed(dataset="mine"), mine(digits)
    next(fm.fit(recipe, data, device="cpu", checkpoint=tmp_path / "c"))
    with pytest.raises(fm.FixMatchError, match=f"trained with other .*{other}.* than these: give those it was begun with"):
        fm.fit(recipe, mine(digits, **CHANGES[other](data)), device="cpu", checkpoint=tmp_path / "c", resume=True)
    assert len(list(fm.fit(recipe, mine(digits), device="cpu", checkpoint=tmp_path / "c", resume=True))) == 1


# Stopped, looked into, and gone on ---------------------------------------------------------------------------------

@pytest.mark.parametrize("method", ["fixmatch", "mean_teacher"])
def test_a_net_that_somebody_predicted_with_trains_on_as_before(digits, method):
    alone, asked = (fm.fit(small(method=method), digits, device="cpu") for _ in range(2))
    list(alone)
    next(asked)
    asked.model.eval()
    next(asked)
    assert_same(weights(alone), weights(asked))


class Stops(nn.Module):
    def forward(self, images):
        raise KeyboardInterrupt


@pytest.mark.parametrize("judge", [lambda net, d: evaluate(net, d.x_test, d.y_test),
                                   lambda net, d: confidence.histogram(types.SimpleNamespace(data=d, model=net, dtype=None, device=torch.device("cpu")))])
def test_a_stop_while_a_net_is_judged_leaves_it_in_training_mode(digits, judge):
    net = Stops().train()
    with pytest.raises(KeyboardInterrupt):
        judge(net, digits)
    assert net.training


def test_large_pictures_are_judged_a_few_at_a_time():
    assert [at_once(torch.zeros(2, 3, side, side)) for side in (8, 32, 64, 128)] == [1024, 1024, 256, 64]
    assert at_once((3, 16, 64), 256) == 256 and at_once((3, 224, 224), 256) == 5 and at_once((3, 5000, 5000)) == 1

    class Largest(nn.Module):
        count = 0

        def forward(self, images):
            self.count = max(self.count, len(images))
            return torch.zeros(len(images), 2)

    net = Largest()
    assert evaluate(net, torch.zeros(40, 1, 256, 256, dtype=torch.uint8), torch.zeros(40, dtype=torch.int64)) == 1 and net.count == 16


class Remembers(nn.Module):
    """A net whose buffer is a new tensor at every step, and which drops out."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10))
        self.register_buffer("mean", torch.zeros(1, 8, 8))

    def forward(self, images):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * images.detach().mean(0)
        return self.layers(images - self.mean)


def remembers():
    torch.manual_seed(0)
    return Remembers()


def test_the_average_holds_the_buffers_that_the_net_has_now(digits):
    training = fm.fit(small(), digits, device="cpu", net=remembers())
    list(training)
    assert training.model.mean.abs().sum() > 0
    assert torch.equal(training.ema_model.module.mean, training.model.mean)


def test_a_net_with_dropout_goes_on_bit_for_bit(digits, tmp_path):
    whole = fm.fit(small(), digits, device="cpu", net=remembers())
    list(whole)
    next(fm.fit(small(), digits, device="cpu", net=remembers(), checkpoint=tmp_path / "c"))
    torch.manual_seed(99)
    rest = fm.fit(small(), digits, device="cpu", net=Remembers(), checkpoint=tmp_path / "c", resume=True)
    list(rest)
    assert_same(weights(whole), weights(rest))


NORMS = """
import sys, torch, fixmatch_lite as fm
from torch import nn
from fixmatch_lite import distributed

torch.set_num_threads(1)
device = distributed.start("cpu")
torch.manual_seed(0)

class Other(nn.BatchNorm2d):
    pass

kind = {"plain": lambda: nn.BatchNorm2d(4, affine=False, momentum=None), "other": lambda: Other(4)}[sys.argv[1]]
net = nn.Sequential(nn.Conv2d(1, 4, 3), kind(), nn.Flatten(), nn.Linear(144, 10))
training = fm.fit(fm.recipe("digits", steps=4, eval_every=4, batch_size=4, mu=1), fm.load_data("digits", labels=40), device=device, net=net)
next(training)
for name, tensor in training.model.state_dict().items():
    both = distributed.gathered(tensor.float().flatten()[None])
    assert torch.allclose(both[0], both[1], atol=1e-6), name
norm = training.model[1]
x = torch.randn(8, 4, 3, 3)
alone = nn.BatchNorm2d(4, affine=False, momentum=None)
for _ in range(2):
    expected = alone(x)
norm.reset_running_stats()
for _ in range(2):
    found = norm(x[distributed.rank()::2])
assert torch.allclose(found, expected[distributed.rank()::2], atol=1e-5)
for name, tensor in norm.state_dict().items():
    assert torch.allclose(tensor, alone.state_dict()[name], atol=1e-5), name
"""


@pytest.mark.parametrize("kind", ["plain", "other"])
def test_batch_norm_of_two_processes_is_that_of_one_or_is_refused(tmp_path, kind):
    (tmp_path / "norms.py").write_text(NORMS)
    done = torchrun(tmp_path / "norms.py", kind, check=kind == "plain")
    if kind == "other":
        assert done.returncode and "batch norm must be nn.BatchNorm2d" in done.stderr and "has Other" in done.stderr


def test_a_script_that_calls_start_also_runs_alone():
    assert not fm.distributed.started_by_torchrun()
    assert fm.distributed.start("cpu") == "cpu" and fm.distributed.start() == str(fm.training.choose_device(None))
    assert fm.distributed.world_size() == 1


# Pictures in files -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("turned", [1, 6])
@pytest.mark.parametrize("ending", ["tif", "png", "jpg"])
def test_turned_photos_of_every_kind_keep_their_edges(tmp_path, ending, turned):
    lying = np.full((100, 200, 3), 128, np.uint8)
    lying[:, :50], lying[:, 150:] = [255, 0, 0], [0, 0, 255]
    exif = Image.Exif()
    exif[0x112] = turned
    for part in ("train", "test"):
        for kind in "ab":
            put(tmp_path / part / kind / f"0.{ending}", lying, exif=exif)
    images = load_folder(tmp_path)[1]
    assert images.shape == ((2, 3, 200, 100) if turned == 6 else (2, 3, 100, 200))
    ends = (images[0, :, 5, 50], images[0, :, -5, 50]) if turned == 6 else (images[0, :, 50, 5], images[0, :, 50, -5])
    assert (ends[0][0] > 200) and (ends[1][2] > 200) and (ends[0][2] < 60) and (ends[1][0] < 60)


@pytest.mark.parametrize("link", ["aa", "zz"])
def test_pictures_named_through_a_link_are_not_unlabeled_ones_too(tmp_path, link):
    lines = ["path,class,split"]
    for part, count in (("train", 4), ("test", 2), ("more", 3)):
        for k in range(count):
            put(tmp_path / "real" / part / f"{k}.png", np.full((8, 8), 20 * k + 5, np.uint8))
            if part != "more":
                lines.append(f"{link}/{part}/{k}.png,{'ab'[k % 2]},{part}")
    os.symlink("real", tmp_path / link)
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    pool, labeled, _, test, _, _ = load_folder(tmp_path, labels_from=tmp_path / "labels.csv")
    assert len(labeled) == 4 and len(test) == 2 and len(pool) == 4 + 3


NFC, NFD = (unicodedata.normalize(form, "Käfer") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("train, test", [(NFC, NFD), (NFD, NFC), (NFD, NFD)])
def test_a_class_in_two_forms_of_unicode_is_one(tmp_path, train, test):
    lines = ["path,class"]
    for part, name in (("train", train), ("test", test)):
        for k, kind in enumerate((name, "Wal", "Zebra")):
            put(tmp_path / "folders" / part / kind / "0.png", np.full((8, 8), 9 * k, np.uint8))
            put(tmp_path / "file" / part / kind / "0.png", np.full((8, 8), 9 * k, np.uint8))
            lines += [f"{part}/{kind}/0.png,{kind}"] if part == "train" else []
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    for found in (load_folder(tmp_path / "folders"), load_folder(tmp_path / "file", labels_from=tmp_path / "labels.csv")):
        assert found[-1] == (NFC, "Wal", "Zebra") and found[2].tolist() == [0, 1, 2] == found[4].tolist()


def test_two_folders_of_one_name_are_refused(tree):  # noqa: F811
    for name in (NFC, NFD):
        put(tree / "train" / name / "0.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(fm.FixMatchError, match="two folders Käfer, written in two ways"):
        load_folder(tree)


def test_a_name_may_begin_with_a_space(tmp_path):
    put(tmp_path / " lead.png", np.zeros((8, 8), np.uint8))
    with open(tmp_path / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "class"), (" lead.png", "a")])
    assert read_labels(tmp_path / "labels.csv", tmp_path)[0] == {tmp_path / " lead.png": "a"}


@pytest.fixture(scope="module")
def run_on_pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for part in ("train", "test"):
        for k, kind in enumerate((NFD, "Wal")):
            for n in range(3):
                put(root / part / kind / f"{n}.png", np.full((16, 16), 100 * k + n, np.uint8))
    data = fm.load_data("folder", labels=None, root=root, image_size=8)
    list(fm.runs.record(root / "run", fm.recipe("folder", labels=None, steps=2, eval_every=2, batch_size=2, mu=1, depth=10, width=1),
                        data, device="cpu"))
    return fm.runs.load(root / "run"), root


def test_a_run_that_python_recorded_at_a_size_of_its_own_is_evaluated_at_it(run_on_pictures):
    run, root = run_on_pictures
    found = predicting.measure_again(run, root=root)
    assert sum(right for _, right, _ in found) / 6 == run.metrics[-1].test_accuracy
    assert predicting.measure_folder(run, root / "test")[0] == found


def test_a_file_name_that_is_no_text_is_left_out_and_told(run_on_pictures, tmp_path):
    run, _ = run_on_pictures
    put(tmp_path / "good.png", np.zeros((8, 8), np.uint8))
    try:
        os.rename(put(tmp_path / "other.png", np.zeros((8, 8), np.uint8)), os.fsencode(tmp_path) + b"/caf\xe9.png")
    except OSError:
        pytest.skip("the disk takes names in UTF-8 alone")
    count, left = predicting.label_folder(run, tmp_path, tmp_path / "said.csv")
    assert count == 1 and left == [("caf\\udce9.png", "its name is not UTF-8 text; rename it")]
    assert len((tmp_path / "said.csv").read_text().splitlines()) == 2


def test_a_small_photo_is_read_to_be_labeled_as_it_was_read_to_train(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for part in ("train", "test"):
        for kind in "ab":
            for k in range(3):
                put(tmp_path / part / kind / f"{k}.png", np.full((16, 16, 3), 40 * k, np.uint8))
    photo = put(tmp_path / "train" / "a" / "photo.jpg", noise)
    for size in (None, 16):
        trained = load_folder(tmp_path, size)[1]
        assert torch.equal(pictures.read_pictures([photo], trained.shape[1:])[0][0], trained[3])


# Said in a sentence ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", ["16", 16.0, (16,), (16, 0), True, (8, 8, 8)])
def test_a_size_that_is_none_is_refused(tree, size):  # noqa: F811
    with pytest.raises(fm.FixMatchError, match="An image size of .* is not possible"):
        load_folder(tree, size)


def test_sizes_of_numpy_are_numbers(tree):  # noqa: F811
    assert load_folder(tree, np.int64(16))[1].shape[2:] == (16, 16) and load_folder(tree, [16, 8])[1].shape[2:] == (16, 8)


class Extra(Small):
    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        pass


class Medium(fm.methods.Supervised):
    views = ("medium",)


@pytest.mark.parametrize("own, told", [({"net": Extra()}, "A checkpoint holds only tensors, and net has _extra_state"),
                                       ({"method": Medium()}, r"tuple of 'weak' and 'strong'.*\('medium',\)")])
def test_parts_that_cannot_be_used_are_refused_at_once(digits, own, told):
    with pytest.raises(fm.FixMatchError, match=told):
        fm.fit(small(), digits, device="cpu", **own)


def test_numbers_that_mean_nothing_are_refused():
    with pytest.raises(fm.FixMatchError, match="last = 0 is not possible"):
        fm.runs.summarize("digits-40-vat-seed0", last=0)
    with pytest.raises(fm.FixMatchError, match="last = 2.5 is not possible; last must be a whole number"):
        fm.runs.summarize("digits-40-vat-seed0", last=2.5)
    with pytest.raises(fm.FixMatchError, match="at least one|operation"):
        fm.RandAugment(operations=[])
    with pytest.raises(fm.FixMatchError, match=r"one or three channels first; this is uint8 \(40, 4, 8, 8\)"):
        fm.RandAugment("usb", operations=("Color",))(torch.zeros(40, 4, 8, 8, dtype=torch.uint8))
    with pytest.raises(fm.FixMatchError, match="-1") as caught:
        fm.load_data("digits", labels=-1)
    assert "folds" not in str(caught.value)


def test_runs_evaluated_at_other_steps_are_no_seeds_of_one_set(digits, tmp_path):
    for name, every, seed in (("often", 2, 0), ("seldom", 3, 1)):
        list(fm.runs.record(tmp_path / name, small(eval_every=every, seed=seed, label_seed=0), digits, device="cpu"))
    for order in (("often", "seldom"), ("seldom", "often")):
        explorer = fm.widgets.RunExplorer([fm.runs.load(tmp_path / name) for name in order])
        assert sorted(s["steps"] for s in explorer.state["sets"]) == [[2, 4, 6], [3, 6]]
        explorer.fallback()
