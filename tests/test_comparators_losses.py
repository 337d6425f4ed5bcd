"""Each method's loss against NumPy, written out from its formula, and where its gradient stops."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from comparators_kit import CLASSES, Run, batch_of, cross_entropies, made, softmax, tiny_data
from scipy import stats

import fixmatch_lite as fm
from fixmatch_lite.comparators import mixing
from fixmatch_lite.comparators.contrastive import nt_xent, standardized

DATA = tiny_data()
close = lambda value, expected: value.item() == pytest.approx(expected, rel=2e-5, abs=1e-7)


def terms(loss, supervised, unsupervised, total):
    assert close(loss.supervised, supervised) and close(loss.unsupervised, unsupervised) and close(loss.total, total)


@pytest.mark.parametrize("forward", ["joint", "separate"])
@pytest.mark.parametrize("progress, share", [(0.1, 0.25), (0.4, 1.0), (0.9, 1.0)])
def test_pi_model(progress, share, forward):
    method, run = made("pi_model", DATA, progress, forward=forward)
    batch = batch_of(DATA, method.views)
    loss = method.loss(batch, run)
    fixed, moving = (softmax(run.numpy_logits(u)) for u in batch.u)
    squared = sum((fixed[i, c] - moving[i, c]) ** 2 for i in range(8) for c in range(CLASSES)) / (8 * CLASSES)
    supervised = cross_entropies(batch.y, run.numpy_logits(batch.x)).mean()
    assert method.lambda_u == 10 and squared > 1e-3
    terms(loss, supervised, squared, supervised + 10 * share * squared)
    np.testing.assert_allclose(loss.pseudo_label, fixed, rtol=1e-4)
    assert loss.mask.tolist() == [1] * 8 and torch.equal(loss.confidence, loss.pseudo_label.max(1).values)


def test_T5_pi_model_first_view_gets_no_gradient():
    method, run = made("pi_model", DATA)
    method.loss(batch_of(DATA, method.views), run).total.backward()
    labeled, fixed, moving = run.outputs[0].grad.split([4, 8, 8])
    assert fixed.abs().sum() == 0 and (labeled.abs().sum(1) > 0).all() and (moving.abs().sum(1) > 0).all()


def test_mean_teacher():
    method, run = made("mean_teacher", DATA, progress=0.2)
    batch = batch_of(DATA, method.views)
    loss = method.loss(batch, run)
    teacher, student = softmax(run.numpy_logits(batch.u[0], run.teachers)), softmax(run.numpy_logits(batch.u[1]))
    squared = ((teacher - student) ** 2).sum() / (8 * CLASSES)
    supervised = cross_entropies(batch.y, run.numpy_logits(batch.x)).mean()
    terms(loss, supervised, squared, supervised + 50 * 0.5 * squared)
    ((images, train),) = run.taught
    assert torch.equal(images, batch.u[0]) and train, "the teacher sees the first view, with its batch's statistics"
    loss.total.backward()
    assert len(run.outputs) == 1 and len(run.outputs[0]) == 4 + 8 and (run.outputs[0].grad.abs().sum(1) > 0).all()


def test_pseudo_label_T1_and_its_gradient():
    """On the same view: a kept image's gradient is (p - onehot) / ALL unlabeled images, as if its label were given."""
    method, run = made("pseudo_label", DATA, progress=0.1, tau=0.7)
    batch = batch_of(DATA, method.views)
    loss = method.loss(batch, run)
    p = softmax(run.numpy_logits(batch.u[0]))
    kept, label = p.max(1) >= 0.7, p.argmax(1)
    assert 0 < kept.sum() < 8
    supervised = cross_entropies(batch.y, run.numpy_logits(batch.x)).mean()
    unsupervised = sum(-math.log(p[i, label[i]]) for i in range(8) if kept[i]) / 8
    terms(loss, supervised, unsupervised, supervised + 0.25 * unsupervised)
    assert loss.mask.tolist() == kept.tolist() and loss.pseudo_label.tolist() == label.tolist()
    loss.total.backward()
    expected = 0.25 * kept[:, None] * (p - np.eye(CLASSES)[label]) / 8
    np.testing.assert_allclose(run.outputs[0].grad[4:], expected, rtol=1e-4, atol=1e-7)


