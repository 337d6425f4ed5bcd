"""Slips of one line that no other test would see: a wrong sign of an inequality, a value of the recipe that does not arrive,
a file written in place. Each test here fails with one of them (found by changing the module line by line)."""

import argparse
import io
import os
import shutil
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

import fixmatch_lite as fm
from conftest import ROOT
from fixmatch_lite import augment, distributed, operations, predicting, tensor_files
from fixmatch_lite.augment import GRAY, PRESETS, Cutout, RandAugment, apply, weak_augment
from fixmatch_lite.batches import Strong, make_strong
from fixmatch_lite.captured import may_capture
from fixmatch_lite.models import make_net
from fixmatch_lite.training import autocast_dtype, learning_rate

sys.path.insert(0, str(ROOT / "tools"))
import record_runs  # noqa: E402


def small(**changes):
    return fm.recipe("digits", **{"steps": 6, "eval_every": 3, "batch_size": 4, "mu": 3, "precision": "float32", **changes})


# test_augment.py / test_strong.py

def test_weak_shift_across_is_an_eighth_of_the_width():
    columns = torch.arange(64, dtype=torch.uint8).expand(500, 1, 96, 64)
    first = weak_augment(columns, flip=False)[:, 0, 0, 32].int() - 32
    assert first.min() == -8 and first.max() == 8


def test_fill_of_the_presets():
    assert {name: RandAugment(name).fill for name in PRESETS} == {"fixmatch": GRAY, "paper": 0, "usb": 0, "imagenet": 128}


def test_imagenets_translation_scales_with_the_image():
    assert PRESETS["imagenet"].magnitude("TranslateX", torch.tensor([10.0]), 112).tolist() == [50.0]


@pytest.mark.parametrize("name", ["TranslateX", "ShearY", "Rotate"])
def test_uncovered_pixels_have_the_fill_that_was_asked_for(name):
    images = torch.full((8, 3, 32, 32), 200, dtype=torch.uint8)
    chosen, magnitude = torch.zeros(8, dtype=torch.long), torch.full((8,), 0.3 if name == "ShearY" else 9.0)
    for out in (apply(name, images, magnitude, fill=3), operations.apply_each(images, (name,), chosen, magnitude, fill=3),
                operations._all_at_once(images, (name,), chosen, magnitude, 3)):
        assert out.unique().tolist() == [3, 200]


# policies

def test_confidence_that_is_the_threshold_is_kept():
    assert fm.policies.FixMatch(0.5)(torch.zeros(1, 2)).weight.tolist() == [1.0]


def test_what_a_policy_decides_carries_no_gradient():
    decided = fm.policies.FixMatch(0.5)(torch.randn(4, 3, requires_grad=True))
    assert not any(part.requires_grad for part in decided)


# test_training.py

def test_flip_that_was_asked_for_is_the_datas():
    assert fm.load_data("digits", flip=True).flip is True
    data = fm.load_data("digits", flip=True)
    assert fm.fit(small(), data).batches.flip and not fm.fit(small(flip=False), data).batches.flip


def test_strong_views_are_flipped_and_cropped_too(digits):
    """No operation, no Cutout: what is left of a strong view is a weak one, drawn by itself."""
    same = Strong(lambda images, generator=None: images, Cutout(0.0))
    batch = fm.fit(small(mu=10), digits, strong=same).batches.next(("weak", "strong"))
    plain = digits.u[batch.ids]
    assert all((view != plain).flatten(1).any(1).float().mean() > 0.5 for view in batch.u)
    assert not torch.equal(*batch.u)


def test_labeled_images_are_weakly_changed(digits):
    x = fm.fit(small(batch_size=40), digits).batches.next(()).x
    stored = {image.numpy().tobytes() for image in digits.x}
    assert 0 < sum(image.numpy().tobytes() not in stored for image in x)


def test_what_the_recipe_says_of_the_strong_view_reaches_it():
    strong = lambda **changes: make_strong(fm.recipe("cifar10", **changes))
    parts = lambda s: (s.operations.fill, s.operations.probability, s.cutout.fill, s.cutout.size)
    assert parts(strong()) == (GRAY, 0.5, GRAY, 0.5)
    assert parts(strong(augment="paper", cutout=0.25)) == (0, 0.5, 0, 0.25)
    assert parts(strong(fill=9, probability=0.7)) == (9, 0.7, 9, 0.5)
    assert strong(augment="cutout", fill=9).cutout.fill == 9


