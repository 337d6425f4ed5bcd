"""What is given to the module: values that their owner changes later, numbers that are not Python's, parts and surroundings that
a training would take without a word and learn something else from."""

import copy
import dataclasses
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from test_cli import program
from test_own_pictures import pets, picture, trained  # noqa: F401 (fixtures)
from test_training import Small, assert_same, small, weights
from torch import nn

import fixmatch_lite as fm
from fixmatch_lite import folders, losses, pictures
from fixmatch_lite.batches import ShuffledIndices, Strong
from fixmatch_lite.comparators import METHODS
from fixmatch_lite.labels_file import read_labels, write_labels
from fixmatch_lite.methods import Consistency, Supervised
from fixmatch_lite.models import decayed_and_not
from fixmatch_lite.pictures import read_pictures
from fixmatch_lite.policies import FixMatch
from fixmatch_lite.predicting import label_pictures, measure_again
from fixmatch_lite.training import evaluate
from fixmatch_lite.training_command import recipe_of


# Recipes -----------------------------------------------------------------------------------------------------------

def test_a_recipe_has_options_of_its_own():
    options = {"temperature": 0.4}
    swept = []
    for options["temperature"] in (0.2, 0.5):
        swept.append(fm.recipe("digits", method="uda", options=options))
    options["temperature"] = -3
    assert [r.options["temperature"] for r in swept] == [0.2, 0.5]
    assert swept[0].changed(lr=0.1).options is not swept[0].options


def test_numbers_of_arrays_become_pythons(digits, tmp_path):
    recipe = small(method="uda", options={"temperature": np.float32(0.5)}, schedule="steps", decays=np.array([0.5, 0.75]),
                   lr=torch.tensor(0.25))
    assert type(recipe.options["temperature"]) is type(recipe.lr) is float and recipe.decays == (0.5, 0.75) and recipe.lr == 0.25
    next(fm.runs.record(tmp_path / "run", recipe, digits, device="cpu"))
    assert fm.runs.load(tmp_path / "run").recipe == recipe


def test_recipes_and_runs_may_be_keys_and_data_are_themselves(digits):
    recipe = fm.recipe("digits", method="uda", options={"temperature": 0.5})
    assert len({recipe, recipe.changed(), recipe.changed(lr=0.1)}) == 2
    run = fm.runs.load("digits-40-vat-seed0")
    assert len({run, fm.runs.load("digits-40-vat-seed0")}) == 1
    assert digits == digits and digits != copy.deepcopy(digits)


@pytest.mark.parametrize("settings", [["method=uda", "temperature=0.5"], ["temperature=0.5", "method=uda"]])
def test_the_order_of_settings_does_not_matter(settings):
    recipe = recipe_of("digits", {}, [*settings, "seed=3"])
    assert (recipe.method, recipe.options, recipe.seed, recipe.label_seed) == ("uda", {"temperature": 0.5}, 3, 3)
    assert recipe_of("digits", {"seed": 3, "label_seed": 4}, ["lr=0.1", "lr=0.2"]).lr == 0.2
    assert recipe_of("digits", {"seed": 3}, ["label_seed=5"]).label_seed == 5


def test_what_is_given_in_two_ways_is_refused(tmp_path):
    with pytest.raises(fm.FixMatchError, match="batch_size is given twice, with --set and with --batch-size: leave out one"):
        recipe_of("digits", {"batch_size": 8}, ["batch_size=16"])
    for named in ("--seed 1 --set seed=2", "--method uda --set method=vat", "--set seed=2 --seed 0"):
        code, _, err = program("train", "digits", *named.split(), "--out", "run", cwd=tmp_path)
        assert code == 1 and "is given twice" in err and not (tmp_path / "run").exists()


# Data --------------------------------------------------------------------------------------------------------------

