"""What policies remember from batch to batch, against closed forms and recounts in NumPy."""

from collections import deque

import numpy as np
import pytest
import torch
from comparators_kit import CLASSES, batch_of, cross_entropies, made, softmax, tiny_data

from fixmatch_lite.comparators.alignment import Aligned, DistributionAlignment
from fixmatch_lite.comparators.thresholds import (CurriculumThresholds, SelfAdaptiveThresholds, TruncatedGaussian,
                                                  fairness)
from fixmatch_lite.comparators.uda import Sharpened
from fixmatch_lite.policies import FixMatch

DATA = tiny_data()


def logits_of(q):
    return torch.log(torch.tensor(q, dtype=torch.float32))


def random_logits(n, classes=CLASSES, seed=0, scale=2.0):
    return torch.from_numpy(scale * np.random.RandomState(seed).randn(n, classes)).float()


# FlexMatch ---------------------------------------------------------------------------------------------------------

def test_flexmatch_thresholds_by_hand():
    """Ten images, two classes, tau .8: after four sure of class 0 and one of class 1, five are not sure, so beta is
    4/5 and 1/5, and the thresholds .8 * .8 / 1.2 and .8 * .2 / 1.8."""
    policy = CurriculumThresholds(0.8, 2, 10)
    first = policy(logits_of([[0.9, 0.1]] * 4 + [[0.1, 0.9]] + [[0.6, 0.4]]), ids=torch.arange(6))
    assert first.weight.tolist() == [1] * 6, "nothing is counted yet: thresholds of 0"
    assert policy.counts.tolist() == [5, 4, 1]
    assert policy.thresholds().tolist() == pytest.approx([0.8 * 0.8 / 1.2, 0.8 * 0.2 / 1.8])
    judged = policy(logits_of([[0.53, 0.47], [0.54, 0.46], [0.49, 0.51]]), ids=torch.tensor([6, 7, 8]))
    assert judged.weight.tolist() == [0, 1, 1] and judged.target.tolist() == [0, 0, 1]
    full = CurriculumThresholds(0.8, 2, 10, warm_up=False)
    full(logits_of([[0.9, 0.1]] * 4 + [[0.1, 0.9]]), ids=torch.arange(5))
    assert full.thresholds().tolist() == pytest.approx([0.8, 0.8 * 0.25 / 1.75])


def test_flexmatch_judges_by_the_counts_from_before_the_batch():
    policy = CurriculumThresholds(0.8, 2, 4)
    batch = logits_of([[0.85, 0.15]] * 4 + [[0.3, 0.7]])
    ids = torch.tensor([0, 1, 2, 3, 3])
    policy(logits_of([[0.9, 0.1]]), ids=torch.tensor([0]))
    before = policy.thresholds().clone()
    weight = policy(batch, ids=ids).weight
    assert before[0] == pytest.approx(0.8 * (1 / 3) / (5 / 3)) and weight.tolist() == [1] * 5
    assert policy.thresholds()[0] == pytest.approx(0.8) and policy(batch, ids=ids).weight.tolist() == [1] * 5
    assert policy(logits_of([[0.75, 0.25]]), ids=torch.tensor([1])).weight.tolist() == [0]


@pytest.mark.parametrize("seed", range(4))
def test_flexmatch_counts_equal_a_recount_however_often_an_image_comes(seed):
    random = np.random.RandomState(seed)
    policy, remembered = CurriculumThresholds(0.6, CLASSES, 12), np.full(12, -1)
    for step in range(40):
        ids, logits = random.randint(12, size=16), random_logits(16, seed=100 * seed + step)
        q = softmax(logits.double().numpy())
        sigma = np.array([(remembered == c).sum() for c in range(CLASSES)])
        beta = sigma / max(sigma.max(), 12 - sigma.sum())
        expected = q.max(1) >= (0.6 * beta / (2 - beta))[q.argmax(1)]
        pseudo = policy(logits, ids=torch.from_numpy(ids))
        assert pseudo.weight.tolist() == expected.tolist() and pseudo.target.tolist() == q.argmax(1).tolist()
        for i, row in zip(ids, q):  # in the order of the batch: the last sure view stays
            if row.max() >= 0.6:
                remembered[i] = row.argmax()
        assert policy.guessed.tolist() == remembered.tolist()
        assert policy.counts.tolist() == [(remembered == c).sum() for c in range(-1, CLASSES)]
    assert policy.counts.dtype == policy.guessed.dtype == torch.int64