def test_a_batch_that_cannot_be_shared_is_refused(digits, monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    with pytest.raises(fm.FixMatchError, match="4 labeled images cannot be shared by 3 processes"):
        fm.batches.Batches(small(), digits, None, {})


def test_predicting_with_the_average_moves_no_statistics(digits):
    training = fm.fit(small(), digits)
    before = training.model.norm.running_mean.clone()
    assert not training.ema_model.training
    training.ema_model(augment.to_float(digits.x))
    assert torch.equal(training.model.norm.running_mean, before)


def test_resnet50_takes_the_recipes_momentum_and_seed():
    recipe = fm.recipe("imagenet", bn_momentum=0.02)
    first, second = (make_net(recipe, 3, 3, torch.Generator().manual_seed(1)) for _ in range(2))
    assert {m.momentum for m in first.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.02}
    assert torch.equal(first.body.conv1.weight, second.body.conv1.weight)


def test_the_net_is_the_recipes():
    net = lambda **changes: make_net(fm.recipe("digits", **changes), 10, 1)
    assert len(net(groups=4, depth=13).blocks) == 4 and net().norm.momentum == 0.1
    assert [b.dead for b in net(net="wide_resnet_dead").blocks] == [False, True, True]
    assert not any(b.dead for b in net().blocks)


def test_the_first_step_after_the_warm_up_has_the_full_rate():
    recipe = fm.recipe("imagenet", steps=600)
    assert learning_rate(recipe, 9) == learning_rate(recipe, 10) == recipe.lr
    assert max(learning_rate(recipe, step) for step in range(600)) == recipe.lr


def test_speed_counts_all_views(digits, monkeypatch):
    seconds = iter(range(1000))
    monkeypatch.setattr(fm.training.time, "perf_counter", lambda: float(next(seconds)))  # a second between two looks
    assert next(fm.fit(small(), digits)).images_per_second == 3 * (4 + 2 * 12)
    assert next(fm.fit(small(method="supervised"), digits)).images_per_second == 3 * 4


@pytest.mark.parametrize("changes", [{}, {"momentum": 0.5}, {"nesterov": False}, {"momentum": 0.0, "nesterov": False}])
def test_optimizer_is_the_recipes(digits, changes):
    recipe = small(**changes)
    for group in fm.fit(recipe, digits).optimizer.param_groups:
        assert (group["momentum"], group["nesterov"]) == (recipe.momentum, recipe.nesterov)


def test_evaluation_computes_as_training_does(digits, monkeypatch):
    asked = []
    monkeypatch.setattr(fm.training, "accuracies", lambda *a, dtype=None: asked.append(dtype) or (0.5, 0.5))
    next(fm.fit(small(precision="bfloat16"), digits, device="cpu"))
    assert asked == [torch.bfloat16]


# test_cli.py, test_distributed.py

def run_command(monkeypatch, *words):
    from fixmatch_lite import cli

    monkeypatch.setattr(sys, "argv", ["fixmatch-lite", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


TINY = "--labels 10 --batch-size 2 --mu 1 --device cpu --precision float32 --steps 2 --eval-every 1 --quiet".split()


def test_a_file_of_labels_and_another_number_of_them_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fm.load_data("digits", labels=20, seed=9).save_labeled(tmp_path / "mine.json")
    assert run_command(monkeypatch, "train", "digits", *TINY, "--labeled", "mine.json", "--out", "run") == 1
    assert "names 20 images and --labels asks for 10" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_run_finds_its_pictures_from_any_folder(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    for part, name, k in [(p, n, k) for p in ("train", "test") for n in ("cat", "dog") for k in range(2)]:
        path = tmp_path / "pets" / part / name / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    monkeypatch.chdir(tmp_path)
    words = "train folder --root pets --labels 4 --steps 1 --batch-size 2 --mu 1 --device cpu --quiet --set depth=10 --set width=1 --out run"
    assert run_command(monkeypatch, *words.split()) in (0, None)
    monkeypatch.chdir("/")
    assert run_command(monkeypatch, "evaluate", tmp_path / "run", "--device", "cpu") in (0, None)


@pytest.fixture
def as_if_torchrun(monkeypatch):
    """The command believes that torchrun started it, as the only process, and is told how often it crashed."""
    def begin(crashes):
        monkeypatch.setattr(distributed, "started_by_torchrun", lambda: True)
        monkeypatch.setattr(distributed, "start", lambda device=None: "cpu")
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(crashes))
    return begin


def test_the_command_goes_on_after_a_crash_under_torchrun(tmp_path, monkeypatch, as_if_torchrun):
    recipe = fm.recipe("digits", labels=10, batch_size=2, mu=1, precision="float32", steps=2, eval_every=1)
    recording = fm.runs.record(tmp_path / "run", recipe, fm.load_data("digits", labels=10), device="cpu")
    next(recording), recording.close()
    as_if_torchrun(1)
    assert run_command(monkeypatch, "train", "digits", *TINY, "--out", tmp_path / "run") in (0, None)
    assert [m.step for m in fm.runs.load(tmp_path / "run").metrics] == [1, 2]


def test_several_processes_need_a_folder(tmp_path, monkeypatch, as_if_torchrun, capsys):
    monkeypatch.chdir(tmp_path)
    as_if_torchrun(0)
    assert run_command(monkeypatch, "train", "digits", *TINY) == 1 and "name it with --out" in capsys.readouterr().err


def test_label_seed_and_split_draw_the_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [*TINY, "--seed", 3, "--label-seed", 5, "--split", "proportional", "--out", "run"]
    assert run_command(monkeypatch, "train", "digits", *words) in (0, None)
    run = fm.runs.load(tmp_path / "run")
    assert (run.recipe.seed, run.recipe.label_seed, run.recipe.split) == (3, 5, "proportional")
    drawn = fm.load_data("digits", labels=10, seed=5, split="proportional")
    assert run.provenance["labeled_hash"] == drawn.labeled_hash


# checkpoints

@pytest.mark.parametrize("changes", [{"steps": 9}, {"seed": 1}, {"lr": 0.1}, {"batch_size": 5}])
def test_a_checkpoint_of_any_other_value_is_refused(digits, tmp_path, changes):
    next(fm.fit(small(), digits, checkpoint=tmp_path / "c"))
    with pytest.raises(fm.FixMatchError, match=f"another recipe: {next(iter(changes))} "):
        fm.fit(small(**changes), digits, checkpoint=tmp_path / "c", resume=True)


def test_a_checkpoint_of_another_pile_is_refused(digits, tmp_path):
    from dataclasses import replace

    next(fm.fit(small(), digits, checkpoint=tmp_path / "c"))
    more = replace(digits, u=torch.cat([digits.u, digits.u[:9]]), u_true=torch.cat([digits.u_true, digits.u_true[:9]]))
    with pytest.raises(fm.FixMatchError, match="trained on 1297 unlabeled images and there are 1306 now"):
        fm.fit(small(), more, checkpoint=tmp_path / "c", resume=True)


def test_a_checkpoint_of_another_format_is_refused(digits, tmp_path):
    next(fm.fit(small(), digits, checkpoint=tmp_path / "c"))
    tensors, state = tensor_files.read_tensors(tmp_path / "c")
    tensor_files.write_tensors(tmp_path / "c", tensors, {**state, "format": 1, "version": "0.0.1"})
    with pytest.raises(fm.FixMatchError, match="no checkpoint of this version of the module .it says 0.0.1."):
        fm.fit(small(), digits, checkpoint=tmp_path / "c", resume=True)


def test_seconds_and_scale_go_on_where_they_were(digits, tmp_path):
    recipe = small(precision="float16")
    begun = fm.fit(recipe, digits, device="cpu", checkpoint=tmp_path / "c")
    begun.seconds = 1000.0
    begun.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    next(begun)
    resumed = fm.fit(recipe, digits, device="cpu", checkpoint=tmp_path / "c", resume=True)
    assert resumed.seconds > 1000 and resumed.scaler.get_scale() == begun.scaler.get_scale() <= 1024
    assert next(resumed).seconds > 1000


def test_a_kill_before_the_parts_leaves_the_old_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_files, "LIMIT", 40)
    path = tmp_path / "a"
    old = {str(k): torch.full((8,), float(k)) for k in range(4)}
    tensor_files.write_tensors(path, old, {"step": 1})
    original, written = tensor_files.write_atomically, []

    def dies(where, content):
        if written:
            raise KeyboardInterrupt
        written.append(where)
        original(where, content)

    monkeypatch.setattr(tensor_files, "write_atomically", dies)
    with pytest.raises(KeyboardInterrupt):
        tensor_files.write_tensors(path, {k: v + 10 for k, v in old.items()}, {"step": 2})
    tensors, state = tensor_files.read_tensors(path)
    assert state == {"step": 1} and all(torch.equal(tensors[k], v) for k, v in old.items())


# test_runs.py

def test_the_checkpoint_goes_only_after_the_weights_are_there(digits, tmp_path, monkeypatch):
    def full(*_):
        raise fm.FixMatchError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(fm.runs, "save_weights", full)
        with pytest.raises(fm.FixMatchError, match="disk is full"):
            list(fm.runs.record(tmp_path / "run", small(), digits))
    assert (tmp_path / "run" / fm.runs.CHECKPOINT).exists()
    taken = []
    monkeypatch.setattr(fm.training.Training, "_train_step", lambda self: taken.append(self.step))
    assert list(fm.runs.record(tmp_path / "run", small(), digits, resume=True)) == [] and not taken
    assert fm.runs.load(tmp_path / "run").model() is not None


def test_a_run_that_another_process_began_meanwhile_is_left_alone(digits, tmp_path, monkeypatch):
    other, original = [], fm.runs.only_one

    def late(folder, *name):  # while this process read its data, another one trained here, and stopped
        if not other:
            other.append(1)
            recording = fm.runs.record(tmp_path / "run", small(), digits)
            next(recording), recording.close()
        return original(folder, *name)

    monkeypatch.setattr(fm.runs, "only_one", late)
    with pytest.raises(fm.FixMatchError, match="Another process has just trained|already holds a run"):
        list(fm.runs.record(tmp_path / "run", small(), digits, resume=True))
    assert [m.step for m in fm.runs.load(tmp_path / "run").metrics] == [3]


def test_table_tells_minutes(digits, tmp_path):
    list(fm.runs.record(tmp_path / "run", small(), digits))
    (row,) = fm.runs.table(tmp_path).to_dict("records")
    assert row["minutes"] == pytest.approx(fm.runs.load(tmp_path / "run").metrics[-1].seconds / 60)


def test_runs_are_listed_by_their_prefix():
    found = fm.runs.list_runs(prefix="digits-40-flexmatch")
    assert found and all(run.name.startswith("digits-40-flexmatch") for run in found)


def test_a_line_of_the_log_is_seen_to_the_disk(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(os.fstat(descriptor).st_size))
    fm.files.append_line(tmp_path / "log", "line")
    assert seen == [5]


def test_the_precision_that_was_used_is_recorded(digits, tmp_path):
    next(fm.runs.record(tmp_path / "run", small(precision="auto"), digits, device="cpu"))
    used = autocast_dtype(torch.device("cpu")) or torch.float32
    assert fm.runs.load(tmp_path / "run").provenance["precision"] == str(used).removeprefix("torch.")


def test_record_hands_on_what_it_is_given(digits, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(fm.runs, "fit", lambda *a, **more: given.append(more) or (_ for _ in ()).throw(KeyboardInterrupt))

    with pytest.raises((KeyboardInterrupt, AttributeError)):
        next(fm.runs.record(tmp_path / "run", small(), digits, device="cpu", progress="lines", compile=False))
    assert (given[0]["device"], given[0]["progress"], given[0]["compile"]) == ("cpu", "lines", False)


def test_the_command_trains_on_the_device_that_was_named(tmp_path, monkeypatch):
    from fixmatch_lite import training_command

    asked, record = [], training_command.record
    monkeypatch.setattr(training_command, "record", lambda *a, **more: asked.append(more["device"]) or record(*a, **more))
    assert run_command(monkeypatch, "train", "digits", *TINY, "--out", tmp_path / "run") in (0, None)
    assert [str(device) for device in asked] == ["cpu"]


def test_a_folder_of_ones_own_comes_before_a_recorded_run_of_that_name(digits, tmp_path, monkeypatch):
    name = fm.runs.list_runs()[0].name
    monkeypatch.chdir(tmp_path)
    next(fm.runs.record(name, small(tau=0.123), digits))
    assert fm.runs.load(name).recipe.tau == 0.123


# data

def make_pets(root, shift=0):
    for k in range(6):
        kind = ("left", "right")[k % 2]
        for part in ("all", f"test/{kind}"):
            pixels = np.random.default_rng(k).integers(0, 120, (12, 12, 3)) + shift
            path = root / part / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    (root / "l.csv").write_text("\n".join(["path,class", "all/0.png,left", "all/1.png,right"]))
    return fm.load_data("folder", labels=None, root=root, labels_from=root / "l.csv")


def test_hash_of_ones_own_pictures_knows_their_pixels(tmp_path):
    first, again, other = make_pets(tmp_path / "a"), make_pets(tmp_path / "b"), make_pets(tmp_path / "c", shift=1)
    assert first.labeled_hash == again.labeled_hash != other.labeled_hash


def test_every_eighth_of_the_upper_five():
    plain, unequal = fm.load_data("digits", labels=None), fm.load_data("digits-unequal", labels=None)
    keep = (plain.y < 5) | (torch.arange(len(plain.y)) % 8 == 0)
    assert torch.equal(unequal.u, plain.u[keep]) and torch.equal(unequal.y, plain.y[keep])


def test_a_class_may_be_labeled_whole():
    from fixmatch_lite.data import draw_labeled

    assert draw_labeled([0, 0, 1, 1, 1, 1], 4, 0)[:2] == (0, 1)
    assert draw_labeled([0, 0, 1, 1], 4, 0) == (0, 1, 2, 3)


@pytest.mark.parametrize("head, mark", [("path,class,split", ","), ("filename\tLabel\tsplit", "\t")])
def test_forms_of_a_csv_file(tmp_path, head, mark):
    make_pets(tmp_path)
    lines = [head, *(mark.join((f"all/{k}.png", ("left", "right")[k % 2], "Test" if k > 3 else "TRAIN")) for k in range(6))]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    train, test = fm.labels_file.read_labels(tmp_path / "m.csv", tmp_path)
    assert (len(train), len(test)) == (4, 2)


def test_labels_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    from fixmatch_lite.labels_file import write_labels

    write_labels(tmp_path / "l.csv", [("a.png", "cat", "0.9")])
    before = (tmp_path / "l.csv").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(fm.FixMatchError, match="disk is full"):
        write_labels(tmp_path / "l.csv", [("b.png", "dog", "0.9")])
    assert (tmp_path / "l.csv").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.fixture(scope="module")
def digits_run(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gray") / "run"
    list(fm.runs.record(folder, small(), digits, device="cpu"))
    return fm.runs.load(folder)


def test_an_onnx_file_is_written_whole_or_not_at_all(digits_run, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    (tmp_path / "net.onnx").write_bytes(b"the old one")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(fm.FixMatchError, match="disk is full"):
        predicting.export_onnx(digits_run, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == b"the old one"


def put(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def test_of_two_equally_common_sizes_the_larger_wins(tmp_path):
    from fixmatch_lite.folders import load_folder

    for part in ("train", "test"):
        put(tmp_path / part / "cat" / "0.png", np.full((8, 9, 3), 7, np.uint8))
        put(tmp_path / part / "dog" / "0.png", np.full((9, 20, 3), 7, np.uint8))
    assert load_folder(tmp_path)[0].shape[-2:] == (9, 20)


@pytest.mark.parametrize("orientation, shape", [(1, (100, 120)), (3, (100, 120)), (5, (120, 100)), (6, (120, 100)), (8, (120, 100))])
def test_a_photo_on_its_side_counts_as_it_stands(tmp_path, orientation, shape):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for part in ("train", "test"):
        for kind in ("cat", "dog"):
            put(tmp_path / part / kind / "0.jpg", np.full((100, 120, 3), 7, np.uint8), exif=exif)
    from fixmatch_lite.folders import load_folder

    assert load_folder(tmp_path)[0].shape[-2:] == shape


def test_color_pictures_for_a_gray_net_and_more_than_a_batch_of_them(digits, digits_run, tmp_path, monkeypatch):
    for k in range(5):
        gray = np.repeat(digits.u[k].permute(1, 2, 0).numpy(), 3, 2)
        put(tmp_path / f"{k}.png", gray)
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    put(tmp_path / "red.png", red)
    whole = list(predicting.label_pictures(digits_run, tmp_path, device="cpu"))
    monkeypatch.setattr(predicting, "BATCH", 2)
    few = list(predicting.label_pictures(digits_run, tmp_path, device="cpu"))
    assert [row[0] for row in few] == [row[0] for row in whole] == [*(f"{k}.png" for k in range(5)), "red.png"]
    luma = torch.full((1, 1, 8, 8), np.asarray(Image.fromarray(red).convert("L"))[0, 0].item(), dtype=torch.uint8)
    images = torch.cat([digits.u[:5], luma])
    with torch.no_grad():
        sure, kind = digits_run.model()(augment.to_float(images)).softmax(1).max(1)
    for rows in (whole, few):
        assert [row[1] for row in rows] == [digits.class_names[k] for k in kind]
        assert [row[2] for row in rows] == pytest.approx(sure.tolist(), abs=1e-4)


# test_streaming.py

@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    root, draw = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    for number, name in enumerate(("n0", "n1", "n2")):
        for part, count in (("train", 6), ("val", 4)):
            for k in range(count):
                put(root / part / name / f"{k}.JPEG", draw.integers(0, 256, (50, 60, 3)).astype(np.uint8))
    return root


def load(imagenet, **changes):
    return fm.load_data("imagenet", **{"labels": 9, "root": imagenet, "split": "proportional", "image_size": 32, **changes})


def stream(**changes):
    return fm.recipe("imagenet", **{"labels": 9, "batch_size": 4, "mu": 2, "steps": 4, "eval_every": 2, "tau": 0.3,
                                    "net": "wide_resnet", "depth": 10, "width": 1, "precision": "float32", **changes})


def test_another_seed_cuts_other_views(imagenet):
    data = load(imagenet)
    cuts = [fm.fit(stream(seed=seed), data, device="cpu").batches._seeds(3, 2) for seed in (0, 0, 1)]
    assert torch.equal(cuts[0], cuts[1]) and not torch.equal(cuts[0], cuts[2])


def test_train_and_val_of_other_classes_are_refused(imagenet, tmp_path):
    shutil.copytree(imagenet, tmp_path / "i")
    (tmp_path / "i" / "val" / "n2").rename(tmp_path / "i" / "val" / "n3")
    with pytest.raises(fm.FixMatchError, match="different classes"):
        load(tmp_path / "i")


def test_of_two_processes_each_reads_its_share(imagenet, monkeypatch):
    """The same pictures, cut in the same way, as one process reads; and their numbers."""
    data, kept = load(imagenet), []
    whole = fm.fit(stream(), data, device="cpu").batches
    whole.strong = lambda images, generator: images
    one = whole.next(("weak", "strong"))
    for rank in range(2):
        batches = fm.fit(stream(), data, device="cpu").batches
        batches.strong = lambda images, generator: images
        with monkeypatch.context() as patch:
            patch.setattr(distributed, "rank", lambda: rank)
            patch.setattr(distributed, "world_size", lambda: 2)
            kept.append(batches.next(("weak", "strong")))
    for rank, batch in enumerate(kept):
        assert torch.equal(batch.x, one.x[rank::2]) and torch.equal(batch.y, one.y[rank::2])
        assert torch.equal(batch.ids, one.ids[rank::2])
        assert all(torch.equal(mine, its[rank::2]) for mine, its in zip(batch.u, one.u))


def test_an_evaluation_sees_the_usual_share_of_the_middle():
    from fixmatch_lite.streaming import middle

    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (256, 256, 3))
    seen = np.asarray(middle(Image.fromarray(np.ascontiguousarray(ramp)), 224))[0, :, 0]
    assert (seen[0], seen[-1]) == (16, 239)  # the middle 224 of 256 pixels


# test_distributed.py

def test_synchronized_batch_norm_is_torchs(monkeypatch):
    mine, its = distributed.SyncBatchNorm(3, momentum=0.5), torch.nn.BatchNorm2d(3, momentum=0.5)
    x = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(distributed, "world_size", lambda: 2)  # of which each holds the same images
    monkeypatch.setattr(distributed, "mean_", lambda tensor: tensor)
    monkeypatch.setattr(distributed._Sum, "apply", lambda tensor: 2 * tensor)
    torch.testing.assert_close(mine(x), its(torch.cat([x, x]))[:2])
    torch.testing.assert_close(mine.running_mean, its.running_mean)
    torch.testing.assert_close(mine.running_var, its.running_var)


def test_one_of_several_processes_does_not_train_alone(digits, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(fm.FixMatchError, match="each would train alone"):
        fm.fit(small(), digits)


def test_processes_draw_views_of_their_own_and_share_all_else():
    first, second = (fm.devices.make_generators(3, torch.device("cpu"), rank) for rank in (0, 1))
    alike = {name: torch.equal(torch.rand(9, generator=first[name]), torch.rand(9, generator=second[name])) for name in first}
    assert alike == {"weights": True, "labeled": True, "unlabeled": True, "augment": False}


def test_mps_is_never_compiled_for(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda model, **how: "compiled")
    model = torch.nn.Linear(1, 1)
    assert fm.devices.compiled(model, torch.device("mps"), 10**6, True) is model


def test_what_may_be_recorded_as_a_graph(digits, monkeypatch):
    def training(**changes):
        made = fm.fit(small(**changes), digits, device="cpu")
        made.device = torch.device("cuda")
        return made

    plain = training()
    assert may_capture(plain, 200) and not may_capture(plain, 199) and may_capture(plain, 1, True)
    assert not may_capture(plain, 10**6, False)
    for other in (training(precision="float16"), training(forward="kept")):
        assert not may_capture(other, 10**6, True)
    plain.data = types.SimpleNamespace(u=None)  # pictures on the disk
    assert not may_capture(plain, 10**6, True)
    plain = training()
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    assert not may_capture(plain, 10**6, True)


def test_several_processes_run_on_cuda_or_cpu(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(fm.FixMatchError, match="run on cuda or cpu, not on mps"):
        distributed.start("mps")


# test_svhn_stl10.py, test_download.py

def test_stl10_in_more_than_one_block(monkeypatch):
    from fixmatch_lite import stl10

    monkeypatch.setattr(stl10, "BLOCK", 4)
    images = np.random.default_rng(0).integers(0, 256, (10, 3, 96, 96), dtype=np.uint8)
    content = np.ascontiguousarray(images.transpose(0, 1, 3, 2)).tobytes()
    assert np.array_equal(stl10._images(io.BytesIO(content), len(content), "train_X.bin"), images)


def test_what_has_arrived_needs_no_more_room(tmp_path, monkeypatch):
    from fixmatch_lite import download

    content = bytes(1000)
    (tmp_path / "a.part").write_bytes(content[:900])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage._replace(free=150))
    with pytest.raises(fm.FixMatchError, match="Could not download"):
        download.fetch("a", ("nonsense",), "0" * 32, 1000, tmp_path, quiet=True)


# test_record_runs.py

def test_weights_that_half_precision_harms_are_kept_whole(digits, tmp_path, monkeypatch):
    recipe = small(steps=3)
    list(fm.runs.record(tmp_path / "run", recipe, digits, device="cpu"))
    before = (tmp_path / "run" / "weights.safetensors").read_bytes()
    monkeypatch.setattr(fm.training, "evaluate", lambda *a, **more: 0.0)
    record_runs.keep_weights(tmp_path / "run", True, recipe, digits, argparse.Namespace(device="cpu"))
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == before
    described = fm.runs.load(tmp_path / "run").provenance["weights"]
    assert described == {"kernels": "float32", "test_accuracy": fm.runs.load(tmp_path / "run").metrics[-1].test_accuracy}


LIST = """
[[wanted]]
name = "small-seed{seed}"
device = "cpu"
minutes = 0.1
recipe = { dataset = "digits", steps = 6, eval_every = 3, batch_size = 4, mu = 1 }
over = { seed = [0] }
"""


def words(place, *more):
    return ["record_runs.py", "--device", "cpu", "--threads", "1", "--list-file", str(place / "WANTED.toml"), "--recorded",
            str(place / "recorded"), "--unfinished", str(place / "unfinished"), *more]


def test_what_is_recorded_is_trained_in_full(tmp_path, monkeypatch):
    (tmp_path / "WANTED.toml").write_text(LIST)
    monkeypatch.setenv("FIXMATCH_LITE_FAST", "1")
    monkeypatch.setattr(sys, "argv", words(tmp_path))
    record_runs.main()
    assert fm.runs.load(tmp_path / "recorded" / "small-seed0").provenance["fast"] is False


def test_a_process_that_ended_with_an_error_is_told(tmp_path, monkeypatch):
    import subprocess

    (tmp_path / "WANTED.toml").write_text(LIST.replace("digits", "digitz"))
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "record_runs.py"), *words(tmp_path)[1:], "--processes", "2",
                           "--root", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode != 0 and "ended with an error" in done.stderr


def test_threads_are_those_asked_for(tmp_path, monkeypatch):
    before = torch.get_num_threads()
    asked = 3 if before != 3 else 2
    (tmp_path / "WANTED.toml").write_text(LIST)
    monkeypatch.setattr(sys, "argv", [word if word != "1" else str(asked) for word in words(tmp_path)])
    try:
        record_runs.main()
        assert fm.runs.load(tmp_path / "recorded" / "small-seed0").provenance["threads"] == asked
    finally:
        torch.set_num_threads(before)


def test_a_move_that_breaks_off_leaves_no_half_run(tmp_path, monkeypatch, another_disk):
    source, target = tmp_path / "run", tmp_path / "there" / "run"
    source.mkdir()
    (source / "recipe.json").write_text("{}")
    another_disk(source)

    def dies(a, b, **more):
        os.makedirs(b)
        shutil.copy(source / "recipe.json", b)
        raise KeyboardInterrupt

    monkeypatch.setattr(record_runs.shutil, "copytree", dies)
    with pytest.raises(KeyboardInterrupt):
        record_runs.move(source, target)
    assert not target.exists() and (source / "recipe.json").exists()


def test_a_run_that_is_being_trained_is_not_shown_as_stopped(tmp_path):
    options = argparse.Namespace(recorded=tmp_path / "recorded", unfinished=tmp_path / "unfinished")
    with record_runs.claim(tmp_path / "unfinished" / "a"):
        with pytest.raises(SystemExit, match="is being trained"):
            record_runs.stop("a", "Too late.", options)
    assert not (tmp_path / "recorded").exists()


def test_every_update_has_the_rate_of_its_step(digits, monkeypatch):
    """The metrics say what the schedule says; the optimizer has to be asked what it took."""
    training, taken = fm.fit(small(warmup=0.5), digits), []
    step = training.optimizer.step
    monkeypatch.setattr(training.optimizer, "step", lambda *a, **more: taken.append(
        [group["lr"] for group in training.optimizer.param_groups]) or step(*a, **more))
    list(training)
    assert taken == [[learning_rate(training.recipe, k)] * 2 for k in range(6)]


def test_pictures_in_the_test_folder_are_not_trained_with_whatever_the_file_names(tmp_path):
    make_pets(tmp_path)
    lines = ["path,class,split", "all/0.png,left,train", "all/1.png,right,train", "test/left/0.png,left,test", "test/right/1.png,right,test"]
    (tmp_path / "l.csv").write_text("\n".join(lines))
    data = fm.load_data("folder", labels=None, root=tmp_path, labels_from=tmp_path / "l.csv")
    assert len(data.x_test) == 2 and len(data.u) == 6  # the six of all/; four more lie in test/


def test_large_photos_are_read_to_be_labeled_as_they_were_to_be_trained_with(tmp_path):
    from fixmatch_lite.folders import load_folder
    from fixmatch_lite.pictures import read_pictures

    for part in ("train", "test"):
        for kind in ("cat", "dog"):
            put(tmp_path / part / kind / "0.jpg", np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8))
    images = load_folder(tmp_path, image_size=16)[1]
    pixels, reasons = read_pictures([tmp_path / "train" / "cat" / "0.jpg"], (3, 16, 16))
    assert torch.equal(pixels, images[:1]) and reasons == [None]


def test_hidden_folders_are_no_classes_and_hold_no_pictures(tmp_path):
    from fixmatch_lite.folders import load_folder

    for part in ("train", "test"):
        for kind in ("cat", "dog"):
            put(tmp_path / part / kind / "0.png", np.full((8, 8, 3), 7, np.uint8))
    put(tmp_path / "train" / "cat" / ".thumbnails" / "0.png", np.full((8, 8, 3), 9, np.uint8))
    put(tmp_path / "train" / ".cache" / "0.png", np.full((8, 8, 3), 9, np.uint8))
    pool, *_, names = load_folder(tmp_path)
    assert names == ("cat", "dog") and len(pool) == 2


def test_a_class_of_the_test_pictures_alone_is_named(tmp_path):
    make_pets(tmp_path)
    put(tmp_path / "test" / "fox" / "0.png", np.full((12, 12, 3), 7, np.uint8))
    with pytest.raises(fm.FixMatchError, match="class fox is among the test pictures only"):
        fm.load_data("folder", labels=None, root=tmp_path, labels_from=tmp_path / "l.csv")


def test_a_picture_is_not_both_trained_with_and_tested_on(tmp_path):
    make_pets(tmp_path)
    (tmp_path / "m.csv").write_text("path,class,split\nall/0.png,left,train\nall/0.png,left,test\n")
    with pytest.raises(fm.FixMatchError, match="Line 3 .*calls all/0.png left .test. and a line before it left .train."):
        fm.labels_file.read_labels(tmp_path / "m.csv", tmp_path)


def test_a_setting_may_be_nothing():
    from fixmatch_lite.places import setting

    assert setting("flip=none") == ("flip", None) and setting("steps=20") == ("steps", 20)


def test_a_view_of_a_panorama_is_a_square_of_it():
    import random

    from fixmatch_lite.streaming import _cut

    ramp = np.ascontiguousarray(np.broadcast_to((np.arange(2000) // 8).astype(np.uint8)[None, :, None], (40, 2000, 3)))
    for seed in range(20):
        view = np.asarray(_cut(Image.fromarray(ramp), 32, random.Random(seed))).astype(int)
        assert np.ptp(view) <= 40 / 8 + 1  # forty of two thousand columns


def test_every_image_has_the_label_of_its_own_batch(tmp_path):
    from fixmatch_lite import cifar
    from test_cifar import META, Python2, archive_of, batch_of

    batches = {name: batch_of(k) for k, name in enumerate((*cifar.CIFAR10.train_files, *cifar.CIFAR10.test_files))}
    md5 = archive_of(tmp_path / "a.tar.gz", {name: Python2().dumps(content) for name, content in {**batches, "batches.meta": META}.items()})
    images, targets, *_ = cifar.read_archive(tmp_path / "a.tar.gz", md5=md5)
    rows = np.concatenate([batches[name][b"data"] for name in cifar.CIFAR10.train_files])
    assert np.array_equal(images.reshape(20, -1).numpy(), rows)
    assert targets.tolist() == [label for name in cifar.CIFAR10.train_files for label in batches[name][b"labels"]]


def test_pseudo_labels_are_judged_by_the_truth_of_their_own_images(digits):
    training = fm.fit(small(tau=0.0, mu=100), digits)
    right, count, loss = 0, 0, training.method.loss

    def spy(batch, run):
        nonlocal right, count
        found = loss(batch, run)
        right, count = right + (found.pseudo_label == digits.u_true[batch.ids]).sum().item(), count + len(batch.ids)
        return found

    training.method.loss = spy
    metrics = next(training)
    assert count == 3 * 400 and metrics.pseudo_label_accuracy == pytest.approx(right / count)


def test_streamed_pictures_come_with_their_own_classes(tmp_path):
    for number in range(3):
        for part in ("train", "val"):
            for k in range(4):
                put(tmp_path / part / f"n{number}" / f"{k}.JPEG", np.full((40, 50, 3), 100 * number, np.uint8))
    data = load(tmp_path)
    batches = fm.fit(stream(), data, device="cpu").batches
    for _ in range(9):
        batch = batches.next(("weak",))
        assert (batch.x.float().mean((1, 2, 3)) / 100).round().tolist() == batch.y.tolist()
        assert (batch.u[0].float().mean((1, 2, 3)) / 100).round().tolist() == data.u_true[batch.ids].tolist()
