"""What must hold for any shape, number of classes and values: found by searching, not by example."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fixmatch_lite as fm
from fixmatch_lite.augment import PRESETS, to_float
from fixmatch_lite.batches import ShuffledIndices
from fixmatch_lite.comparators.alignment import DistributionAlignment
from fixmatch_lite.comparators.ctaugment import CTAugment
from fixmatch_lite.data import draw_labeled
from fixmatch_lite.losses import semi_supervised_loss
from fixmatch_lite.policies import FixMatch, PseudoLabels

settings.register_profile("ours", deadline=None, max_examples=25, derandomize=True,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")

FLOATS = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])


def softmax(z):
    z = np.exp(z - z.max(1, keepdims=True))
    return z / z.sum(1, keepdims=True)


@given(labeled=st.integers(1, 9), mu=st.integers(1, 7), classes=st.integers(2, 1000), tau=st.floats(0, 1),
       lambda_u=st.floats(0, 100), seed=st.integers(0, 10**6), dtype=FLOATS)
def test_T1_T2_loss_is_the_formula(labeled, mu, classes, tau, lambda_u, seed, dtype):
    draw = torch.Generator().manual_seed(seed)
    x, weak, strong = (4 * torch.randn(n, classes, generator=draw).to(dtype)
                       for n in (labeled, mu * labeled, mu * labeled))
    y = torch.randint(classes, (labeled,), generator=draw)
    loss = fm.fixmatch_loss(x, y, weak, strong, tau=tau, lambda_u=lambda_u)
    x, weak, strong = (part.double().numpy() for part in (x, weak, strong))
    q, p = softmax(weak), softmax(strong)
    confidence = softmax(weak.astype(np.float32)).max(1)
    assert np.allclose(loss.confidence.numpy(), confidence, rtol=1e-4)
    keep = loss.mask.numpy()
    near = np.abs(confidence - tau) < 1e-5  # there, rounding decides
    assert np.array_equal(keep[~near], (confidence >= tau)[~near].astype(float))
    supervised = -np.log(softmax(x)[np.arange(labeled), y.numpy()] + 1e-300).mean()
    unsupervised = (keep * -np.log(p[np.arange(len(p)), loss.pseudo_label.numpy()] + 1e-300)).sum() / len(p)
    assert loss.supervised.item() == pytest.approx(supervised, rel=1e-3, abs=1e-5)
    assert loss.unsupervised.item() == pytest.approx(unsupervised, rel=1e-3, abs=1e-5)
    assert loss.total.item() == pytest.approx(supervised + lambda_u * unsupervised, rel=1e-3, abs=1e-4)
    assert loss.total.dtype == torch.float32 and np.array_equal(q.argmax(1)[~near], loss.pseudo_label.numpy()[~near])


@given(n=st.integers(1, 6), classes=st.integers(2, 12), seed=st.integers(0, 10**6), soft=st.booleans())
def test_T5_gradient_equals_finite_differences(n, classes, seed, soft):
    draw = torch.Generator().manual_seed(seed)
    logits_x, strong = (torch.randn(n, classes, generator=draw) for _ in range(2))
    y, weight = torch.randint(classes, (n,), generator=draw), torch.rand(n, generator=draw)
    target = torch.randn(n, classes, generator=draw).softmax(1) if soft else torch.randint(classes, (n,), generator=draw)
    pseudo = PseudoLabels(weight, target, weight)
    loss = lambda x, u: semi_supervised_loss(x, y, u, pseudo, lambda_u=1.5).total
    logits_x.requires_grad_(), strong.requires_grad_()
    loss(logits_x, strong).backward()
    with torch.no_grad():
        for tensor in (logits_x, strong):
            k = int(torch.randint(tensor.numel(), (1,), generator=draw))
            step = torch.zeros(tensor.numel()).index_fill_(0, torch.tensor([k]), 1e-2).view_as(tensor)
            ends = [loss(*(t + sign * step if t is tensor else t for t in (logits_x, strong))) for sign in (1, -1)]
            slope = ((ends[0] - ends[1]) / 2e-2).item()
            assert tensor.grad.flatten()[k].item() == pytest.approx(slope, abs=2e-3)


@given(n=st.integers(1, 5), channels=st.sampled_from([1, 3]), height=st.integers(4, 40), width=st.integers(4, 40),
       preset=st.sampled_from(sorted(PRESETS)), seed=st.integers(0, 10**6))
def test_T37_views_keep_shape_and_dtype_and_the_input(n, channels, height, width, preset, seed):
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, channels, height, width), generator=draw, dtype=torch.uint8)
    before = images.clone()
    weak = fm.weak_augment(images, generator=draw)
    for strong in (fm.RandAugment(preset)(weak, generator=draw), CTAugment()(weak, generator=draw)):
        strong = fm.Cutout()(strong, generator=draw)
        assert strong.shape == images.shape and strong.dtype == torch.uint8
    assert torch.equal(images, before)
    assert set(weak.unique().tolist()) <= set(images.unique().tolist())  # shifting and mirroring invent no value
    assert to_float(images).abs().max() <= 1


@given(counts=st.lists(st.integers(1, 60), min_size=2, max_size=30), share=st.floats(0, 1), seed=st.integers(0, 99),
       split=st.sampled_from(["balanced", "proportional"]))
def test_T17_labeled_draw_is_complete_or_refused(counts, share, seed, split):
    targets = np.repeat(np.arange(len(counts)), counts)
    labels = len(counts) + int(share * (len(targets) - len(counts)))
    try:
        chosen = draw_labeled(targets, labels, seed, split=split)
    except fm.FixMatchError as error:
        assert "ask for" in str(error)
        return
    assert len(set(chosen)) == labels and chosen == draw_labeled(targets, labels, seed, split=split)
    drawn = np.bincount(targets[list(chosen)], minlength=len(counts))
    assert (drawn <= counts).all()
    if split == "balanced":
        assert drawn.max() - drawn.min() <= 1


@given(size=st.integers(1, 50), batch=st.integers(1, 120), seed=st.integers(0, 999))
def test_T21_stream_of_indices_is_fair_for_any_batch(size, batch, seed):
    stream = ShuffledIndices(size, torch.Generator().manual_seed(seed))
    drawn = torch.cat([stream.next(batch) for _ in range(5)])
    counts = torch.bincount(drawn, minlength=size)
    assert len(drawn) == 5 * batch and counts.max() - counts.min() <= 1


@given(classes=st.integers(2, 1000), channels=st.sampled_from([1, 3]), side=st.integers(5, 33), batch=st.integers(2, 5))
@settings(max_examples=8)
def test_T37_net_takes_any_size_and_number_of_classes(classes, channels, side, batch):
    model = fm.WideResNet(10, 1, classes, channels)
    model(torch.zeros(batch, channels, side, side + 1)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@given(classes=st.integers(2, 200), n=st.integers(1, 40), seed=st.integers(0, 999))
def test_alignment_gives_probabilities(classes, n, seed):
    draw = torch.Generator().manual_seed(seed)
    align = DistributionAlignment(classes)
    for _ in range(3):
        q = align(5 * torch.randn(n, classes, generator=draw), torch.randint(classes, (4,), generator=draw)).exp()
        assert torch.allclose(q.sum(1), torch.ones(n), atol=1e-4) and q.isfinite().all()


@given(values=st.lists(st.floats(-60, 60, width=32), min_size=2, max_size=20), tau=st.floats(0, 1))
def test_T39_extreme_logits_stay_finite(values, tau):
    logits = torch.tensor([values])
    pseudo = FixMatch(tau)(logits)
    assert pseudo.confidence.isfinite().all() and pseudo.weight.item() in (0.0, 1.0)
    strong = logits.flip(1).requires_grad_()
    loss = fm.fixmatch_loss(logits.detach(), logits.argmax(1), logits, strong, tau=tau)
    loss.total.backward()
    assert loss.total.isfinite() and strong.grad.isfinite().all()
