"""The list of wanted runs, and the command that does the next of them."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

import fixmatch_lite as fm
from fixmatch_lite.tensor_files import read_tensors
from conftest import ROOT

sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "benchmarks")]
import record_runs  # noqa: E402

LIST = """
[[wanted]]
name = "small-{method}-tau{tau}-seed{seed}"
device = "cpu"
minutes = 0.1
weights_for = "tau0.8"
recipe = { dataset = "digits", steps = 6, eval_every = 2, batch_size = 4, mu = 1 }
over = { seed = [0, 1], method = ["fixmatch"], tau = [0.95, 0.8] }

[[wanted]]
name = "gpu-seed0"
device = "cuda"
minutes = 9
recipe = { dataset = "cifar10", steps = 6 }
"""
NAMES = ["small-fixmatch-tau0.95-seed0", "small-fixmatch-tau0.8-seed0", "small-fixmatch-tau0.95-seed1",
         "small-fixmatch-tau0.8-seed1"]


@pytest.fixture()
def place(tmp_path):
    (tmp_path / "WANTED.toml").write_text(LIST)
    return tmp_path


def command(place, *more):
    return [sys.executable, str(ROOT / "tools" / "record_runs.py"), "--device", "cpu", "--threads", "1", "--list-file",
            place / "WANTED.toml", "--recorded", place / "recorded", "--unfinished", place / "unfinished", *more]


def record(place, *more):
    done = subprocess.run(command(place, *more), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_books_list_can_be_read_and_its_recipes_are_possible():
    runs = list(record_runs.wanted())
    for name, values, entry in runs:
        recipe = record_runs.recipe_of(values)
        assert (recipe.label_seed == recipe.seed) is ("-crossed-" not in name)  # one seed for all, but where that is the question
        assert recipe.seed == values["seed"] and entry["device"] in ("cpu", "cuda")
        assert not any(c in name for c in "{} /") and entry["minutes"] > 0
    recorded = {run.name for run in fm.runs.list_runs()}
    assert recorded <= {name for name, *_ in runs}, "every recorded run is on the list"
    for name, values, _ in runs:
        if name in recorded:
            assert fm.runs.load(name).recipe == record_runs.recipe_of(values), name


def test_the_repository_has_room_for_all_that_is_wanted():
    """40 MB in all, where each missing run takes as much as the one with CIFAR-10 that is there."""
    size = lambda folder: {path.name: path.stat().st_size for path in folder.iterdir()}
    there = {folder.name: size(folder) for folder in (ROOT / "fixmatch_lite" / "recorded").iterdir() if folder.is_dir()}
    typical = there["cifar10-250-seed1"]
    for name, _, entry in record_runs.wanted():
        keeps = record_runs.keeps_weights(name, entry)
        coming = {file: size for file, size in typical.items() if keeps or file != "weights.safetensors"}
        if name not in there or (keeps and "weights.safetensors" not in there[name]):
            there[name] = coming
    assert sum(sum(files.values()) for files in there.values()) < 40e6


def test_does_what_is_missing_and_nothing_twice(place):
    told = record(place, "--processes", "2")
    assert sorted(p.name for p in (place / "recorded").iterdir()) == sorted(NAMES)
    assert all(name in told for name in NAMES) and not list((place / "unfinished").iterdir())
    runs = {run.name: run for run in fm.runs.list_runs(place / "recorded")}
    assert all(run.done and run.recipe.label_seed == run.recipe.seed for run in runs.values())
    for name, run in runs.items():
        files = {p.name for p in run.path.iterdir()}
        kept = {"recipe.json", "metrics.jsonl", "confidence.jsonl"} | ({"weights.safetensors"} if "tau0.8" in name else set())
        assert files == kept
    before = {p: p.stat().st_mtime_ns for p in (place / "recorded").rglob("*")}
    assert record(place) == "" and before == {p: p.stat().st_mtime_ns for p in (place / "recorded").rglob("*")}
    assert "missing cuda  gpu-seed0" in record(place, "--list")


def test_kept_weights_give_the_accuracy_that_is_written_beside_them(place):
    record(place, "--only", "tau0.8-seed1")
    folder = place / "recorded" / NAMES[3]
    described = json.loads((folder / "recipe.json").read_text())["weights"]
    kernels = read_tensors(folder / "weights.safetensors")[0]["stem.weight"]
    assert described["kernels"] == str(kernels.dtype).removeprefix("torch.")
    told = subprocess.run([sys.executable, "-m", "fixmatch_lite", "evaluate", folder, "--device", "cpu"],
                          capture_output=True, text=True, check=True).stdout
    assert f"{described['test_accuracy']:.2%}" in told and "as recorded" in told


def test_stopped_at_any_moment_it_goes_on_and_ends_as_if_never_stopped(place):
    text = LIST.replace("steps = 6", "steps = 200")
    (place / "WANTED.toml").write_text(text)
    shutil.copytree(place, place / "twin")
    only = ("--only", "tau0.8-seed0")
    process = subprocess.Popen(command(place, *only), stdout=subprocess.DEVNULL)
    checkpoint = place / "unfinished" / NAMES[1] / "checkpoint.safetensors"
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert "begun" in record(place, "--list", *only)
    (name, values, entry), = (run for run in record_runs.wanted(place / "WANTED.toml") if "tau0.8-seed0" in run[0])
    options = argparse.Namespace(recorded=place / "recorded", unfinished=place / "unfinished", device="cpu", compile=None)
    torch.set_num_threads(1)
    data = fm.load_data("digits", labels=40, seed=0)
    assert not record_runs.do(name, values, entry, data, options, until=0)  # the time is up at the next evaluation
    record(place, "--stopped", "Too late today.", *only)
    shown = fm.runs.load(place / "recorded" / NAMES[1])
    assert shown.stopped == "Too late today." and shown.metrics and not shown.done
    assert list(fm.runs.table(place / "recorded")["stopped"]) == [shown.stopped]
    assert "begun" in record(place, "--list", *only)
    record(place, *only), record(place / "twin", *only)
    assert fm.runs.load(shown.path).done and not fm.runs.load(shown.path).stopped
    mine, its = (folder / "recorded" / NAMES[1] for folder in (place, place / "twin"))
    assert (mine / "weights.safetensors").read_bytes() == (its / "weights.safetensors").read_bytes()
    assert (mine / "confidence.jsonl").read_text() == (its / "confidence.jsonl").read_text()


def test_killed_before_its_first_evaluation_a_run_is_begun_again(place, digits):
    name, values, entry = next(iter(record_runs.wanted(place / "WANTED.toml")))
    options = argparse.Namespace(recorded=place / "recorded", unfinished=place / "unfinished", device="cpu", compile=None)
    folder = options.unfinished / name
    recording = fm.runs.record(folder, record_runs.recipe_of(values), digits, device="cpu")
    next(recording), recording.close()
    (folder / "checkpoint.safetensors").unlink()
    for log in ("metrics.jsonl", "confidence.jsonl"):
        (folder / log).write_text("")
    assert not record_runs.do(name, values, entry, digits, options, until=0)
    assert (folder / "checkpoint.safetensors").exists() and (folder / "metrics.jsonl").read_text()


def test_a_rehearsal_trains_every_run_for_a_few_steps_and_stays_out_of_the_records(place):
    elsewhere = ("--recorded", place / "rehearsed", "--unfinished", place / "rehearsed" / "begun")
    (place / "WANTED.toml").write_text(LIST.replace("steps = 6", "steps = 100000"))
    record(place, "--steps", "5", *elsewhere, "--only", "small")
    runs = [fm.runs.load(place / "rehearsed" / name) for name in NAMES]
    assert all(run.done and [m.step for m in run.metrics] == [1, 2, 3, 4, 5] for run in runs)
    assert {run.recipe.tau for run in runs} == {0.95, 0.8} and not (place / "recorded").exists()
    theirs = [sys.executable, str(ROOT / "tools" / "record_runs.py"), "--steps", "5", "--only", "digits-grid"]
    relative = ["--recorded", "fixmatch_lite/recorded", "--unfinished", place]
    for words, says in ((theirs, "folders of its own"), (theirs + relative, "folders of its own"), (command(place, "--steps", "0", *elsewhere), "one step"),
                        (command(place, "--stopped", ""), "says why"), (command(place, "--list-file", "nope.toml"), "no list")):
        refused = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
        assert refused.returncode == 2 and says in refused.stderr, refused.stderr


def test_a_run_with_a_proportional_split_and_one_for_another_device(place):
    (place / "WANTED.toml").write_text(LIST.replace('dataset = "digits"', 'dataset = "digits", split = "proportional"'))
    done = subprocess.run(command(place, "--only", "tau0.8"), capture_output=True, text=True)
    assert done.returncode == 0 and fm.runs.load(place / "recorded" / NAMES[1]).recipe.split == "proportional"
    done = subprocess.run(command(place, "--only", "gpu"), capture_output=True, text=True)
    assert done.returncode == 0 and "Left out: 1 meant for another device than cpu" in done.stderr


def test_a_run_that_diverges_is_recorded_too(place):
    (place / "WANTED.toml").write_text(DIVERGES)
    assert "The loss stopped being finite before step" in record(place, "--only", NAMES[1])
    run = fm.runs.load(place / "recorded" / NAMES[1])
    assert "stopped being finite" in run.failed and not run.done
    assert not [p for p in run.path.iterdir() if "safetensors" in p.name]
    assert "done" in record(place, "--list", "--only", NAMES[1]) and record(place, "--only", NAMES[1]) == ""


def test_told_to_stop_it_takes_its_processes_along(place):
    (place / "WANTED.toml").write_text(LIST.replace("steps = 6", "steps = 100000"))
    process = subprocess.Popen(command(place, "--processes", "2"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = [place / "unfinished" / name / "checkpoint.safetensors" for name in NAMES[:2]]
    while not all(checkpoint.exists() for checkpoint in checkpoints):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=60) != 0
    with record_runs.claim(checkpoints[0].parent) as first, record_runs.claim(checkpoints[1].parent) as second:
        assert first and second, "nobody holds the runs any more"


def test_a_run_belongs_to_one_process_at_a_time(place):
    folder = place / "unfinished" / NAMES[0]
    with record_runs.claim(folder) as mine:
        assert mine
        with record_runs.claim(folder) as again:
            assert not again
        assert record(place, "--only", NAMES[0]) == ""
    assert NAMES[0] in record(place, "--only", NAMES[0])


def test_moves_to_another_disk_whole_or_not_at_all(tmp_path, another_disk):
    source, target = tmp_path / "run", tmp_path / "there" / "run"
    source.mkdir()
    (source / "recipe.json").write_text("{}")
    another_disk(source)
    record_runs.move(source, target)
    assert (target / "recipe.json").read_text() == "{}" and not source.exists()
    assert [p.name for p in target.parent.iterdir()] == ["run"]


DIVERGES = LIST.replace("mu = 1 }", "mu = 1, lr = 1e6, precision = 'float32' }").replace("steps = 6", "steps = 60")


@pytest.mark.parametrize("text", [LIST, DIVERGES], ids=["without weights", "diverged"])
def test_a_finished_run_that_cannot_be_moved_is_kept_and_moved_later(place, text):
    (place / "WANTED.toml").write_text(text)
    (place / "recorded").write_text("a file where the folder should be")
    refused = subprocess.run(command(place, "--only", NAMES[0]), capture_output=True, text=True)
    assert refused.returncode == 1 and "Traceback" not in refused.stderr and "Cannot write" in refused.stderr
    logs = [(place / "unfinished" / NAMES[0] / name).read_bytes() for name in ("metrics.jsonl", "recipe.json")]
    (place / "recorded").unlink()
    record(place, "--only", NAMES[0])
    folder = place / "recorded" / NAMES[0]
    assert [(folder / name).read_bytes() for name in ("metrics.jsonl", "recipe.json")] == logs, "not trained again"
    assert {p.name for p in folder.iterdir()} == {"recipe.json", "metrics.jsonl", "confidence.jsonl"}


def test_a_complete_log_beside_a_checkpoint_is_no_finished_run(tmp_path, digits):
    """Killed between the last line of the log and the weights, which are still to come."""
    recipe = fm.recipe("digits", steps=2, eval_every=2, batch_size=4, mu=1)
    next(recording := fm.runs.record(tmp_path / "run", recipe, digits, device="cpu"))
    recording.close()
    (tmp_path / "run" / "weights.safetensors").unlink(missing_ok=True)
    assert record_runs.finished(tmp_path / "run")
    (tmp_path / "run" / "checkpoint.safetensors").touch()
    assert not record_runs.finished(tmp_path / "run") and not record_runs.finished(tmp_path / "nothing")


@pytest.mark.parametrize(("more", "says"), [
    (("--processes", "0"), "give 1 at least"), (("--processes", "-2"), "give 1 at least"),
    (("--threads", "-1"), "give 1 at least"), (("--minutes", "-5"), "more than 0"), (("--minutes", "nan"), "more than 0"),
    (("--only", "nosuchrun"), "--list tells the names"),
    (("--device", "quark"), "cannot be used here"), (("--device", "quark", "--processes", "2"), "cannot be used here"),
])
def test_wrong_words_get_a_sentence(place, more, says):
    done = subprocess.run(command(place, *more), capture_output=True, text=True)
    assert done.returncode != 0 and says in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not (place / "recorded").exists() and not (place / "unfinished").exists()


@pytest.mark.parametrize(("change", "says"), [
    (("recipe = {", "recipes = {"), "has no recipe; add it"), (('device = "cpu"\n', ""), "has no device; add it"),
    (("minutes = 9", "minutes = "), "is no TOML"),
])
def test_a_list_that_cannot_be_read_gets_a_sentence(place, change, says):
    (place / "WANTED.toml").write_text(LIST.replace(*change))
    with pytest.raises(SystemExit, match=says):
        list(record_runs.wanted(place / "WANTED.toml"))


BARE = """
import runpy, sys
sys.modules.update(dict.fromkeys({missing!r}))  # as if they were not installed
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
MISSING = {"sklearn", "scipy", "pandas", "matplotlib", "seaborn", "ipywidgets", "anywidget", "traitlets", "typer",
           "safetensors", "safetensors.torch", "fixmatch_lite.cli"}


