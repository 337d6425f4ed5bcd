"""A run that begins with the features of another."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from test_training import Small

import fixmatch_lite as fm
from fixmatch_lite.starts import start_of
from fixmatch_lite.tensor_files import remove_tensors

SIMCLR = "digits-40-simclr-seed0"


def states(training):
    return {k: v.clone() for k, v in training.model.state_dict().items()}


def test_features_are_the_other_runs_and_the_last_layer_is_the_recipes_own(digits):
    run, recipe = fm.runs.load(SIMCLR), fm.recipe("digits", seed=3, steps=2)
    theirs, drawn, begun = run.model().state_dict(), states(fm.fit(recipe, digits)), states(fm.fit(recipe, digits, start=SIMCLR))
    assert begun.keys() == theirs.keys()
    for name, tensor in begun.items():
        ours = name in ("classifier.weight", "classifier.bias")
        assert torch.equal(tensor, (drawn if ours else theirs)[name]), name
    assert not torch.equal(drawn["stem.weight"], theirs["stem.weight"])
    training = fm.fit(recipe, digits, start=run)
    average = training.ema_model.module.state_dict()
    assert all(torch.equal(average[name], tensor) for name, tensor in begun.items()), "the average begins there, too"


def test_a_net_that_has_learned_first_knows_more_after_few_steps(digits):
    recipe = fm.recipe("digits", steps=60, eval_every=20)
    begun, drawn = (next(fm.fit(recipe, digits, start=start)).test_accuracy_raw for start in (SIMCLR, None))
    assert begun > drawn + 0.2  # 0.90 and 0.40 where it was tried


def test_a_start_from_another_net_is_refused_and_one_for_a_net_of_ones_own(digits, tmp_path):
    class Bare(torch.nn.Module):  # all of it is a last layer
        def __init__(self):
            super().__init__()
            self.classifier = torch.nn.Linear(64, 10)

        def forward(self, x):
            return self.classifier(x.flatten(1))

    few = fm.recipe("digits", steps=2, eval_every=1, batch_size=4, mu=1)
    list(fm.runs.record(tmp_path / "bare", few, digits, device="cpu", net=Bare()))
    with pytest.raises(fm.FixMatchError, match="The run bare, the start, is of another WideResNet"):
        fm.fit(few, digits, start=fm.runs.load(tmp_path / "bare", net=Bare()))
    next(fm.runs.record(tmp_path / "begun", few, digits, device="cpu"))
    with pytest.raises(fm.FixMatchError, match="The run begun, the start, is not finished"):
        fm.fit(few, digits, start=tmp_path / "begun")
    with pytest.raises(fm.FixMatchError, match="start must be a run: .* of the type WideResNet"):
        fm.fit(few, digits, start=fm.WideResNet(10, 1, in_channels=1))
    with pytest.raises(fm.FixMatchError, match=r"The run digits-40-simclr-seed0, the start, is of another WideResNet .* from a run of "
                                               "the same net, and of pictures with as many channels"):
        fm.fit(fm.recipe("digits", width=2), digits, start=SIMCLR)
    with pytest.raises(fm.FixMatchError, match="A start is for the net that the recipe names"):
        fm.fit(fm.recipe("digits"), digits, start=SIMCLR, net=Small())
    with pytest.raises(fm.FixMatchError, match="There is no run in nowhere"):
        fm.fit(fm.recipe("digits"), digits, start="nowhere")
    with pytest.raises(fm.FixMatchError, match="recorded without its weights"):
        fm.fit(fm.recipe("digits"), digits, start="digits-40-flexmatch-seed0")


def test_other_classes_are_no_obstacle():
    data = fm.load_data("digits-home", labels=20)
    training = fm.fit(fm.recipe("digits-home", labels=20, steps=2), data, start=SIMCLR)
    assert training.model.classifier.out_features == data.num_classes == 5
    assert torch.equal(training.model.stem.weight, fm.runs.load(SIMCLR).model().stem.weight)


def test_a_record_says_what_it_began_with_and_goes_on_with_nothing_else(digits, tmp_path):
    recipe, start = fm.recipe("digits", steps=6, eval_every=3, batch_size=4, mu=3, precision="float32"), str(start_of(SIMCLR))
    assert start.startswith("features of digits-40-simclr-seed0 (") and start == str(start_of(fm.runs.load(SIMCLR)))
    record = lambda name, **more: list(fm.runs.record(tmp_path / name, recipe, digits, device="cpu", **more))
    whole = record("whole", start=SIMCLR)
    assert fm.runs.load(tmp_path / "whole").own == {"start": start}
    fm.runs.load(tmp_path / "whole").model()  # the recipe's own net: nothing has to be given again
    next(fm.runs.record(tmp_path / "part", recipe, digits, device="cpu", start=SIMCLR))
    for other, now in ((None, "nothing but its recipe"), ("digits-40-simclr-seed1", str(start_of("digits-40-simclr-seed1")))):
        with pytest.raises(fm.FixMatchError) as refused:
            record("part", resume=True, start=other)
        assert f"was begun with {start}, not with {now};" in str(refused.value)
    again = record("part", resume=True, start=SIMCLR)
    assert [m.loss for m in again] == [m.loss for m in whole[1:]]
    record("drawn")
    told = fm.runs.table(tmp_path).set_index("name").own.to_dict()
    assert told == {"whole": start, "part": start, "drawn": ""}
    record("other", start="digits-40-simclr-seed1")
    sets = fm.widgets.RunExplorer(fm.runs.list_runs(tmp_path)).state["sets"]
    begun = [s for s in sets if "start features of digits-40-simclr" in s["method"]]
    assert [len(s["seeds"]) for s in begun] == [3] and len(sets) == 2, "whichever of the seeds they began with, they are one set"
    next(fm.runs.record(tmp_path / "early", recipe, digits, device="cpu", start=SIMCLR))
    remove_tensors(tmp_path / "early" / fm.runs.CHECKPOINT)  # killed before there was one
    (tmp_path / "early" / fm.runs.METRICS).write_text("")
    assert [m.loss for m in record("early", resume=True, start=SIMCLR)] == [m.loss for m in whole]


def test_runs_of_one_name_are_told_apart_by_what_they_learned(tmp_path):
    for seed in (0, 1):
        shutil.copytree(fm.runs.load(f"digits-40-simclr-seed{seed}").path, tmp_path / str(seed) / "first")
    zero, one = (str(start_of(tmp_path / str(seed) / "first")) for seed in (0, 1))
    assert zero != one and zero[:-9] == one[:-9] == "features of first ("


def test_the_command_line_begins_with_another_run(tmp_path):
    run = lambda *words: subprocess.run([sys.executable, "-m", "fixmatch_lite", "train", "digits", "--steps", "2", "--device", "cpu", *words],
                                        cwd=tmp_path, text=True, capture_output=True)
    first = run("--method", "simclr", "--out", "learned")
    assert first.returncode == 0, first.stderr
    second = run("--start-from", "learned", "--out", "begun")
    assert second.returncode == 0, second.stderr
    assert "begun with features of learned (" in second.stdout + second.stderr
    own = json.loads((tmp_path / "begun" / "recipe.json").read_text())["own"]
    assert own == {"start": str(start_of(tmp_path / "learned"))}
    lost = run("--start-from", "lernt", "--out", "third")
    assert lost.returncode == 1
    assert lost.stderr.startswith("Error: There is no run in lernt") and lost.stderr.count("\n") == 1 and not (tmp_path / "third").exists()
