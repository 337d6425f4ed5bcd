"""The command line as people use it: the real program in a process of its own, its words, exit codes and files."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

import fixmatch_lite as fm
from fixmatch_lite import cli, places

TINY = "--labels 10 --batch-size 2 --mu 1 --device cpu --precision float32".split()
# Typer writes in color, and breaks the words that are looked for here, where one of these is set: a CI sets the first.
COLORS = {"GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS"}
ENVIRONMENT = {**{name: value for name, value in os.environ.items() if name not in COLORS},
               "OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}


def start(*words, cwd, before=""):
    """The program, begun; ``before`` is Python that runs first (a disk that fails, say)."""
    code = f"{before}\nfrom fixmatch_lite.cli import main\nmain()"
    command = [sys.executable, "-c", code, *map(str, words)]
    # Its own session, so that Ctrl-C goes to it and not to the tests; which it hears even where a shell has begun the
    # tests in the background and told them not to.
    return subprocess.Popen(command, cwd=cwd, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, encoding="utf-8", start_new_session=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def program(*words, cwd, before=""):
    process = start(*words, cwd=cwd, before=before)
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def one_sentence(out, err, says):
    assert out == "" and "Traceback" not in err
    lines = err.splitlines()
    assert lines[-1].startswith("Error: ") and lines[-1].endswith((".", "?")), err
    assert sum(line.startswith("Error") for line in lines) == 1
    for word in says if isinstance(says, (list, tuple)) else [says]:
        assert word in lines[-1]
    return lines[-1]


def refused(*words, cwd, says, code=1, before=""):
    """The program ends with one clear line, and every file is as it was."""
    was = files(cwd)
    returned, out, err = program(*words, cwd=cwd, before=before)
    assert returned == code, err
    assert files(cwd) == was
    return one_sentence(out, err, says)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with one finished run of four steps, and what the program said."""
    cwd = tmp_path_factory.mktemp("finished")
    told = program("train", "digits", *TINY, "--steps", 4, "--eval-every", 2, "--tau", 0.2, "--seed", 3, cwd=cwd)
    assert told[0] == 0, told[2]
    return cwd, told


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that stopped after two of four steps."""
    run = tmp_path_factory.mktemp("begun") / "run"
    recipe = fm.recipe("digits", labels=10, batch_size=2, mu=1, steps=4, eval_every=2, precision="float32")
    recording = fm.runs.record(run, recipe, fm.load_data("digits", labels=10, seed=0), device="cpu")
    next(recording)
    recording.close()
    assert (run / fm.runs.CHECKPOINT).exists()
    return run


@pytest.fixture
def unfinished(begun, tmp_path):
    """A folder with a copy of the begun run, and the words that would go on with it."""
    shutil.copytree(begun, tmp_path / "run")
    return tmp_path, ["train", "digits", *TINY, "--steps", "4", "--eval-every", "2", "--out", "run", "--resume"]


@pytest.fixture
def pets(tmp_path):
    """A small folder data set: two classes, six and three training pictures of 8 x 8 pixels."""
    random = np.random.default_rng(0)
    for part, name, count in [("train", "cat", 6), ("train", "dog", 3), ("test", "cat", 2), ("test", "dog", 2)]:
        for i in range(count):
            path = tmp_path / "pets" / part / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return tmp_path


# ---------------------------------------------------------------------------------------------------- what works

def test_train_ends_with_the_result_and_how_to_measure_it_again(finished):
    cwd, (_, out, err) = finished
    run = fm.runs.load(cwd / "runs" / "digits-10-seed3")
    assert run.recipe.labels == 10 and run.recipe.tau == 0.2 and run.recipe.seed == run.recipe.label_seed == 3
    assert f"{run.metrics[-1].test_accuracy:.2%}" in out.splitlines()[0]
    median = fm.runs.summarize(run)["test_accuracy"]
    assert f"median of the last 2 evaluations, the number to report: {median:.2%} (too few were made to leave out" in out
    assert out.splitlines()[-1] == "measure it again: fixmatch-lite evaluate runs/digits-10-seed3"
    rows = [line.split() for line in err.splitlines() if re.match(r" +\d", line)]
    assert [row[0] for row in rows] == ["2", "4"]
    assert rows[1][1] == f"{run.metrics[1].test_accuracy:.2%}"


def test_a_run_too_short_is_told_before_its_table(finished):
    _, (_, _, err) = finished
    assert 0 < err.index("--set ema_decay=0.5") < err.index("test acc.") and err.count("ema_decay") == 1


def test_evaluate_repeats_the_recorded_accuracy(finished):
    cwd, _ = finished
    was = files(cwd)
    code, out, err = program("evaluate", "runs/digits-10-seed3", "--device", "cpu", cwd=cwd)
    assert code == 0, err
    accuracy = fm.runs.load(cwd / "runs" / "digits-10-seed3").metrics[-1].test_accuracy
    assert out.splitlines()[-1].split() == ["all", f"{accuracy:.2%}", "of", "500", "(as", "recorded)"]
    shares = [float(line.split()[1].rstrip("%")) for line in out.splitlines()[:-1]]
    assert len(shares) == 10 and np.mean(shares) == pytest.approx(100 * accuracy, abs=0.01)  # 50 of each
    assert files(cwd) == was


def test_evaluate_measures_the_weights_and_not_the_record(finished, tmp_path):
    cwd, _ = finished
    shutil.copytree(cwd / "runs" / "digits-10-seed3", tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / fm.runs.METRICS).read_text().splitlines()]
    lines[-1]["test_accuracy"] = 0.987
    (tmp_path / "run" / fm.runs.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "recorded was 98.70%" in program("evaluate", "run", "--device", "cpu", cwd=tmp_path)[1]


def test_a_second_run_of_the_same_name_goes_beside_the_first(finished):
    cwd, _ = finished
    first = cwd / "runs" / "digits-10-seed3"
    was = files(first)
    recipe = fm.recipe("digits", labels=10, seed=3)
    here = os.getcwd()
    os.chdir(cwd)
    try:
        assert places.default_out(recipe, resume=False) == Path("runs/digits-10-seed3-2")
        assert places.default_out(recipe.changed(method="supervised"), False) == Path("runs/digits-10-seed3-supervised")
    finally:
        os.chdir(here)
    assert files(first) == was


def test_runs_lists_what_differs(finished, unfinished):
    cwd, _ = finished
    folder, _ = unfinished
    shutil.copytree(cwd / "runs" / "digits-10-seed3", folder / "other")
    code, out, err = program("runs", folder, cwd=folder)
    assert code == 0, err
    head, other, run = out.splitlines()
    assert head.split()[:4] == ["run", "label_seed", "seed", "tau"] and "median" in head
    assert other.split()[:5] == ["other", "3", "3", "0.2", "4"]
    assert run.split()[:6] == ["run", "0", "0", "0.95", "2", "(unfinished)"]


def test_a_folder_of_pictures_trains_and_is_found_again(pets):
    code, _, err = program("train", "folder", "--root", "pets", *TINY, "--labels", 4, "--steps", 1, "--image-size", 16,
                           "--out", "run", cwd=pets)
    assert code == 0, err
    assert "13 images of 16 x 16 pixels" in err and "color" in err
    code, out, err = program("evaluate", "run", "--device", "cpu", cwd=pets)
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()] == ["cat", "dog", "all"] and "as recorded" in out


def test_labeled_images_can_be_given_as_a_file_and_quiet_is_quiet(unfinished):
    cwd, _ = unfinished
    data = fm.load_data("digits", labels=20, seed=9)
    data.save_labeled(cwd / "mine.json")
    words = ["train", "digits", *TINY[2:], "--labeled", "mine.json", "--steps", 1, "--out", "new", "--quiet"]
    code, out, err = program(*words, cwd=cwd)
    assert code == 0, err
    assert err == "" and len(out.splitlines()) == 4
    assert fm.runs.load(cwd / "new").provenance["labeled_indices"] == list(data.labeled_indices)


def test_ctrl_c_ends_with_the_command_that_goes_on(tmp_path):
    words = ["train", "digits", *TINY, "--steps", "20000", "--eval-every", "4"]  # minutes: it cannot end before the signal
    process = start(*words, cwd=tmp_path)
    deadline, seen = time.monotonic() + 120, ""
    while not re.match(r" +4 ", seen) and time.monotonic() < deadline:
        seen = process.stderr.readline()
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == "" and "Traceback" not in err
    last = err.splitlines()[-1]
    kept = fm.runs.load(tmp_path / "runs" / "digits-10-seed0").metrics[-1].step
    assert last.startswith(f"Stopped; the run is kept up to step {kept} of 20,000. Go on with: fixmatch-lite ")
    again = shlex.split(last.split("Go on with: fixmatch-lite ")[1])
    assert again[-3:] == ["--out", "runs/digits-10-seed0", "--resume"]
    process = start(*again, cwd=tmp_path)
    while not re.match(rf" +{kept + 8} ", seen) and time.monotonic() < deadline + 120:
        seen = process.stderr.readline()
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    further = [m.step for m in fm.runs.load(tmp_path / "runs" / "digits-10-seed0").metrics]
    assert process.returncode == 130 and further == list(range(4, further[-1] + 1, 4)) and further[-1] >= kept + 8


# ---------------------------------------------------------------------------------------------------- bad input

BAD = [
    ("train digts", ["did you mean 'digits'?", "stl10, imagenet, folder"], 1),
    ("train digits --tau 1.2", "tau must be a probability, between 0 and 1", 1),
    ("train digits --mu 0", "mu must be a whole number, at least 1", 1),
    ("train digits --method magic", "one of fixmatch, supervised", 1),
    ("train digits --labels 5000", "ask for at most 1297", 1),
    ("train digits --labels 9", "ask for at least 10", 1),
    ("train digits --labels many", ["--labels", "train --help"], 2),
    ("train digits --lables 40", ["--lables", "train --help"], 2),
    ("trian digits", "train", 2),
    ("train digits --device cuda:99", "'cuda:99' cannot be used here", 1),
    ("train digits --labeled nowhere.json", "give a JSON list", 1),
    ("train digits --out notes.txt", ["notes.txt", "choose another folder"], 1),
    ("train digits --out notes.txt/run", ["notes.txt", "choose another folder"], 1),
    ("train digits --out mine", "metrics.jsonl that is not part of a run", 1),
    ("train digits --resume", "no run in runs/digits-40-seed0 to go on with", 1),
    ("train digits --set dataset=svhn", "first word", 1),
    ("train digits --set options=3", "its own name", 1),
    ("train digits --set operations=5", "as a tuple", 1),
    ("train digits --set nesterov=2", "True or False", 1),
    ("train digits --set decays=0.5", "schedule='steps' only", 1),
    ("train folder", "give root (--root), a folder with", 1),
    ("train folder --root nowhere", "There is no folder nowhere", 1),
    ("evaluate nowhere", "There is no run in nowhere", 1),
    ("runs nowhere", "There are no runs in nowhere", 1),
    ("download digits", "nothing to download", 1),
    ("download cifar10 --root notes.txt", ["notes.txt", "choose another folder"], 1),
]

DRIVER = """
import json, os, sys
from sklearn.datasets import load_digits
from fixmatch_lite.cli import main
for folder, words in json.loads(sys.argv[1]):
    if not os.fork():
        os.chdir(folder)
        for number in (1, 2):
            os.dup2(os.open(f"../{os.path.basename(folder)}.{number}", os.O_WRONLY | os.O_CREAT), number)
        sys.argv = ["fixmatch-lite", *words]
        try:
            main()
        except SystemExit as end:  # to the point; taking torch down in good order would cost a second each
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(end.code)
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """What the program answers to each line of BAD: a process each, but torch is imported once for all of them."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    base = tmp_path_factory.mktemp("bad")
    folders = [base / str(number) for number in range(len(BAD))]
    for folder in folders:
        (folder / "mine").mkdir(parents=True)
        (folder / "notes.txt").write_text("precious")
        (folder / "mine" / "metrics.jsonl").write_text("precious too")
    cases = [(str(folder), words.split()) for folder, (words, *_) in zip(folders, BAD)]
    done = subprocess.run([sys.executable, "-c", DRIVER, json.dumps(cases)], env=ENVIRONMENT, timeout=300,
                          capture_output=True, text=True)
    codes = [int(line) for line in done.stdout.split()]
    return {words: (code, folder, *[Path(f"{folder}.{number}").read_text(encoding="utf-8") for number in (1, 2)])
            for (words, *_), folder, code in zip(BAD, folders, codes)}


@pytest.mark.parametrize("words, says, code", BAD)
def test_bad_input_gets_one_sentence(bad, words, says, code):
    returned, folder, out, err = bad[words]
    assert returned == code, err
    one_sentence(out, err, says)
    assert files(folder) == {"notes.txt": b"precious", "mine/metrics.jsonl": b"precious too"}


@pytest.mark.parametrize("labels, spoil, says", [
    (8, None, "Class dog has 3 training images"),
    (2, lambda root: [shutil.rmtree(root / part / "dog") for part in ("train", "test")], "one class only (cat)"),
    (2, lambda root: (root / "train" / "cat" / "2.png").write_bytes(b"\x89PNG broken"),
     ["cat/2.png", "cannot be read"]),
])
def test_a_bad_folder_gets_one_sentence(pets, labels, spoil, says):
    if spoil:
        spoil(pets / "pets")
    refused("train", "folder", "--root", "pets", "--labels", labels, "--out", "run", cwd=pets, says=says)


def test_a_finished_run_is_never_overwritten(finished):
    cwd, _ = finished
    for more in ([], ["--resume"]):
        refused("train", "digits", *TINY, "--steps", 4, "--out", "runs/digits-10-seed3", *more, cwd=cwd,
                says=["holds a finished run", "--out"])


def test_an_unfinished_run_is_not_begun_again_by_accident(unfinished):
    cwd, words = unfinished
    refused(*words[:-1], cwd=cwd, says=["unfinished run", "--resume"])


def test_an_unfinished_run_is_evaluated_as_far_as_it_came(unfinished):
    cwd, _ = unfinished
    code, out, err = program("evaluate", "run", "--device", "cpu", cwd=cwd)
    assert code == 0 and "(as recorded)" in out.splitlines()[-1], err
    assert err.strip() == "the run run is not finished: its weights are those of step 2 of 4"
    (cwd / "run" / fm.runs.METRICS).write_text("")  # killed between checkpoint and log: there is nothing to compare with
    code, out, err = program("evaluate", "run", "--device", "cpu", cwd=cwd)
    assert code == 0 and re.fullmatch(r" +all +[\d.]+%  of 500", out.splitlines()[-1]), err
    (cwd / "run" / fm.runs.CHECKPOINT).unlink()
    refused("evaluate", "run", cwd=cwd, says=["not finished and has no weights yet", "--resume"])


def test_a_resumed_run_must_have_the_same_recipe_and_labeled_set(unfinished):
    cwd, words = unfinished
    refused(*words, "--tau", "0.9", cwd=cwd, says=["another recipe", "tau (0.95 there, 0.9 here)"])
    fm.load_data("digits", labels=10, seed=7).save_labeled(cwd / "other.json")
    refused(*words, "--labeled", "other.json", cwd=cwd, says="another labeled set")


def test_a_truncated_checkpoint_is_refused_and_kept(unfinished):
    cwd, words = unfinished
    checkpoint = cwd / "run" / fm.runs.CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
    refused(*words, cwd=cwd, says=[fm.runs.CHECKPOINT, "cut short"])


def test_truncated_weights_are_refused(finished, tmp_path):
    cwd, _ = finished
    shutil.copytree(cwd / "runs" / "digits-10-seed3", tmp_path / "run")
    weights = tmp_path / "run" / fm.runs.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1000])
    refused("evaluate", "run", cwd=tmp_path, says=[fm.runs.WEIGHTS, "cut short"])


FULL = """
import errno, os
def refuse(*_, **__):
    raise OSError(errno.{code}, os.strerror(errno.{code}))
