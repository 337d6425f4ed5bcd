"""The comparators as a user meets them: by name, on any data, stopped and resumed, and refused where they cannot be."""

import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import typer
from comparators_kit import tiny_data

import fixmatch_lite as fm
from fixmatch_lite import cli, comparators
from fixmatch_lite.captured import CapturedStep, may_capture
from fixmatch_lite.methods import Consistency, Supervised, make_method
from fixmatch_lite.models import make_net
from fixmatch_lite.recipes import METHODS, options_of

NAMES = sorted(comparators.METHODS)
ALIGNABLE = {"fixmatch", "uda", "remixmatch", "softmatch"}


def short(**changes):
    quick = {"steps": 12, "eval_every": 3, "batch_size": 8, "mu": 2, "precision": "float32"}
    return fm.recipe("digits", **quick | changes)


def state(training):
    rooms = (("ema", training.ema_model.module), ("raw", training.model), ("method", training.method))
    return {f"{room}.{k}": v.clone() for room, module in rooms for k, v in module.state_dict().items()}


# By name -----------------------------------------------------------------------------------------------------------

def test_the_table_holds_what_the_book_promises():
    assert set(NAMES) == {"pi_model", "mean_teacher", "pseudo_label", "mixmatch", "uda", "remixmatch", "flexmatch",
                          "freematch", "softmatch", "self_training", "simclr", "vat", "mistaken"}


@pytest.mark.parametrize("method, own", [
    ("fixmatch", (0.95, 1, 7)), ("pi_model", (0.95, 10, 1)), ("mean_teacher", (0.95, 50, 1)),
    ("pseudo_label", (0.95, 1, 1)), ("self_training", (0.95, 1, 1)), ("mixmatch", (0.95, 75, 1)), ("remixmatch", (0.95, 1.5, 1)),
    ("vat", (0.95, 0.3, 1)), ("uda", (0.8, 1, 7)), ("flexmatch", (0.95, 1, 7)),
    ("freematch", (0.95, 1, 7)), ("softmatch", (0.95, 1, 7)), ("simclr", (0.95, 1, 7))])
def test_a_method_brings_its_own_values_and_yields_to_the_user(method, own):
    recipe = fm.recipe("cifar10", method=method)
    assert (recipe.tau, recipe.lambda_u, recipe.mu) == own
    recipe = fm.recipe("cifar10", method=method, tau=0.5, lambda_u=3.0, mu=2)
    assert (recipe.tau, recipe.lambda_u, recipe.mu) == (0.5, 3.0, 2)


def test_methods_without_strong_views_learn_digits_at_the_papers_rate():
    weak = {"supervised", "pi_model", "mean_teacher", "pseudo_label", "self_training"}
    for method in METHODS:
        assert fm.recipe("digits", method=method).lr == (0.03 if method in weak else 0.2)
        assert fm.recipe("digits", method=method, lr=0.1).lr == 0.1 and fm.recipe("cifar10", method=method).lr == 0.03


@pytest.mark.parametrize("method, options", [
    ("uda", {"temperature": 0.4, "tsa": "none"}), ("flexmatch", {"warm_up": True}), ("pi_model", {"ramp": 0.4}),
    ("mean_teacher", {"ramp": 0.4}), ("pseudo_label", {"ramp": 0.4}),
    ("vat", {"epsilon": None, "entropy": 0.06, "ramp": 0.4}),
    ("mixmatch", {"temperature": 0.5, "alpha": 0.75, "views": 2, "ramp": None}),
    ("remixmatch", {"temperature": 0.5, "alpha": 0.75, "views": 2, "ramp": None, "lambda_1": 0.5, "lambda_r": 0.5}),
    ("freematch", {"lambda_f": 0.001, "decay": None, "clip": None}), ("softmatch", {"decay": None})])
def test_options_and_their_defaults(method, options):
    assert options_of(method) == options
    told = f"The method {method} has no option 'speed'; it has {next(iter(options))}"
    with pytest.raises(fm.FixMatchError, match=told):
        fm.recipe("digits", method=method, options={"speed": 1})


