"""What somebody stumbled over who built on the module: a method, a folder, a training loop of one's own."""

import dataclasses
import math
import re
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn
from test_own_pictures import pets, picture, program, trained  # noqa: F401 (fixtures)
from test_training import Small, small

import fixmatch_lite as fm
from fixmatch_lite.batches import Strong
from fixmatch_lite.captured import CapturedStep
from fixmatch_lite.checks import described
from fixmatch_lite.comparators.thresholds import CurriculumThresholds, SelfAdaptiveThresholds, TruncatedGaussian
from fixmatch_lite.comparators.uda import Sharpened
from fixmatch_lite.labels_file import read_labels
from fixmatch_lite.losses import semi_supervised_loss
from fixmatch_lite.methods import Consistency, Supervised
from fixmatch_lite.models import MovingAverage, decayed_and_not
from fixmatch_lite.pictures import read_pictures
from fixmatch_lite.policies import FixMatch, PseudoLabels


# Runs with parts of one's own --------------------------------------------------------------------------------------

def test_a_method_of_ones_own_is_told_with_what_it_was_made_of():
    told = lambda **own: described({"net": None, "method": None, "strong": None, **own})
    assert told() == {}
    assert told(method=Consistency(FixMatch(0.3), forward="kept")) == {
        "method": "fixmatch_lite.methods.Consistency(lambda_u=1.0, way='kept', steady=False, policy=FixMatch(tau=0.3))"}
    assert told(net=Small()) == {"net": "test_training.Small"}
    strong = told(strong=Strong(fm.RandAugment("usb"), fm.Cutout(0.25)))["strong"]
    assert strong.startswith("fixmatch_lite.batches.Strong(operations=RandAugment(name='usb', ")
    assert strong.endswith("cutout=Cutout(size=0.25, fill=127))")
    policy = FixMatch(0.5)
    policy.act, policy.kind, policy.layer, policy.back = torch.relu, nn.BatchNorm2d, nn.Linear(2, 2), Consistency(policy)  # a circle
    words = told(method=Consistency(policy))["method"]
    assert "relu, kind=BatchNorm2d, " in words and "layer=Linear, " in words and len(words) < 1000


@pytest.mark.parametrize("began, now", [
    (FixMatch(0.95), FixMatch(0.1)), (SelfAdaptiveThresholds(10), TruncatedGaussian(10)),
    (SelfAdaptiveThresholds(10, clip=0.95), SelfAdaptiveThresholds(10))])
@pytest.mark.parametrize("keeper", ["record", "fit"])
def test_a_run_does_not_go_on_with_another_policy(tmp_path, digits, began, now, keeper):
    if keeper == "record":
        train = lambda policy, resume: fm.runs.record(tmp_path, small(steps=6), digits, device="cpu", method=Consistency(policy), resume=resume)
    else:
        train = lambda policy, resume: fm.fit(small(steps=6), digits, device="cpu", method=Consistency(policy), resume=resume,
                                              checkpoint=tmp_path / "c")
    next(iter(train(began, False)))
    with pytest.raises(fm.FixMatchError, match="was begun with .*not with .*give what it was begun with"):
        next(iter(train(now, True)))


def test_a_checkpoint_that_does_not_fit_changes_nothing(tmp_path, digits):
    """Of a method that cannot say how it differs: its tensors have other names."""
    def method(name):
        made = Supervised()
        made.register_buffer(name, torch.zeros(3))
        return made

    made = lambda name, **more: fm.fit(small(steps=6), digits, device="cpu", method=method(name), **more)
    next(made("a", checkpoint=tmp_path / "c"))
    training = made("b")
    before = {k: v.clone() for k, v in training.model.state_dict().items()}
    with pytest.raises(fm.FixMatchError, match=r"is of another Supervised than this one \(a is \(3,\) there and missing here\)"):
        fm.training.load_checkpoint(training, tmp_path / "c")
    assert all(torch.equal(v, before[k]) for k, v in training.model.state_dict().items()) and training.step == 0