# MixUp, MixMatch, ReMixMatch ---------------------------------------------------------------------------------------

def test_mixup_draws_from_beta_and_stays_nearer_to_itself():
    n = 4000
    images, targets = torch.arange(n, dtype=torch.float32).view(n, 1, 1, 1), torch.eye(2)[torch.arange(n) % 2]
    mixed, soft = mixing.mixup(images.expand(n, 1, 2, 2), targets, 0.75, torch.Generator().manual_seed(0))
    assert (soft.sum(1) - 1).abs().max() < 1e-6 and torch.equal(mixed[:, 0, 0, 0], mixed[:, 0, 1, 1])
    shares = np.unique(np.asarray(soft.max(1).values)[np.asarray(soft.max(1).values) < 1])  # those mixed across the two
    folded = lambda s: stats.beta.cdf(s, 0.75, 0.75) - stats.beta.cdf(1 - s, 0.75, 0.75)  # of max(b, 1 - b)
    assert 1500 < len(shares) < 2500 and shares.min() >= 0.5
    assert stats.kstest(shares, folded).pvalue > 0.01
    assert stats.kstest(shares, lambda s: 2 * s - 1).pvalue < 1e-6, "a uniform draw would be noticed"


def fixed_draws(monkeypatch, n, alpha, seed=5):
    """MixUp's draws by NumPy instead: the shares as they come, and the order of the others."""
    random = np.random.RandomState(seed)
    b, order = random.beta(alpha, alpha, n), random.permutation(n)

    def dirichlet(concentration, generator):
        assert concentration.shape == (n, 2) and (concentration == alpha).all() and generator is not None
        return torch.from_numpy(np.stack([b, 1 - b], 1)).float()

    monkeypatch.setattr(torch, "_sample_dirichlet", dirichlet)
    monkeypatch.setattr(torch, "randperm", lambda count, generator, device: torch.from_numpy(order))
    return np.maximum(b, 1 - b), order


def mixed_by_numpy(images, targets, shares, order):
    images, targets = images.astype(float) / 127.5 - 1, targets.astype(float)
    pairs = [(s * images[i] + (1 - s) * images[j], s * targets[i] + (1 - s) * targets[j])
             for i, (j, s) in enumerate(zip(order, shares))]
    return np.stack([a for a, _ in pairs]), np.stack([t for _, t in pairs])


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("progress, share", [(0.0, 0.0), (1 / 128, 0.5), (0.5, 1.0)])
def test_mixmatch(monkeypatch, progress, share, views):
    method, run = made("mixmatch", DATA, progress, options={"views": views}, steps=2**20)
    batch = batch_of(DATA, method.views)
    total = 4 + 8 * views
    shares, order = fixed_draws(monkeypatch, total, 0.75)
    loss = method.loss(batch, run)

    q = sum(softmax(run.numpy_logits(u)) for u in batch.u) / views
    target = q**2 / (q**2).sum(1, keepdims=True)
    images = np.concatenate([batch.x, *batch.u])
    targets = np.concatenate([np.eye(CLASSES)[batch.y], *[target] * views])
    images, targets = mixed_by_numpy(images, targets, shares, order)
    logits = run.numpy_logits(images)
    supervised = cross_entropies(targets[:4], logits[:4]).mean()
    squared = ((softmax(logits[4:]) - targets[4:]) ** 2).mean()
    terms(loss, supervised, squared, supervised + 75 * share * squared)
    np.testing.assert_allclose(loss.pseudo_label, target, rtol=1e-4)
    assert len(loss.mask) == 8 and loss.mask.mean() == 1


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.01])
def test_sharpen_is_the_power_and_bears_what_a_power_does_not(temperature):
    q = torch.tensor([[0.5, 0.3, 0.2], [0.0, 0.6, 0.4], [1 / 3, 1 / 3, 1 / 3]])
    expected = q.double() ** (1 / temperature)
    np.testing.assert_allclose(mixing.sharpen(q, temperature), expected / expected.sum(1, keepdims=True), rtol=1e-3, atol=1e-6)
    assert mixing.sharpen(torch.full((1, 100), 0.01), 0.01).allclose(torch.tensor(0.01))