def test_lists_of_numbers_from_arrays_reach_the_files(digits, tmp_path):
    for numbers in (np.array(digits.labeled_indices), torch.tensor(digits.labeled_indices)):
        data = dataclasses.replace(digits, name="mine", drawn=None, labeled_indices=list(numbers), flip=np.bool_(True),
                                   class_names=list(np.arange(10)))
        assert data.labeled_indices == digits.labeled_indices and data.class_names == tuple(range(10)) and data.flip is True
    next(fm.runs.record(tmp_path / "run", small().changed(dataset="mine"), data, device="cpu"))
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["class_names"] == list(range(10))


def test_a_column_of_a_table_becomes_plain(digits):
    pandas = pytest.importorskip("pandas")
    column = pandas.Series(digits.labeled_indices, index=range(100, 100 + len(digits.x)))
    data = dataclasses.replace(digits, drawn=None, labeled_indices=column, flip=0, class_names=pandas.Index(list("abcdefghij")))
    assert data.labeled_indices == digits.labeled_indices and data.class_names == tuple("abcdefghij") and data.flip is False


def test_whether_to_mirror_is_no_word():
    with pytest.raises(fm.FixMatchError, match="flip = 'no' is not possible; flip must be True or False"):
        fm.load_data("digits", flip="no")


@pytest.mark.parametrize("images, targets, told", [
    (lambda x: x, lambda y: y[:, None], r"classes must be int64 \(500,\), .* this is int64 \(500, 1\)"), (lambda x: x[:0], lambda y: y[:0], "no image"),
    (lambda x: x, lambda y: y[:9], r"this is int64 \(9,\)"), (lambda x: x, lambda y: y.numpy(), "a torch tensor, .* ndarray"),
    (lambda x: x.numpy(), lambda y: y, "a torch tensor; .* ndarray")])
def test_an_accuracy_is_of_one_class_an_image(digits, images, targets, told):
    net = fm.WideResNet(10, 1, in_channels=1)
    with pytest.raises(fm.FixMatchError, match=told):
        evaluate(net, images(digits.x_test), targets(digits.y_test))
    assert evaluate(net, digits.x_test, digits.y_test.int()) == evaluate(net, digits.x_test, digits.y_test)


@pytest.mark.parametrize("own", [(None,), (torch.zeros(4), 3), ("digits", None)])
def test_what_is_no_recipe_and_no_data_is_refused(digits, tmp_path, own):
    for given in ((small(), own[0]), (own[0], digits), (small(), own)):
        for train in (lambda *a: fm.fit(*a, device="cpu"), lambda *a: next(fm.runs.record(tmp_path / "run", *a, device="cpu"))):
            with pytest.raises(fm.FixMatchError, match="takes a recipe and then the data, .* of the types"):
                train(*given)
    assert not (tmp_path / "run").exists()


# Parts of one's own ------------------------------------------------------------------------------------------------

VIEWS = {"floats": lambda u: u.float() / 255, "scaled": lambda u: u.to(torch.int16), "smaller": lambda u: u[..., :4],
         "fewer": lambda u: u[:2], "arrays": lambda u: u.numpy()}


@pytest.mark.parametrize("name", VIEWS)
def test_a_strong_view_is_of_the_kind_of_the_weak_one(digits, name):
    class Asks(Supervised):
        def loss(self, batch, run):
            run.strong(batch.x)
            return super().loss(batch, run)

    last = Strong(lambda u, generator=None: u, lambda u, generator=None: VIEWS[name](u))  # in the place of Cutout, which looks itself
    for method, views in ((None, "12"), (Asks(), "4")):
        with pytest.raises(fm.FixMatchError, match=rf"strong view must be uint8 \({views}, 1, 8, 8\), .* this is"):
            next(fm.fit(small(), digits, device="cpu", strong=last, method=method))


def test_streamed_pictures_ask_the_same_of_a_strong_view(tmp_path):
    for part in ("train", "val"):
        for k, kind in enumerate(("left", "right")):
            for n in range(3):
                picture(tmp_path / part / kind / f"{n}.png", kind, 9 * k + n)
    data = fm.load_data("imagenet", labels=None, root=tmp_path, image_size=16)
    recipe = fm.recipe("imagenet", labels=None, net="wide_resnet", depth=10, width=1, steps=1, batch_size=2, mu=1, eval_every=1)
    with pytest.raises(fm.FixMatchError, match=r"strong view must be uint8 \(2, 3, 16, 16\), .* this is float32"):
        next(fm.fit(recipe, data, device="cpu", strong=Strong(lambda u, generator=None: u, lambda u, generator=None: u / 255)))


