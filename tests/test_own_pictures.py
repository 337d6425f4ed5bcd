"""A folder of pictures, forty labels in a CSV file, and what comes of it: labels for the rest, an ONNX file, warnings."""

import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import fixmatch_lite as fm
from fixmatch_lite.health import EVALUATIONS, Health, describe_labels
from fixmatch_lite.labels_file import read_labels
from fixmatch_lite.pictures import read_pictures
from fixmatch_lite.predicting import export_onnx, label_pictures, measure_folder
from fixmatch_lite.tensor_files import read_tensors, write_tensors
from test_cli import files, program, refused


def picture(path, kind, seed):
    """Dark on the left for one class, on the right for the other, with noise."""
    noise = np.random.default_rng(seed).integers(0, 120, (12, 12, 3))
    noise[:, 6:] += 130 * (kind == "right")
    noise[:, :6] += 130 * (kind == "left")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """Pictures in no class folders, six of them named in a CSV file, and a test folder."""
    root = tmp_path_factory.mktemp("pets")
    kinds = ["left" if k % 2 else "right" for k in range(30)]
    for k, kind in enumerate(kinds):
        picture(root / "all" / f"{k:02}.png", kind, k)
    for k in range(8):
        kind = ["left", "right"][k % 2]
        picture(root / "test" / kind / f"{k}.png", kind, 100 + k)
    lines = ["Path,Class"] + [f'"all/{k:02}.png",{kinds[k]}' for k in range(6)]
    (root / "labels.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n")
    return root


