"""Checkers of chapter 11 (The recipe nobody reads). Every truth is computed here, from recipes and recorded runs."""

import math
import statistics

import torch

from .. import runs
from ..comparators.mistakes import MISTAKES
from ..models import WideResNet, decayed_and_not
from ..recipes import recipe
from ..training import learning_rate


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def rate(answer):
    """The learning rate of the CIFAR-10 recipe in the middle of the run.

    Hint: lr * cos(7 pi k / (16 K)) with k / K = 1/2.
    """
    r = recipe("cifar10")
    truth = learning_rate(r, r.steps // 2)
    if _near(answer, truth, 2e-4):
        return None
    if _near(answer, r.lr / 2, 2e-4):
        return "That is half of the rate at the start: a straight line. The cosine falls slowly at first."
    if _near(answer, r.lr * math.cos(math.pi / 4), 2e-4):
        return "That treats the whole run as a quarter circle, down to 0; here it is 7/16 of a half circle."
    if _near(answer, math.cos(7 * math.pi / 32), 2e-3):
        return "That is the factor. Multiply by the rate at the start."
    return "Put k / K = 1/2 into lr * cos(7 pi k / (16 K)); the rate at the start is fm.recipe('cifar10').lr."


def seen(answer):
    """How often, on average, one of 250 labeled images passes through the net as a labeled image in the paper's run.

    Hint: batch_size labeled images per step, times the number of steps, shared by 250 images.
    """
    r = recipe("cifar10")
    truth = r.batch_size * r.steps / 250
    if _near(answer, truth, 0.005 * truth):
        return None
    if _near(answer, r.batch_size * r.steps, 0.005 * truth):
        return "That is for all 250 together."
    if _near(answer, r.batch_size * r.steps / 40, 0.005 * truth):
        return "That is with 40 labels, as on the page. Here there are 250."
    if _near(answer, truth * r.mu, 0.005 * truth * r.mu):
        return "mu counts unlabeled images; a step has batch_size labeled ones."
    return "Take labeled images per step, times steps, divided by 250."


def undecayed(answer):
    """How many of the 77,898 numbers in the digits' net, Wide ResNet-10-1 of one channel, are not decayed.

    Hint: those of parameters with one dimension: biases, and the scale and shift of every batch norm.
    """
    decayed, plain = (sum(p.numel() for p in group) for group in decayed_and_not(WideResNet(10, 1, in_channels=1)))
    if _near(answer, plain, 0.5):
        return None
    if _near(answer, decayed, 0.5):
        return "Those are the decayed ones."
    if _near(answer, 100 * plain / (plain + decayed), 0.1) or _near(answer, plain / (plain + decayed), 0.001):
        return "That is their share. How many are there?"
    if _near(answer, 5658, 0.5):
        return "That is the number for Wide ResNet-28-2, printed on the page. Count in the digits' net."
    return "Add up p.numel() over net.parameters() with p.ndim == 1."


def decay(answer):
    """The largest decay with which an average has less than 1 % of its start left after 500 steps.

    Hint: after n steps decay ** n of the start is left; solve decay ** 500 = 0.01.
    """
    truth = 0.01 ** (1 / 500)
    if truth - 2e-4 <= float(answer) <= truth + 1e-9:  # rounded down; rounded up it leaves more than 1 %
        return None
    if not 0 < float(answer) < 1:
        return "A decay lies between 0 and 1."
    left = float(answer) ** 500
    if float(answer) > truth:
        return f"Too slow: with that decay {left:.3%} of the start is left after 500 steps."
    return f"That works, but a larger one does, too: with that decay only {left:.2%} of the start is left."


def without_gradient(answer):
    """A function f(net, images) that returns the names of the parameters that get no gradient.

    Hint: call net(images).sum().backward() and look for p.grad is None in net.named_parameters().
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = without_gradient."
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))  # of zeros some gradients would be zero, too
    for dead, stale in ((True, False), (False, False), (True, True)):
        net = WideResNet(10, 1, in_channels=1, dead=dead)
        if stale:
            for p in net.parameters():
                p.grad = torch.ones_like(p)
        truth = {f"blocks.{k}.norm1.{kind}" for k in (1, 2) for kind in ("weight", "bias")} if dead else set()
        found = set(answer(net, images))
        if stale and found < truth:
            return "Gradients from before the call are taken for gradients from these images: clear them first."
        if found != truth:
            missing, extra = sorted(truth - found), sorted(found - truth)
            what = f"it misses {missing[0]}" if missing else f"it names {extra[0]}, which has a gradient"
            return f"For a net {'with' if dead else 'without'} dead parts {what}."
    return None


def wrong_kept(answer):
    """The mistake that has, after weak_only, the most wrong pseudo-labels among the kept at the end.

    Hint: take the median of 1 - run.metrics[-1].pseudo_label_accuracy over the runs in
    fm.runs.list_runs(prefix=f"digits-mistake-{name}-") that are done.
    """
    ends = {name: [1 - run.metrics[-1].pseudo_label_accuracy for run in runs.list_runs(prefix=f"digits-mistake-{name}-")
                   if run.done] for name in MISTAKES}
    order = sorted(((statistics.median(values), name) for name, values in ends.items() if values), reverse=True)
    if str(answer) == order[1][1]:
        return None
    if str(answer) not in MISTAKES:
        return f"Give one of the eleven names: {', '.join(MISTAKES)}."
    if str(answer) == order[0][1]:
        return "That mistake, no strong view, has the most. Which comes next?"
    if not ends[str(answer)]:
        return "A run with that mistake breaks off before the end."
    return "Another mistake has more."