def test_statistics_forget_as_fast_as_the_moving_average_unless_told_otherwise():
    data = tiny_data()
    for method in ("freematch", "softmatch"):
        rate = lambda **changes: make_method(fm.recipe("digits", method=method, **changes), data).policy.decay
        assert (rate(), rate(ema_decay=0.5), rate(options={"decay": 0.25})) == (0.99, 0.5, 0.25)
        assert fm.recipe("cifar10", method=method).ema_decay == 0.999


@pytest.mark.parametrize("method", ["mixmatch", "remixmatch"])
def test_ramp_of_the_mixing_methods_is_the_papers_in_steps_and_short_runs_take_two_fifths(method):
    share = lambda **changes: make_method(fm.recipe("cifar10", method=method, labels=None, **changes), tiny_data()).ramp
    assert share() == 1 / 64 and share(steps=2**17) == 1 / 8 and share(steps=20_000) == share(steps=100) == 0.4
    assert share(options={"ramp": 0.25}) == 0.25 and share(options={"ramp": 0.0}) == 0


@pytest.mark.parametrize("method", ["fixmatch", "supervised", *NAMES])
def test_alignment_is_refused_where_it_means_nothing(method):
    fm.recipe("digits", method=method, alignment=False)
    if method in ALIGNABLE:
        fm.recipe("digits", method=method, alignment=True)
    else:
        told = f"must be None or False with the method {method}: only fixmatch, remixmatch, softmatch and uda"
        with pytest.raises(fm.FixMatchError, match=f"alignment = True is not possible; alignment {told}"):
            fm.recipe("digits", method=method, alignment=True)


def test_alignment_is_what_the_method_does_unless_told_otherwise():
    aligned = lambda method, alignment: any(
        "p_model" in name for name in make_method(short(method=method, alignment=alignment), tiny_data()).state_dict())
    for method, habit in (("fixmatch", False), ("uda", False), ("remixmatch", True)):
        assert [aligned(method, choice) for choice in (None, True, False)] == [habit, True, False]
    uniform = lambda choice: make_method(short(method="softmatch", alignment=choice), tiny_data()).policy.align
    assert [uniform(choice) for choice in (None, True, False)] == [True, True, False]


@pytest.mark.parametrize("method, ways", [
    ("pi_model", ["joint", "separate"]), ("mean_teacher", ["joint"]), ("pseudo_label", ["joint"]),
    ("mixmatch", ["joint"]), ("remixmatch", ["joint"]), ("vat", ["joint"]),
    *((name, ["joint", "separate", "kept"]) for name in ("uda", "flexmatch", "freematch", "softmatch"))])
def test_ways_of_the_forward_pass(method, ways, digits):
    for forward in ("joint", "separate", "kept"):
        if forward in ways:
            metrics = next(fm.fit(short(method=method, forward=forward, steps=2, eval_every=2), digits, device="cpu"))
            assert math.isfinite(metrics.loss)
        else:
            with pytest.raises(fm.FixMatchError, match=f"forward must be {' or '.join(ways)} with the method {method}"):
                short(method=method, forward=forward)


def test_kept_views_give_the_loss_of_all_views(digits):
    """Without batch norm's influence the two would be equal; in evaluation mode there is none."""
    for method in ("uda", "flexmatch", "freematch", "softmatch"):
        totals = []
        for forward in ("separate", "kept"):
            training = fm.fit(short(method=method, forward=forward, tau=0.11), digits, device="cpu")
            batch = training.batches.next(training.method.views)
            training.model.eval()
            loss = training.method.loss(batch, training)
            totals.append(loss.total.item())
        assert totals[0] == pytest.approx(totals[1], rel=1e-5) and loss.mask.sum() > 0


