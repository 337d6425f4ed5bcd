"""The live lab of chapter 10: what its buttons and sliders do, and that its pictures say what was measured."""

import re
import time
from pathlib import Path

import pytest
import torch

import fixmatch_lite as fm
from fixmatch_lite.lab import Lab

ONLY_IN_8 = re.compile(r"\b(TagsInput|ColorsInput|FloatsInput|IntsInput|TimePicker|NaiveDatetimePicker|DatetimePicker"
                       r"|Stack)\b|\b(titles|tooltip)\s*=")


@pytest.fixture(scope="module")
def data():
    return fm.load_data("digits", labels=40, seed=0)


@pytest.fixture
def small(data):
    """A lab whose trainings take a moment, stopped when the test is over."""
    labs = []

    def make(**changes):
        labs.append(Lab(data, **{"mu": 1, "steps": 6, "eval_every": 2, "batch_size": 4, **changes}))
        return labs[-1]

    yield make
    for lab in labs:
        lab.stop(wait=True)


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def percent(share):
    return f"{100 * share:.1f} %"


def test_run_trains_once_as_fit_does(small, data):
    lab = small(tau=0.3)
    got = lab.run()
    wanted = list(fm.fit(lab.trials[0].recipe, data))
    assert [m.step for m in got] == [2, 4, 6]
    assert [m.loss for m in got] == [m.loss for m in wanted], "watching must not change the training"
    assert [m.test_accuracy for m in got] == [m.test_accuracy for m in wanted]
    assert lab.trials[0].state == "done"


def test_picture_says_what_was_measured(small):
    lab = small(tau=0.2)
    assert "Nothing trained yet" in lab.picture()._repr_html_()
    last = lab.run()[-1]
    text = lab.picture()._repr_html_()
    assert "tau 0.2, mu 1: step 6 of 6 (done)" in text
    for share in (last.test_accuracy, last.mask_rate, last.pseudo_label_accuracy):
        assert percent(share) in text
    assert text.count("<img") == 12 and text.count("alt=") == 12 and text.count('role="img"') == 3
    assert "<script" not in text and percent(last.test_accuracy) in repr(lab.picture())


def test_marks_judge_confidence_and_truth(small, data):
    lab = small(tau=0.12)
    lab.run()
    for (image, name, confidence, verdict), index in zip(lab.trials[0].judged, lab._view):
        right = int(name) == data.u_true[index].item()
        assert verdict == ("dropped" if confidence < 0.12 else "kept & right" if right else "kept & wrong")
        assert index not in data.labeled_indices
    assert {verdict for *_, verdict in lab.trials[0].judged} != {"dropped"}


def test_unknown_truth_is_not_called_wrong(small, data):
    from dataclasses import replace
    lab = Lab(replace(data, u_true=torch.full_like(data.u_true, -1)), tau=0.0, mu=1, steps=1, batch_size=4)
    last = lab.run()[-1]
    assert last.pseudo_label_accuracy is None
    assert {verdict for *_, verdict in lab.trials[0].judged} == {"kept"}
    assert "right among the kept none" in lab.picture()._repr_html_()


def test_images_in_the_picture_are_the_images():
    import base64
    import io
    from matplotlib.image import imread
    from fixmatch_lite.lab_drawing import _png
    for channels in (1, 3):
        image = torch.randint(0, 256, (channels, 5, 7), dtype=torch.uint8)
        read = imread(io.BytesIO(base64.b64decode(_png(image).split(",")[1])), format="png")
        read = torch.tensor(read * 255).round().to(torch.uint8).reshape(5, 7, channels)
        assert torch.equal(read.permute(2, 0, 1), image)


def test_stop_ends_promptly_and_keeps_the_curve(small):
    lab = small(steps=100_000)
    lab.start()
    until(lambda: lab.trials[0].metrics)
    assert lab.running
    began = time.monotonic()
    lab.stop(wait=True)
    assert time.monotonic() - began < 20 and not lab.running and not lab._thread.is_alive()
    assert lab.trials[0].state == "stopped" and lab.trials[0].metrics[-1].step < 100_000
    count = len(lab.trials[0].metrics)
    time.sleep(0.2)
    assert len(lab.trials[0].metrics) == count, "stopped is stopped"