class Holds(Consistency):
    """A method that keeps the net, or a part of it, to ask it on its own."""

    def __init__(self, part):
        super().__init__(FixMatch(0.3))
        self.part = part


@pytest.mark.parametrize("part", [lambda net: net, lambda net: net.layers[4]])
def test_a_net_that_its_method_holds_is_updated_once(digits, part):
    def train(made):
        torch.manual_seed(0)
        net = Small()
        training = fm.fit(small(), digits, device="cpu", net=net, method=made(net))
        list(training)
        return weights(training)

    assert_same(train(lambda net: Consistency(FixMatch(0.3))), train(lambda net: Holds(part(net))))
    net = Small()
    assert sum(map(len, decayed_and_not(net, Holds(part(net))))) == len([*net.parameters()])
    assert fm.fit(small(), digits, device="cpu", net=net, method=Holds(part(net)))._of_the_method == []  # of several processes: averaged once


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("method", ["fixmatch", "vat", "mixmatch", "mean_teacher"])
def test_a_frozen_batch_norm_stays_frozen_in_training(digits, method, mode):
    net = Small()
    norm = net.layers[1].requires_grad_(False).eval()
    seen, before = set(), norm.running_mean.clone()
    norm.register_forward_pre_hook(lambda norm, _: seen.add((norm.training, norm.track_running_stats)))
    if mode == "eval":
        net.eval()
    training = fm.fit(small(method=method), digits, device="cpu", net=net)
    next(training)
    training.model.eval()  # somebody predicts with it
    next(training)
    assert training.model.training and not norm.training and seen == {(False, True)} and torch.equal(norm.running_mean, before)


def test_what_is_only_in_evaluation_mode_trains(digits):
    """A net to be trained on comes in that mode, here inside of a new one."""
    body = fm.runs.load("digits-40-vat-seed0").model()
    training = fm.fit(small(), digits, device="cpu", net=nn.Sequential(body, nn.Dropout(0.1), nn.Linear(10, 10)))
    next(training)
    assert all(module.training for module in training.model.modules())


def test_a_frozen_body_keeps_its_dropout_off(digits):
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.Dropout(0.5)).requires_grad_(False).eval()
    training = fm.fit(small(), digits, device="cpu", net=nn.Sequential(body, nn.Linear(20, 10)))
    next(training)
    assert not any(module.training for module in body.modules()) and training.model[1].training


ANSWERS = {"tuple": lambda z: (z, z), "dict": lambda z: {"logits": z}, "list": lambda z: [z], "NoneType": lambda z: None,
           "ndarray": lambda z: z.detach().numpy(), "int64": lambda z: z.long()}


@pytest.mark.parametrize("kind", ANSWERS)
def test_logits_are_one_tensor(digits, kind):
    class Other(Small):
        def forward(self, images):
            return ANSWERS[kind](super().forward(images))

    with pytest.raises(fm.FixMatchError, match=rf"must give logits \(28, 10\), .* this is .*{kind}"):
        next(fm.fit(small(), digits, device="cpu", net=Other()))


def test_a_net_in_float64_is_refused(digits):
    with pytest.raises(fm.FixMatchError, match="The net is in float64, .*: give net.float"):
        fm.fit(small(), digits, device="cpu", net=Small().double())


LOSSES = {
    r"total of a Loss must be float \(\), .* float32 \(1,\)": lambda loss: {"total": loss.total[None]},
    r"supervised of a Loss must be float \(\), .* type float": lambda loss: {"supervised": loss.supervised.item()},
    r"mask of a Loss must be float \(12,\), .* bool \(12,\)": lambda loss: {"mask": loss.mask.bool()},
    r"mask of a Loss must be float \(12,\), .* float32 \(3,\)": lambda loss: {"mask": loss.mask[:3]},
    "must have a pseudo_label for each of 12 unlabeled": lambda loss: {"pseudo_label": loss.pseudo_label[:3]},
    "must have a pseudo_label for each of 12": lambda loss: {"pseudo_label": None},
    "a gradient trains nothing": lambda loss: {"total": loss.total.detach()},
}


