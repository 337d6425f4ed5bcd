"""Checkers of chapter 10 (Two knobs). Every truth is computed here, from recipes and recorded runs."""

import math
import random
import statistics

import torch

from .. import runs
from ..recipes import recipe


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def images(answer):
    """How many images, all views counted, pass through the network in a whole run of the CIFAR-10 recipe.

    Hint: one step takes batch_size labeled images once and mu * batch_size unlabeled images twice, weak and strong.
    """
    r = recipe("cifar10")
    truth = r.steps * r.batch_size * (1 + 2 * r.mu)
    if _near(answer, truth, 0.005 * truth):
        return None
    if _near(answer, r.batch_size * (1 + 2 * r.mu), 0.5):
        return "That is one step. Multiply by the number of steps."
    if _near(answer, r.steps * r.batch_size * (1 + r.mu), 0.005 * truth):
        return "Every unlabeled image passes twice: its weak view and its strong view."
    return "Count the images of one step, batch_size * (1 + 2 mu), and multiply by steps."


def summary(answer):
    """A function summary(accuracies) that returns the median of the last 20 entries.

    Hint: accuracies[-20:] are the last twenty, or all of them where there are fewer; statistics.median does the rest.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = summary."
    draw = random.Random(1)
    for length in (50, 20, 7):
        values = [draw.random() for _ in range(length)]
        given, tail = float(answer(list(values))), values[-20:]
        if _near(given, statistics.median(tail), 1e-6):  # float32 will do
            continue
        if _near(given, values[-1], 1e-6):
            return "That is the last evaluation alone. Take the median of the last 20."
        if _near(given, max(values), 1e-6) or _near(given, max(tail), 1e-6):
            return "That is the best evaluation. It was picked by looking at the test set; take the median."
        if _near(given, statistics.fmean(tail), 1e-6):
            return "That is the mean. One bad evaluation pulls a mean down and leaves a median where it is."
        if _near(given, statistics.median(values), 1e-6):
            return "That is the median of all evaluations; take the last 20 only."
        return f"Wrong for a list of {length} numbers; take the median of the last 20, or of all if there are fewer."
    return None


def wrong_a_step(answer):
    """Wrong pseudo-labels a step in the first interval of the run digits-grid-tau0-mu7-seed0.

    Hint: mask_rate * mu * batch_size images are kept per step; a share of 1 - pseudo_label_accuracy of them is wrong.
    """
    run = runs.load("digits-grid-tau0-mu7-seed0")
    m, pool = run.metrics[0], run.recipe.mu * run.recipe.batch_size
    truth = m.mask_rate * (1 - m.pseudo_label_accuracy) * pool
    if _near(answer, truth, 1):
        return None
    if _near(answer, truth / pool, 0.01):
        return "That is a share. How many of a step's unlabeled images is that?"
    if _near(answer, pool * m.mask_rate - truth, 1):
        return "Those are the right ones."
    return "Take run.metrics[0]: kept images per step, times the share of the kept that is wrong."


def wait(answer):
    """The first evaluated step of digits-grid-tau0.99-mu7-seed0 at which at least half of the unlabeled pictures are kept.

    Hint: go through run.metrics in order; mask_rate is the share kept, step the step.
    """
    first = lambda tau: next(m for m in runs.load(f"digits-grid-tau{tau}-mu7-seed0").metrics if m.mask_rate >= 0.5)
    truth = first(0.99)
    if _near(answer, truth.step, 0.5):
        return None
    if _near(answer, first(0.5).step, 0.5):
        return "That is the run with tau = 0.5. Give the step for the run with 0.99."
    if _near(answer, truth.mask_rate, 0.005):
        return "That is the share kept. At which step was it?"
    if float(answer) > truth.step:
        return "Half are kept even earlier: take the first such evaluation."
    return "At that step fewer than half are kept; see m.mask_rate for m in run.metrics."


def certain(answer):
    """Smallest whole lead of one logit over nine equal ones at which float32 softmax says exactly 1.

    Hint: try torch.softmax(torch.tensor([lead] + 9 * [0.0]), 0).max() == 1 for lead = 1, 2, 3 and so on.
    """
    surely = lambda lead: torch.softmax(torch.tensor([float(lead)] + 9 * [0.0]), 0).max().item() == 1
    truth = next(lead for lead in range(1, 200) if surely(lead))
    # exp(-lead) vanishes beside 1 below 2 ** -24: each of the nine by itself, or their sum, as the machine adds them.
    if math.floor(math.log(2**24)) < float(answer) <= math.ceil(math.log(9 * 2**24)) and float(answer) % 1 == 0:
        return None
    if not float(answer) >= truth:
        return "At that lead float32 still tells the softmax from 1."
    return "At that lead it is exactly 1, but a smaller lead is enough."


def flattery(answer):
    """Mean over all finished grid runs of the best evaluation minus the median of the last 20, in points.

    Hint: max(m.test_accuracy for m in run.metrics) against fm.runs.summarize(run)["test_accuracy"].
    """
    gaps = [max(m.test_accuracy for m in run.metrics) - runs.summarize(run)["test_accuracy"]
            for run in runs.list_runs(prefix="digits-grid-") if run.done]
    truth = 100 * statistics.fmean(gaps)
    if _near(answer, truth, 0.05):
        return None
    if _near(100 * float(answer), truth, 0.05):
        return "In points, please: multiply the fraction by 100."
    if _near(answer, -truth, 0.05):
        return "The sign: the best is never below the median."
    return "Average over all runs in `runs`: best evaluation minus summarize(run)['test_accuracy'], times 100."