def test_T5_mixmatch_guess_has_no_gradient():
    method, run = made("mixmatch", DATA)
    method.loss(batch_of(DATA, method.views), run).total.backward()
    guess, mixed = run.outputs
    assert not guess.requires_grad and (mixed.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize("alignment", [None, False])
@pytest.mark.parametrize("progress, share", [(1 / 128, 0.5), (0.5, 1.0)])
def test_remixmatch(monkeypatch, progress, share, alignment):
    method, run = made("remixmatch", DATA, progress, alignment=alignment, steps=2**20)
    p_model, p_data = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    if alignment is None:
        method.align.p_model.copy_(torch.from_numpy(p_model).expand(128, 3))
        method.align.p_data.copy_(torch.from_numpy(p_data))
    batch = batch_of(DATA, method.views)
    assert len(batch.u) == 3
    shares, order = fixed_draws(monkeypatch, 4 + 3 * 8, 0.75)
    turns = torch.tensor([0, 1, 2, 3, 3, 2, 1, 0])
    monkeypatch.setattr(torch, "randint",
                        lambda high, size, generator, device: turns if (high, size) == (4, (8,)) else None)
    loss = method.loss(batch, run)

    q = softmax(run.numpy_logits(batch.u[0]))
    if alignment is None:
        q = q * (p_data + 1e-6) / (p_model + 1e-6)
        q = q / q.sum(1, keepdims=True)
    target = q**2 / (q**2).sum(1, keepdims=True)
    images, targets = mixed_by_numpy(np.concatenate([255 - batch.x, *batch.u]),
                                     np.concatenate([np.eye(CLASSES)[batch.y], target, target, target]), shares, order)
    logits = run.numpy_logits(images)
    each = cross_entropies(targets, logits)
    supervised, unsupervised = each[:4].mean(), each[4:].mean()
    before = cross_entropies(target, run.numpy_logits(batch.u[1])).mean()
    turned = np.stack([np.rot90(image, k, (1, 2)) for image, k in zip(batch.u[1].numpy(), turns.tolist())])
    head = method.head.weight.detach().numpy().T
    rotation = cross_entropies(turns, run.numpy_features(turned) @ head).mean()
    terms(loss, supervised, unsupervised, supervised + share * (1.5 * unsupervised + 0.5 * before) + 0.5 * rotation)
    np.testing.assert_allclose(loss.pseudo_label, target, rtol=1e-4)
    loss.total.backward()
    assert not run.outputs[0].requires_grad and method.head.weight.grad.abs().sum() > 0


def test_remixmatch_head_comes_from_the_seed_alone():
    heads = []
    for seed, noise in ((0, 1), (0, 2), (1, 3)):
        torch.manual_seed(noise)
        heads.append(made("remixmatch", DATA, seed=seed)[0].head.weight)
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])


def test_remixmatch_turns_every_image_by_its_own_angle():
    method, run = made("remixmatch", DATA)
    images = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4).repeat(400, 1, 1, 1)
    turned, turn = method.turn(images, run.generator)
    assert torch.bincount(turn).min() > 70 and len(turn.unique()) == 4
    assert all(torch.equal(image[0], torch.rot90(images[0, 0], int(k))) for image, k in zip(turned, turn))
    wide = tiny_data(height=4, width=6)
    method, run = made("remixmatch", wide)
    turned, turn = method.turn(wide.u, run.generator)
    assert method.head.out_features == 2 and set(turn.tolist()) == {0, 1}
    assert all(torch.equal(image, torch.rot90(before, 2 * int(k), (1, 2)))
               for image, before, k in zip(turned, wide.u, turn))


# UDA ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("tsa, rises", [
    ("none", lambda t: 1), ("linear", lambda t: t), ("exp", lambda t: math.exp(5 * (t - 1))),
    ("log", lambda t: 1 - math.exp(-5 * t))])