os.{call} = refuse
"""


@pytest.mark.parametrize("call, code, says", [("fsync", "ENOSPC", "disk is full"), ("mkdir", "EROFS", "read-only")])
def test_a_disk_that_refuses_at_the_start(tmp_path, call, code, says):
    (tmp_path / "notes.txt").write_text("precious")
    refused("train", "digits", *TINY, "--steps", 2, "--out", "run", cwd=tmp_path, says=[says, "run"],
            before=FULL.format(call=call, code=code))


def test_a_disk_that_fills_up_while_a_run_goes_on_loses_nothing(unfinished):
    cwd, words = unfinished
    line = refused(*words, cwd=cwd, says="disk is full", before=FULL.format(call="fsync", code="ENOSPC"))
    assert fm.runs.CHECKPOINT in line or fm.runs.METRICS in line
    code, _, err = program(*words, cwd=cwd)  # with space again, the same command goes on
    assert code == 0, err
    assert [m.step for m in fm.runs.load(cwd / "run").metrics] == [2, 4]


# ---------------------------------------------------------------------------------------------------- the help

def commands():
    return typer.main.get_command(cli.app).commands


def test_the_help_is_there_without_torch():
    code = ("import importlib.util, sys\n"
            f"spec = importlib.util.spec_from_file_location('cli', {cli.__file__!r})\n"
            "module = importlib.util.module_from_spec(spec)\nsys.modules['cli'] = module\n"
            "spec.loader.exec_module(module)\n"
            "try:\n    module.app(['train', '--help'], prog_name='fixmatch-lite')\nexcept SystemExit:\n    pass\n"
            "assert not {'torch', 'numpy', 'sklearn'} & set(sys.modules)\n")
    out = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True,
                         encoding="utf-8")
    assert out.returncode == 0, out.stderr
    for word in ("--lambda-u", cli.DATA, cli.RUN, "Examples"):
        assert word in out.stdout


def test_every_option_and_command_is_explained_in_one_sentence():
    for name, command in commands().items():
        assert command.help.strip().count(".") == 1 and command.help.strip().endswith("."), name
        for parameter in command.params:
            assert parameter.help and parameter.help[0].lower() != " ", (name, parameter.name)
            assert parameter.help.endswith("."), (name, parameter.name)


def test_the_defaults_in_the_help_are_those_of_the_recipes():
    """"(64; digits 32)" means 64 for the paper's data set, 32 for digits, and 64 for every other."""
    checked = 0
    for parameter in commands()["train"].params:
        if parameter.name not in ("steps", "batch_size", "mu", "tau", "lambda_u", "lr", "eval_every", "method", "seed"):
            continue
        told = re.sub(r"(?<=\d),(?=\d{3})", "", re.search(r"\(([^()]*)\)\.$", parameter.help)[1])
        paper, _, others = told.partition("; ")
        values = dict(other.split() for other in others.split(", ") if other)
        for dataset in fm.data.DATASETS:
            value = getattr(fm.recipe(dataset), parameter.name)
            named = "digits" if dataset.startswith("digits") else dataset
            assert str(value) == values.get(named, paper), (parameter.name, dataset)
            checked += 1
    assert checked == 9 * len(fm.data.DATASETS)