def test_a_bare_image_is_enough(tmp_path):
    """torch, torchvision, numpy, tqdm, and what these bring; the data from an archive, and no network."""
    import io
    import tarfile

    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    with tarfile.open(tmp_path / "cifar10-jpeg.tar.xz", "w:xz") as archive:
        for part in ("train", "test"):
            for name in ("cat", "dog"):
                for k in range(6):
                    file = io.BytesIO()
                    Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(file, "JPEG")
                    member = tarfile.TarInfo(f"{part}/{name}/{k:04}.jpg")
                    member.size = len(file.getvalue())
                    archive.addfile(member, io.BytesIO(file.getvalue()))
    (tmp_path / "WANTED.toml").write_text("""
[[wanted]]
name = "small-seed{seed}"
device = "cuda"
minutes = 1
weights_for = ""
recipe = { dataset = "cifar10-jpeg", labels = 4, steps = 4, eval_every = 2, batch_size = 4, mu = 2, depth = 10 }
over = { seed = [0] }
""")
    words = command(tmp_path, "--any-device", "--root", tmp_path)
    bare = [words[0], "-c", BARE.format(missing=MISSING), *words[1:]]
    told = subprocess.run(command(tmp_path, "--any-device"), capture_output=True, text=True, check=True).stdout
    assert "left out, since --root does not say" in told
    done = subprocess.run(bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = fm.runs.load(tmp_path / "recorded" / "small-seed0")
    assert run.done and len(run.confidence) == 2 and run.model() is not None


@pytest.mark.parametrize("change", [("seed{seed}", ""), ("{tau}", "{nothing}")])
def test_a_list_with_a_name_twice_or_not_filled_in_is_refused(place, change):
    (place / "WANTED.toml").write_text(LIST.replace(*change))
    with pytest.raises(SystemExit, match="not filled in or stands twice"):
        list(record_runs.wanted(place / "WANTED.toml"))


def _row(word, seed, draw):
    if seed == 1:
        raise fm.FixMatchError("This one fails.")
    return [{"word": word, "seed": seed, "draw": draw, "accuracy": seed + draw / 8}]


def test_a_table_of_ends_is_filled_beside_a_job_that_fails_and_done_rows_are_not_done_again(tmp_path):
    from common import fill_table

    path, fields = tmp_path / "ends.csv", ["word", "seed", "draw", "accuracy"]
    jobs = [(_row, word, seed, 1) for word in ("late", "early") for seed in (2, 1, 0)]
    with pytest.raises(fm.FixMatchError, match="This one fails"):
        fill_table(path, fields, jobs, 1, order=["late", "early"])
    whole = "word,seed,draw,accuracy\n" + "".join(f"{word},{seed},1,{seed + 0.125:.4f}\n" for word in ("late", "early") for seed in (0, 2))
    assert path.read_text() == whole
    path.write_text(whole.replace("0.1250", "0.5000"))
    fill_table(path, fields, [job for job in jobs if job[2] != 1], 1, order=["late", "early"])
    assert path.read_text() == whole.replace("0.1250", "0.5000"), "what is there stays"


def test_a_table_of_ends_is_kept_where_the_disk_is_full(tmp_path, monkeypatch):
    from common import fill_table

    path, fields = tmp_path / "ends.csv", ["word", "seed", "draw", "accuracy"]
    fill_table(path, fields, [(_row, "early", 0, 1)], 1)
    before = path.read_text()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(fm.FixMatchError, match="disk is full"):
        fill_table(path, fields, [(_row, "late", 2, 1)], 1)
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]
