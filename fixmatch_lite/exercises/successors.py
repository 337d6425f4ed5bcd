"""Checkers of chapter 14 (One threshold for all?). Every truth is computed here, none is written down."""

import math
from functools import lru_cache

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from ..data import load_data


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def threshold(answer):
    """FlexMatch's threshold of a class with beta = 0.5, at tau = 0.95.

    Hint: tau times beta, divided by 2 minus beta.
    """
    if _near(answer, 0.95 * 0.5 / 1.5, 0.005):
        return None
    if _near(answer, 0.95 * 0.5, 0.003):
        return "That is tau times beta. FlexMatch bends the line: it also divides by 2 - beta."
    return "Put beta = 0.5 into tau * beta / (2 - beta)."


def thresholds(answer):
    """A function thresholds(sigma, N, tau) that returns FlexMatch's threshold for each class.

    Hint: beta is sigma divided by the larger of sigma.max() and N - sigma.sum().
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = thresholds."
    for sigma, n, tau in (([0, 0, 0], 100, 0.95), ([10, 5, 0], 1000, 0.95), ([400, 300, 250], 1000, 0.9), ([500, 500], 1000, 0.95)):
        sigma = torch.tensor(sigma, dtype=torch.float32)
        beta = sigma / max(sigma.max(), n - sigma.sum())
        truth, found = tau * beta / (2 - beta), torch.as_tensor(answer(sigma.clone(), n, tau)).to(sigma.dtype)
        if found.shape != truth.shape:
            return f"There should be one threshold per class, {len(sigma)} in all."
        if not torch.isfinite(found).all():
            return "Where all counts are zero, nothing may be divided by zero: the denominator is then N."
        if not torch.allclose(found, truth, atol=1e-5):
            without = sigma / sigma.max().clamp(min=1)
            if torch.allclose(found, tau * without / (2 - without), atol=1e-5):
                return "The denominator is the larger of two numbers; the second counts the pictures that have not passed."
            return f"For the counts {sigma.int().tolist()} of {n} they should be {[round(v, 3) for v in truth.tolist()]}."
    return None


def weight(answer):
    """SoftMatch's weight two standard deviations below the mean.

    Hint: put confidence - mean = -2 s into exp(-(...)**2 / (s**2 / 2)).
    """
    truth = math.exp(-8)
    if _near(answer, truth, 0.00005):  # 0.0003 will do
        return None
    if _near(answer, math.exp(-2), 0.005):
        return "A bell with variance s**2 gives exp(-2) there; this one is narrower."
    return "The exponent is -(2 s)**2 divided by s**2 / 2."


def adaptive(answer):
    """FreeMatch's threshold after 100 batches of mean confidence 0.8, from 0.1, at a decay of 0.99.

    Hint: the distance to 0.8 starts at 0.7 and shrinks by the factor 0.99 in each batch.
    """
    if _near(answer, 0.8 - 0.7 * 0.99**100, 0.005):
        return None
    if _near(answer, 0.8 * (1 - 0.99**100), 0.003):
        return "Almost: it starts from 0.1, not from 0."
    if _near(answer, 0.8, 0.003):
        return "That is where it ends after very many batches. After 100 it is still on its way."
    return "Repeat tau = 0.99 * tau + 0.01 * 0.8 a hundred times, from 0.1."


def forced(answer):
    """The least number of false pseudo-labels when 100 A and 900 B must become 500 each.

    Hint: of the 500 that are called A, at most 100 can be A.
    """
    if _near(answer, 400, 0):
        return None
    if _near(answer, 800, 0):
        return "You counted each mistake twice: a false A is also a missing B, but only one label."
    return "Of 500 pictures called A, at most 100 can be A."


@lru_cache(maxsize=None)
def _half():
    found = []
    for seed in range(5):
        data = load_data("digits", labels=40, seed=seed)
        pixels = lambda images: images.flatten(1).numpy() / 255
        rest = np.delete(np.arange(len(data.u)), data.labeled_indices)
        u, u_true = pixels(data.u)[rest], data.u_true.numpy()[rest]
        there = (u_true < 5) | (np.arange(len(u)) % 8 == 0)
        u, shares = u[there], 0.05 + 0.5 * np.bincount(u_true[there], minlength=10) / there.sum()
        model = LogisticRegression(C=10, max_iter=1000).fit(pixels(data.x), data.y.numpy())
        for r in range(1, 6):
            q = model.predict_proba(u)
            sure, said = q.max(axis=1), q.argmax(axis=1)
            kept = np.concatenate([np.flatnonzero(said == c)[np.argsort(-sure[said == c])][:int(len(u) * shares[c] * r / 5)]
                                   for c in range(10)])
            model.fit(np.concatenate([pixels(data.x), u[kept]]), np.concatenate([data.y.numpy(), said[kept]]))
        found.append(100 * model.score(pixels(data.x_test), data.y_test.numpy()))
    return float(np.median(found))


def half_way(answer):
    """Median accuracy in percent of by_shares on unequal digits, with shares halfway between equal and true.

    Hint: shares = 0.05 + 0.5 * np.bincount(u_true, minlength=10) / len(u), for the draws 0 to 4.
    """
    if _near(answer, _half(), 1.0):
        return None
    if _near(100 * float(answer), _half(), 1.0):
        return "In percent, please: multiply by 100."
    return "Use shares of 0.05 plus half the true share in by_shares, for five draws, and take the median."