@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_uda_and_its_annealing(tsa, rises, progress):
    method, run = made("uda", DATA, progress, tau=0.6, options={"tsa": tsa}, lambda_u=2.0)
    eta = rises(progress) * (1 - 1 / 3) + 1 / 3
    assert method.threshold(progress) == pytest.approx(eta)
    batch = batch_of(DATA, method.views, labeled=6)
    loss = method.loss(batch, run)
    logits = run.numpy_logits(batch.x)
    each, right = cross_entropies(batch.y, logits), softmax(logits)[np.arange(6), batch.y]
    counts = [i for i in range(6) if right[i] <= eta]
    if tsa == "linear" and progress == 0.3:
        assert 0 < len(counts) < 6
    supervised = sum(each[i] for i in counts) / max(1, len(counts))
    q, p = softmax(run.numpy_logits(batch.u[0])), softmax(run.numpy_logits(batch.u[1]))
    target, kept = softmax(run.numpy_logits(batch.u[0]) / 0.4), q.max(1) > 0.6
    assert 0 < kept.sum() < 8
    divergence = sum((target[i] * np.log(target[i] / p[i])).sum() for i in range(8) if kept[i]) / 8
    terms(loss, supervised, divergence, supervised + 2 * divergence)


def test_uda_with_one_label_left_or_none():
    """A label that is learned is left out; the mean is over those that are left, and of none it is 0."""
    method, run = made("uda", DATA, options={"tsa": "linear"})
    run = SimpleNamespace(progress=0.5)
    eta = method.threshold(0.5)
    logits = torch.tensor([[5.0, 0, 0], [0, 0, 0]], requires_grad=True)
    one, none = method._annealed(logits, torch.tensor([0, 1]), run), method._annealed(logits[:1], torch.tensor([0]), run)
    assert eta == pytest.approx(2 / 3) and one.item() == pytest.approx(math.log(3)) and none == 0
    none.backward()
    assert (logits.grad == 0).all()


def test_T40_uda_thresholds_what_is_not_sharpened():
    """q = .7 is below tau, its sharpened version above; the target is the sharpened one."""
    policy = made("uda", DATA)[0].policy
    pseudo = policy(torch.tensor([[math.log(0.7 / 0.3), 0.0], [math.log(0.85 / 0.15), 0.0]]))
    assert made("uda", DATA, tau=0.5)[0].policy(torch.zeros(1, 2)).weight == 0, "exactly tau is not more than tau"
    assert pseudo.weight.tolist() == [0, 1] and pseudo.confidence.tolist() == pytest.approx([0.7, 0.85])
    sharpened = 0.7**2.5 / (0.7**2.5 + 0.3**2.5)
    assert sharpened > 0.8 and pseudo.target[0].tolist() == pytest.approx([sharpened, 1 - sharpened])


def test_T5_uda_gradient_is_that_of_constants():
    method, run = made("uda", DATA, tau=0.6)
    batch = batch_of(DATA, method.views)
    method.loss(batch, run).total.backward()
    labeled, weak, strong = run.outputs[0].grad.split([4, 8, 8])
    q, p = softmax(run.numpy_logits(batch.u[0])), softmax(run.numpy_logits(batch.u[1]))
    target = softmax(run.numpy_logits(batch.u[0]) / 0.4)
    assert weak.abs().sum() == 0
    np.testing.assert_allclose(strong, (q.max(1) > 0.6)[:, None] * (p - target) / 8, rtol=1e-4, atol=1e-7)


# All ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("method, options", [
    ("pi_model", {}), ("mean_teacher", {}), ("pseudo_label", {}), ("uda", {}), ("flexmatch", {}), ("softmatch", {}),
    ("freematch", {"lambda_f": 0.0})])
def test_T38_lambda_zero_has_the_gradient_of_the_labels_alone(method, options):
    method, run = made(method, DATA, tau=0.0, lambda_u=0.0, options=options)
    batch = batch_of(DATA, method.views)
    loss = method.loss(batch, run)
    loss.total.backward()
    alone = Run(run.recipe, DATA)
    torch.nn.functional.cross_entropy(alone.forward(batch.x), batch.y).backward()
    assert loss.unsupervised > 0
    for mine, its in zip(run.model.weights, alone.model.weights):
        torch.testing.assert_close(mine.grad, its.grad)


@pytest.mark.parametrize("method", ["uda", "flexmatch", "freematch", "softmatch"])
def test_T5_weak_views_get_no_gradient(method):
    method, run = made(method, DATA, tau=0.6, options={"lambda_f": 1.0} if method == "freematch" else {})
    method.loss(batch_of(DATA, method.views), run).total.backward()
    labeled, weak, strong = run.outputs[0].grad.split([4, 8, 8])
    assert weak.abs().sum() == 0 and labeled.abs().sum() > 0 and strong.abs().sum() > 0


