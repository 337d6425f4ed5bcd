"""Checkers of chapter 8 (Who teaches whom?). Every truth is computed here, none is written down."""

import itertools
import math

import numpy as np

from .. import runs

METHODS = {"labels alone": "digits-supervised-", "Pseudo-Label": "digits-40-pseudo_label-", "Mean Teacher": "digits-40-mean_teacher-",
           "Π-model": "digits-40-pi_model-", "VAT": "digits-40-vat-", "FixMatch": "digits-grid-tau0.95-mu7-", "UDA": "digits-40-uda-",
           "MixMatch": "digits-40-mixmatch-", "ReMixMatch": "digits-40-remixmatch-"}


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def distance(answer):
    """The consistency loss of (0.8, 0.2) and (0.6, 0.4), as the mean over classes.

    Hint: square the difference of each class, then take the mean of the two squares.
    """
    truth = np.mean((np.array([0.8, 0.2]) - [0.6, 0.4]) ** 2)
    if _near(answer, truth, 1e-6):
        return None
    if _near(answer, 2 * truth, 1e-6):
        return "That is the sum over the classes; `consistency` takes the mean."
    if _near(answer, 0.2, 1e-6):
        return "That is the difference. It has to be squared."
    return "Both classes differ by 0.2. Square, then take the mean."


def half_life(answer):
    """Steps after which a share in an average of decay 0.99 is at most one half.

    Hint: each step multiplies the share by 0.99; solve 0.99**n <= 0.5.
    """
    truth = math.ceil(math.log(0.5) / math.log(0.99))
    if _near(answer, truth, 0):
        return None
    if _near(answer, truth - 1, 0.99):
        return "Almost: there the share is still a little above one half; take the next whole number."
    if _near(answer, 100, 0) or _near(answer, 50, 0):
        return "The memory is about 100 steps, but a share does not fall in a straight line: it is multiplied by 0.99 each time."
    return "Each step multiplies the share by 0.99. After how many steps is it 0.5 or less?"


def _averages(values, decay, start):
    """The moving averages after each value."""
    follow = lambda average, value: decay * average + (1 - decay) * value
    return list(itertools.accumulate(values, follow, initial=start))[1:]


def moving_average(answer):
    """A function moving_average(values, decay, start) that returns the averages after each value.

    Hint: start = decay * start + (1 - decay) * value, once for each value, and keep each result.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = moving_average."
    rng = np.random.default_rng(0)
    for decay, start, n in ((0.9, 0.0, 20), (0.5, 3.0, 7), (0.0, 1.0, 4), (0.99, -1.0, 50)):
        values = rng.normal(size=n).tolist()
        before, truth = list(values), _averages(values, decay, start)
        found = np.asarray(answer(values, decay, start), dtype=float)
        if values != before:
            return "The list of values has changed; leave it as it is."
        if found.shape != (n,):
            return f"There should be one average for each value, {n} in all; yours has shape {found.shape}."
        if not np.allclose(found, truth):
            if np.allclose(found, _averages(values, 1 - decay, start)):
                return "The decay belongs to the average so far, and 1 - decay to the new value."
            k = int(np.flatnonzero(~np.isclose(found, truth))[0])
            more = "" if k == 0 else " Each average continues from the one before it, not from the start."
            return (f"With decay {decay} and start {start} the average after {k + 1} values should be {truth[k]:.4f}, and yours is "
                    f"{found[k]:.4f}.{more}")
    return None


def slope(answer):
    """The derivative of the consistency loss with respect to z at z = 1, for a teacher that says one half.

    Hint: the loss is (p - 1/2)**2, and dp/dz = p (1 - p).
    """
    p = 1 / (1 + math.exp(-1))
    truth = 2 * (p - 0.5) * p * (1 - p)
    if _near(answer, truth, 0.001):
        return None
    if _near(answer, 2 * truth, 0.001):
        return "Twice too large: the loss is the mean over the two classes, not their sum."
    if _near(answer, 2 * (p - 0.5), 0.002):
        return "That is the derivative with respect to p. By the chain rule it is multiplied by dp/dz."
    if _near(answer, -truth, 0.001):
        return "The sign: p is above one half, and a larger z takes it further away."
    return "The loss is (p - 1/2)**2 with p = 1 / (1 + exp(-z)); use the chain rule, at z = 1."


def sharpen(answer):
    """The largest of (0.6, 0.3, 0.1) after sharpening with T = 0.5.

    Hint: square the three numbers, then divide by the sum of the squares.
    """
    q = np.array([0.6, 0.3, 0.1]) ** 2
    truth = (q / q.sum()).max()
    if _near(answer, truth, 0.005):
        return None
    if _near(answer, 0.36, 0.005):
        return "Now divide by the sum of the three squares, so that they are probabilities again."
    soft = np.array([0.6, 0.3, 0.1]) ** 0.5
    if _near(answer, (soft / soft.sum()).max(), 0.005):
        return "That is with the power T, which makes the answer softer. The power is 1 / T = 2."
    return "Raise each to the power 1 / 0.5 = 2, and divide the largest by the sum."


def steadiest(answer):
    """The method whose best and worst draw lie closest together.

    Hint: max(values) - min(values) for each entry of `reached`; then the name with the smallest difference.
    """
    spread = {name: np.ptp([runs.summarize(run)["test_accuracy"] for run in runs.list_runs(prefix=prefix)])
              for name, prefix in METHODS.items()}
    if answer not in spread:
        return "The answer is one of the nine names in `reached`."
    if answer == min(spread, key=spread.get):
        return None
    return f"Its best and worst draw lie {100 * spread[answer]:.1f} points apart; another method's lie closer together."
