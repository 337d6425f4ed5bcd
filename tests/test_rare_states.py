"""What happens seldom and must not pass in silence: an update that breaks the weights, a checkpoint that is gone, a file read
while it is written, one process of several that fails alone."""

import re
import sys
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from test_training import Small, small
from torch import nn

import fixmatch_lite as fm
from fixmatch_lite import cli, distributed, streaming, tensor_files, terminal, training_command
from fixmatch_lite.batches import make_strong
from fixmatch_lite.comparators.ctaugment import NAMES, CTAugment
from fixmatch_lite.errors import Busy, Diverged
from fixmatch_lite.health import EVALUATIONS, Health
from fixmatch_lite.metrics import Tally, accuracies, evaluate
from fixmatch_lite.models import batch_statistics
from fixmatch_lite.predicting import measure_again
from fixmatch_lite.recipes import METHODS


# Training ----------------------------------------------------------------------------------------------------------

class Breaks(Small):
    """A net whose weights one update after `step` makes infinite: the loss before it is finite."""

    def __init__(self, step):
        super().__init__()
        self.step, self.calls = step, 0

    def forward(self, x):
        if self.training:
            self.calls += 1
        out = super().forward(x)
        if self.training and self.calls == self.step:
            out.register_hook(lambda gradient: torch.full_like(gradient, float("nan")))
        return out


@pytest.mark.parametrize("step", [2, 6])  # the last update before an evaluation, and the last of the run
def test_weights_that_break_in_the_last_update_are_not_saved(digits, tmp_path, step):
    recipe = small(steps=6, eval_every=2, method="supervised")
    training = fm.fit(recipe, digits, device="cpu", checkpoint=tmp_path / "c", net=Breaks(step))
    with pytest.raises(Diverged, match=f"The weights stopped being finite before step {step}; try a smaller lr"):
        list(training)
    assert (tmp_path / "c").exists() == (step > 2)
    if step > 2:
        tensors, _ = tensor_files.read_tensors(tmp_path / "c")
        assert all(tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point())


@pytest.mark.parametrize("method", [name for name in METHODS if name != "mistaken"])
def test_a_steady_method_asks_for_no_progress(digits, method):
    """What asks for it cannot become a CUDA graph, so it must not say that it can."""
    training = fm.fit(small(method=method), digits, device="cpu")
    next(training)
    assert not (getattr(training.method, "steady", False) and training.asked_progress)


def test_uda_asks_for_the_progress_only_where_it_anneals(digits):
    for tsa, asks in (("none", False), ("linear", True)):
        training = fm.fit(small(method="uda", options={"tsa": tsa}), digits, device="cpu")
        next(training)
        assert training.asked_progress == asks


def test_a_warmup_ends_at_the_whole_rate():
    recipe = fm.recipe("cifar10", warmup=0.07, steps=100, lr=1.0)  # 0.07 * 100 is a little more than 7
    rates = [fm.training.learning_rate(recipe, step) for step in range(7)]
    assert rates == pytest.approx([(k + 1) / 7 for k in range(7)])
    assert fm.training.learning_rate(recipe.changed(warmup=1e-9), 0) == 1.0


def test_a_part_that_is_frozen_stays_frozen(digits):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(10)).train()
    net[1].eval()
    evaluate(net, digits.x_test[:10], digits.y_test[:10])
    assert net.training and net[0].training and not net[1].training
    with batch_statistics(net):
        assert net[1].training
    assert not net[1].training and net[1].track_running_stats


def test_pictures_are_read_once_for_both_nets(tmp_path, monkeypatch):
    for k in range(6):
        Image.new("RGB", (8, 8), (40 * k, 0, 0)).save(tmp_path / f"{k}.png")
    pictures, decoded = streaming.Pictures(sorted(tmp_path.iterdir()), 8), []
    original = streaming.Pictures.decoded
    monkeypatch.setattr(streaming.Pictures, "decoded", lambda self, *a, **k: decoded.append(len(self)) or original(self, *a, **k))
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(192, 2)) for _ in range(2)]
    targets = torch.tensor([0, 1, 0, 1, 0, 1])
    both = accuracies(nets, pictures, targets, batch_size=4)
    assert decoded == [4, 2]
    assert both == [evaluate(net, pictures, targets) for net in nets]


def test_what_is_counted_does_not_stand_still_at_a_number_that_float32_ends_at():
    tally, n = Tally(1, "cpu"), 2**23
    loss = SimpleNamespace(total=torch.tensor(0.0), supervised=torch.tensor(0.0), unsupervised=torch.tensor(0.0),
                           mask=torch.ones(n), pseudo_label=torch.zeros(n, dtype=torch.int64))
    for _ in range(4):
        tally.add(loss, torch.zeros(n, dtype=torch.int64))
    shares, _ = tally.read(fm.recipe("digits"), 4)
    assert shares["mask_rate"] == 1 and shares["pseudo_label_accuracy"] == 1


# Recipes and data --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("value", [0, 1, 0.0])
def test_an_alignment_that_is_a_number_is_refused(value):
    with pytest.raises(fm.FixMatchError, match="alignment = .* True, False or None"):
        fm.recipe("digits", method="softmatch", alignment=value)


