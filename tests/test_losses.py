"""The loss and the policy, against NumPy and against the traps."""

import numpy as np
import pytest
import torch

import fixmatch_lite as fm
from fixmatch_lite.losses import semi_supervised_loss
from fixmatch_lite.policies import PseudoLabels


def random_logits(seed=0, batch=4, mu=7, classes=10, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n: scale * torch.randn(n, classes, generator=generator, dtype=torch.float64)
    y = torch.randint(classes, (batch,), generator=generator)
    return draw(batch), y, draw(mu * batch), draw(mu * batch)


def by_numpy(logits_x, y, weak, strong, tau, lambda_u):
    """Equations 3 and 4 of the paper, from the definition of cross-entropy."""
    logits_x, y, weak, strong = (np.asarray(a) for a in (logits_x, y, weak, strong))
    p = lambda z: np.exp(z) / np.exp(z).sum(1, keepdims=True)
    supervised = np.mean([-np.log(p(logits_x)[i, c]) for i, c in enumerate(y)])
    q, total = p(weak), 0.0
    for i in range(len(q)):
        if q[i].max() >= tau:
            total += -np.log(p(strong)[i, q[i].argmax()])
    return supervised, total / len(q), supervised + lambda_u * total / len(q)


@pytest.mark.parametrize("tau", [0.0, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("lambda_u", [1.0, 0.3])
def test_loss_equals_numpy(tau, lambda_u):
    logits = random_logits()
    loss = fm.fixmatch_loss(*logits, tau=tau, lambda_u=lambda_u)
    supervised, unsupervised, total = by_numpy(*logits, tau, lambda_u)
    assert loss.supervised.item() == pytest.approx(supervised, rel=1e-5)
    assert loss.unsupervised.item() == pytest.approx(unsupervised, rel=1e-5)
    assert loss.total.item() == pytest.approx(total, rel=1e-5)
    assert 0 < unsupervised


def test_T1_mean_over_all_unlabeled_images_not_over_the_kept():
    logits_x, y, weak, strong = random_logits(scale=0.01)  # nobody is sure
    weak[3, 2] = 20.0                                       # except about one
    loss = fm.fixmatch_loss(logits_x, y, weak, strong)
    alone = torch.nn.functional.cross_entropy(strong[3:4].float(), torch.tensor([2]))
    assert loss.mask.sum() == 1
    assert loss.unsupervised.item() == pytest.approx(alone.item() / len(weak), rel=1e-6)


def test_T2_exactly_tau_is_kept():
    logits = torch.zeros(1, 2)  # confidence exactly one half
    assert fm.FixMatch(0.5)(logits).weight.tolist() == [1.0]
    assert fm.FixMatch(np.nextafter(np.float32(0.5), np.float32(1)))(logits).weight.tolist() == [0.0]


def test_T5_no_gradient_through_the_weak_views():
    logits_x, y, weak, strong = (t.requires_grad_() if t.is_floating_point() else t for t in random_logits())
    fm.fixmatch_loss(logits_x, y, weak, strong, tau=0.5).total.backward()
    assert weak.grad is None and strong.grad.abs().sum() > 0 and logits_x.grad.abs().sum() > 0


def test_T5_no_gradient_through_soft_targets_and_weights():
    """Even where who made the pseudo-labels forgot to detach them."""
    logits_x, y, weak, strong = (t.requires_grad_() if t.is_floating_point() else t for t in random_logits())
    q = weak.softmax(1)
    loss = semi_supervised_loss(logits_x, y, strong, PseudoLabels(q.max(1)[0], q, q.max(1)[0]))
    assert not any(part.requires_grad for part in loss[3:])
    loss.total.backward()
    assert weak.grad is None and strong.grad.abs().sum() > 0 and logits_x.grad.abs().sum() > 0


WRONG = {  # message: what is wrong with labeled logits, labels, weak and strong logits, and the knobs
    r"logits_u_strong must be logits \(28, 10\), one for each image and class; this is float64 \(28, 9\)":
        lambda x, y, w, s: ((x, y, w, s[:, :9]), {}),
    r"logits_u_weak must be logits \(26, 10\), .* float64 \(28, 10\)": lambda x, y, w, s: ((x, y, w, s[:26]), {}),
    r"logits_u_weak must be logits \(28, 10\), .* float64 \(28, 12\)": lambda x, y, w, s: ((x, y, torch.cat([w, w[:, :2]], 1), s), {}),
    r"logits_u_weak must be .* ndarray": lambda x, y, w, s: ((x, y, w.numpy(), s), {}),
    r"logits_x must be .* int64 \(4, 10\)": lambda x, y, w, s: ((x.long(), y, w, s), {}),
    r"classes y must be int64 \(4,\), .* this is float32 \(4,\)": lambda x, y, w, s: ((x, y.float(), w, s), {}),
    r"classes y must be .* int32 \(4,\)": lambda x, y, w, s: ((x, y.int(), w, s), {}),
    r"classes y must be .* int64 \(4, 1\)": lambda x, y, w, s: ((x, y[:, None], w, s), {}),
    r"classes y must be int64 \(4,\), .* int64 \(3,\)": lambda x, y, w, s: ((x, y[:3], w, s), {}),
    "tau = 95 is not possible; tau must be a number between 0 and 2, a probability": lambda *z: (z, {"tau": 95}),
    "tau = -3 is not possible": lambda *z: (z, {"tau": -3}), "tau = '0.95' is not": lambda *z: (z, {"tau": "0.95"}),
    "lambda_u = -1 is not possible; lambda_u must be a number, at least 0": lambda *z: (z, {"lambda_u": -1}),
    "lambda_u = nan is not": lambda *z: (z, {"lambda_u": float("nan")}), "lambda_u = None is not": lambda *z: (z, {"lambda_u": None}),
}


@pytest.mark.parametrize("told", WRONG)
def test_what_does_not_fit_is_refused_and_gives_no_number(told):
    logits, knobs = WRONG[told](*random_logits())
    with pytest.raises(fm.FixMatchError, match=told):
        fm.fixmatch_loss(*logits, **knobs)


@pytest.mark.parametrize("target", [torch.rand(28, 9), torch.rand(28), torch.zeros(28, 10).long(), torch.zeros(28).int(), [0] * 28])
def test_a_target_is_a_class_or_a_share_of_each(target):
    logits_x, y, _, strong = random_logits()
    with pytest.raises(fm.FixMatchError, match=r"target must be int64 \(n,\) classes or float \(n, 10\) probabilities; this is"):
        semi_supervised_loss(logits_x, y, strong, PseudoLabels(torch.ones(28), target, torch.ones(28)))


def test_logits_of_kept_views_are_those_of_the_kept():
    logits_x, y, weak, strong = random_logits()
    pseudo, kept = fm.FixMatch(0.5)(weak), torch.tensor([1, 5])
    semi_supervised_loss(logits_x, y, strong[kept], pseudo, kept=kept)
    with pytest.raises(fm.FixMatchError, match=r"logits_u_strong must be logits \(2, 10\)"):
        semi_supervised_loss(logits_x, y, strong, pseudo, kept=kept)


def test_a_knob_may_be_a_tensor():
    """Which a recorded step can turn."""
    logits, tau, lambda_u = random_logits(), torch.tensor(0.5), torch.tensor(0.3)
    assert fm.fixmatch_loss(*logits, tau=tau, lambda_u=lambda_u).total == fm.fixmatch_loss(*logits, tau=0.5, lambda_u=0.3).total


def test_gradient_equals_finite_differences():
    logits_x, y, weak, strong = random_logits(batch=2, mu=2, classes=3)
    strong.requires_grad_()
    fm.fixmatch_loss(logits_x, y, weak, strong, tau=0.4).total.backward()
    for i, c in ((0, 0), (1, 2), (3, 1)):
        shift = torch.zeros_like(strong)
        shift[i, c] = 1e-2
        values = [by_numpy(logits_x, y, weak, (strong + s * shift).detach(), 0.4, 1.0)[2] for s in (1, -1)]
        assert strong.grad[i, c].item() == pytest.approx((values[0] - values[1]) / 2e-2, abs=1e-5)


def test_T39_nothing_kept_gives_zero_and_finite_gradients():
    logits_x, y, weak, strong = random_logits(scale=0.01)
    strong.requires_grad_()
    loss = fm.fixmatch_loss(logits_x, y, weak, strong)
    loss.total.backward()
    assert loss.unsupervised == 0 and torch.isfinite(strong.grad).all() and (strong.grad == 0).all()


@pytest.mark.parametrize("changes", [{"lambda_u": 0.0}, {"tau": 1.01}])
def test_T38_no_unsupervised_part_equals_supervised_training(changes):
    logits_x, y, weak, strong = random_logits()
    loss = fm.fixmatch_loss(logits_x, y, weak, strong, **changes)
    assert loss.total.item() == torch.nn.functional.cross_entropy(logits_x.float(), y).item()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_T31_probabilities_and_losses_are_float32(dtype):
    """.9499 is below .95; in bfloat16, where numbers near 1 lie 1/256 apart, the two are one."""
    logit = float(np.log(0.9499 / (1 - 0.9499)))
    pseudo = fm.FixMatch(0.95)(torch.tensor([[logit, 0.0], [8.0, 0.0]], dtype=dtype))
    assert pseudo.confidence.dtype == pseudo.weight.dtype == torch.float32
    assert pseudo.confidence[1] < 1 and pseudo.weight[1] == 1
    if dtype == torch.float32:
        assert pseudo.weight[0] == 0
    logits = [t.to(dtype) if t.is_floating_point() else t for t in random_logits()]
    loss = fm.fixmatch_loss(*logits)
    assert {loss.total.dtype, loss.supervised.dtype, loss.unsupervised.dtype} == {torch.float32}


def test_ties_and_two_classes():
    loss = fm.fixmatch_loss(torch.zeros(1, 2), torch.tensor([1]), torch.zeros(3, 2), torch.zeros(3, 2), tau=0.5)
    assert loss.unsupervised.item() == pytest.approx(np.log(2)) and loss.pseudo_label.tolist() == [0, 0, 0]
