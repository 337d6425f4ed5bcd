"""Slips of one line that no other test would see, in the methods, their policies and strong views, in what is measured and
calibrated. Each test here fails with one of them (found by changing the module line by line)."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import fixmatch_lite as fm
from fixmatch_lite.augment import apply
from fixmatch_lite.calibration import calibration_error, fit_temperature
from fixmatch_lite.comparators.alignment import Aligned, DistributionAlignment
from fixmatch_lite.comparators.autoaugment import AutoAugment
from fixmatch_lite.comparators.ctaugment import NAMES, CTAugment
from fixmatch_lite.comparators.resampling import rescale
from fixmatch_lite.comparators.thresholds import CurriculumThresholds, SelfAdaptiveThresholds
from comparators_kit import batch_of, cross_entropies, made, softmax, tiny_data
from test_comparators_losses import DATA, fixed_draws
from test_strong import photos, seeded  # noqa: F401


# test_comparators_losses.py

@pytest.mark.parametrize("method", ["pi_model", "mean_teacher", "pseudo_label", "vat"])
@pytest.mark.parametrize("ramp, progress, share", [(1.0, 0.25, 0.25), (0.5, 0.25, 0.5), (0.0, 0.0, 1.0)])
def test_ramp_is_the_one_that_was_asked_for(method, ramp, progress, share):
    alone = {"entropy": 0.0} if method == "vat" else {}
    method, run = made(method, DATA, progress, tau=0.4, options={"ramp": ramp, **alone})
    loss = method.loss(batch_of(DATA, method.views), run)
    assert loss.unsupervised > 0
    assert (loss.total - loss.supervised).item() == pytest.approx(share * method.lambda_u * loss.unsupervised.item(), rel=1e-4)


def test_uda_sharpens_by_the_temperature_that_was_asked_for():
    method, run = made("uda", DATA, options={"temperature": 1.0})
    batch = batch_of(DATA, method.views)
    np.testing.assert_allclose(method.loss(batch, run).pseudo_label, softmax(run.numpy_logits(batch.u[0])), rtol=1e-4)


@pytest.mark.parametrize("method", ["mixmatch", "remixmatch"])
def test_mixing_methods_take_their_temperature_and_alpha(monkeypatch, method):
    method, run = made(method, DATA, alignment=False, options={"temperature": 1.0, "alpha": 0.2})
    batch = batch_of(DATA, method.views)
    fixed_draws(monkeypatch, 4 + 8 * len(method.views), 0.2)  # asserts alpha
    guessed = [u for u, view in zip(batch.u, method.views) if view == "weak"]
    q = sum(softmax(run.numpy_logits(u)) for u in guessed) / len(guessed)
    np.testing.assert_allclose(method.loss(batch, run).pseudo_label, q, rtol=1e-4)


def test_remixmatch_weighs_its_two_last_terms_apart():
    rest = {}
    for weights in ((1.0, 0.0), (0.0, 1.0)):
        method, run = made("remixmatch", DATA, lambda_u=0.0, options=dict(zip(("lambda_1", "lambda_r"), weights)))
        batch = batch_of(DATA, method.views)
        loss = method.loss(batch, run)
        rest[weights] = (loss.total - loss.supervised).item()
        before = cross_entropies(loss.pseudo_label.numpy(), run.numpy_logits(batch.u[1])).mean()
    assert rest[1.0, 0.0] == pytest.approx(before, rel=1e-4) and abs(rest[0.0, 1.0] - before) > 0.01
    assert rest[0.0, 1.0] == pytest.approx(math.log(4), abs=1)  # an untrained head of four angles


@pytest.mark.parametrize("method", ["fixmatch", "uda", "flexmatch", "freematch", "softmatch"])
def test_forward_passes_are_the_ones_that_were_asked_for(method):
    for forward in ("joint", "separate", "kept"):
        its, run = made(method, DATA, tau=0.6, forward=forward)
        loss = its.loss(batch_of(DATA, its.views), run)
        count = int((loss.mask > 0).sum())
        assert [len(part) for part in run.seen] == {"joint": [4 + 8 + 8], "separate": [8, 4 + 8], "kept": [8, 4 + count]}[forward]
        assert run.outputs[0].requires_grad == (forward == "joint"), "the weak views' own pass has no gradient"


def test_pi_model_predicts_the_first_view_without_a_gradient_where_it_passes_alone():
    method, run = made("pi_model", DATA, forward="separate")
    method.loss(batch_of(DATA, method.views), run)
    assert [out.requires_grad for out in run.outputs] == [False, True]


def test_a_step_is_steady_where_it_is_the_same_work_at_any_progress():
    steady = lambda method, forward="joint", **options: made(method, DATA, forward=forward, options=options)[0].steady
    assert steady("fixmatch") and steady("fixmatch", "separate") and not steady("fixmatch", "kept")
    assert steady("uda") and not steady("uda", tsa="linear") and not steady("uda", "kept") and not steady("flexmatch", "kept")
    assert steady("mistaken", mistake="leak") and not steady("mistaken", mistake="frozen")


def test_the_mean_over_the_kept_is_zero_where_nothing_is_kept():
    method, run = made("mistaken", DATA, tau=1.0, options={"mistake": "kept_mean"})
    run.step = 0
    assert method.loss(batch_of(DATA, method.views), run).unsupervised == 0


def test_self_training_keeps_a_confidence_of_exactly_tau():
    method, run = made("self_training", DATA, tau=1.0)
    run.data, run.teacher = DATA, lambda images: torch.tensor([200.0, 0.0, 0.0]).expand(len(images), 3)
    method._label_all(run)
    assert method.weight.tolist() == [1.0] * len(DATA.u)


def test_one_draw_keeps_to_the_recipes_operations_and_probability():
    from fixmatch_lite.batches import make_strong

    for probability in (0.0, 0.3):
        its = make_strong(fm.recipe("digits", augment="one_draw", probability=probability, operations=("Rotate", "Color"))).operations
        assert its.operations == ("Rotate", "Color") and its.probability == probability


def test_self_training_labels_every_image_of_a_large_set():
    """More than one part of 1,024."""
    data = tiny_data(size=1030)
    method, run = made("self_training", data, tau=0.0)
    run.data = data
    method._label_all(run)
    assert len(method.target) == len(method.weight) == 1030 and method.weight.all()


# test_comparators_policies.py


def test_flexmatch_counts_and_keeps_a_confidence_of_exactly_the_threshold():
    policy, tie = CurriculumThresholds(0.5, 2, 1), torch.zeros(1, 2)  # confidence exactly one half
    assert policy(tie, ids=torch.tensor([0])).weight.tolist() == [1]
    assert policy.counts.tolist() == [0, 1, 0] and policy.thresholds()[0] == 0.5
    assert policy(tie, ids=torch.tensor([0])).weight.tolist() == [1]


def test_flexmatch_without_warm_up_keeps_everything_while_nothing_is_counted():
    policy = CurriculumThresholds(0.8, 2, 10, warm_up=False)
    assert policy.thresholds().tolist() == [0, 0]
    assert policy(torch.tensor([[0.1, 0.0]]), ids=torch.tensor([0])).weight.tolist() == [1]


def test_freematch_keeps_what_is_certain_when_certainty_is_the_mean():
    policy = SelfAdaptiveThresholds(2, decay=0.0)
    assert policy(torch.tensor([[200.0, 0.0]] * 3)).weight.tolist() == [1] * 3 and policy.tau == 1


def test_flexmatch_warm_up_and_freematch_clip_reach_their_policies():
    warm_up = lambda **options: made("flexmatch", DATA, options=options)[0].policy.warm_up
    assert [warm_up(), warm_up(warm_up=False)] == [True, False]
    clip = lambda **options: made("freematch", DATA, options=options)[0].policy.clip
    assert [clip(), clip(clip=0.6)] == [None, 0.6]
    decay = lambda method, **options: made(method, DATA, options=options)[0].policy.decay
    assert [decay(method, decay=0.0) for method in ("freematch", "softmatch")] == [0.0, 0.0], "0 is a decay, not a missing one"


def test_alignment_computes_in_float32_and_hands_the_rest_on():
    logits, y = torch.tensor([[3.0, 1.0, 0.0]], dtype=torch.bfloat16), torch.tensor([0])
    aligned = DistributionAlignment(3)(logits, y)
    assert aligned.dtype == torch.float32
    torch.testing.assert_close(aligned, torch.log_softmax(logits.float(), 1))
    seen = {}
    given = {"ids": torch.tensor([5]), "q_labeled": torch.tensor([[1.0, 0.0, 0.0]]), "y": y}
    module = Aligned(nn.Identity(), 3)
    module.policy = type("Spy", (nn.Module,), {"forward": lambda self, logits, **given: seen.update(given)})()
    module(logits, **given)
    assert seen == given


# test_methods.py

@pytest.mark.parametrize("forward", ["joint", "separate", "kept"])
def test_a_policy_is_told_the_positions_and_what_the_net_says_of_the_labeled_images(forward):
    from fixmatch_lite.methods import Consistency
    from fixmatch_lite.policies import FixMatch

    class Told(FixMatch):
        def forward(self, logits, **given):
            self.given = given
            return super().forward(logits)

    method = Consistency(Told(0.4), forward=forward)
    _, run = made("fixmatch", DATA)
    batch = batch_of(DATA, method.views)
    method.loss(batch, run)
    told = method.policy.given
    assert torch.equal(told["ids"], batch.ids) and torch.equal(told["y"], batch.y)
    if forward == "kept":
        assert told["q_labeled"] is None
    else:
        assert not told["q_labeled"].requires_grad
        np.testing.assert_allclose(told["q_labeled"], softmax(run.numpy_logits(batch.x)), rtol=1e-4)


# test_strong.py

LEVELLED = {  # released code, libml/ctaugment.py: the operation here, and its magnitude at a level
    "autocontrast": ("AutoContrastBlend", lambda level: level), "blur": ("Blur", lambda level: 1 - level),
    "brightness": ("Brightness", lambda level: 0.1 + 1.9 * level), "color": ("Color", lambda level: 0.1 + 1.9 * level),
    "contrast": ("Contrast", lambda level: 0.1 + 1.9 * level), "equalize": ("EqualizeBlend", lambda level: level),
    "identity": ("Identity", lambda level: 0), "invert": ("InvertBlend", lambda level: level),
    "posterize": ("Posterize", lambda level: 1 + int(7.999 * level)),
    "rotate": ("Rotate", lambda level: round(45 * (2 * level - 1))),
    "sharpness": ("Sharpness", lambda level: 0.1 + 1.9 * level), "smooth": ("Sharpness", lambda level: 1 - level),
    "shear_x": ("ShearX", lambda level: 0.3 * (2 * level - 1)), "shear_y": ("ShearY", lambda level: 0.3 * (2 * level - 1)),
    "solarize": ("Solarize", lambda level: int(255.999 * level)),
    "translate_x": ("TranslateX", lambda level: round(0.3 * 24 * (2 * level - 1))),
    "translate_y": ("TranslateY", lambda level: round(0.3 * 32 * (2 * level - 1)))}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "cutout"])
def test_T29_each_operation_at_the_strength_of_its_level(name, photos):  # noqa: F811
    images = photos[:20, :, :, 4:28]  # 32 rows, 24 columns
    chosen = torch.full((20,), NAMES.index(name))
    for value in (0.0, 0.2, 0.47, 0.7, 0.99):
        level = torch.full((20, 2), value)
        out = CTAugment()._operate(images, chosen, level, torch.zeros(20, 2))
        if name == "rescale":
            expected = rescale(images, level, torch.ones(20, dtype=torch.bool))
            assert value == 0 or not torch.equal(expected, images)
        else:
            operation, amount = LEVELLED[name]
            expected = apply(operation, images, amount(value), fill=0)
        assert torch.equal(out, expected), value


def test_T29_a_bad_operation_keeps_its_best_bins_and_a_level_lies_anywhere_in_its_bin(photos):  # noqa: F811
    learned, rotate, seen = CTAugment(), NAMES.index("rotate"), []
    learned.rates[rotate] *= 0.5
    assert (learned.shares()[rotate, 0] == 1).all(), "the largest p is that of the same operation"
    learned._operate = lambda images, chosen, level, place: seen.append((chosen, level)) or images
    learned(photos[:1].expand(20_000, -1, -1, -1), generator=seeded())
    chosen, level = (torch.cat(parts) for parts in zip(*seen))
    within = 17 * level[chosen == rotate, 0] % 1
    assert within.mean().item() == pytest.approx(0.5, abs=0.02) and within.std().item() == pytest.approx(12**-0.5, abs=0.02)


def test_T29_an_image_is_judged_by_its_own_label_and_its_own_levels():
    learned, y = CTAugment(), torch.arange(8) % 4
    learned._operate = lambda images, chosen, level, place: images
    images = y.to(torch.uint8).view(8, 1, 1, 1).expand(8, 1, 8, 8)
    reads = lambda images: 200 * torch.nn.functional.one_hot(images[:, 0, 0, 0].long(), 4).float()
    learned.learn(SimpleNamespace(generator=seeded(), teacher=reads), SimpleNamespace(x=images, y=y))
    torch.testing.assert_close(learned.rates, CTAugment().rates)  # right about all, so nothing falls
    learned = CTAugment()
    learned._operate = lambda images, chosen, level, place: used.append((chosen, level)) or images
    used = []
    _, operations, levels = learned.probe(images, generator=seeded())
    assert all(torch.equal(o, c) and torch.equal(l, lv) for o, l, (c, lv) in zip(operations, levels, used))


def test_autoaugment_takes_each_step_by_its_own_chance_and_each_sign_half_the_time(monkeypatch):
    from fixmatch_lite.comparators import autoaugment

    seen, n, ours = [], 50_000, AutoAugment()
    monkeypatch.setattr(autoaugment, "apply_each", lambda images, names, chosen, magnitude, fill:
                        seen.append((chosen, magnitude, fill)) or images)
    ours(torch.zeros(1, 1, 32, 32, dtype=torch.uint8).expand(n, -1, -1, -1), generator=seeded())
    table = ours.table((32, 32), torch.device("cpu"))
    for pairs, (chosen, magnitude, fill) in zip(table, seen, strict=True):
        assert fill == 127
        for number in pairs[:, 0].unique():
            its, drawn = pairs[pairs[:, 0] == number], chosen == number
            assert drawn.float().mean().item() == pytest.approx(its[:, 1].sum().item() / 25, abs=0.01)
            mean = (its[:, 1] * its[:, 2:].mean(1)).sum() / its[:, 1].sum()
            assert magnitude[drawn].mean().item() == pytest.approx(mean.item(), rel=0.05, abs=0.05 * its[:, 2].abs().max().item())
    both = ((seen[0][0] >= 0) & (seen[1][0] >= 0)).float().mean().item()
    assert both == pytest.approx((table[0, :, 1] * table[1, :, 1]).mean().item(), abs=0.01), "each step has its own draw"


# test_calibration.py


def test_certainty_belongs_to_the_last_bin_and_an_edge_to_the_upper_one():
    assert calibration_error([1.0, 1.0], [False, False]) == 1
    assert calibration_error([0.5, 0.59], [0, 1], bins=10) == pytest.approx(0.09 / 2)     # one bin
    assert calibration_error([0.5, 0.41], [0, 1], bins=10) == pytest.approx((0.5 + 0.59) / 2)  # two


def test_bins_are_as_many_as_were_asked_for():
    assert calibration_error([0.1, 0.9], [1, 0], bins=1) == pytest.approx(0)
    assert calibration_error([0.1, 0.9], [1, 0], bins=2) == pytest.approx(0.9)


@pytest.mark.parametrize("true", [1 / 100, 100])
def test_a_temperature_far_from_one_is_found(true):
    rng = np.random.default_rng(1)
    z = rng.normal(scale=2, size=(20_000, 3))
    q = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    y = (rng.random((20_000, 1)) > q.cumsum(axis=1)).sum(axis=1).clip(max=2)
    assert fit_temperature(true * z, y) == pytest.approx(true, rel=0.05)


# test_runs.py

def test_histogram_bears_certainty_and_counts_only_what_somebody_knows():
    from fixmatch_lite.confidence import histogram

    class Says(nn.Module):
        """The picture's gray level is its class, and there is no doubt."""
        def forward(self, images):
            return 200 * nn.functional.one_hot(((images[:, 0, 0, 0] + 1) * 127.5).round().long(), 3).to(images.dtype)

    shown, truth = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0, -1, 1, 1, -1, 2])
    u = shown.to(torch.uint8).view(6, 1, 1, 1).expand(6, 1, 4, 4).contiguous()
    training = SimpleNamespace(data=SimpleNamespace(u=u, u_true=truth, num_classes=3), model=Says(), step=7,
                               device=torch.device("cpu"), dtype=None)
    found = histogram(training)
    assert found["right"] == [0] * 99 + [3] and found["wrong"] == [0] * 99 + [1]
    assert found["predicted"] == [1, 1, 2] and found["predicted_right"] == [1, 1, 1] and found["step"] == 7
    training.data.u_true = torch.full((6,), -1)
    assert histogram(training) is None