def test_where_every_picture_is_labeled_nothing_is_said_of_pseudo_labels():
    data = fm.load_data("digits", labels=None)
    assert (data.u_true == -1).all()
    metrics = next(fm.fit(small(labels=None), data, device="cpu"))
    assert metrics.pseudo_label_accuracy is None and metrics.mask_rate is not None


def test_the_searched_and_the_learned_strong_view_fill_with_what_the_recipe_says():
    white = torch.full((200, 1, 8, 8), 255, dtype=torch.uint8)
    for augment in ("autoaugment", "ctaugment"):
        strong = make_strong(fm.recipe("digits", augment=augment, fill=7)).operations
        moves = [k for k, name in enumerate(getattr(strong, "names", NAMES)) if "ranslate" in name]
        assert moves
        if augment == "ctaugment":
            out = strong._operate(white, torch.full((200,), moves[0]), torch.ones(200, 2), torch.zeros(200, 2))
            square = strong._operate(white, torch.full((200,), NAMES.index("cutout")), torch.ones(200, 2), torch.full((200, 2), 0.5))
            assert set(square.unique().tolist()) == {7, 255}
        else:
            assert strong.fill == 7
            out = strong(white, generator=torch.Generator().manual_seed(0))
        assert (out == 7).any() and not (out == 127).any()
    plain = CTAugment()
    assert (plain.uncovered, plain.covered) == (0, 127)


@pytest.mark.parametrize("size, says", [((32, 48), "cut to squares"), (-5, "not possible"), (0, "not possible"), ("big", "not possible")])
def test_a_size_of_streamed_pictures_that_cannot_be_is_refused(tmp_path, size, says):
    for part in ("train", "val"):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / part / name / "0.png")
    with pytest.raises(fm.FixMatchError, match=says):
        fm.load_data("imagenet", labels=None, root=tmp_path, image_size=size)
    assert fm.load_data("imagenet", labels=None, root=tmp_path, image_size=(16, 16)).x.shape[-1] == 16


def test_a_run_of_streamed_pictures_is_measured_at_the_size_that_it_learned(tmp_path):
    for part in ("train", "val"):
        for k, name in enumerate("ab"):
            (tmp_path / part / name).mkdir(parents=True)
            for n in range(3):
                Image.new("RGB", (40, 40), (200 * k, 9 * n, 0)).save(tmp_path / part / name / f"{n}.png")
    data = fm.load_data("imagenet", labels=None, root=tmp_path, image_size=32)
    recipe = fm.recipe("imagenet", labels=None, method="supervised", net="wide_resnet", depth=10, width=1, steps=1, batch_size=2,
                       eval_every=1, augment="none")
    metrics = list(fm.runs.record(tmp_path / "run", recipe, data, device="cpu"))
    rows = measure_again(fm.runs.load(tmp_path / "run"), root=tmp_path, device="cpu")
    assert sum(right for _, right, _ in rows) / sum(count for *_, count in rows) == metrics[-1].test_accuracy


def test_more_bits_than_there_are_keep_the_picture():
    images = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8)
    assert torch.equal(fm.augment.apply("Posterize", images, 9), images)


# Files -------------------------------------------------------------------------------------------------------------

def test_a_run_whose_checkpoint_is_gone_keeps_its_log(digits, tmp_path):
    run = fm.runs.record(tmp_path / "run", small(), digits, device="cpu")
    next(run), run.close()
    (tmp_path / "run" / fm.runs.CHECKPOINT).unlink()
    before = (tmp_path / "run" / fm.runs.METRICS).read_text()
    with pytest.raises(fm.FixMatchError, match="its checkpoint is gone"):
        next(fm.runs.record(tmp_path / "run", small(), digits, device="cpu", resume=True))
    assert (tmp_path / "run" / fm.runs.METRICS).read_text() == before and before


def test_who_reads_while_a_run_writes_gets_the_newer_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_files, "LIMIT", 1000)
    path = tmp_path / "t"
    tensors = lambda value: {name: torch.full((200,), value) for name in "abc"}
    tensor_files.write_tensors(path, tensors(1.0), {"step": 1})
    original, newer = tensor_files._unpacked, iter([True])

    def unpacked(content):
        if next(newer, False):  # the main file is read; before its parts are, the run goes on
            tensor_files.write_tensors(path, tensors(2.0), {"step": 2})
        return original(content)

    monkeypatch.setattr(tensor_files, "_unpacked", unpacked)
    found, state = tensor_files.read_tensors(path)
    assert state["step"] == 2 and all((found[name] == 2).all() for name in "abc")
    tensor_files.parts_of(path)[0].unlink()
    with pytest.raises(ValueError, match="is missing or cut short"):
        tensor_files.read_tensors(path)


