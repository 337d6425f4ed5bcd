"""Virtual adversarial training: the change it finds, its loss against NumPy, and what neither may touch."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from comparators_kit import CLASSES, batch_of, cross_entropies, made, softmax, tiny_data
from torch import nn

import fixmatch_lite as fm
from fixmatch_lite.comparators.adversarial import TRIAL, divergence, of_length, worst_change

DATA = tiny_data()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def lengths(change):
    return change.flatten(1).norm(dim=1)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e12])
def test_a_change_has_its_length_however_small_the_gradient(scale):
    change = of_length(scale * torch.randn(5, 2, 3, 4, generator=seeded()), 0.7)
    torch.testing.assert_close(lengths(change), torch.full((5,), 0.7))
    assert torch.equal(of_length(torch.zeros(2, 1, 3, 3), 0.7), torch.zeros(2, 1, 3, 3))


def test_divergence_is_zero_for_equal_answers_and_moves_only_the_student():
    teacher, student = (torch.randn(6, 4, generator=seeded(k), dtype=torch.float32).requires_grad_() for k in (0, 1))
    q, p = (softmax(z.detach().double().numpy()) for z in (teacher, student))
    np.testing.assert_allclose(divergence(teacher, student).detach(), (q * np.log(q / p)).sum(1), rtol=1e-5)
    assert divergence(teacher, teacher).abs().max() < 1e-6
    divergence(teacher, student).sum().backward()
    assert teacher.grad is None
    np.testing.assert_allclose(student.grad, p - q, rtol=1e-4, atol=1e-6)
    far = divergence(torch.tensor([[300.0, -300.0]]), torch.tensor([[-300.0, 300.0]]))
    assert far.item() == pytest.approx(600), "finite where a probability is 0"


def test_worst_change_of_two_classes_and_a_flat_border_is_straight_across_it():
    """Logits w . x and 0: only along w does the answer move, so every image's change is along w, one way or the other."""
    w = torch.randn(2, 3, 3, generator=seeded())
    net = lambda x: torch.stack([(x * w).sum((1, 2, 3)), torch.zeros(len(x))], dim=1)
    change = worst_change(net, torch.randn(7, 2, 3, 3, generator=seeded(1)), 0.5, seeded(2))
    torch.testing.assert_close(lengths(change), torch.full((7,), 0.5))
    assert (F.cosine_similarity(change.flatten(1), w.flatten()[None]).abs() > 0.999).all() and not change.requires_grad


def test_worst_change_takes_one_step_of_power_iteration():
    """Of H = J^T (diag(q) - q q^T) J, the divergence's curvature, on a net whose J is known."""
    v = torch.randn(CLASSES, 16, generator=seeded(), dtype=torch.float64)
    images = torch.randn(6, 1, 4, 4, generator=seeded(1), dtype=torch.float64)
    change = worst_change(lambda x: x.flatten(1) @ v.T, images, 1e-2, seeded(2))  # a short trial: the quadratic form alone
    direction = torch.randn(images.shape, generator=seeded(2), dtype=torch.float64)
    for k in range(6):
        q = (images[k].flatten() @ v.T).softmax(0)
        step = v.T @ (q.diag() - q.outer(q)) @ v @ direction[k].flatten()
        assert F.cosine_similarity(step, change[k].flatten(), dim=0) > 0.999