def test_histogram_judges_ten_thousand_at_most_and_puts_the_mode_back(monkeypatch):
    from fixmatch_lite import confidence

    monkeypatch.setattr(confidence, "AT_MOST", 5)
    u = torch.zeros(9, 1, 4, 4, dtype=torch.uint8)
    training = SimpleNamespace(data=SimpleNamespace(u=u, u_true=torch.zeros(9, dtype=torch.long), num_classes=2), step=1,
                               model=nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), device=torch.device("cpu"), dtype=None)
    before = torch.get_rng_state()
    assert sum(confidence.histogram(training)["predicted"]) == 5
    assert training.model.training and torch.equal(torch.get_rng_state(), before)


# test_training.py

def tally_of(truth, total=1.0, supervised=1.0):
    from fixmatch_lite.losses import Loss
    from fixmatch_lite.metrics import Tally

    tally = Tally(2, "cpu")
    scalar = torch.tensor
    tally.add(Loss(scalar(total), scalar(supervised), scalar(0.5), scalar([0.5, 1.0, 0.25, 1.0]), scalar([0, 0, 1, 1]),
                   torch.ones(4)), torch.tensor(truth))
    return tally.read(fm.recipe("digits"), 1)[0]


def test_shares_are_weighted_and_of_what_is_known():
    shares = tally_of([0, 1, -1, 1])
    assert shares["mask_rate"] == pytest.approx(2.75 / 4)
    assert shares["mask_rate_per_class"] == pytest.approx((1.5 / 4, 1.25 / 4))
    assert shares["pseudo_label_accuracy"] == pytest.approx((0.5 + 1) / 2.5)
    assert shares["pseudo_label_accuracy_per_class"] == pytest.approx((0.5 / 1.5, 1.0))
    assert tally_of([0, 1, -1, -1])["pseudo_label_accuracy_per_class"] == (pytest.approx(0.5 / 1.5), None)


@pytest.mark.parametrize("losses", [(math.inf, 1.0), (1.0, math.inf), (math.nan, 1.0), (1.0, math.nan)])
def test_any_loss_that_is_not_finite_is_noticed(losses):
    with pytest.raises(fm.FixMatchError, match="stopped being finite"):
        tally_of([0, 1, -1, 1], *losses)