def test_runs_of_ones_own_method_are_not_taken_for_fixmatch(tmp_path, digits):
    for name, own in (("plain", {}), ("mine", dict(method=Consistency(FixMatch(0.3)))), ("other", dict(method=Consistency(FixMatch(0.4))))):
        list(fm.runs.record(tmp_path / name, small(steps=4), digits, device="cpu", **own))
    runs = fm.runs.list_runs(tmp_path)
    sets = fm.widgets.RunExplorer(runs).state["sets"]
    assert sorted(s["prefix"] + s["names"][0] for s in sets) == ["mine", "other", "plain"] and all(len(s["names"]) == 1 for s in sets)
    assert sum("tau=0.3" in s["method"] for s in sets) == 1
    table = fm.runs.table(tmp_path).set_index("name")
    assert table.method.to_dict() == {"plain": "fixmatch", "mine": "own", "other": "own"}
    assert "tau=0.3" in table.own["mine"] and table.own["plain"] == ""
    assert {row["name"]: row["method"] for row in fm.runs.compare(runs)} == table.method.to_dict()
    assert "own" not in fm.runs.table(prefix="digits-supervised-").columns


def test_how_pictures_are_mirrored_is_not_lost_from_the_record(tmp_path, digits):
    data = fm.load_data("digits", flip=True)
    next(fm.runs.record(tmp_path, small(steps=6), data, device="cpu"))
    assert fm.runs.load(tmp_path).recipe == small(steps=6, flip=True)
    with pytest.raises(fm.FixMatchError, match=r"of another recipe: flip \(True there, None here\)"):
        next(fm.runs.record(tmp_path, small(steps=6), digits, device="cpu", resume=True))
    assert [m.step for m in fm.runs.record(tmp_path, small(steps=6), data, device="cpu", resume=True)][-1] == 6
    with pytest.raises(fm.FixMatchError, match="net must be a torch module"):
        fm.runs.load(tmp_path, net=Small)


# Methods, nets and loops of one's own ------------------------------------------------------------------------------

@pytest.mark.parametrize("forward", ["jiont", None, "KEPT"])
def test_there_are_three_ways_of_the_forward_pass(forward):
    with pytest.raises(fm.FixMatchError, match=f"no forward pass {forward!r}; use one of joint, separate, kept"):
        Consistency(FixMatch(), forward=forward)


def test_a_step_that_asks_for_the_progress_is_not_recorded(digits, capsys):
    class Ramped(Consistency):
        def loss(self, batch, run):
            self.lambda_u = run.progress
            return super().loss(batch, run)

    for method, recorded in ((Ramped(FixMatch(0.3)), 0), (Consistency(FixMatch(0.3)), 1)):
        training = fm.fit(small(steps=4), digits, device="cpu", method=method)
        step, found = object.__new__(CapturedStep), []
        step.training, step.graph, step.left, step.failed = training, None, 2, False
        step._beside, step._update = lambda work: work(), lambda index, ids, rate: training.update(training.batches.make(
            index, ids, training.method.views), rate)
        step._capture = lambda index, ids: found.append(1) or step._leave("not here")
        for _ in range(4):
            step(*training.batches.choose(training.method.views), 0.1)
        assert len(found) == recorded and step.failed
    assert "its method asks for the progress" in capsys.readouterr().err


@pytest.mark.parametrize("weight, says", [
    (lambda c: c[:, None], r"weight must be float \(6,\), .* this is float32 \(6, 1\)"), (lambda c: c > 0.2, r"this is bool \(6,\)"),
    (lambda c: c[:3], r"this is float32 \(3,\)")])
def test_weights_that_would_be_broadcast_are_refused(weight, says):
    confidence, target = torch.rand(6), torch.randint(4, (6,))
    arguments = torch.randn(2, 4), torch.tensor([0, 1]), torch.randn(6, 4)
    assert math.isfinite(semi_supervised_loss(*arguments, PseudoLabels(confidence, target, confidence)).total)
    with pytest.raises(fm.FixMatchError, match=says):
        semi_supervised_loss(*arguments, PseudoLabels(weight(confidence), target, confidence))


@pytest.mark.parametrize("method", ["supervised", "fixmatch", "flexmatch"])
def test_a_net_of_other_classes_is_refused(digits, method):
    net = Small()
    net.layers[4] = nn.Linear(288, 12)
    with pytest.raises(fm.FixMatchError, match=r"must give logits \(\d+, 10\), one for each image and class; this is float32 \(\d+, 12\)"):
        next(fm.fit(small(method=method), digits, device="cpu", net=net))