def test_moving_a_slider_restarts_with_the_new_value_and_keeps_the_old_curve(small):
    lab = small(steps=100_000, tau=0.95)
    lab.box()
    lab.buttons["Start"].click()
    until(lambda: lab.trials[0].metrics)
    lab._sliders["tau"].value = 0.5
    until(lambda: len(lab.trials) == 2 and lab.trials[1].metrics)
    old, new = lab.trials
    assert (old.recipe.tau, new.recipe.tau, lab.tau) == (0.95, 0.5, 0.5)
    assert old.state == "stopped" and new.state == "training" and old.metrics
    lab._sliders["mu"].value = 3
    until(lambda: len(lab.trials) == 3 and lab.trials[2].metrics)
    assert lab.trials[2].recipe.mu == 3 and lab.trials[2].recipe.tau == 0.5
    until(lambda: lab.output.value.count("<polyline") == 9)  # three curves in three panels, drawn soon after the metrics
    text = lab.output.value
    assert "tau 0.95, mu 1" in text and "tau 0.5, mu 1" in text and "tau 0.5, mu 3" in text
    lab.buttons["Stop"].click()
    lab._thread.join(60)
    lab.buttons["Clear"].click()
    assert lab.trials == [] and "Nothing trained yet" in lab.output.value


def test_many_quick_moves_train_only_the_last(small):
    lab = small(steps=100_000)
    lab.box()
    lab.start()
    for tau in (0.1, 0.2, 0.3, 0.4):
        lab._sliders["tau"].value = tau
    until(lambda: lab.trials[-1].metrics)
    assert [trial.state for trial in lab.trials[:-1]] == ["stopped"] * 4
    assert lab.trials[-1].recipe.tau == 0.4 and lab.trials[-1].state == "training"


def test_a_slider_moved_at_rest_starts_nothing(small):
    lab = small()
    lab.box()
    lab._sliders["tau"].value = 0.7
    assert lab.tau == 0.7 and not lab.running and lab.trials == []
    lab.tau = 0.6
    assert lab._sliders["tau"].value == 0.6
    lab.mu = 20
    assert lab._sliders["mu"].value == lab.mu == 20, "a value beyond the slider's end moves the end"
    with pytest.raises(fm.FixMatchError, match="tau"):
        lab.tau = 1.2
    assert lab.tau == 0.6


def test_an_error_is_shown_and_not_swallowed(small):
    lab = small(lr=1e30, steps=40, precision="float32")
    with pytest.raises(fm.FixMatchError, match="finite"):
        lab.run()
    assert "stopped being finite" in lab.picture()._repr_html_() and lab.trials[0].state == "failed"
    lab.box()
    lab.start()
    lab._thread.join(60)
    assert "The training failed" in lab.output.value and "stopped being finite" in lab.output.value
    lab.clear()
    assert "failed" not in lab.output.value


def test_bad_values_are_refused_at_once(data):
    with pytest.raises(fm.FixMatchError, match="mu"):
        Lab(data, mu=0)
    with pytest.raises(fm.FixMatchError, match="no 'speed'"):
        Lab(data, speed=3)


def test_without_data_the_labels_are_those_of_the_seed_that_was_given():
    for given, seed in (({"seed": 3}, 3), ({"seed": 3, "label_seed": 5}, 5)):
        lab = Lab(**given)
        assert lab._recipe.label_seed == seed and lab._recipe.seed == 3
        assert lab.data.labeled_indices == fm.load_data("digits", labels=40, seed=seed).labeled_indices


def test_only_names_that_ipywidgets_7_has():
    text = Path(fm.__file__).with_name("lab.py").read_text(encoding="utf-8")
    assert not ONLY_IN_8.search(text)
    used = set(re.findall(r"\bw\.([A-Z]\w+)", text))
    assert used and used <= {"FloatSlider", "IntSlider", "Button", "HTML", "HBox", "VBox", "Layout"}