# FreeMatch ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("clip", [None, 0.6])
def test_freematch_closed_form_over_three_batches(clip):
    policy, m = SelfAdaptiveThresholds(CLASSES, decay=0.5, clip=clip), 0.5
    tau, p, h, kept = 1 / 3, np.full(3, 1 / 3), np.full(3, 1 / 3), []
    for step in range(3):
        logits = random_logits(16, seed=step)
        q = softmax(logits.double().numpy())
        tau = m * tau + (1 - m) * q.max(1).mean()
        tau = min(tau, clip or 1)
        p = m * p + (1 - m) * q.mean(0)
        h = m * h + (1 - m) * np.bincount(q.argmax(1), minlength=3) / 16
        expected = q.max(1) >= (tau * p / p.max())[q.argmax(1)]
        assert policy(logits).weight.tolist() == expected.tolist()
        kept += expected.tolist()
        assert policy.tau.item() == pytest.approx(tau, rel=1e-5)
        np.testing.assert_allclose(policy.p, p, rtol=1e-5)
        np.testing.assert_allclose(policy.h, h, rtol=1e-5)
    assert 0 < sum(kept) < len(kept) and (clip is None or tau == clip)


def fairness_by_numpy(logits, kept, p, h):
    views = softmax(logits[kept])
    histogram = np.bincount(views.argmax(1), minlength=len(p)) / len(views)
    ratio = lambda a, b: np.array([x / y if y > 0 else 0.0 for x, y in zip(a, b)])
    a, b = ratio(p, h), ratio(views.mean(0), histogram)
    a, b = a / a.sum(), b / b.sum()
    return sum(x * np.log(y + 1e-12) for x, y in zip(a, b))


def test_freematch_fairness():
    p, h = np.array([0.5, 0.3, 0.2]), np.array([0.7, 0.0, 0.3])
    for seed in range(5):
        logits, kept = random_logits(12, seed=seed), np.random.RandomState(seed).rand(12) < 0.5
        value = fairness(logits, *(torch.from_numpy(part).float() for part in (kept, p, h)))
        assert value.item() == pytest.approx(fairness_by_numpy(logits.double().numpy(), kept, p, h), rel=1e-4)


def test_T39_freematch_fairness_of_nothing_is_zero_and_so_is_its_gradient():
    logits = random_logits(6).requires_grad_()
    value = fairness(logits, torch.zeros(6), torch.full((3,), 1 / 3), torch.tensor([1.0, 0.0, 0.0]))
    value.backward()
    assert value == 0 and (logits.grad == 0).all()
    assert fairness(logits[:0], torch.zeros(0), torch.full((3,), 1 / 3), torch.full((3,), 1 / 3)) == 0


@pytest.mark.parametrize("forward", ["joint", "separate", "kept"])
def test_freematch_adds_the_fairness_of_the_strong_views(forward):
    method, run = made("freematch", DATA, options={"lambda_f": 0.7, "decay": 0.1}, lambda_u=2.0, forward=forward)
    batch = batch_of(DATA, method.views, unlabeled=12)
    loss = method.loss(batch, run)
    q, strong = softmax(run.numpy_logits(batch.u[0])), run.numpy_logits(batch.u[1])
    tau, p = 0.1 / 3 + 0.9 * q.max(1).mean(), 0.1 / 3 + 0.9 * q.mean(0)
    h = 0.1 / 3 + 0.9 * np.bincount(q.argmax(1), minlength=3) / 12
    kept = q.max(1) >= (tau * p / p.max())[q.argmax(1)]
    assert 0 < kept.sum() < 12
    supervised = cross_entropies(batch.y, run.numpy_logits(batch.x)).mean()
    unsupervised = (kept * cross_entropies(q.argmax(1), strong)).sum() / 12
    assert loss.supervised.item() == pytest.approx(supervised, rel=1e-5)
    assert loss.unsupervised.item() == pytest.approx(unsupervised, rel=1e-5)
    expected = supervised + 2 * unsupervised + 0.7 * fairness_by_numpy(strong, kept, p, h)
    assert loss.total.item() == pytest.approx(expected, rel=1e-4)


# SoftMatch ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("align", [True, False])
def test_softmatch_closed_form_over_three_batches(align):
    policy, m = TruncatedGaussian(CLASSES, decay=0.5, align=align), 0.5
    mean, variance, p_model, moved = 1 / 3, 1.0, None, 0
    for step in range(3):
        logits = random_logits(16, seed=step) + torch.tensor([1.0, 0.0, 0.0])
        q = softmax(logits.double().numpy())
        p_model = q.mean(0) if p_model is None else m * p_model + (1 - m) * q.mean(0)
        aligned = q * (1 / 3 + 1e-6) / (p_model + 1e-6)
        aligned /= aligned.sum(1, keepdims=True)
        c = aligned.max(1) if align else q.max(1)
        mean, variance = m * mean + (1 - m) * c.mean(), m * variance + (1 - m) * c.var(ddof=1)
        expected = [np.exp(-min(x - mean, 0) ** 2 / (2 * variance / 4)) for x in c]
        pseudo = policy(logits)
        np.testing.assert_allclose(pseudo.weight, expected, rtol=1e-5)
        assert pseudo.target.tolist() == q.argmax(1).tolist(), "the target is not aligned"
        moved += (aligned.argmax(1) != q.argmax(1)).sum()
        assert (policy.mean.item(), policy.variance.item()) == pytest.approx((mean, variance), rel=1e-5)
    assert moved > 0 and 0 < min(expected) < 1 == max(expected)