@pytest.fixture(scope="module")
def trained(pets, tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    code, out, err = program(
        *f"train folder --root {pets} --labels-from {pets}/labels.csv --no-flip --steps 24 --eval-every 4 --batch-size 4 "
        f"--mu 2 --device cpu --set width=1 --set depth=10 --set ema_decay=0.8 --set bn_momentum=0.2 --out {place}/run"
        .split(), cwd=place)
    assert code == 0, err
    return place / "run", out, err


# Labels from a file ----------------------------------------------------------------------------------------------

def test_csv_file_names_the_labeled_pictures_and_all_others_are_unlabeled(pets):
    data = fm.load_data("folder", labels=None, root=pets, labels_from=pets / "labels.csv")
    assert data.class_names == ("left", "right") and data.y.tolist() == [1, 0, 1, 0, 1, 0]
    assert len(data.u) == 30 and (data.u_true == -1).all(), "what the net was taught measures nothing"
    assert torch.equal(data.u[:6], data.x) and len(data.x_test) == 8
    fewer = fm.load_data("folder", labels=2, root=pets, labels_from=pets / "labels.csv")
    assert sorted(fewer.y.tolist()) == [0, 1] and len(fewer.u) == 30


def test_hash_of_the_labeled_set_tells_pictures_and_classes_apart(pets, tmp_path):
    """Their numbers are always 0, 1, 2, ...: a run must not be gone on with under labels that were corrected since."""
    def load(lines):
        (tmp_path / "l.csv").write_text("\n".join(["path,class", *lines]))
        return fm.load_data("folder", labels=None, root=pets, labels_from=tmp_path / "l.csv").labeled_hash

    lines = (pets / "labels.csv").read_text().split()[1:]
    turned = [lines[0].replace("right", "LEFT").replace("left", "right").replace("LEFT", "left"), *lines[1:]]
    assert load(lines) == load(lines) and len({load(lines), load(turned), load(lines[:-1]), load(lines[2:])}) == 4



def test_test_pictures_may_be_a_column(tmp_path):
    for k in range(8):
        picture(tmp_path / f"{k}.png", "left" if k % 2 else "right", k)
    rows = [f"{k}.png;{'left' if k % 2 else 'right'};{'test' if k >= 4 else 'train'}" for k in range(6)]
    (tmp_path / "l.csv").write_text("\n".join(["file;label;split", *rows, ""]))
    data = fm.load_data("folder", labels=None, root=tmp_path, labels_from=tmp_path / "l.csv")
    assert len(data.x) == 4 and data.y_test.tolist() == [1, 0] and len(data.u) == 6  # two of the eight are tested on


def test_a_line_may_end_before_its_split_and_what_lies_in_test_is_not_learned_from(tmp_path):
    for name in ("a.png", "b.png", "c.png", "test/d.png", "test/e/f.png"):
        picture(tmp_path / name, "left", 0)
    (tmp_path / "l.csv").write_text("path,class,split\na.png,left\nb.png,right\ntest/d.png,left,test\n")
    data = fm.load_data("folder", labels=None, root=tmp_path, labels_from=tmp_path / "l.csv")
    assert len(data.x) == 2 and len(data.x_test) == 1
    assert len(data.u) == 3  # a, b and c; not f, which no line names and which lies in test/


@pytest.mark.parametrize("text, says", [
    ("", "must name the columns"), ("a.png,left\n", "must name the columns path and class"),
    ("path,class\nall/00.png,\n", "Line 2 .*has no class"), ("path,class\n,left\n", "Line 2 .*has no path"),
    ("path,class\nall/99.png,left\n", "Line 2 .*names all/99.png, which is not in"),
    ("path,class\nall/00.png,left\nall/00.png,right\n", "Line 3 .*calls all/00.png right .train. and a line before"),
    ("path,class,split\nall/00.png,left,valid\n", "says 'valid' where it must say train or test"),
    ("path,class\n", "names no picture"), ("path,class\nall/00.png,left\nall/01.png,left\n", "one class only"),
])
def test_wrong_lines_are_named(pets, tmp_path, text, says):
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(fm.FixMatchError, match=says) as caught:
        fm.load_data("folder", labels=None, root=pets, labels_from=tmp_path / "l.csv")
    assert "\n" not in str(caught.value)


def test_test_pictures_are_not_trained_with(pets, tmp_path):
    """As when the guesses of `label` for the whole folder are given back as labels."""
    (tmp_path / "l.csv").write_text("path,class\nall/00.png,right\nall/01.png,left\ntest/left/0.png,left\n")
    with pytest.raises(fm.FixMatchError, match="test/left/0.png is a test picture.*take out its line"):
        fm.load_data("folder", labels=None, root=pets, labels_from=tmp_path / "l.csv")


@pytest.mark.parametrize("line, says", [
    ("{here}/all/00.png,right", ", without '..'"), ("test/../all/00.png,right", ", without '..'"), ('"all/00.png,' + 140_000 * "x", "quote not closed"),
])
def test_a_picture_has_one_name_and_a_file_can_be_read(pets, tmp_path, line, says):
    (tmp_path / "l.csv").write_text("path,class\n" + line.format(here=pets) + "\nall/01.png,left\n")
    with pytest.raises(fm.FixMatchError, match=says):
        read_labels(tmp_path / "l.csv", pets)


def test_accuracy_of_a_class_without_test_pictures_is_a_dash(pets, tmp_path):
    lines = ["path,class,split"] + [f"all/{k:02}.png,{['right', 'left', 'fox'][k % 3]},train" for k in range(9)]
    lines += [f"all/{k}.png,{['right', 'left'][k % 2]},test" for k in range(20, 26)]
    (tmp_path / "l.csv").write_text("\n".join(lines) + "\n")
    code, out, err = program(*f"train folder --root {pets} --labels-from l.csv --steps 4 --eval-every 2 --batch-size 4 --mu 1 --device cpu "
                             "--set width=1 --set depth=10 --out run".split(), cwd=tmp_path)
    assert code == 0, err
    code, out, err = program("evaluate", "run", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and re.search(r"fox +– +of 0", out) and re.search(r"all +[\d.]+% +of 6", out), out + err


def test_a_class_without_test_pictures_is_told(pets, tmp_path, caplog):
    (tmp_path / "l.csv").write_text("path,class\nall/00.png,right\nall/01.png,left\nall/02.png,rigth\n")
    fm.load_data("folder", labels=None, root=pets, labels_from=tmp_path / "l.csv")
    assert "no test picture is called rigth; did you mean right?" in caplog.text


def test_without_test_pictures_nothing_is_held_out_in_silence(tmp_path):
    picture(tmp_path / "a.png", "left", 0), picture(tmp_path / "b.png", "right", 1)
    (tmp_path / "l.csv").write_text("path,class\na.png,left\nb.png,right\n")
    with pytest.raises(fm.FixMatchError, match="no test pictures.*test/<class>/.*column split"):
        fm.load_data("folder", labels=None, root=tmp_path, labels_from=tmp_path / "l.csv")
    with pytest.raises(fm.FixMatchError, match="labels of digits come with it"):
        fm.load_data("digits", labels_from=tmp_path / "l.csv")
    with pytest.raises(fm.FixMatchError, match="cannot be read"):
        read_labels(tmp_path / "nothing.csv", tmp_path)


# Train, evaluate, label, export ----------------------------------------------------------------------------------

def test_what_was_found_is_said_before_training_starts(trained):
    _, out, err = trained
    assert "38 images of 12 x 12 pixels" in err and "color" in err
    assert "6 labeled and 30 unlabeled images" in err and "labels: 3 of each class" in err
    assert "number to report" in out


def test_evaluate_gives_the_accuracy_of_the_log_to_the_last_digit(trained):
    run, *_ = trained
    code, out, err = program("evaluate", run, "--device", "cpu", cwd=run.parent)
    assert code == 0, err
    assert f"{fm.runs.load(run).metrics[-1].test_accuracy:.2%}" in out and "(as recorded)" in out


def test_label_writes_a_class_for_every_picture(trained, pets, tmp_path):
    run, *_ = trained
    (tmp_path / "broken").mkdir()
    command = ["label", run, "--root", pets / "all", "--out", tmp_path / "guesses.csv", "--device", "cpu"]
    code, out, err = program(*command, cwd=tmp_path)
    assert code == 0, err
    assert "Pictures labeled: 30," in out
    with open(tmp_path / "guesses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [f"{k:02}.png" for k in range(30)]
    data = fm.load_data("folder", labels=None, root=pets, labels_from=pets / "labels.csv")
    with torch.no_grad():  # pictures read one by one are the pictures of the training, and so are the answers
        q = fm.runs.load(run).model()(fm.augment.to_float(data.u)).softmax(1)
    found = sorted(zip([f"{k:02}.png" for k in range(30)], q.max(1).values.tolist(), q.argmax(1).tolist()))
    for row, (path, confidence, kind) in zip(rows, found):
        assert row["class"] == data.class_names[kind] and float(row["confidence"]) == pytest.approx(confidence, abs=1e-4)
    before = files(tmp_path)
    refused(*command, cwd=tmp_path, says=["already exists", "--force"])
    refused(*command[:5], tmp_path / "nowhere" / "guesses.csv", *command[6:], cwd=tmp_path, says=["no folder", "nowhere"])
    assert files(tmp_path) == before
    assert program(*command, "--force", cwd=tmp_path)[0] == 0
    assert read_labels(tmp_path / "guesses.csv", pets / "all")[0]  # a person can correct it and train on it
    assert program(*command, "--force", "--probabilities", cwd=tmp_path)[0] == 0
    with open(tmp_path / "guesses.csv", newline="") as file:
        told = list(csv.DictReader(file))
    assert [{key: row[key] for key in rows[0]} for row in told] == rows  # the same, and two columns more
    assert list(told[0]) == [*rows[0], "p(left)", "p(right)"]
    for row in told:
        each = {name: float(row[f"p({name})"]) for name in data.class_names}
        assert each[row["class"]] == max(each.values()) == float(row["confidence"])
        assert sum(each.values()) == pytest.approx(1, abs=2e-4)
    assert len(read_labels(tmp_path / "guesses.csv", pets / "all")[0]) == len(rows)


def test_evaluate_measures_on_other_pictures(trained, pets, tmp_path):
    run = fm.runs.load(trained[0])
    said = {path: kind for path, kind, _ in label_pictures(run, pets / "all", device="cpu")}
    some = {kind: [path for path in said if said[path] == kind][:4] for kind in ("left", "right")}
    assert min(map(len, some.values())) == 4
    folders = [("left", some["left"][:3]), ("left", some["right"][:1]), ("right", some["left"][3:]), ("right", some["right"][1:3])]
    for number, (kind, paths) in enumerate(folders):  # the run is wrong on one in each folder
        (tmp_path / "new" / kind / str(number)).mkdir(parents=True)
        for path in paths:
            shutil.copy(pets / "all" / path, tmp_path / "new" / kind / str(number))
    assert measure_folder(run, tmp_path / "new", device="cpu") == ([("left", 3, 4), ("right", 2, 3)], [])
    (tmp_path / "new" / "right" / "broken.png").write_bytes(b"no picture")
    code, out, err = program("evaluate", trained[0], "--test", "new", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and "since they cannot be read: 1, for example right/broken.png" in err
    assert [line.split() for line in out.splitlines()] == [
        ["left", "75.00%", "of", "4"], ["right", "66.67%", "of", "3"], ["all", "71.43%", "of", "7"]]
    shutil.copytree(trained[0], tmp_path / "unfinished")
    weights = tmp_path / "unfinished" / fm.runs.WEIGHTS
    tensors, state = read_tensors(weights)
    write_tensors(weights.with_name(fm.runs.CHECKPOINT), {f"ema.{k}": v for k, v in tensors.items()}, {"step": 8})
    weights.unlink()
    code, out, err = program("evaluate", "unfinished", "--test", "new", "--device", "cpu", cwd=tmp_path)
    assert "71.43%" in out and err.count("is not finished: its weights are those of step 8 of 24") == 1
    shutil.rmtree(tmp_path / "new" / "left")
    assert measure_folder(run, tmp_path / "new")[0] == [("left", 0, 0), ("right", 2, 3)]


def test_evaluate_refuses_other_pictures_that_no_class_can_be_told_of(trained, pets, tmp_path):
    command = ["evaluate", trained[0], "--test", tmp_path / "new", "--device", "cpu"]
    refused(*command, cwd=tmp_path, says=["no folder", "new"])
    refused(*command, "--root", pets, cwd=tmp_path, says=["leave out --root"], code=2)
    refused(*command, "--image-size", 12, cwd=tmp_path, says=["leave out --root, --image-size and --labels-from"], code=2)
    picture(tmp_path / "new" / "Left" / "a.png", "left", 0)
    refused(*command, cwd=tmp_path, says=["Left is not a class of the run run", "did you mean left?"])
    (tmp_path / "new" / "Left").rename(tmp_path / "new" / "7")
    refused(*command, cwd=tmp_path, says=["its classes are left, right."])
    (tmp_path / "new" / "7").rename(tmp_path / "new" / "left")
    picture(tmp_path / "new" / "b.png", "left", 0)
    refused(*command, cwd=tmp_path, says=["b.png is in no class folder"])
    for path in tmp_path.glob("new/**/*.png"):
        path.write_bytes(b"no picture")
    (tmp_path / "new" / "b.png").unlink()
    refused(*command, cwd=tmp_path, says=["None of the pictures", "can be read", "cannot identify"])


def test_evaluate_refuses_other_classes_and_another_size(trained, pets, tmp_path):
    run, *_ = trained
    shutil.copytree(pets, tmp_path / "pets")
    csv_file = tmp_path / "pets" / "labels.csv"
    csv_file.write_text(csv_file.read_text(encoding="utf-8-sig").replace("right", "zebra"))
    source = json.loads((run / "source.json").read_text())
    for place in (tmp_path / "pets" / "test").glob("right"):
        place.rename(place.with_name("zebra"))
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "source.json").write_text(json.dumps({**source, "root": str(tmp_path / "pets"), "labels_from": str(csv_file)}))
    refused("evaluate", copy, "--device", "cpu", cwd=tmp_path, says=["classes", "zebra", "--root"])
    refused("evaluate", run, "--device", "cpu", "--image-size", 8, cwd=tmp_path, says=["images here are", "--image-size"])
    (copy / "source.json").write_text("")
    refused("evaluate", copy, "--device", "cpu", cwd=tmp_path, says="needs a place")


def test_label_leaves_out_what_cannot_be_read_and_says_so(trained, tmp_path):
    run, *_ = trained
    picture(tmp_path / "a.png", "left", 0)
    (tmp_path / "b.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("left")
    first, second = label_pictures(fm.runs.load(run), tmp_path, device="cpu")
    assert len(first) == 3 and first[1] in ("left", "right") and second[:3] == ("b.png", None, None) and second[3]
    code, out, err = program("label", run, "--root", tmp_path, "--out", tmp_path / "l.csv", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and "Pictures labeled: 1," in out and "since they cannot be read: 1, for example b.png" in err
    assert "ignored 1 file with other endings" in err and re.search(r"for example \S*notes\.txt", err)
    assert [path.name for path in read_labels(tmp_path / "l.csv", tmp_path)[0]] == ["a.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(fm.FixMatchError, match="holds no pictures"):
        list(label_pictures(fm.runs.load(run), tmp_path / "empty"))


def test_onnx_file_gives_the_same_answers(trained, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    run = fm.runs.load(trained[0])
    code, out, err = program("export", trained[0], "--out", tmp_path / "net.onnx", cwd=tmp_path)
    assert code == 0 and out.strip().endswith("net.onnx") and "Warning" not in err, err
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["class_names"]) == ["left", "right"]
    images = torch.randint(0, 256, (9, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for some in (images[:1], images[:7], images):
        (theirs,) = session.run(["probabilities"], {"images": some.numpy()})
        with torch.no_grad():
            ours = run.model()(fm.augment.to_float(some)).softmax(1).numpy()
        assert np.abs(ours - theirs).max() < 1e-5 and (ours.argmax(1) == theirs.argmax(1)).all()


@pytest.mark.parametrize("levels", ["16 bits", "8 bits"])
def test_script_of_the_book_reads_a_picture_as_label_does(trained, root, tmp_path, monkeypatch, levels):
    pytest.importorskip("onnxruntime")
    export_onnx(fm.runs.load(trained[0]), tmp_path / "pets.onnx")
    pixels = np.linspace(0, 65535, 14 * 18).reshape(14, 18).astype(np.uint16)
    Image.fromarray(pixels if levels == "16 bits" else (pixels >> 8).astype(np.uint8)).save(tmp_path / "a.png")
    blocks = re.findall(r"```python\n(.*?)```", (root / "book" / "engine.md").read_text(), re.S)
    script, = (block for block in blocks if "InferenceSession" in block)
    monkeypatch.chdir(tmp_path)
    exec(script.replace("a.jpg", "a.png"), names := {})
    ours, _ = read_pictures([tmp_path / "a.png"], (3, 12, 12))
    assert np.array_equal(names["pixels"], ours.numpy())


def test_export_without_its_packages_says_what_to_install(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(fm.FixMatchError, match="Exporting needs the package onnxscript: pip install onnx onnxscript"):
        export_onnx(fm.runs.load(trained[0]), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_runs_of_older_versions_are_refused(trained):
    run = fm.runs.load(trained[0])
    old = replace(run, provenance={k: v for k, v in run.provenance.items() if k != "image_shape"})
    with pytest.raises(fm.FixMatchError, match="older version, train it again"):
        next(label_pictures(old, trained[0]))


# Warnings --------------------------------------------------------------------------------------------------------

RECIPE = fm.recipe("digits", steps=1000, eval_every=50)


def said(count=20, names=("a", "b"), labels=(20, 20), recipe=RECIPE, **columns):
    """What `Health` says to a run whose metrics are given as functions of the share of steps done."""
    health, told = Health(recipe, labels, names), []
    healthy = {"test_accuracy": 0.9, "test_accuracy_raw": 0.9, "mask_rate": 0.9, "pseudo_label_accuracy": 0.97,
               "mask_rate_per_class": (0.45, 0.45), "pseudo_label_accuracy_per_class": (0.97, 0.97)}
    for k in range(1, count + 1):
        values = {name: value(k / count) if callable(value) else value for name, value in (healthy | columns).items()}
        told += health(fm.Metrics(step=1000 * k // count, loss=1.0, loss_supervised=1.0, loss_unsupervised=0.0, lr=0.1,
                                  images_per_second=1.0, seconds=1.0, **values))
    return told


@pytest.mark.parametrize("columns, says", [
    ({"mask_rate": 0.0}, "No unlabeled picture reaches the confidence of 0.95"),
    ({"pseudo_label_accuracy": 0.5}, "sure of its mistakes"),
    ({"pseudo_label_accuracy": lambda done: 0.98 - 0.2 * done}, "get worse"),
    ({"labels": (5, 35), "mask_rate_per_class": (0.6, 0.3)}, "The class a swallows others: its share of the pseudo-labels is 5.3 times"),
    ({"mask_rate_per_class": (0.02, 0.88)}, "The class a gets hardly any pseudo-labels"),
    ({"mask_rate": 0.6, "mask_rate_per_class": (0.3, 0.3)}, "has stopped at 60%"),
    ({"test_accuracy": 0.2}, "moving average lies far below the net"),
])
def test_every_known_failure_is_named_once_with_something_to_try(columns, says):
    told = said(**columns)
    assert len(told) == 1 and says in told[0] and "ry " in told[0] + "try "


def test_what_is_set_already_or_cannot_be_is_not_advised():
    starved, late = {"mask_rate_per_class": (0.02, 0.88)}, {"test_accuracy": 0.2}
    for method, alignment, flexmatch in (("fixmatch", True, True), ("uda", True, False), ("flexmatch", False, False), ("softmatch", False, False)):
        told, = said(recipe=fm.recipe("digits", method=method, steps=1000), **starved)
        assert ("--alignment" in told, "the method flexmatch" in told) == (alignment, flexmatch), told
    told, = said(recipe=RECIPE.changed(alignment=True), **starved)
    assert "--alignment" not in told
    told, = said(**late)
    assert "ema_decay" not in told  # 0.99 remembers a tenth of a thousand steps already
    told, = said(recipe=RECIPE.changed(ema_decay=0.995), **late)
    assert "--set ema_decay=0.99)" in told


def test_a_run_too_short_for_its_averages_is_told_before_it_trains():
    recipe = fm.recipe("folder", steps=500)
    told, = Health(recipe).before()
    assert "500 steps" in told and "61% of the moving average and 61% of the batch-norm statistics" in told
    assert "--set ema_decay=0.98 --set bn_momentum=0.02," in told
    told, = Health(fm.recipe("folder", steps=1500, bn_momentum=0.1)).before()
    assert "--set ema_decay=0.9933," in told and "bn_momentum" not in told  # 1 - 10/1500
    for enough in (recipe.changed(ema_decay=0.98, bn_momentum=0.02), fm.recipe("folder", steps=2500), *map(fm.recipe, fm.data.DATASETS)):
        assert Health(enough).before() == [], enough
    assert len(said(recipe=RECIPE.changed(bn_momentum=0.001))) == 1  # with the first metrics where nobody asked before
    slow = RECIPE.changed(ema_decay=0.999)
    assert len(said(recipe=slow, test_accuracy=0.2)) == 1  # and not once more when it has come true
    health = Health(slow)
    assert len(health.before()) == 1 and health.before() == []


def test_healthy_run_and_supervised_run_hear_nothing():
    assert said() == []
    none = dict.fromkeys(("mask_rate", "pseudo_label_accuracy", "mask_rate_per_class",
                          "pseudo_label_accuracy_per_class"))
    assert said(**none) == []
    assert said(count=EVALUATIONS - 1, mask_rate=0.0) == []


def test_recorded_runs_that_ended_well_were_never_warned_about():
    """Real runs that ended well heard nothing on their way, but for those whose pile holds foreign pictures: every pseudo-label
    of those is wrong, and it is said; and those with slow batch-norm statistics, which are one of the mistakes. With the faster
    ways of the forward pass a class may get hardly any pseudo-label for 300 steps and come back; that is worth a warning."""
    good, foreign, slow, warned = 0, set(), set(), {}
    for run in fm.runs.list_runs():
        if run.done and run.recipe.forward == "joint" and fm.runs.summarize(run)["test_accuracy"] > 0.95:
            names = run.provenance["class_names"]
            health = Health(run.recipe, [run.recipe.labels // len(names)] * len(names), names)
            told = [sentence for metrics in run.metrics for sentence in health(metrics)]
            warned |= {run.name: told} if told else {}
            if run.recipe.dataset == "digits-foreign":
                foreign.add(run.name)
            elif run.name.startswith("digits-mistake-slow_statistics"):
                slow.add(run.name)
            else:
                good += 1
    assert good > 100 and foreign and set(warned) == foreign | slow, warned
    assert all(("few for so long a memory" if name in slow else "pseudo-labels are right") in told[0]
               for name, told in warned.items()), warned


def test_labels_are_described():
    assert describe_labels([4, 4], "ab") == ["labels: 4 of each class"]
    first, second = describe_labels([40, 2], ["cat", "dog"])
    assert first == "labels: cat 40, dog 2 (the largest class has 20.0 times as many as the smallest)" and "uneven" in second
    assert "Only one labeled picture of dog" in describe_labels([3, 1], ["cat", "dog"])[1]
    assert "No labeled picture of dog" in describe_labels([3, 0], ["cat", "dog"])[1]
    assert "…" in describe_labels(list(range(1, 21)), [str(k) for k in range(20)])[0]
