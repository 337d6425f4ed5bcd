"""Checkers of chapter 2 (What is a confidence worth?). Every truth is computed here, none is written down."""

from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax as softmax_of
from sklearn.linear_model import LogisticRegression

from ..calibration import calibration_error, fit_temperature
from ..data import load_data

LOGITS = np.array([3.0, 1.0, 0.0])


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


@lru_cache(maxsize=None)
def _digits():
    """Logits of logistic regression with C = 1 on its 40 training pictures and on the test pictures, with the classes."""
    data = load_data("digits", labels=40, seed=0)
    pixels = lambda images: images.flatten(1).numpy() / 255
    model = LogisticRegression(C=1, max_iter=3000).fit(pixels(data.x), data.y.numpy())
    return (model.decision_function(pixels(data.x)), data.y.numpy(), model.decision_function(pixels(data.x_test)),
            data.y_test.numpy())


def softmax(answer):
    """The confidence for the logits 3, 1, 0.

    Hint: take e to the power of each logit, add the three numbers up, and divide the largest of them by the sum.
    """
    truth = softmax_of(LOGITS).max()
    if _near(answer, truth, 0.006):
        return None
    if _near(answer, LOGITS.max() / LOGITS.sum(), 0.006):
        return "That is 3 / (3 + 1 + 0). The softmax takes e to the power of each logit first."
    return "Work out e**3, e**1 and e**0; the confidence is the largest of them, divided by their sum."


def temperature(answer):
    """The temperature at which the logits 3, 1, 0 give a confidence of 0.95.

    Hint: the confidence falls as T rises; start with a T at which it is too high and one at which it is too low.
    """
    truth = brentq(lambda t: softmax_of(LOGITS / t).max() - 0.95, 0.01, 1)
    if _near(answer, truth, 0.005):
        return None
    if _near(answer, 1 / truth, 0.02):
        return "That is 1 / T: the logits are divided by the temperature, not multiplied."
    if float(answer) > 0:
        return f"At T = {float(answer):.3f} the confidence is {softmax_of(LOGITS / float(answer)).max():.3f}; it should be 0.95."
    return "A temperature is a number above 0."


def ece(answer):
    """A function ece(confidence, right, bins) that returns the expected calibration error.

    Hint: n_b times the gap of a bin is the absolute value of the sum of (right - confidence) over that bin.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = ece."
    rng = np.random.default_rng(0)
    for bins, n in ((10, 200), (5, 50), (15, 40)):
        confidence = rng.random(n)
        right = rng.random(n) < 0.6 * confidence
        found, truth = float(answer(confidence, right, bins)), calibration_error(confidence, right, bins)
        if not abs(found - truth) <= 1e-6:  # so that not-a-number is wrong, too
            if abs(found - 100 * truth) < 1e-3:
                return "In points it is right; give it as a share, between 0 and 1."
            if abs(found - abs(right.mean() - confidence.mean())) < 1e-6:
                return "That is the gap of all examples together. Gaps above and below must not cancel: take it bin by bin."
            return f"For {n} random examples and {bins} bins it should be {truth:.4f}, and yours is {found:.4f}."
    # 0.95, right, and 1, wrong: in one bin their gaps cancel but for 0.475, in two they would not.
    if not _near(answer(np.array([0.95, 1.0]), np.array([True, False]), 10), 0.475, 1e-6):
        return "A confidence of exactly 1 belongs to the last bin, beside 0.95: if only the 0.95 is right, the error is 0.475."
    return None


def wrong_examples(answer):
    """The calibration error in points on the test pictures, at the temperature fitted on the 40 training pictures.

    Hint: call fit_temperature with decision_function(x) and y, divide decision_function(x_test) by what it returns, and
    use calibration_error to compare the confidences with y_test.
    """
    z, y, z_test, y_test = _digits()
    right = z_test.argmax(axis=1) == y_test
    error = lambda T: 100 * calibration_error(softmax_of(z_test / T, axis=1).max(axis=1), right)
    # Any small T is as good on the 40: where the search stops is chance, so the limit for T -> 0 is right as well.
    truths = error(fit_temperature(z, y)), 100 * np.mean(~right)
    if any(_near(answer, truth, 0.5) for truth in truths):
        return None
    if any(_near(100 * float(answer), truth, 0.5) for truth in truths):
        return "In points, please: multiply by 100."
    if _near(answer, error(1), 0.5):
        return "That is the error at T = 1, as the model was trained. Divide the test logits by the fitted T."
    if _near(answer, error(fit_temperature(z_test, y_test)), 0.5):
        return "That is the error at the T that the test labels choose. Fit T on decision_function(x) and y."
    return "Fit T on the training pictures' logits, divide the test pictures' by it, and measure the error there."


def promise(answer):
    """The largest share of test pictures that can be kept with at most 1 in 100 of the kept wrong, for C = 1.

    Hint: sort by confidence, count the wrong answers with np.cumsum, and divide by how many are kept so far.
    """
    _, _, z, y = _digits()
    q = softmax_of(z, axis=1)
    order = np.argsort(-q.max(axis=1), kind="stable")
    wrong = np.cumsum((q.argmax(axis=1) != y)[order]) / np.arange(1, len(y) + 1)
    truth = (np.flatnonzero(wrong <= 0.01).max() + 1) / len(y)
    if _near(answer, truth, 0.5 / len(y)):
        return None
    first = np.flatnonzero(wrong > 0.01).min() / len(y)
    if first != truth and _near(answer, first, 0.5 / len(y)):
        return "There more than 1 in 100 are wrong for the first time. Further on the share is 1 in 100 again: more right ones come in."
    if _near(answer, truth * len(y), 0.5):
        return "That is the number of pictures; give it as a share of all 500."
    if 0 < float(answer) <= 1:
        k = max(1, round(float(answer) * len(y)))
        return f"Of the surest {k} pictures, {100 * wrong[k - 1]:.2f} % are wrong. More or fewer?"
    return "The answer is a share, between 0 and 1."


def useless(answer):
    """Class probabilities for the 500 test pictures, accuracy below 15 %, calibration error below 3 points.

    Hint: if one answer is given to every picture, how often is it right? State exactly that as its confidence.
    """
    *_, y = _digits()
    q = np.asarray(answer, dtype=float)
    if q.shape != (len(y), 10):
        return f"The array should have shape ({len(y)}, 10), and yours has {q.shape}."
    if not np.all(q >= 0) or not np.allclose(q.sum(axis=1), 1):
        return "Each row should hold probabilities: none negative, and their sum 1."
    right = q.argmax(axis=1) == y
    error = calibration_error(q.max(axis=1), right)
    if right.mean() >= 0.15:
        return f"It is right on {right.mean():.1%} of the pictures: too useful for this exercise."
    if error >= 0.03:
        return f"Its calibration error is {100 * error:.1f} points: it says {q.max(axis=1).mean():.0%} and is right on {right.mean():.0%}."
    return None