def test_an_answer_that_nothing_moves_gets_no_change():
    net = lambda x: torch.tensor([500.0, 0.0]) + 0 * x.flatten(1)[:, :2]
    assert torch.equal(worst_change(net, torch.zeros(3, 1, 4, 4), 0.5, seeded()), torch.zeros(3, 1, 4, 4))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_worst_change_does_more_harm_than_a_random_one_of_its_length(precision):
    """On a trained net, in the arithmetic that it trains in: in both a trial step of a millionth would be rounding."""
    run, data = fm.runs.load("digits-supervised-seed0"), fm.load_data("digits", labels=40, seed=0)
    net, images = run.model(), fm.augment.to_float(data.u[:300])
    epsilon = 6 * (64 / 3072) ** 0.5

    def says(x):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            return net(x).float()

    worst = worst_change(says, images, epsilon, seeded())
    chance = of_length(torch.randn(images.shape, generator=seeded(1)), epsilon)
    with torch.no_grad():
        before, *after = (net(x).argmax(1) for x in (images, images + worst, images + chance))
    moved, by_chance = ((answers != before).float().mean().item() for answers in after)
    assert moved > 0.15 and moved > 3 * by_chance, (moved, by_chance)
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("progress, share", [(0.1, 0.25), (0.4, 1.0)])
def test_loss(progress, share):
    method, run = made("vat", DATA, progress, options={"epsilon": 0.8})
    batch = batch_of(DATA, method.views)
    loss = method.loss(batch, run)
    u = np.asarray(batch.u[0]) / 127.5 - 1
    q = softmax(run.numpy_logits(u))
    trial = torch.randn(u.shape, generator=seeded()).numpy()
    trial *= TRIAL * 0.8 / np.linalg.norm(trial.reshape(8, -1), axis=1)[:, None, None, None]
    jacobian = run.mine[0].astype(float) @ run.mine[1].astype(float)
    gradient = ((softmax(run.numpy_logits(u + trial)) - q) @ jacobian.T).reshape(u.shape)
    changed = u + 0.8 * gradient / np.linalg.norm(gradient.reshape(8, -1), axis=1)[:, None, None, None]
    p = softmax(run.numpy_logits(changed))
    kl, entropy = (q * np.log(q / p)).sum(1).mean(), -(q * np.log(q)).sum(1).mean()
    supervised = cross_entropies(batch.y, run.numpy_logits(batch.x)).mean()
    close = lambda value, expected: value.item() == pytest.approx(expected, rel=1e-3)
    assert close(loss.supervised, supervised) and close(loss.unsupervised, kl) and kl > 1e-3
    assert close(loss.total, supervised + share * 0.3 * kl + 0.06 * entropy)
    np.testing.assert_allclose(loss.pseudo_label, q, rtol=1e-4)
    assert loss.mask.tolist() == [1] * 8 and torch.equal(loss.confidence, loss.pseudo_label.max(1).values)


def test_gradient_moves_the_changed_view_and_through_the_entropy_alone_the_weak_one():
    for entropy in (0.0, 0.5):
        method, run = made("vat", DATA, options={"entropy": entropy})
        method.loss(batch_of(DATA, method.views), run).total.backward()
        assert [len(part) for part in run.seen] == [8, 8, 4 + 8 + 8], "two to find the change, one to learn from"
        labeled, weak, changed = run.outputs[-1].grad.split([4, 8, 8])
        assert (labeled.abs().sum(1) > 0).all() and (changed.abs().sum(1) > 0).all() and weak.any() == (entropy > 0)


def test_epsilon_grows_with_the_root_of_the_number_of_values():
    its = lambda shape, **options: made("vat", tiny_data(**shape), options=options)[0].epsilon
    cifar = {"channels": 3, "height": 32, "width": 32}
    assert its(cifar) == 6 and its({"height": 8, "width": 8}) == pytest.approx(6 * math.sqrt(64 / 3072))
    assert its(cifar, epsilon=8.0) == 8


def test_entropy_has_a_gradient_where_a_probability_is_zero():
    method, run = made("vat", DATA, options={"entropy": 1.0})
    with torch.no_grad():
        run.model.weights[1] *= 1e4
    loss = method.loss(batch_of(DATA, method.views), run)
    loss.total.backward()
    assert (loss.pseudo_label == 0).any() and all(w.grad.isfinite().all() for w in run.model.weights)


def test_finding_the_change_leaves_no_gradient_and_no_trace_in_batch_norm():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    net(torch.randn(2, 1, 6, 6))
    with fm.models.batch_statistics(net):
        before = {k: v.clone() for k, v in net.state_dict().items()}
        worst_change(net, torch.randn(5, 1, 6, 6), 0.5, seeded())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_a_net_that_works_in_place_sees_every_image_as_it_is():
    images = torch.randn(4, 1, 4, 4, generator=seeded())
    before, w = images.clone(), torch.randn(16, 3, generator=seeded(1))
    with torch.no_grad():  # and the search does not depend on where it is called
        worst_change(lambda x: x.mul_(2).flatten(1) @ w, images, 0.5, seeded(2))
    assert torch.equal(images, before)


@pytest.mark.parametrize("net", [lambda x: x.detach().flatten(1)[:, :3], lambda x: torch.ones(len(x), 3, requires_grad=True)])
def test_a_net_without_a_gradient_at_the_images_is_told_so(net):
    with pytest.raises(fm.FixMatchError, match="no gradient there"):
        worst_change(net, torch.zeros(2, 1, 4, 4), 0.5, seeded())


def test_epsilon_of_pictures_that_are_read_from_the_disk():
    """They have a shape, and no tensor's methods."""
    from fixmatch_lite.comparators.adversarial import VAT

    streamed = type("Streamed", (), {"x": type("Pictures", (), {"shape": (9, 3, 224, 224)})()})()
    assert VAT(fm.recipe("imagenet", method="vat"), streamed).epsilon == pytest.approx(6 * 7)