# Self-training, and what goes wrong ------------------------------------------------------------------------------------

def test_self_training_labels_the_whole_set_when_a_round_begins_and_then_sticks_to_it():
    data = fm.load_data("digits", labels=40, seed=0)
    recipe = fm.recipe("digits", method="self_training", steps=10, eval_every=10, batch_size=4, mu=3, tau=0.2,
                       ema_decay=0.5, precision="float32")
    training = fm.fit(recipe, data, device="cpu")
    seen = []
    for step in range(10):
        expected = training.teacher(data.u).softmax(1) if step in (2, 4, 6, 8) else None
        before = training.method.weight.clone(), training.method.target.clone()
        batch = training.batches.next(training.method.views)
        training.batches.next = lambda views, batch=batch: batch
        training._train_step()
        del training.batches.next
        mine = training.method
        if expected is None:
            assert torch.equal(mine.weight, before[0]) and torch.equal(mine.target, before[1])
        else:
            assert torch.equal(mine.target, expected.argmax(1))
            assert torch.equal(mine.weight, (expected.max(1).values >= 0.2).float())
        seen.append(mine.weight.mean().item())
    assert seen[:2] == [0, 0] and 0 < seen[-1] < 1


def test_self_training_takes_the_kept_labels_of_its_images_and_the_mean_over_all():
    data = tiny_data()
    method, run = made("self_training", data, lambda_u=2.0)
    run.step, batch = 1, batch_of(data, method.views)
    method.weight[::2], method.target[:] = 1.0, torch.arange(len(data.u)) % CLASSES
    loss = method.loss(batch, run)
    x, u = run.numpy_logits(batch.x), run.numpy_logits(batch.u[0])
    supervised = cross_entropies(batch.y, x).mean()
    unsupervised = (method.weight[batch.ids].numpy() * cross_entropies(method.target[batch.ids], u)).mean()
    np.testing.assert_allclose(loss.total.item(), supervised + 2 * unsupervised, rtol=1e-5)
    assert 0 < loss.mask.mean() < 1


def test_self_training_needs_the_images_in_memory():
    class OnDisk(list):
        shape, decoded = tiny_data().u.shape, None

    data = tiny_data()
    data = replace(data, u=OnDisk(range(len(data.u))))
    with pytest.raises(fm.FixMatchError, match="labels all unlabeled images at once"):
        made("self_training", data)


def nt_xent_by_numpy(z, temperature):
    """Each view's own sentence: among all views but itself, which one is its partner?"""
    n, each = len(z) // 2, []
    for i in range(2 * n):
        cosine = {j: z[i] @ z[j] / np.linalg.norm(z[i]) / np.linalg.norm(z[j]) for j in range(2 * n) if j != i}
        partner = i + n if i < n else i - n
        each.append(-math.log(math.exp(cosine[partner] / temperature) / sum(math.exp(c / temperature) for c in cosine.values())))
    return np.mean(each)


@pytest.mark.parametrize("temperature", [0.5, 0.1])
def test_simclr(temperature):
    method, run = made("simclr", DATA, lambda_u=2.0, options={"temperature": temperature})
    run.model.classifier = torch.nn.Linear(64, CLASSES)
    batch = batch_of(DATA, method.views)
    loss = method.loss(batch, run)
    head = {k: v.detach().double().numpy() for k, v in method.head.state_dict().items()}
    hidden = np.maximum(run.numpy_features(torch.cat(batch.u)) @ head["0.weight"].T + head["0.bias"], 0)
    unsupervised = nt_xent_by_numpy(hidden @ head["2.weight"].T + head["2.bias"], temperature)
    last = run.model.classifier
    logits = run.numpy_features(batch.x) @ last.weight.detach().numpy().T + last.bias.detach().numpy()
    supervised = cross_entropies(batch.y, logits).mean()
    terms(loss, supervised, unsupervised, supervised + 2 * unsupervised)
    assert len(run.seen) == 1 and len(run.seen[0]) == 4 + 2 * 8 and loss.mask is None and loss.pseudo_label is None