@pytest.mark.parametrize("told", LOSSES)
def test_a_loss_holds_what_it_should(digits, told):
    class Other(Consistency):
        def loss(self, batch, run):
            loss = super().loss(batch, run)
            return loss._replace(**LOSSES[told](loss))

    with pytest.raises(fm.FixMatchError, match=told):
        next(fm.fit(small(), digits, device="cpu", method=Other(FixMatch(0.3))))


@pytest.mark.parametrize("forward", ["joint", "kept"])
def test_a_policy_answers_with_its_own_kind_of_tuple(digits, forward):
    class Plain(FixMatch):
        def forward(self, logits_u_weak, **known):
            return tuple(super().forward(logits_u_weak, **known))

    with pytest.raises(fm.FixMatchError, match=r"must answer with policies.PseudoLabels\(.*; this is of the type tuple"):
        next(fm.fit(small(), digits, device="cpu", method=Consistency(Plain(0.3), forward=forward)))
    with pytest.raises(fm.FixMatchError, match="of the type tuple"):
        losses.semi_supervised_loss(torch.zeros(2, 3), torch.zeros(2).long(), torch.zeros(4, 3), (1, 2, 3))


# What surrounds a training -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("around", [("cpu", torch.bfloat16, True), ("cpu", torch.bfloat16, False), ("cuda", torch.float16, True)])
@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_a_surrounding_autocast_changes_nothing(digits, precision, around):
    device, dtype, enabled = around
    alone, inside = (fm.fit(small(precision=precision), digits, device="cpu") for _ in range(2))
    list(alone)
    with torch.autocast(device, dtype=dtype, enabled=enabled):
        list(inside)
    assert_same(weights(alone), weights(inside))


