"""A run is a folder: what is written can be read, summed up and compared; nothing there is ever lost."""

import errno
import json
import os
import re
import sys

import numpy as np
import pytest
import torch

import fixmatch_lite as fm
from fixmatch_lite.augment import to_float
from fixmatch_lite.comparators.mistakes import MISTAKES, ended
from fixmatch_lite.files import only_one
from fixmatch_lite.methods import Consistency
from fixmatch_lite.predicting import measure_again
from test_training import Falling, Small


@pytest.fixture(scope="module")
def digits():
    return fm.load_data("digits", labels=40, seed=2)


def small(**changes):
    return fm.recipe("digits", **{"steps": 24, "eval_every": 1, "batch_size": 4, "mu": 1, "label_seed": 2, **changes})


@pytest.fixture(scope="module")
def folder(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        list(fm.runs.record(folder / f"seed{seed}", small(seed=seed), digits))
    return folder


def snapshot(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_run_holds_what_it_takes_to_repeat_it(folder, digits):
    run = fm.runs.load(folder / "seed1")
    assert run.done and run.recipe == small(seed=1) and len(run.metrics) == 24
    described = run.provenance
    assert described["labeled_indices"] == list(digits.labeled_indices)
    assert described["labeled_hash"] == digits.labeled_hash and described["code_version"] == fm.__version__
    assert described["device"] and described["precision"] and described["unlabeled"] == 1297
    again = list(fm.fit(run.recipe, fm.load_data("digits", labeled=described["labeled_indices"]), device="cpu"))
    assert [m.loss for m in again] == pytest.approx([m.loss for m in run.metrics], rel=1e-5)  # the log has six digits
    assert [m.test_accuracy for m in again] == [m.test_accuracy for m in run.metrics]
    assert sorted(p.name for p in run.path.iterdir()) == ["confidence.jsonl", "metrics.jsonl", "recipe.json",
                                                                   "weights.safetensors"]


def test_weights_repeat_the_recorded_accuracy(folder, digits):
    from fixmatch_lite.training import autocast_dtype, evaluate

    run = fm.runs.load(folder / "seed0")
    dtype = autocast_dtype(fm.choose_device("cpu"))
    assert evaluate(run.model(), digits.x_test, digits.y_test, dtype=dtype) == run.metrics[-1].test_accuracy


def test_T20_summary_is_the_median_of_the_last_twenty_never_the_best(folder):
    run = fm.runs.load(folder / "seed0")
    accuracies = sorted(m.test_accuracy for m in run.metrics[-20:])
    summary = fm.runs.summarize(run)
    assert summary["test_accuracy"] == (accuracies[9] + accuracies[10]) / 2 and summary["evaluations"] == 20
    assert summary["final"] == run.metrics[-1].test_accuracy
    assert not any("best" in name or "max" in name for name in summary)


def test_comparison_names_what_differs(folder):
    rows = fm.runs.compare(fm.runs.list_runs(folder))
    assert [row["seed"] for row in rows] == [0, 1] and [row["name"] for row in rows] == ["seed0", "seed1"]
    assert "tau" not in rows[0]


def test_a_run_is_never_overwritten(folder, digits):
    before = snapshot(folder / "seed0")
    with pytest.raises(fm.FixMatchError, match="already holds a run"):
        list(fm.runs.record(folder / "seed0", small(), digits))
    with pytest.raises(fm.FixMatchError, match="is finished"):
        list(fm.runs.record(folder / "seed0", small(), digits, resume=True))
    assert snapshot(folder / "seed0") == before


def test_labels_from_a_file_are_told_from_the_draw_that_the_recipe_names(digits, tmp_path):
    named = fm.load_data("digits", labeled=fm.load_data("digits", seed=7).labeled_indices)
    for name, data in (("drawn", digits), ("named", named)):
        list(fm.runs.record(tmp_path / name, small(steps=2), data))
    rows = fm.runs.compare([tmp_path / "drawn", tmp_path / "named"])
    assert [row["labeled_hash"] for row in rows] == [digits.labeled_hash, named.labeled_hash]
    assert "labeled_hash" not in fm.runs.compare([tmp_path / "drawn"])[0]


def test_one_folder_one_training(digits, tmp_path):
    folder = tmp_path / "run"
    first = fm.runs.record(folder, small(), digits)
    next(first)
    before = snapshot(folder)
    for resume in (False, True):
        with pytest.raises(fm.FixMatchError, match="Something else is training|already holds a run"):
            next(fm.runs.record(folder, small(), digits, resume=resume))
    assert snapshot(folder) == before
    first.close()
    (folder / "checkpoint.safetensors.7.part").write_text("of a process that was killed")
    (folder / "film.mkv.part").write_text("of somebody else")
    assert len(list(fm.runs.record(folder, small(), digits, resume=True))) == small().steps - 1
    assert {path.name for path in folder.iterdir()} == {"recipe.json", "metrics.jsonl", "confidence.jsonl", "weights.safetensors",
                                                         "film.mkv.part"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such lock")
def test_a_lock_where_there_are_none_and_one_that_was_let_go(tmp_path, monkeypatch):
    import fcntl

    def refusing(number):
        def flock(file, how):
            raise OSError(number, os.strerror(number))
        return flock

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refusing(errno.ENOSYS))
        with only_one(tmp_path):
            pass
        patch.setattr(fcntl, "flock", refusing(errno.EACCES))
        with pytest.raises(fm.FixMatchError, match="Something else is training"), only_one(tmp_path):
            pass
    lock, opened, work = tmp_path / "lock", [], fcntl.flock

    def late(file, how):  # whoever had the lock takes the file away after it was opened here
        if not opened:
            lock.unlink()
        opened.append(file)
        return work(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with only_one(tmp_path):
        assert len(opened) == 2 and os.path.samestat(os.fstat(opened[-1].fileno()), lock.stat())
    assert not lock.exists()


def test_a_damaged_run_hides_no_other(digits, tmp_path, caplog):
    list(fm.runs.record(tmp_path / "good", small(steps=2), digits))
    for name, content in (("cut", '{"recipe": {"da'), ("odd", '{"recipe": 3}'), ("empty", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.json").write_text(content)
        with pytest.raises(fm.FixMatchError, match="cannot be read"):
            next(fm.runs.record(tmp_path / name, small(), digits, resume=True))
    assert [run.name for run in fm.runs.list_runs(tmp_path)] == ["good"] and list(fm.runs.table(tmp_path)["name"]) == ["good"]
    assert all(f"The run in {tmp_path / name} cannot be read" in caplog.text for name in ("cut", "odd", "empty"))


def test_what_a_recipe_says_of_the_data_is_true_or_not_recorded(digits, tmp_path):
    """Whoever repeats a run loads what its recipe names. `fit` takes both as they come."""
    wrong = {"label_seed=4, but the data have label_seed=2": (small(label_seed=4), digits),
             "split='proportional', but the data have split='balanced'": (small(split="proportional"), digits),
             "dataset='digits', but the data have dataset='digits-unequal'": (small(), fm.load_data("digits-unequal", seed=2))}
    for says, (recipe, data) in wrong.items():
        with pytest.raises(fm.FixMatchError, match=says):
            next(fm.runs.record(tmp_path / "run", recipe, data))
        assert not (tmp_path / "run").exists() and next(fm.fit(recipe, data)).step == 1
    named = fm.load_data("digits", labeled=digits.labeled_indices)
    assert next(fm.runs.record(tmp_path / "run", small(label_seed=4), named)).step == 1


@pytest.mark.parametrize("checkpoint", [True, False], ids=["with its checkpoint", "stopped before the first one"])
def test_resume_refuses_another_labeled_set_and_leaves_the_run_alone(digits, tmp_path, checkpoint):
    recording = fm.runs.record(tmp_path / "run", small(), digits)
    next(recording), next(recording)
    recording.close()
    if not checkpoint:
        (tmp_path / "run" / fm.runs.CHECKPOINT).unlink()
        (tmp_path / "run" / fm.runs.METRICS).write_text("")
    before = snapshot(tmp_path / "run")
    with pytest.raises(fm.FixMatchError, match="another labeled set"):
        next(fm.runs.record(tmp_path / "run", small(), fm.load_data("digits", seed=3), resume=True))
    with pytest.raises(fm.FixMatchError, match="another recipe: mu"):
        next(fm.runs.record(tmp_path / "run", small(mu=2), digits, resume=True))
    assert snapshot(tmp_path / "run") == before
    assert len(list(fm.runs.record(tmp_path / "run", small(), digits, resume=True))) == small().steps - 2 * checkpoint


@pytest.mark.parametrize("kill", ["before the log", "before the weights"])
def test_killed_between_two_writes(digits, tmp_path, monkeypatch, kill):
    """The checkpoint is written before the log's line, the line before the weights; dying in between loses nothing."""
    target = "append_line" if kill == "before the log" else "save_weights"
    original, calls = getattr(fm.runs, target), []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == (3 if kill == "before the log" else 1):
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(fm.runs, target, dies)
    with pytest.raises(KeyboardInterrupt):
        list(fm.runs.record(tmp_path / "run", small(steps=5), digits))
    monkeypatch.undo()
    list(fm.runs.record(tmp_path / "run", small(steps=5), digits, resume=True))
    run = fm.runs.load(tmp_path / "run")
    assert run.done and [m.step for m in run.metrics] == [1, 2, 3, 4, 5] and run.model() is not None
    assert [found["step"] for found in run.confidence] == [1, 2, 3, 4, 5]


def test_histograms_of_confidence_are_what_the_net_says(digits, tmp_path, monkeypatch):
    """Ten times a run; right and wrong apart; by hand for the last."""
    recipe = small(steps=23, precision="float32")
    training = []
    original = fm.runs.fit
    monkeypatch.setattr(fm.runs, "fit", lambda *a, **k: training.append(original(*a, **k)) or training[0])
    list(fm.runs.record(tmp_path / "run", recipe, digits))
    found = fm.runs.load(tmp_path / "run").confidence
    assert [each["step"] for each in found] == [3, 5, 7, 10, 12, 14, 17, 19, 21, 23]
    with torch.no_grad():
        q = training[0].model.eval()(to_float(digits.u)).softmax(1)
    confidence, classes = q.max(1)
    right = classes == digits.u_true
    last = found[-1]
    for name, some in (("right", right), ("wrong", ~right)):
        expected = torch.histc(confidence[some], 100, 0, 1)
        assert sum(last[name]) == some.sum() and (torch.tensor(last[name]) - expected).abs().sum() <= 4
    assert last["predicted"] == torch.bincount(classes, minlength=10).tolist()
    assert last["predicted_right"] == torch.bincount(classes[right], minlength=10).tolist()
    assert (tmp_path / "run" / "confidence.jsonl").stat().st_size < 20_000


def test_table_lists_every_run_with_its_median(folder):
    table = fm.runs.table(folder)
    assert list(table["name"]) == ["seed0", "seed1"] and set(table["data"]) == {"digits"}
    assert list(table["test_accuracy"]) == [fm.runs.summarize(run)["test_accuracy"] for run in fm.runs.list_runs(folder)]
    assert (table["evaluations"] == 20).all() and (table["steps"] == table["of"]).all() and table["weights"].all()


def test_runs_that_cannot_be_read(tmp_path):
    with pytest.raises(fm.FixMatchError, match="no run in"):
        fm.runs.load(tmp_path)
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(fm.FixMatchError, match="cannot be read"):
        fm.runs.load(tmp_path)


def test_recorded_runs_come_with_the_module():
    runs = fm.runs.list_runs()
    assert runs, "the recorded runs are missing"
    for run in runs:
        assert run.done + bool(run.failed) + bool(run.stopped) == 1
        assert run.provenance["labeled_indices"] and run.provenance["code_version"]
        last = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[-1])["step"]
        assert last == run.recipe.steps if run.done else last < run.recipe.steps
    assert fm.runs.load(runs[0].name).recipe == runs[0].recipe


def test_an_unfinished_run_has_the_average_of_its_last_checkpoint(tmp_path, digits, caplog):
    recording = fm.runs.record(tmp_path / "run", small(ema_decay=0.5), digits, device="cpu")
    for _ in range(3):
        metrics = next(recording)
    training = fm.fit(small(ema_decay=0.5), digits, device="cpu")
    for _ in range(3):
        next(training)
    run = fm.runs.load(tmp_path / "run")
    model = run.model()
    assert not run.done and not model.training and "its weights are those of step 3 of 24" in caplog.text
    raw, averaged = training.model.state_dict(), training.ema_model.module.state_dict()
    assert all(torch.equal(value, averaged[name]) for name, value in model.state_dict().items())
    assert not torch.equal(raw["classifier.weight"], averaged["classifier.weight"])
    assert fm.training.evaluate(model, digits.x_test, digits.y_test, dtype=training.dtype) == metrics.test_accuracy
    caplog.clear()
    list(recording)
    assert fm.runs.load(tmp_path / "run").model() is not None and not caplog.text


def own_parts(seed=0):
    torch.manual_seed(seed)
    return dict(net=Small(), method=Consistency(Falling()))


def test_parts_of_ones_own_are_recorded_and_resumed(tmp_path, digits):
    recipe = small(steps=6, ema_decay=0.5)
    whole, part = list(fm.runs.record(tmp_path / "whole", recipe, digits, device="cpu", **own_parts())), tmp_path / "part"
    next(fm.runs.record(part, recipe, digits, device="cpu", **own_parts()))
    method = "fixmatch_lite.methods.Consistency(lambda_u=1.0, way='joint', steady=True, policy=Falling)"
    assert fm.runs.load(part).own == {"net": "test_training.Small", "method": method}
    for other, now in (({}, "nothing but its recipe"), (dict(net=Small()), "test_training.Small")):
        with pytest.raises(fm.FixMatchError, match=re.escape(f"begun with test_training.Small, {method}, not with {now};")):
            next(fm.runs.record(part, recipe, digits, device="cpu", resume=True, **other))
    again = list(fm.runs.record(part, recipe, digits, device="cpu", resume=True, **own_parts(seed=1)))
    assert [m.loss for m in again] == [m.loss for m in whole[1:]] and again[-1].mask_rate == whole[-1].mask_rate
    shipped = fm.runs.load("digits-supervised-seed0")
    assert "own" not in shipped.provenance
    told = [row["own"] for row in fm.runs.compare([shipped, tmp_path / "whole"])]
    assert told == ["", f"test_training.Small, {method}"]
    assert "own" not in fm.runs.compare([shipped, fm.runs.load("digits-supervised-seed1")])[0]


def test_weights_of_a_net_of_ones_own_are_read_into_a_copy_of_it(tmp_path, digits):
    parts = own_parts()
    *_, last = fm.runs.record(tmp_path / "run", small(steps=6, ema_decay=0.5), digits, device="cpu", **parts)
    with pytest.raises(fm.FixMatchError, match=r"a net of its own, test_training.Small, .*fm.runs.load\(path, net=\.\.\.\)"):
        fm.runs.load(tmp_path / "run").model()
    fresh = Small()
    run, before = fm.runs.load(tmp_path / "run", net=fresh), fresh.layers[0].weight.clone()
    assert torch.equal(fresh.layers[0].weight, before) and not torch.equal(run.model().layers[0].weight, before)
    assert sum(right for _, right, _ in measure_again(run, device="cpu")) == round(last.test_accuracy * len(digits.y_test))
    fresh.layers[4] = torch.nn.Linear(288, 9)
    with pytest.raises(fm.FixMatchError, match=r"The run run is of another Small than this one \(layers.4.bias is \(10,\) there and \(9,\) here\)"):
        run.model()
    with pytest.raises(fm.FixMatchError, match="The checkpoint .* is of another Small than this one"):
        next(fm.fit(small(steps=6), digits, device="cpu", net=Small(), checkpoint=tmp_path / "c"))
        fm.fit(small(steps=6), digits, device="cpu", net=fresh, checkpoint=tmp_path / "c", resume=True)


def test_a_run_without_weights_says_so():
    with pytest.raises(fm.FixMatchError, match="recorded without its weights"):
        fm.runs.load("digits-40-flexmatch-seed0").model()


def test_ends_of_chapter_18_are_whole_and_shares():
    rows = fm.runs.ends("pretraining")
    seeds = {}
    for row in rows:
        assert 0.1 < float(row["accuracy"]) < 1
        seeds.setdefault((row["what"], int(row["labels"])), []).append(int(row["seed"]))
    starts = {(what, n) for what in ("learned first", "learned first, rate 0.03", "from nothing, twice the steps") for n in (10, 40)}
    starts |= {(what, 10) for what in ("chosen, learned first", "chosen, from nothing", "chosen, from nothing, twice the steps",
                                       "chosen by pixels, from nothing", "chosen, labels alone")}
    views = {(what, n) for what in ("weak views", "mirrored views") for n in (10, 20, 40, 100, 200)}
    assert seeds == {key: [0, 1, 2, 3, 4] for key in starts | views}, "all seeds of a comparison or none"


def test_ends_of_chapter_11_are_whole_and_have_their_twins():
    right, pairs = ended(), {(draw, seed) for draw in range(5) for seed in (draw, 5, 6, 7)}
    for name in MISTAKES:
        ends = ended(name)
        assert ends.keys() == (set() if name == "frozen" else pairs), name  # its runs break off
        assert ends.keys() <= right.keys()
        assert all(0.05 < value <= 1 for end in ends.values() for value in end)
    assert ended("flip")[0, 0].average == fm.runs.summarize("digits-mistake-flip-seed0")["test_accuracy"]
    last = fm.runs.load("digits-mistake-flip-seed4").metrics[-20:]
    assert ended("flip")[4, 4].net == np.median([m.test_accuracy_raw for m in last])
