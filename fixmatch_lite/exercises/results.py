"""Checkers of chapter 12 (How good is it, and how do we know?). Every truth is computed here, none is written down."""

import math
import statistics

import numpy as np

from .. import runs


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def pictures(answer):
    """How many more test pictures FixMatch gets right than UDA, CIFAR-10 with 250 labels.

    Hint: the difference of the two error rates, as a share, times 10,000.
    """
    truth = 10_000 * (8.82 - 5.07) / 100
    if _near(answer, truth, 1):
        return None
    if _near(answer, truth / 100, 0.1):
        return "That is the difference in points. How many of 10,000 pictures is it?"
    if _near(answer, -truth, 1):
        return "The sign: FixMatch has the smaller error, so it gets more right."
    return "Take the difference of the two errors, in percent of 10,000 pictures."


def stl(answer):
    """The difference of RA and CTA on STL-10 in standard errors of the difference.

    Hint: (7.98 - 5.17) divided by the root of (1.50**2 + 0.63**2) / 5.
    """
    truth = (7.98 - 5.17) / math.sqrt((1.50**2 + 0.63**2) / 5)
    if _near(answer, truth, 0.05):
        return None
    if _near(answer, (7.98 - 5.17) / math.sqrt(1.50**2 + 0.63**2), 0.05):
        return "Divide the squares by the number of folds first: a mean of five varies less than one run."
    if _near(answer, 7.98 - 5.17, 0.01):
        return "That is the difference in points. Divide it by its standard error."
    if _near(-float(answer), truth, 0.05):
        return "The size is right; CTAugment has the smaller error, so subtract its error from RandAugment's."
    return "Divide the difference of the means by the root of (1.50² + 0.63²) / 5."


def aligned(answer):
    """A function aligned(q, p_model, p_data) that returns the corrected rows.

    Hint: multiply each row by (1e-6 + p_data) / (1e-6 + p_model) and divide by its sum.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = aligned."
    rng = np.random.default_rng(0)
    for classes, even in ((3, True), (10, True), (4, False)):
        q = rng.dirichlet(np.ones(classes), size=20)
        p_model = rng.dirichlet(np.ones(classes))
        p_data = np.full(classes, 1 / classes) if even else rng.dirichlet(np.ones(classes))
        for model in (p_model, np.where(np.arange(classes) == 0, 0.0, p_model)):
            truth = q * (1e-6 + p_data) / (1e-6 + model)
            truth /= truth.sum(axis=1, keepdims=True)
            with np.errstate(divide="ignore", invalid="ignore"):
                found = np.asarray(answer(q.copy(), model.copy(), p_data.copy()), dtype=float)
            if found.shape != q.shape:
                return f"The result should have shape {q.shape}, and yours has {found.shape}."
            if not np.isfinite(found).all():
                return "A class that the model never uses gives infinities: add 1e-6 to both shares."
            if not np.allclose(found.sum(axis=1), 1):
                return "Each row should sum to 1: divide by its sum at the end."
            within = (q * p_data + 1e-6) / (model + 1e-6)
            if not np.allclose(found, truth, atol=1e-5) and np.allclose(found, within / within.sum(axis=1, keepdims=True), atol=1e-7):
                return "Add 1e-6 to the two shares, p_data and p_model, and not to the product with q."
            if not np.allclose(found, truth, atol=1e-5) and model[0] == 0:
                return "A class that the model never uses is lifted most of all: add 1e-6 to both shares."
            if not np.allclose(found, truth, atol=1e-5):
                return ("Some rows are not right: " + ("what the model uses too often must become smaller." if even else
                        "the classes need not be equally frequent, so multiply by p_data."))
    q, half = np.full((1, 3), 1 / 3), np.array([0.0, 0.5, 0.5])
    if not np.allclose(answer(q, half.copy(), half), q, atol=1e-5):
        return "A class that neither model nor labels know keeps its probability: add 1e-6 to both shares, p_data too."
    return None


def flattery(answer):
    """Median over the draws of best-of-run minus reported median, for SoftMatch with 40 digits, in points.

    Hint: call flattery with the prefix "digits-40-softmatch-" and take statistics.median of what it returns.
    """
    found = [100 * (max(m.test_accuracy for m in run.metrics) - runs.summarize(run)["test_accuracy"])
             for run in runs.list_runs(prefix="digits-40-softmatch-")]
    truth = statistics.median(found)
    if _near(answer, truth, 0.051):
        return None
    if _near(answer, max(found), 0.051):
        return "That is the largest of the five; take their median."
    return "For each of the five runs: the best evaluation minus the median of the last 20; then the median of these, in points."


def relative(answer):
    """By how many percent FixMatch's error on ImageNet is smaller than UDA's.

    Hint: 2.68 points out of UDA's error, which is 28.54 + 2.68.
    """
    truth = 100 * 2.68 / (28.54 + 2.68)
    if _near(answer, truth, 0.1):
        return None
    if _near(100 * float(answer), truth, 0.1):
        return "In percent, please: multiply by 100."
    if _near(answer, 2.68, 0.01):
        return "Those are percentage points. What share of UDA's error is that?"
    if _near(answer, 100 * 2.68 / 28.54, 0.1):
        return "Divide by UDA's error, not by FixMatch's."
    return "UDA's error is 28.54 + 2.68. Divide 2.68 by it."


def folds(answer):
    """Folds of each that make 2.42 points two standard errors, at standard deviations of 3.36.

    Hint: 2 * sqrt((3.36**2 + 3.36**2) / n) <= 2.42; solve for n and round up.
    """
    truth = math.ceil(8 * 3.36**2 / 2.42**2)
    if _near(answer, truth, 0):
        return None
    if _near(answer, 8 * 3.36**2 / 2.42**2, 0.06) or _near(answer, truth - 1, 0):
        return "Almost: round up to a whole number of folds."
    if _near(answer, math.ceil(2 * 3.36**2 / 2.42**2), 0):
        return "That makes the difference one standard error. It should be two."
    return "Set 2 sqrt((s² + s²) / n) to 2.42 and solve for n."