@pytest.mark.parametrize("method", NAMES)
def test_command_line_trains_it(method, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = f"train digits --method {method} --steps 4 --batch-size 4 --device cpu --quiet --out run".split()
    monkeypatch.setattr(sys, "argv", ["fixmatch-lite", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code and capsys.readouterr().out
    run = fm.runs.load(tmp_path / "run")
    assert run.done and run.recipe.method == method
    assert run.recipe.lambda_u == fm.recipe("digits", method=method).lambda_u


def test_program_trains_one_and_its_help_names_them_all(tmp_path):
    words = "train digits --method flexmatch --steps 4 --batch-size 4".split()
    subprocess.run([sys.executable, "-m", "fixmatch_lite", *words], cwd=tmp_path, check=True, capture_output=True,
                   timeout=100)
    (option,) = [p for p in typer.main.get_command(cli.app).commands["train"].params if p.name == "method"]
    assert all(name in option.help for name in METHODS)


# On any data -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("shape", [
    {"classes": 2, "channels": 1, "height": 8, "width": 8}, {"classes": 3, "channels": 3, "height": 8, "width": 12}])
def test_T37_two_classes_one_channel_and_oblong_color_with_few_labels(method, shape):
    """Three labels with batches of 5, and 15 unlabeled images a step from a set of 12: some come twice."""
    data = tiny_data(size=12, labels=3, **shape)
    for changes in ({}, {"alignment": True}) if method in ALIGNABLE else ({},):
        recipe = short(method=method, labels=None, steps=3, batch_size=5, mu=3, tau=0.6, **changes)
        (metrics,) = fm.fit(recipe, data, device="cpu")
        assert math.isfinite(metrics.loss)
        assert metrics.mask_rate is None if method == "simclr" else 0 <= metrics.mask_rate <= 1
    (metrics,) = fm.fit(recipe.changed(batch_size=1, mu=1), data, device="cpu")
    assert math.isfinite(metrics.loss)


@pytest.mark.parametrize("method", [name for name in NAMES if name != "simclr"])  # it has no pseudo-labels
def test_metrics_mean_what_they_say(method, digits):
    """A method without a threshold counts every image; the pseudo-labels of all are compared with the truth."""
    own = {"options": {"rounds": 12}} if method == "self_training" else {}  # a round at every step
    metrics = next(fm.fit(short(method=method, tau=0.12, **own), digits, device="cpu"))
    if method in ("pi_model", "mean_teacher", "mixmatch", "remixmatch", "vat"):
        assert metrics.mask_rate == 1
    assert 0 < metrics.mask_rate <= 1 and 0 <= metrics.pseudo_label_accuracy < 1
    assert sum(metrics.mask_rate_per_class) == pytest.approx(metrics.mask_rate)


@pytest.mark.parametrize("method", NAMES)
def test_unlabeled_images_matter_and_the_truth_about_them_does_not(method, digits):
    ends = []
    for data in (digits, replace(digits, u_true=digits.u_true.flip(0)), replace(digits, u=255 - digits.u)):
        training = fm.fit(short(method=method, tau=0.12, steps=3), data, device="cpu")
        list(training)
        ends.append(state(training)["raw.stem.weight"])
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def test_guessing_leaves_no_trace_in_the_running_statistics(digits):
    """MixMatch, ReMixMatch and VAT: what evaluation uses are the statistics of the images learned from, one pass a step."""
    for method in ("mixmatch", "remixmatch", "vat"):
        training = fm.fit(short(method=method), digits, device="cpu")
        training._train_step()
        assert training.model.norm.num_batches_tracked == 1 and training.model.training
        assert all(m.track_running_stats for m in training.model.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_rotation_head_learns_and_is_not_in_the_net(digits):
    training = fm.fit(short(method="remixmatch", mu=1), digits, device="cpu")
    before = training.method.head.weight.clone()
    next(training)
    assert not torch.equal(training.method.head.weight, before)
    assert not [name for name in training.model.state_dict() if "head" in name]


def test_rotation_head_fits_a_net_of_four_groups():
    recipe = short(method="remixmatch", labels=None, groups=4, depth=13, steps=1)
    (metrics,) = fm.fit(recipe, tiny_data(height=16, width=16), device="cpu")
    assert math.isfinite(metrics.loss)


@pytest.mark.parametrize("method, option, value, wanted", [
    ("mixmatch", "views", 0, "a whole number"), ("remixmatch", "views", 1.5, "a whole number"),
    ("mixmatch", "alpha", 0, "a number above 0"), ("uda", "temperature", "cold", "a number above 0"),
    ("uda", "tsa", "square", "one of none, linear, exp, log"), ("pi_model", "ramp", 1.5, "a share of the steps"),
    ("pi_model", "ramp", None, "a share"), ("flexmatch", "warm_up", 1, "True or False"),
    ("freematch", "clip", 0, "a probability"), ("softmatch", "decay", 2, "a number in"),
    ("remixmatch", "lambda_r", -1, "a number, at least 0"), ("vat", "epsilon", float("inf"), "a number above 0")])
def test_values_that_an_option_cannot_have_are_refused(method, option, value, wanted):
    told = f"^{option} = {value!r} is not possible; with {method} it must be {wanted}"
    with pytest.raises(fm.FixMatchError, match=told):
        short(method=method, options={option: value})


def test_every_option_has_its_rule_and_its_default_keeps_it():
    for method in NAMES:
        options = options_of(method)
        assert short(method=method, options=options).options == options
        assert all(default is None or comparators.OPTIONS[name][1](default) for name, default in options.items())


# Stopped and resumed -----------------------------------------------------------------------------------------------

QUICK = {"decay": 0.5}  # statistics that move within twelve steps
OWN = {"freematch": {"options": QUICK}, "softmatch": {"options": QUICK}, "self_training": {"ema_decay": 0.0, "bn_momentum": 0.5}}
CASES = [{"method": name, **OWN.get(name, {})} for name in NAMES] + [
    {"method": "fixmatch", "alignment": True}, {"method": "uda", "alignment": True, "options": {"tsa": "linear"}},
    {"method": "remixmatch", "alignment": False, "options": {"views": 1}},
    {"method": "mixmatch", "options": {"views": 3}},
    {"method": "flexmatch", "options": {"warm_up": False}, "forward": "kept"},
    {"method": "freematch", "options": {"clip": 0.3, **QUICK}},
    {"method": "softmatch", "alignment": False, "options": QUICK},
    {"method": "pi_model", "forward": "separate"},
    *({"method": "mistaken", "options": {"mistake": name}} for name in ("kept_mean", "apart", "frozen"))]
ALIGNMENT = {"p_model", "p_data", "position"}
STATE = {"flexmatch": {"policy.guessed", "policy.counts"}, "freematch": {"policy.tau", "policy.p", "policy.h"},
         "softmatch": {"policy.mean", "policy.variance", "policy.p_model"},
         "self_training": {"weight", "target", "confidence"},
         "simclr": {f"head.{layer}.{name}" for layer in (0, 2) for name in ("weight", "bias")},
         "remixmatch": {"head.weight", "head.bias", *(f"align.{name}" for name in ALIGNMENT)}}


def expected_state(changes):
    """What a case must remember, by name."""
    if changes["method"] in ("fixmatch", "uda") and changes.get("alignment"):
        return {f"policy.align.{name}" for name in ALIGNMENT}
    left_out = ("align.", "policy.p_model") if changes.get("alignment") is False else ()
    return {name for name in STATE.get(changes["method"], ()) if not name.startswith(left_out)}


@pytest.mark.parametrize("changes", CASES, ids=lambda case: "-".join(str(v) for v in case.values()))
def test_T33_resumed_run_is_bit_for_bit_the_same(digits, tmp_path, changes):
    recipe = short(tau=0.3, **changes)
    digits = replace(digits, u=digits.u[:40], u_true=digits.u_true[:40])  # every image comes five times
    whole = fm.fit(recipe, digits, device="cpu")
    fresh = state(whole)
    metrics = list(whole)
    remembered = {k[7:] for k, v in state(whole).items() if k.startswith("method.") and not torch.equal(v, fresh[k])}
    assert remembered == expected_state(changes) == set(whole.method.state_dict())
    if isinstance(whole.method, Consistency) and changes["method"] != "mistaken":
        assert 0 < metrics[-1].mask_rate < 1, "some count and some do not, so what is remembered matters"
    path = tmp_path / "checkpoint.safetensors"
    interrupted = fm.fit(recipe, digits, device="cpu", checkpoint=path)
    next(interrupted), next(interrupted)
    torch.randn(10), interrupted._train_step()  # work after the checkpoint that is lost
    resumed = fm.fit(recipe, digits, device="cpu", checkpoint=path, resume=True)
    assert resumed.step == 6
    rest = list(resumed)
    first, second = state(whole), state(resumed)
    assert first.keys() == second.keys() and not [k for k in first if not torch.equal(first[k], second[k])]
    timeless = lambda m: {k: v for k, v in m.as_dict().items() if k not in ("seconds", "images_per_second")}
    assert [timeless(m) for m in rest] == [timeless(m) for m in metrics[2:]]


def test_a_checkpoint_of_other_options_is_refused(digits, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    next(fm.fit(short(method="uda"), digits, device="cpu", checkpoint=path))
    with pytest.raises(fm.FixMatchError, match="another recipe: options"):
        fm.fit(short(method="uda", options={"tsa": "log"}), digits, device="cpu", checkpoint=path, resume=True)


def test_T31_what_a_policy_remembers_is_float32_or_whole(digits):
    for case in CASES:
        training = fm.fit(short(precision="bfloat16", **case), digits, device="cpu")
        training._train_step()
        assert {v.dtype for v in training.method.state_dict().values()} <= {torch.float32, torch.int64}


# On a GPU ----------------------------------------------------------------------------------------------------------

ON_GPU = CASES + [{"augment": name} for name in comparators.AUGMENTATIONS]


@pytest.mark.gpu
@pytest.mark.parametrize("changes", [case for case in ON_GPU if case.get("forward") != "kept"],
                         ids=lambda case: "-".join(str(v) for v in case.values()))
def test_no_step_waits_for_the_device(digits, changes):
    training = fm.fit(short(**changes), digits, device="cuda", compile=False)
    training._train_step()  # the first one fills caches
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        training._train_step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize("changes", ON_GPU, ids=lambda case: "-".join(str(v) for v in case.values()))
def test_a_recorded_step_is_the_step(digits, changes, monkeypatch):
    """The graph draws the same numbers, sees the same images and learns the same as one operation after another. At a low
    rate, and by kernels that add in a fixed order: at 0.2 nine steps blow up what rounding leaves."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    plain, recorded = (fm.fit(short(lr=0.01, **changes), digits, device="cuda", compile=False) for _ in range(2))
    if not getattr(plain.method, "steady", False):
        assert not may_capture(plain, 10**6, True)
        return
    assert may_capture(plain, 0, True) and not may_capture(plain, 10**6, False)
    recorded._captured = CapturedStep(recorded)
    for _ in range(9):
        plain._train_step(), recorded._train_step()
    assert recorded._captured.graph is not None
    assert torch.equal(*(t.generators["augment"].get_state() for t in (plain, recorded)))
    for name, value in state(plain).items():
        torch.testing.assert_close(value, state(recorded)[name], rtol=1e-2, atol=1e-3, msg=name)


@pytest.mark.gpu
def test_a_step_that_cannot_be_recorded_is_taken_as_it_is(digits, capsys):
    class Asking(Supervised):
        def loss(self, batch, run):
            loss = super().loss(batch, run)
            assert loss.total.item() > 0 and torch.rand(3, device="cuda").sum() > 0
            return loss

    training = fm.fit(short(steps=12, eval_every=12), digits, device="cuda", method=Asking(), compile=False)
    training._captured = CapturedStep(training)
    assert [metrics.step for metrics in training] == [12]
    assert capsys.readouterr().err.count("could not be recorded") == 1


def test_remixmatch_changes_the_labeled_images_strongly_and_wants_a_net_with_features(digits):
    training, seen = fm.fit(short(method="remixmatch", mu=1), digits, device="cpu"), []
    training.batches.strong.register_forward_hook(lambda module, images, out: seen.append((images[0], out)))
    batch = training.batches.next(training.method.views)
    seen.clear()
    training.method.loss(batch, training)
    (given, changed), = seen
    assert torch.equal(given, batch.x) and changed.dtype == torch.uint8 and not torch.equal(changed, batch.x)
    with pytest.raises(fm.FixMatchError, match="asks a net for its features"):
        fm.fit(short(method="remixmatch"), digits, net=torch.nn.Flatten())


def test_remixmatchs_angle_comes_from_the_features_of_the_net_that_there_is():
    heads = [make_method(short(method="remixmatch", labels=None, net=net), tiny_data()).head for net in ("wide_resnet", "resnet50")]
    assert [head.in_features for head in heads] == [make_net(short(net="wide_resnet"), 3, 1).classifier.in_features, 2048]
