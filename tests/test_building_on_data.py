"""What somebody stumbled over who trained on data of their own and went on with what came of it."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from test_own_pictures import program
from test_training import small

import fixmatch_lite as fm
from fixmatch_lite import checkpoints, predicting
from fixmatch_lite.checks import check_images
from fixmatch_lite.health import Health, unlabeled_classes
from fixmatch_lite.terminal import print_result, print_runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    list(fm.runs.record(folder, small(steps=4), fm.load_data("digits"), device="cpu"))
    return folder


def without(data, number):
    """The data without the labels of one class."""
    left = (data.y != number).nonzero().flatten()
    return dataclasses.replace(data, x=data.x[left], y=data.y[left], labeled_indices=[data.labeled_indices[k] for k in left])


# Data --------------------------------------------------------------------------------------------------------------

LEVELS = torch.arange(256).reshape(1, 1, 16, 16)


@pytest.mark.parametrize("images", [
    LEVELS, LEVELS.int(), LEVELS.float(), LEVELS / 255, (LEVELS / 255).half(), LEVELS / 255 * 1.0000001, LEVELS.int() * 256,
    (LEVELS * 257).to(torch.uint16)], ids=lambda images: str(images.dtype))
def test_the_advice_for_another_dtype_keeps_what_the_images_show(images):
    with pytest.raises(fm.FixMatchError) as caught:
        check_images(images)
    cure = re.search(r"onvert them with (.*)\.$", str(caught.value))[1]
    found = eval(cure, {"images": images, "torch": torch})
    check_images(found)
    assert torch.equal(found.long(), LEVELS)


@pytest.mark.parametrize("images, found", [
    (LEVELS / 127.5 - 1, "from -1 to 1"), (LEVELS - 5, "from -5 to 250"), (LEVELS * 1000, "from 0 to 255000"),
    (LEVELS * 2.0, "from 0 to 510"), (LEVELS * float("nan"), "from nan to nan")])
def test_images_that_nobody_can_convert_without_asking_are_described(images, found):
    with pytest.raises(fm.FixMatchError, match=rf"{found}\. Bring them to 0 to 255 first"):
        check_images(images)


def test_masks_are_stretched_and_what_has_no_values_gets_no_advice():
    for mask in (LEVELS > 9, (LEVELS > 9).long()):
        with pytest.raises(fm.FixMatchError, match=r"from 0 to 1. Convert them with \(255 \* images\)"):
            check_images(mask)
    for images in (LEVELS[:0], LEVELS.to("meta")):
        with pytest.raises(fm.FixMatchError, match=r"this is int64 \(\d, 1, 16, 16\)\.$"):
            check_images(images)
    with pytest.raises(fm.FixMatchError, match="four dimensions; this is uint8"):
        check_images(torch.zeros(4, 4, dtype=torch.uint8))


CHANGES = {"test_hash": lambda d: {"x_test": d.x_test[:100], "y_test": d.y_test[:100]},
           "unlabeled_hash": lambda d: {"u": 255 - d.u}}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_pictures_of_a_known_data_set_are_recorded_and_not_gone_on_with(tmp_path, name):
    data = fm.load_data("digits")
    changed = dataclasses.replace(data, **CHANGES[name](data))
    for place, some in (("known", data), ("changed", changed)):
        next(fm.runs.record(tmp_path / place, small(), some, device="cpu"))
    told = lambda place: {k for k in json.loads((tmp_path / place / "recipe.json").read_text()) if k in CHANGES}
    assert told("known") == set() and told("changed") == {name}
    for place, some in (("known", changed), ("changed", data)):
        with pytest.raises(fm.FixMatchError, match="was trained with other (test|unlabeled) pictures than these"):
            next(fm.runs.record(tmp_path / place, small(), some, device="cpu", resume=True))
    again = dataclasses.replace(data, flip=True).to("cpu")  # other data, the same pictures
    assert again.test_hash is again.unlabeled_hash is None
    for other in (dict(name="mine"), dict(y_test=data.y_test.flip(0))):
        assert dataclasses.replace(data, **other).test_hash is not None
    assert changed.labeled_hash == data.labeled_hash


def test_evaluate_says_that_a_run_was_tested_on_a_part_of_the_data(tmp_path):
    data = fm.load_data("digits")
    data = dataclasses.replace(data, **CHANGES["test_hash"](data))
    list(fm.runs.record(tmp_path / "part", small(steps=2), data, device="cpu"))
    code, out, err = program("evaluate", "part", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and "of 500" in out
    assert "the 500 test pictures here are not those that the run part was tested on" in err and "changed after fm.load_data" in err


def test_data_of_ones_own_may_leave_out_what_follows_from_the_rest():
    digits = fm.load_data("digits")
    given = dict(name="mine", x=digits.x, y=digits.y, u=digits.u, x_test=digits.x_test, y_test=digits.y_test)
    data = fm.SemiSupervisedData(**given)
    assert data.class_names == digits.class_names and data.labeled_indices == tuple(range(40)) and len(data.u_true) == len(data.u)
    assert set(data.u_true.tolist()) == {-1} and data.u_true.dtype == torch.int64
    assert next(fm.fit(small(), data, device="cpu")).pseudo_label_accuracy is None
    for wrong, says in ((dict(class_names=10), "class_names must be a list, one for each class; this is of the type int"),
                        (dict(labeled_indices=3), "labeled_indices must be a list, one for each image of x; this is"),
                        (dict(x_test=None), "Images of x_test must be .*NoneType"), (dict(u=None), "Images of u must .*NoneType"),
                        (dict(y_test=None), "The classes of x_test must be .*NoneType")):
        with pytest.raises(fm.FixMatchError, match=says):
            fm.SemiSupervisedData(**{**given, **wrong})


# Before, during and after a run ------------------------------------------------------------------------------------

@pytest.mark.parametrize("count, early", [(1, False), (2, True), (20, True), (38, True), (40, False), (50, False)])
def test_a_median_that_counts_the_start_says_so(capsys, count, early):
    whole = fm.runs.load("digits-40-vat-seed0")
    run = dataclasses.replace(whole, metrics=tuple(dataclasses.replace(whole.metrics[k], step=20 * (k + 1)) for k in range(count)))
    summary = fm.runs.summarize(run)
    assert summary["early"] is early
    print_result(summary, "out")
    assert ("too few were made to leave out the run's start" in capsys.readouterr().out) is (early or count < 20)
    print_runs([run], fm.runs.compare([run]))
    told = capsys.readouterr().out
    assert ("(start included)" in told) is early and "early" not in told


def test_a_class_without_a_label_is_told_before_the_run_and_once(tmp_path, caplog):
    digits = fm.load_data("digits")
    data, says = without(digits, 9), "No labeled picture of 9: the net can never predict it."
    counts = data.y.bincount(minlength=10).tolist()
    health = Health(small(ema_decay=0.5, bn_momentum=0.9), counts, data.class_names)
    assert health.before() == [says] and health.before() == []
    assert Health(small(ema_decay=0.5, bn_momentum=0.9), np.array(counts)).before() == [says.replace("9", "number 9")]
    for train in (lambda: fm.fit(small(labels=None), data, device="cpu"),
                  lambda: fm.runs.record(tmp_path / "run", small(labels=None), data, device="cpu")):
        caplog.clear()
        list(train())
        assert [record.getMessage() for record in caplog.records] == [says]
    caplog.clear()
    for name in ("digits", "digits-home", "digits-foreign"):  # the last two have five classes
        fm.fit(fm.recipe(name), fm.load_data(name), device="cpu")
    assert not caplog.records
    assert unlabeled_classes([0, 4, 0], "abc") == "No labeled picture of a nor of 1 other class: the net can never predict them."
    assert "b nor of 2 other classes" in unlabeled_classes([1, 0, 0, 0], "abcd")
    data.save_labeled(tmp_path / "l.json")
    code, _, err = program("train", "digits", "--labeled", "l.json", "--steps", 2, "--device", "cpu", cwd=tmp_path)
    assert code == 0 and err.count("No labeled picture of 9") == 1, err


def test_a_checkpoint_that_is_there_is_not_written_over(tmp_path):
    digits, path = fm.load_data("digits"), tmp_path / "deep" / "c"
    path.parent.mkdir()
    path.touch()  # an empty file holds nothing
    next(fm.fit(small(), digits, device="cpu", checkpoint=path))
    before = path.read_bytes()
    with pytest.raises(fm.FixMatchError, match="is there already: give resume=True to go on from it, or another file"):
        fm.fit(small(lr=0.01), digits, device="cpu", checkpoint=path)
    assert path.read_bytes() == before
    assert next(fm.fit(small(), digits, device="cpu", checkpoint=path, resume=True)).step > 1


def test_a_recording_hands_out_its_training(tmp_path):
    recording = fm.runs.record(tmp_path / "run", small(), fm.load_data("digits"), device="cpu")
    assert recording.training is None and not (tmp_path / "run").exists()
    for metrics in recording:
        assert recording.training.step == metrics.step
        ema = recording.training.ema_model.module.state_dict()
        assert all(torch.equal(ema[name], value) for name, value in fm.runs.load(tmp_path / "run").model().state_dict().items())
        break
    recording.close()
    assert next(fm.runs.record(tmp_path / "run", small(), fm.load_data("digits"), device="cpu", resume=True)).step > metrics.step


def test_weights_and_checkpoints_are_read_into_a_net(tmp_path):
    training = fm.fit(small(ema_decay=0.5), fm.load_data("digits"), device="cpu", checkpoint=tmp_path / "c")
    next(training)
    checkpoints.save_weights(training, tmp_path / "w")
    average = training.ema_model.module.state_dict()
    for name in "cw":
        net = fm.models.make_net(small(), 10, 1, torch.Generator())
        assert checkpoints.load_weights(net, tmp_path / name) is net and not net.training
        assert all(torch.equal(value, average[key]) for key, value in net.state_dict().items())
    with pytest.raises(fm.FixMatchError, match="The file .*w is of another WideResNet than this one"):
        checkpoints.load_weights(fm.models.make_net(small(), 9, 1, torch.Generator()), tmp_path / "w")


def test_stopping_early_as_the_book_says(root, tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (root / "book" / "engine.md").read_text(), re.S)
    data, stopping = (next(block for block in blocks if word in block) for word in ("SemiSupervisedData", "load_weights"))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(data.split("for metrics in")[0] + "recipe = recipe.changed(steps=400, eval_every=4)\n", names)
    exec(stopping, names)
    training, metrics = names["training"], names["metrics"]
    assert names["waited"] == 10 and metrics.step < 400 and 0 <= float(capsys.readouterr().out) <= 1
    assert fm.training.evaluate(names["net"], training.data.x_test, training.data.y_test) == names["best"] >= metrics.test_accuracy
    assert len(names["rest"].x_test[50:]) == 50 and not names["net"].training


# Predicting --------------------------------------------------------------------------------------------------------

def test_a_classifier_takes_its_own_images_and_holds_no_graph(run):
    digits = fm.load_data("digits")
    net, shape, _ = predicting.classifier(run)
    assert shape == (1, 8, 8) and net(digits.u).grad_fn is None
    large = torch.zeros(2, 1, 96, 96, dtype=torch.uint8)
    for images, says in ((large, r"images \(1, 8, 8\) and these are \(1, 96, 96\) \(channels, height"),
                         (digits.u.expand(-1, 3, -1, -1), r"these are \(3, 8, 8\)"), (digits.u[0], r"images\[None\]"),
                         (digits.u / 255, "must be uint8")):
        with pytest.raises(fm.FixMatchError, match=says):
            net(images)
    program = torch.export.export(net, (digits.u[:2],), dynamic_shapes=({0: torch.export.Dim("n")},))
    plain = torch.export.export(torch.nn.Sequential(net), (digits.u[:2],), dynamic_shapes=({0: torch.export.Dim("n")},))
    assert len(program.graph.nodes) == len(plain.graph.nodes)
    assert torch.allclose(program.module()(digits.u[:7]), net(digits.u[:7]), atol=1e-5)
    assert predicting.Classifier(fm.runs.load(run).model())(digits.u[:2]).shape == (2, 10)


@pytest.mark.parametrize("given", [str, lambda path: path, fm.runs.load], ids=["word", "path", "run"])
def test_a_run_is_given_as_itself_or_by_its_folder(run, tmp_path, given):
    (tmp_path / "3").mkdir()
    Image.fromarray(fm.load_data("digits").u[0, 0].numpy()).save(tmp_path / "3" / "a.png")
    (row,) = predicting.label_pictures(given(run), tmp_path, device="cpu")
    assert row[0] == "3/a.png" and row[1] in predicting.classifier(given(run))[2]
    assert predicting.label_folder(given(run), tmp_path, tmp_path / "l.csv", device="cpu") == (1, [])
    assert sum(count for *_, count in predicting.measure_folder(given(run), tmp_path, device="cpu")[0]) == 1
    assert sum(count for *_, count in predicting.measure_again(given(run), device="cpu")) == 500
    pytest.importorskip("onnxscript")
    predicting.export_onnx(given(run), tmp_path / "a.onnx")


def test_the_version_is_told(tmp_path):
    assert program("--version", cwd=tmp_path)[:2] == (0, fm.__version__ + "\n")


def test_a_metric_that_there_is_not_is_refused():
    metrics = fm.runs.load("digits-40-vat-seed0").metrics
    for histories in ([metrics], [[m.as_dict() for m in metrics]]):
        assert fm.plots.plot_curves(histories, "mask_rate") is not None
        for name in ("acc", "mask_rate_per_class"):
            with pytest.raises(fm.FixMatchError, match=f"no metric '{name}' to draw; use one of step, loss, .*, test_accuracy"):
                fm.plots.plot_curves(histories, name)