def test_an_evaluation_in_an_autocast_sees_new_weights(digits):
    net = fm.runs.load("digits-40-vat-seed0").model()
    measure = lambda: fm.training.evaluate(net, digits.x_test, digits.y_test, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        before = measure()
        with torch.no_grad():
            net.classifier.weight.zero_()
        assert measure() < before


def test_a_surrounding_autocast_changes_no_label(trained, pets):  # noqa: F811
    run = fm.runs.load(trained[0])
    alone = list(label_pictures(run, pets, device="cpu"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert list(label_pictures(run, pets, device="cpu")) == alone


def test_without_gradients_nothing_is_trained(digits):
    with torch.no_grad(), pytest.raises(fm.FixMatchError, match="must not run in torch.no_grad"):
        next(fm.fit(small(), digits, device="cpu"))
    training = fm.fit(small(), digits, device="cpu")
    with torch.inference_mode(), pytest.raises(fm.FixMatchError, match="must not run in .*torch.inference_mode"):
        next(training)
    with torch.inference_mode(), pytest.raises(fm.FixMatchError, match="inference_mode.. can never learn"):
        fm.fit(small(), digits, device="cpu")


def test_another_default_dtype_is_refused_or_makes_no_difference(digits, trained, pets):  # noqa: F811
    run = fm.runs.load(trained[0])

    def views():
        return [augment(digits.u[:64], generator=torch.Generator().manual_seed(0)) for augment in (fm.weak_augment, fm.RandAugment(), fm.Cutout())]

    before, labels = views(), list(label_pictures(run, pets, device="cpu"))
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(fm.FixMatchError, match=r"float64 now, .* call torch.set_default_dtype\(torch.float32\) first"):
            fm.fit(small(), digits, device="cpu")
        assert all(map(torch.equal, before, views())) and list(label_pictures(run, pets, device="cpu")) == labels
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("method", ["fixmatch", "remixmatch", "simclr", "mean_teacher"])
def test_torchs_own_generator_stays_where_it_is(digits, trained, method):  # noqa: F811
    assert method == "fixmatch" or method in METHODS
    before = torch.get_rng_state()
    next(fm.fit(small(method=method), digits, device="cpu"))
    fm.runs.load(trained[0]).model()
    assert torch.equal(torch.get_rng_state(), before)


# Files -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["metrics.jsonl", "confidence.jsonl", "checkpoint.safetensors"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_file_that_is_no_runs_is_not_written_over(digits, tmp_path, name, resume):
    (tmp_path / name).write_text("precious")
    with pytest.raises(fm.FixMatchError, match=f"holds a {name} that is not part of a run: choose another folder"):
        next(fm.runs.record(tmp_path, small(), digits, device="cpu", resume=resume))
    assert (tmp_path / name).read_text() == "precious" and len([*tmp_path.iterdir()]) == 1


def test_a_damaged_log_beside_a_checkpoint_is_named(digits, tmp_path):
    next(fm.runs.record(tmp_path, small(), digits, device="cpu"))
    log = tmp_path / "metrics.jsonl"
    log.write_text("x" + log.read_text())
    with pytest.raises(fm.FixMatchError, match="metrics.jsonl has a line that is not a run's .*: take it out, and resume again"):
        next(fm.runs.record(tmp_path, small(), digits, device="cpu", resume=True))


@pytest.mark.parametrize("path, told", [(None, "by its folder or its name; this is of the type NoneType"), (3, "of the type int"),
                                        (__file__, "There is no run in")])
def test_what_is_no_run_is_not_loaded(path, told):
    with pytest.raises(fm.FixMatchError, match=told):
        fm.runs.load(path)


def test_a_class_with_a_comma_is_not_cut_short(pets, tmp_path):  # noqa: F811
    def read(text):
        (tmp_path / "l.csv").write_text(text)
        return {path.name: kind for path, kind in read_labels(tmp_path / "l.csv", pets)[0].items()}

    with pytest.raises(fm.FixMatchError, match="Line 2 of .* has 3 cells, and the first line names 2 columns: put a class with a comma in quotes"):
        read("path,class\nall/00.png,left, upper\n")
    assert read('path,class\nall/00.png,"left, upper"\nall/01.png,b,,\n') == {"00.png": "left, upper", "01.png": "b"}
    assert read("path;class\nall/00.png;left, upper\n") == {"00.png": "left, upper"}


def test_a_name_may_hold_any_end_of_a_line(tmp_path):
    names = ["a\rb.png", "a\nb.png", "a\r\nb.png", "ab.png"]
    for k, name in enumerate(names):
        picture(tmp_path / name, "left", k)
    write_labels(tmp_path / "l.csv", [(name, f"kind {k}", 1) for k, name in enumerate(names)])
    assert read_labels(tmp_path / "l.csv", tmp_path)[0] == {tmp_path / name: f"kind {k}" for k, name in enumerate(names)}
    for end in ("\r", "\r\n", "\n"):
        (tmp_path / "l.csv").write_bytes(f"path,class{end}ab.png,left{end}".encode())
        assert read_labels(tmp_path / "l.csv", tmp_path)[0] == {tmp_path / "ab.png": "left"}


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_to_measure_a_run_again_its_test_pictures_are_read_alone(tmp_path, monkeypatch, mode):
    """Those are all gray here, and the others are as `mode` says."""
    for k in range(12):
        noise = Image.fromarray(np.random.default_rng(k).integers(0, 256, (12, 12, 3)).astype(np.uint8))
        part, kind = ("test" if k < 4 else "train" if k < 8 else "unlabeled"), "ab"[k % 2]
        path = tmp_path / part / (kind if part != "unlabeled" else "") / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise.convert("L" if part == "test" else mode).save(path)
    data = fm.load_data("folder", labels=None, root=tmp_path)
    recipe = fm.recipe("folder", steps=2, eval_every=2, batch_size=4, mu=1, width=1, depth=10)
    *_, last = fm.runs.record(tmp_path / "run", recipe, data, device="cpu")
    opened, read = [], pictures.open_picture
    monkeypatch.setattr(pictures, "open_picture", lambda path, cover=None: opened.append(path) or read(path, cover))
    monkeypatch.setattr(folders, "read_all", lambda paths, *more: opened.extend(paths) or pictures.read_all(paths, *more))
    rows = measure_again(fm.runs.load(tmp_path / "run"), root=tmp_path, device="cpu")
    assert {path.parent.parent.name for path in opened} == {"test"}
    assert data.channels == (3 if mode == "RGB" else 1)
    assert sum(right for _, right, _ in rows) / sum(count for *_, count in rows) == last.test_accuracy


def test_a_run_on_somebodys_own_data_says_how_to_measure_it(digits, tmp_path):
    data = dataclasses.replace(digits, name="mine", drawn=None)
    list(fm.runs.record(tmp_path / "run", small().changed(dataset="mine"), data, device="cpu"))
    code, _, err = program("evaluate", tmp_path / "run", "--device", "cpu", cwd=tmp_path)
    assert code == 1 and "data of somebody's own, mine" in err and "--test FOLDER" in err and "fm.training.evaluate(run.model()" in err


def test_large_pictures_are_read_in_threads_and_in_their_order(tmp_path, monkeypatch):
    paths, threads = [], []
    for k in range(8):
        paths.append(tmp_path / f"{k}.png")
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (90, 90, 3)).astype(np.uint8)).save(paths[-1])
    paths[3].write_bytes(b"\x89PNG" + bytes(20_000))
    pool = pictures.ThreadPoolExecutor
    monkeypatch.setattr(pictures, "ThreadPoolExecutor", lambda *a: threads.append(1) or pool(*a))
    together, reasons = read_pictures(paths, (3, 16, 16))
    assert threads and [k for k, reason in enumerate(reasons) if reason] == [3] and isinstance(reasons[3], str)
    monkeypatch.setattr(pictures, "_in_threads", lambda work, paths: [work(k) for k in range(len(paths))])
    one_by_one, again = read_pictures(paths, (3, 16, 16))
    assert torch.equal(together, one_by_one) and reasons == again and not together[3].any()


# Smaller ones ------------------------------------------------------------------------------------------------------

def test_no_operation_gives_a_batch_of_its_own(digits):
    out = fm.RandAugment(num_ops=0)(digits.u[:4])
    assert torch.equal(out, digits.u[:4]) and out.data_ptr() != digits.u.data_ptr()


@pytest.mark.parametrize("make, told", [
    (lambda: ShuffledIndices(0, torch.Generator()), "size = 0 is not possible"), (lambda: fm.WideResNet(10, 0), "width = 0 is not possible"),
    (lambda: fm.WideResNet(10, 1.5), "width = 1.5"), (lambda: fm.WideResNet("10", 1), "depth = '10'"), (lambda: fm.WideResNet(10, 1, 0), "num_classes = 0"),
    (lambda: fm.RandAugment(operations="Rotate"), r"in a tuple: \('Rotate',\) in place of 'Rotate'")])
def test_what_cannot_be_is_refused_in_a_sentence(make, told):
    with pytest.raises(fm.FixMatchError, match=told):
        make()


def blocks(root):
    return re.findall(r"```python\n(.*?)```", (root / "book" / "engine.md").read_text(), re.S)


def test_script_of_the_book_lays_what_is_transparent_on_white(root, tmp_path, monkeypatch):
    script, = (block for block in blocks(root) if "InferenceSession" in block)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    names = {"channels": 3, "height": 24, "width": 32}
    exec(script.split("session =")[0].replace("import onnxruntime\n", "") + script[script.index("picture = Image"):script.index("print(")]
         .replace("a.jpg", "a.png"), names)
    assert np.array_equal(names["pixels"], read_pictures([tmp_path / "a.png"], (3, 24, 32))[0].numpy())


def test_tensors_of_the_book_are_trained_on(root, tmp_path, monkeypatch, capsys):
    script, = (block for block in blocks(root) if "SemiSupervisedData" in block)
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["10", "20"]
    run = fm.runs.load(tmp_path / "runs" / "mine")
    assert run.done and run.recipe.flip is False and run.model() is not None