def test_simclrs_labels_teach_the_last_layer_and_nothing_else():
    method, run = made("simclr", DATA)
    run.model.classifier = torch.nn.Linear(64, CLASSES)
    loss = method.loss(batch_of(DATA, method.views), run)
    parts = [*run.model.weights[:1], *method.parameters(), *run.model.classifier.parameters()]
    by = {name: [g is not None for g in torch.autograd.grad(term, parts, retain_graph=True, allow_unused=True)]
          for name, term in (("labels", loss.supervised), ("views", loss.unsupervised))}
    assert by == {"labels": [False] * 5 + [True] * 2, "views": [True] * 5 + [False] * 2}


def test_nt_xent_of_views_that_say_nothing_is_that_of_a_guess_among_all_others():
    same = torch.ones(6, 3)
    assert close(nt_xent(same, same), math.log(11))
    first = torch.eye(4)
    assert nt_xent(first, first, 0.01).item() < 1e-6, "partners alike, all others at a right angle"


def test_features_on_one_scale_are_those_of_the_net_in_evaluation_mode():
    net = fm.WideResNet(10, 1, num_classes=3, in_channels=1, generator=torch.Generator().manual_seed(0)).eval()
    random = np.random.RandomState(0)
    u, others = (torch.from_numpy(random.randint(256, size=(n, 1, 8, 8)).astype(np.uint8)) for n in (700, 3))
    scaled, few = standardized(net, u, others)
    assert scaled.shape == (700, 64) and scaled.dtype == np.float32 and few.shape == (3, 64)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-4), np.testing.assert_allclose(scaled.std(0, ddof=1), 1, atol=1e-3)
    with torch.no_grad():
        plain = net(others.float() / 127.5 - 1, with_features=True)[1].numpy()
        every = net(u.float() / 127.5 - 1, with_features=True)[1].numpy()
    np.testing.assert_allclose(few, (plain - every.mean(0)) / every.std(0, ddof=1), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("mistake", ["leak", "kept_mean", "apart"])
def test_mistakes_are_what_they_are_called(mistake):
    data = tiny_data()
    method, run = made("mistaken", data, options={"mistake": mistake})
    batch = batch_of(data, method.views)
    run.step = 0
    method.policy.tau = tau = np.median(softmax(run.numpy_logits(batch.u[0])).max(1))
    loss = method.loss(batch, run)
    x, weak, strong = (run.numpy_logits(part) for part in (batch.x, *batch.u))
    q = softmax(weak)
    mask = q.max(1) >= tau
    assert 0 < mask.mean() < 1 and loss.mask.bool().tolist() == mask.tolist()
    each = cross_entropies(q if mistake == "leak" else q.argmax(1), strong)[mask].sum()
    expected = each / (mask.sum() if mistake == "kept_mean" else len(mask))
    np.testing.assert_allclose(loss.unsupervised.item(), expected, rtol=1e-5)
    np.testing.assert_allclose(loss.supervised.item(), cross_entropies(batch.y, x).mean(), rtol=1e-5)
    loss.total.backward()
    if mistake == "apart":
        assert [len(part) for part in run.seen] == [len(batch.x), *map(len, batch.u)]
    else:  # one joint pass; only a leak reaches the weak views' outputs
        gradient = run.outputs[0].grad[len(batch.x):len(batch.x) + len(batch.u[0])]
        assert (gradient.abs().sum() > 0) == (mistake == "leak")


def test_a_frozen_net_stays_in_evaluation_mode_after_its_first_evaluation():
    data = fm.load_data("digits", labels=40, seed=0)
    recipe = fm.recipe("digits", method="mistaken", steps=4, eval_every=2, batch_size=4, mu=1,
                       options={"mistake": "frozen"})
    training = fm.fit(recipe, data, device="cpu")
    next(training)
    then = training.model.norm.running_mean.clone()
    assert training.model.training
    next(training)
    assert not training.model.training and torch.equal(training.model.norm.running_mean, then)


def test_one_draw_gives_every_image_of_a_batch_the_same_operations():
    from fixmatch_lite.batches import make_strong

    image = torch.randint(256, (1, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    same = image.expand(32, -1, -1, -1).contiguous()
    for augment, kinds in (("one_draw", 1), ("fixmatch", 20)):
        strong = make_strong(fm.recipe("digits", augment=augment, probability=1.0))
        out = strong.operations(same, generator=torch.Generator().manual_seed(1))
        assert (len(out.unique(dim=0)) == 1) == (kinds == 1) and not torch.equal(out, same)