def test_a_loss_that_is_a_number_is_refused(digits):
    class Bare(Supervised):
        def loss(self, batch, run):
            return super().loss(batch, run).total

    with pytest.raises(fm.FixMatchError, match="must be a losses.Loss; this is of the type Tensor"):
        next(fm.fit(small(), digits, device="cpu", method=Bare()))


PARTS = {  # message: a part that is none
    "tau = '0.95' is not possible": lambda: fm.FixMatch(tau="0.95"), "tau = -1 is not possible": lambda: fm.FixMatch(-1),
    "tau = 95 is not possible; .*0.95 is 95 %": lambda: fm.FixMatch(95), "tau = True is": lambda: fm.FixMatch(True),
    "tau = 80 is not possible": lambda: Sharpened(80, 0.4), "tau = None is not": lambda: CurriculumThresholds(None, 10, 20),
    r"policy must be callable as policy\(logits_u_weak, .* type str": lambda: Consistency("fixmatch"),
    "policy must be .* type type": lambda: Consistency(FixMatch), "policy must be .* NoneType": lambda: Consistency(None),
    "lambda_u = -1 is not": lambda: Consistency(FixMatch(), -1), "lambda_u = '1' is not": lambda: Consistency(FixMatch(), lambda_u="1"),
    "decay = 999 is not possible; decay must be a number between 0 and 1": lambda: MovingAverage(nn.Linear(2, 2), 999),
    "decay = '0.9' is not": lambda: MovingAverage(nn.Linear(2, 2), "0.9"),
    "decay = None is not": lambda: MovingAverage(nn.Linear(2, 2), None), "decay = -1 is": lambda: MovingAverage(nn.Linear(2, 2), -1),
    r"operations must be callable as operations\(images, generator=generator\); .* str": lambda: Strong("fixmatch"),
    "operations must be .* type type": lambda: Strong(fm.RandAugment), "cutout must be .* float": lambda: Strong(fm.RandAugment(), 0.5),
    "no RandAugment preset 5; use one of .* or a Preset": lambda: fm.RandAugment(5),
    "generator must be a torch.Generator, .* int": lambda: fm.weak_augment(IMAGES, generator=0),
    "generator must be .* RandomState": lambda: fm.RandAugment()(IMAGES, generator=np.random.RandomState(0)),
    r"Magnitudes must be \(2,\), one for each image, or one number for all; these are \(3,\)":
        lambda: fm.augment.apply("Rotate", IMAGES, torch.ones(3)),
}
IMAGES = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)


@pytest.mark.parametrize("told", PARTS)
def test_a_part_that_is_none_is_refused_where_it_is_made(told):
    with pytest.raises(fm.FixMatchError, match=told):
        PARTS[told]()


def test_parts_at_the_ends_of_their_ranges():
    for decay in (0, 1, np.float32(0.5)):
        MovingAverage(nn.Linear(2, 2), decay)
    for tau in (0, 1, 1.01, np.float32(0.5), torch.tensor(0.5)):
        assert Consistency(FixMatch(tau), 0).policy.tau is tau
    Consistency(lambda logits_u_weak, **known: FixMatch()(logits_u_weak))
    for magnitude in (30, [30], (30.0, 30.0), torch.full((2,), 30)):
        assert torch.equal(fm.augment.apply("Rotate", IMAGES, magnitude), fm.augment.apply("Rotate", IMAGES, torch.full((2,), 30.0)))