def test_parts_of_a_file_with_brackets_in_its_name_are_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_files, "LIMIT", 1000)
    for value in (1.0, 2.0, 3.0):
        for name in ("run[1]", "run1"):
            tensor_files.write_tensors(tmp_path / name, {k: torch.full((200,), value) for k in "ab"}, {})
    assert len(list(tmp_path.iterdir())) == 4, "two files and one part of each"
    for name in ("run[1]", "run1"):
        assert (tensor_files.read_tensors(tmp_path / name)[0]["b"] == 3).all()


def test_who_waits_for_a_folder_can_tell_it_from_other_errors(tmp_path):
    def busy():
        raise Busy("Somebody works here: wait.")

    with pytest.raises(Busy):
        distributed.agree(busy)


# What a run says ---------------------------------------------------------------------------------------------------

def advice(method, mask_rate, right, steps=100, options=None):
    health = Health(fm.recipe("digits", method=method, steps=steps, **({"options": options} if options else {})), [4] * 10)
    told = []
    for k in range(EVALUATIONS + 1):
        told += health(fm.training.Metrics(
            step=30 + k, loss=1, loss_supervised=1, loss_unsupervised=0, mask_rate=mask_rate, pseudo_label_accuracy=right,
            mask_rate_per_class=None, pseudo_label_accuracy_per_class=None, test_accuracy=0.5, test_accuracy_raw=0.5, lr=0.1,
            images_per_second=1, seconds=1))
    return " ".join(told)


@pytest.mark.parametrize("method", ["mixmatch", "pi_model", "mean_teacher", "vat", "remixmatch", "freematch", "softmatch"])
def test_nobody_is_told_to_turn_a_threshold_that_the_method_does_not_ask(method):
    kept, wrong = advice(method, 0.0, None), advice(method, 0.9, 0.3)
    assert "No unlabeled picture counts" in kept and "Try more steps or more labels, and look" in kept and "tau" not in kept
    assert "sure of its mistakes. Try a smaller lr, more labels, or labeled pictures" in wrong and "tau" not in wrong


@pytest.mark.parametrize("method", ["fixmatch", "uda", "flexmatch", "pseudo_label"])
def test_who_has_a_threshold_is_told_to_turn_it(method):
    assert re.search("reaches the confidence of 0.*Try a smaller tau, more steps, or", advice(method, 0.0, None))
    assert "Try a larger tau, a smaller lr" in advice(method, 0.9, 0.3)


def test_self_training_is_not_blamed_for_its_first_round():
    assert "No unlabeled picture" not in advice("self_training", 0.0, None, options={"rounds": 2})
    assert "No unlabeled picture" in advice("self_training", 0.0, None, options={"rounds": 5})


def test_the_decay_that_is_advised_is_not_one():
    health = Health(fm.recipe("cifar10", steps=2**20, ema_decay=0.999995))
    metrics = [fm.training.Metrics(
        step=2**19 + k, loss=1, loss_supervised=1, loss_unsupervised=0, mask_rate=0.9, pseudo_label_accuracy=None,
        mask_rate_per_class=None, pseudo_label_accuracy_per_class=None, test_accuracy=0.3, test_accuracy_raw=0.9, lr=0.1,
        images_per_second=1, seconds=1) for k in range(EVALUATIONS)]
    told = " ".join(sentence for m in metrics for sentence in health(m))
    assert "--set ema_decay=0.99999)" in told


@pytest.mark.parametrize("error, says", [
    (RuntimeError("CUDA error"), "CUDA error"),                                  # a traceback
    (fm.FixMatchError("a.png cannot be read: take it out."), "Process 3: Error: a.png cannot be read"),
    (Diverged("The loss stopped being finite."), ""),                            # in all processes alike: process 0 says it
])
def test_a_process_that_fails_alone_says_so(digits, tmp_path, monkeypatch, capsys, error, says):
    def record(*arguments, **more):
        raise error
        yield

    monkeypatch.setattr(training_command, "record", record)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setattr(sys, "argv", ["fixmatch-lite", "train", "digits", "--steps", "2", "--out", str(tmp_path / "run"), "--quiet"])
    with pytest.raises((SystemExit, RuntimeError)) as caught:
        cli.main()
    told = capsys.readouterr().err + (str(caught.value) if caught.type is RuntimeError else "")
    assert says in told and (says or not told.strip())
    assert caught.type is RuntimeError or caught.value.code == 1


def test_what_all_processes_meet_one_says(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "3")
    for words in (["train", "digits", "--labels", "5"], ["train", "--nonsense"]):
        monkeypatch.setattr(sys, "argv", ["fixmatch-lite", *words, "--out", str(tmp_path / "run")])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert caught.value.code and capsys.readouterr().err.strip() == ""


def test_after_a_stop_on_several_machines_no_wrong_command_is_named(tmp_path, monkeypatch):
    recipe = fm.recipe("digits")
    monkeypatch.setattr(distributed, "world_size", lambda: 16)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert "torchrun --nproc-per-node=16 -m" in terminal.stopped(tmp_path, recipe, ["train", "digits"])
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert terminal.stopped(tmp_path, recipe, ["train"]).endswith("Go on with: the same torchrun command on every machine, with --resume")


def test_another_launcher_is_no_torchrun(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    for name, value in {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert distributed.start("cpu") == "cpu"