def test_softmatch_of_one_image_and_of_certainty_is_finite():
    policy = TruncatedGaussian(2, decay=0.0)
    for _ in range(3):
        assert policy(torch.tensor([[40.0, 0.0]])).weight.tolist() == [1]
    assert policy.variance == 0


# Distribution alignment --------------------------------------------------------------------------------------------

def test_alignment_equals_numpy_while_its_128_places_wrap():
    align, recent = DistributionAlignment(CLASSES), deque([np.full(3, 1 / 3)] * 128, maxlen=128)
    p_data, random = np.full(3, 1 / 3), np.random.RandomState(0)
    for step in range(300):
        logits, y = random_logits(5, seed=step) + torch.tensor([1.0, 0.0, -1.0]), random.randint(2, size=4)
        q = softmax(logits.double().numpy())
        expected = q * (p_data + 1e-6) / (np.mean(recent, axis=0) + 1e-6)
        expected /= expected.sum(1, keepdims=True)
        aligned = align(logits, torch.from_numpy(y)).exp()
        np.testing.assert_allclose(aligned, expected, rtol=1e-4)
        recent.append(q.mean(0))
        p_data = 0.999 * p_data + 0.001 * np.bincount(y, minlength=3) / 4
    assert align.position.tolist() == [300 % 128]
    np.testing.assert_allclose(align.p_model.mean(0), np.mean(recent, axis=0), rtol=1e-5)
    np.testing.assert_allclose(align.p_data, p_data, rtol=1e-4)
    assert align.p_data[2] < align.p_data[0], "no labeled image of the third class"
    assert np.abs(expected - q).max() > 0.05


def aligned_policy(policy):
    policy = Aligned(policy, CLASSES)
    policy.align.p_model.copy_(torch.tensor([0.8, 0.1, 0.1]).expand(128, 3))
    return policy


def test_alignment_comes_before_threshold_argmax_and_sharpening():
    """A class that is predicted too often: q = (.6, .3, .1) over p_model = (.8, .1, .1) is (.75, 3, 1): class 1, .63."""
    q = np.array([[0.6, 0.3, 0.1]])
    expected = q / (np.array([[0.8, 0.1, 0.1]]) + 1e-6)
    expected /= expected.sum()
    y = torch.tensor([0, 1, 2])
    judge = lambda policy: aligned_policy(policy)(logits_of(q.tolist()), y=y)
    hard, soft = judge(FixMatch(0.64)), judge(Sharpened(0.64, 0.5))
    assert 0.6 < expected[0, 1] < 0.64 and hard.target.tolist() == [1]
    assert hard.weight.tolist() == soft.weight.tolist() == [0.0]
    assert judge(FixMatch(0.61)).weight.tolist() == judge(Sharpened(0.61, 0.5)).weight.tolist() == [1.0]
    np.testing.assert_allclose(hard.confidence, expected.max(1), rtol=1e-5)
    np.testing.assert_allclose(soft.target, expected**2 / (expected**2).sum(), rtol=1e-5)


@pytest.mark.parametrize("method, changes", [("fixmatch", {"alignment": True}), ("uda", {"alignment": True})])
@pytest.mark.parametrize("forward", ["joint", "separate", "kept"])
def test_alignment_in_a_method(method, changes, forward):
    method, run = made(method, DATA, tau=0.6, forward=forward, **changes)
    method.policy.align.p_model.copy_(torch.tensor([0.8, 0.1, 0.1]).expand(128, 3))
    batch = batch_of(DATA, method.views, unlabeled=12)
    loss = method.loss(batch, run)
    q = softmax(run.numpy_logits(batch.u[0])) * (1 / 3 + 1e-6) / (np.array([0.8, 0.1, 0.1]) + 1e-6)
    q /= q.sum(1, keepdims=True)
    np.testing.assert_allclose(loss.confidence, q.max(1), rtol=1e-4)
    assert loss.mask.tolist() == (q.max(1) >= 0.6).tolist() and 0 < loss.mask.sum() < 12
    np.testing.assert_allclose(method.policy.align.p_data, 0.999 / 3 + 0.001 * np.bincount(batch.y, minlength=3) / 4,
                               rtol=1e-5)