def test_randaugment_takes_a_preset_of_ones_own():
    images = torch.randint(256, (32, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    seeded = lambda augment: augment(images, generator=torch.Generator().manual_seed(1))
    presets = fm.augment.PRESETS
    for name, preset in presets.items():
        assert torch.equal(seeded(fm.RandAugment(dataclasses.replace(preset))), seeded(fm.RandAugment(name)))
    mild = dataclasses.replace(presets["fixmatch"], levels=(2,), operations=("Rotate",), probability=1.0)
    augment = fm.RandAugment(mild, num_ops=1)
    chosen, magnitude = augment.draw(100, (16, 16))
    assert {*chosen.tolist()} == {0} and {*magnitude.tolist()} == {-6.0, 6.0}  # 3 degrees a level, in two directions
    made = fm.RandAugment(fm.augment.Preset(lambda name, level, side: 10 + level, operations=("Rotate",), levels=None))
    assert (10 <= made.draw(100, (16, 16))[1].abs()).all()
    told = {described({"strong": Strong(fm.RandAugment(dataclasses.replace(mild, levels=levels)))})["strong"] for levels in ((2,), (3,))}
    assert len(told) == 2 and all("RandAugment(name='_original_magnitude at (" in words for words in told)  # no address in it


@pytest.mark.parametrize("given", [(), (None,)])
def test_a_strong_view_without_cutout(digits, given):
    flipped = Strong(lambda images, generator=None: 255 - images, *given)
    view = fm.fit(small(pad=0, flip=False), digits, device="cpu", strong=flipped).batches.next(("weak", "strong"))
    assert torch.equal(view.u[1], 255 - view.u[0]) and torch.equal(flipped(view.x), 255 - view.x)


def test_examples_of_ones_own_parts_run_as_they_stand(root, capsys):
    names = {"__name__": "example"}
    for block in re.findall(r"```python\n(.*?)```", (root / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.S):
        exec(block, names)
        assert re.fullmatch(r"60 0\.\d+\n", capsys.readouterr().out)
    same = names["data"].u[:1].expand(20, -1, -1, -1)
    view = Strong.__doc__.partition("::\n\n")[2].split("\n")[0]  # the line of the docstring
    for strong in (Strong(names["operations"]), eval(view, names)):
        assert len({image.numpy().tobytes() for image in strong(same)}) > 15
    assert len({image.numpy().tobytes() for image in names["transform"](same)}) == 1  # what the text warns of


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_average_in_16_bits_would_stand_still(dtype):
    with pytest.raises(fm.FixMatchError, match="keep the net in float32"):
        MovingAverage(nn.Linear(2, 2).to(dtype), 0.999)
    net = nn.Linear(2, 2)
    nn.init.zeros_(net.weight)
    average = MovingAverage(net, 0.999)
    nn.init.ones_(net.weight)
    for _ in range(5000):
        average.update_parameters(net)
    assert average.module.weight.mean().item() == pytest.approx(1 - 0.999**5000, abs=1e-4)


def test_the_two_lists_make_an_optimizer_as_the_docstring_says():
    first, second = decayed_and_not(fm.WideResNet(10, 1))
    torch.optim.SGD([{"params": first, "weight_decay": 5e-4}, {"params": second, "weight_decay": 0}], lr=0.03)


@pytest.mark.parametrize("images, says", [
    (lambda u: u.numpy(), "a torch tensor.*from_numpy"), (lambda u: u[0], r"a batch; this is uint8 \(3, 8, 8\).*images\[None\]"),
    (lambda u: u.permute(0, 2, 3, 1), r"channels first; this is uint8 \(2, 8, 8, 3\).*permute"),
    (lambda u: torch.cat([u, u])[:, 0], r"this is uint8 \(4, 8, 8\). images\[:, None\] makes a batch of gray pictures"),
    (lambda u: u[:, :2], r"one or three channels first; this is uint8 \(2, 2, 8, 8\)"), (lambda u: u.float(), "uint8")])
@pytest.mark.parametrize("augment", [fm.weak_augment, fm.RandAugment(), fm.Cutout()])
def test_images_that_are_none_are_refused_with_their_own_cure(images, says, augment):
    batch = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    assert augment(batch).shape == batch.shape
    with pytest.raises(fm.FixMatchError, match=says):
        augment(images(batch))


def test_an_option_of_the_method_is_no_field_of_the_recipe():
    with pytest.raises(fm.FixMatchError, match=r"no 'temperature'; uda has: options=\{'temperature': 0.5\}"):
        fm.recipe("digits", method="uda", temperature=0.5)
    assert fm.recipe("digits", method="uda", options={"temperature": 0.5}).options == {"temperature": 0.5}
    with pytest.raises(fm.FixMatchError, match="no 'temperature'; it has"):
        fm.recipe("digits", temperature=0.5)


# A folder of one's own ---------------------------------------------------------------------------------------------

def test_evaluate_says_when_the_test_pictures_are_others(trained, pets, tmp_path):
    run, *_ = trained
    code, out, err = program("evaluate", run, "--device", "cpu", cwd=tmp_path)
    assert code == 0 and "(as recorded)" in out and "not those that the run" not in err
    lines = (pets / "labels.csv").read_text(encoding="utf-8-sig").splitlines()
    moved = tmp_path / "labels.csv"
    tested = [f"all/{k:02}.png,{kind},test" for k, kind in ((20, "left"), (21, "right"))]
    moved.write_text("\n".join(["path,class,split", *(line + ",train" for line in lines[1:]), *tested]) + "\n")
    code, out, err = program("evaluate", run, "--labels-from", moved, "--device", "cpu", cwd=tmp_path)
    assert code == 0 and "of 2" in out and "the 2 test pictures here are not those that the run run was tested on" in err


def test_a_run_that_python_recorded_on_a_file_of_labels_is_evaluated(pets, tmp_path):
    data = fm.load_data("folder", labels=None, root=pets, labels_from=pets / "labels.csv")
    recipe = fm.recipe("folder", steps=4, eval_every=2, batch_size=4, mu=1, width=1, depth=10)
    *_, last = fm.runs.record(tmp_path / "run", recipe, data, device="cpu")
    command = "evaluate", tmp_path / "run", "--device", "cpu"
    code, _, err = program(*command, cwd=tmp_path)
    assert code == 1 and "--root" in err and "--labels-from" in err
    code, _, err = program(*command, "--root", pets, cwd=tmp_path)
    assert code == 1 and "--labels-from" in err
    code, out, err = program(*command, "--root", pets, "--labels-from", pets / "labels.csv", cwd=tmp_path)
    assert code == 0 and f"{last.test_accuracy:.2%}" in out and "(as recorded)" in out, err


def test_a_folder_of_other_files_names_one(tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / part / "b" / "0.png", "left", 0)
        (tmp_path / part / "a").mkdir()
        (tmp_path / part / "a" / "IMG_1.heic").write_bytes(b"x")
    with pytest.raises(fm.FixMatchError, match="train/a holds no images: files like IMG_1.heic are not read here, convert them"):
        fm.load_data("folder", root=tmp_path)


def test_a_spreadsheets_file_of_labels_gets_its_own_advice(pets, tmp_path):
    written = tmp_path / "l.csv"
    written.write_bytes("path,class\nall/00.png,grün\n".encode("cp1252"))
    with pytest.raises(fm.FixMatchError, match="not UTF-8 text.: save it again as CSV in UTF-8"):
        read_labels(written, pets)
    written.write_text("path,class\nall\\00.png,right\n")
    with pytest.raises(fm.FixMatchError, match="with backslashes: write its path with /"):
        read_labels(written, pets)


@pytest.mark.parametrize("disk, file", [("NFD", "NFC"), ("NFC", "NFD")])
def test_an_umlaut_is_the_same_in_one_character_or_two(tmp_path, disk, file):
    place = tmp_path / unicodedata.normalize(disk, "grün 0.png")
    picture(place, "left", 0)
    (tmp_path / "l.csv").write_text("path,class\n" + unicodedata.normalize(file, "grün 0.png") + ",left\n", encoding="utf-8")
    assert read_labels(tmp_path / "l.csv", tmp_path)[0] == {place: "left"}


def test_unequal_folders_are_told_of_the_proportional_draw(tmp_path):
    for part in ("train", "test"):
        for kind, count in (("left", 9), ("right", 2)):
            for k in range(count):
                picture(tmp_path / part / kind / f"{k}.png", kind, k)
    with pytest.raises(fm.FixMatchError, match="split proportional"):
        fm.load_data("folder", labels=8, root=tmp_path)
    assert len(fm.load_data("folder", labels=8, root=tmp_path, split="proportional").x) == 8


def test_script_of_the_book_sees_large_photographs_as_label_does(root, tmp_path, monkeypatch):
    """The pictures alone; `test_own_pictures` runs the whole script."""
    block, = (b for b in re.findall(r"```python\n(.*?)```", (root / "book" / "engine.md").read_text(), re.S) if "InferenceSession" in b)
    lines = block.split("# Upright")[1].split("\n", 1)[1].split("print(")[0]
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    for channels in (1, 3):
        names = dict(np=np, Image=Image, ImageOps=ImageOps, channels=channels, height=24, width=32)
        exec(lines, names)
        assert np.array_equal(names["pixels"], read_pictures([tmp_path / "a.jpg"], (channels, 24, 32))[0].numpy())