def test_every_example_in_the_help_is_understood():
    texts = [cli.app.info.epilog, *[c.epilog for c in commands().values()]]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("fixmatch-lite")]
    assert len(lines) >= 9
    for line in lines:
        _, name, *words = shlex.split(line)
        commands()[name].make_context(name, words)  # raises where a word is not understood
        assert len(line) <= 78  # or it would be broken in two and could not be pasted


def test_a_setting_may_be_a_list():
    from fixmatch_lite.training_command import recipe_of

    recipe = recipe_of("digits", {"method": "fixmatch"}, ["operations=Rotate", "schedule=steps", "decays=0.5,0.8", "flip=no"])
    assert recipe.operations == ("Rotate",) and recipe.decays == (0.5, 0.8) and recipe.flip is False


def test_before_anything_is_kept_there_is_nothing_to_go_on_with(tmp_path):
    from fixmatch_lite.terminal import stopped

    assert "--resume" not in stopped(tmp_path / "run", fm.recipe("digits"), ["train", "digits", "--resume"])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").write_text("{")
    assert "--resume" in stopped(tmp_path / "run", fm.recipe("digits"), ["train", "digits"])


def test_a_log_whose_last_line_was_cut_short_is_read_and_gone_on_with(unfinished):
    cwd, words = unfinished
    with open(cwd / "run" / fm.runs.METRICS, "a") as log:
        log.write('{"step": 4, "test_acc')
    assert [metrics.step for metrics in fm.runs.load(cwd / "run").metrics] == [2]
    code, out, err = program(*words, cwd=cwd)
    assert code == 0, err
    assert [metrics.step for metrics in fm.runs.load(cwd / "run").metrics] == [2, 4]
