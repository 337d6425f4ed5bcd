"""A run is a folder: what is written can be read, summed up and compared; nothing there is ever lost."""

import json

import pytest

import fixmatch_lite as fm


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
    assert [m.loss for m in again] == [m.loss for m in run.metrics]
    assert sorted(p.name for p in run.path.iterdir()) == ["metrics.jsonl", "recipe.json", "weights.safetensors"]


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


def test_resume_refuses_another_labeled_set_and_leaves_the_run_alone(digits, tmp_path):
    recording = fm.runs.record(tmp_path / "run", small(), digits)
    next(recording), next(recording)
    recording.close()
    before = snapshot(tmp_path / "run")
    with pytest.raises(fm.FixMatchError, match="another labeled set"):
        next(fm.runs.record(tmp_path / "run", small(), fm.load_data("digits", seed=3), resume=True))
    with pytest.raises(fm.FixMatchError, match="another recipe: mu"):
        next(fm.runs.record(tmp_path / "run", small(mu=2), digits, resume=True))
    assert snapshot(tmp_path / "run") == before


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
        assert run.done and run.provenance["labeled_indices"] and run.provenance["code_version"]
        assert json.loads((run.path / "metrics.jsonl").read_text().splitlines()[-1])["step"] == run.recipe.steps
    assert fm.runs.load(runs[0].name).recipe == runs[0].recipe
