"""Checkers of chapter 6 (Soft, sharp and hard). Every truth is computed here, none is written down."""

from functools import lru_cache

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

LOGITS = np.array([2.0, 1.0, 0.0])


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def push(answer):
    """The push on the first of the logits 2, 1, 0 when the target is the second class.

    Hint: target minus answer; the target of the first class is 0.
    """
    truth = -softmax(LOGITS)[0]
    if _near(answer, truth, 0.006):
        return None
    if _near(answer, -truth, 0.006):
        return "The sign: the target of this class is 0, so its logit is pushed down."
    if _near(answer, 1 - softmax(LOGITS)[1], 0.006):
        return "That is the push on the second logit, the target's own."
    return "Work out the probability of the first class; the push is 0 minus that."


def others(answer):
    """The sum of the pushes on the second and the third logit of exercise 1.

    Hint: all three pushes sum to zero.
    """
    truth = softmax(LOGITS)[0]
    if _near(answer, truth, 0.006):
        return None
    if _near(answer, -truth, 0.006):
        return "The sign: what the first logit loses, the other two gain."
    return "Targets sum to 1 and answers sum to 1. So all three pushes sum to 0."


def sharpened(answer):
    """A function sharpened(q, T): each row to the power 1 / T, divided by its sum.

    Hint: log q divided by T, minus the row's maximum, then exp and division by the sum.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = sharpened."
    rng = np.random.default_rng(0)
    for classes, T in ((3, 0.5), (10, 0.4), (2, 1.0), (5, 2.0), (10, 0.001)):
        q = rng.dirichlet(np.full(classes, 0.7), size=30)
        found = np.asarray(answer(q.copy(), T), dtype=float)
        if found.shape != q.shape:
            return f"The result should have shape {q.shape}, and yours has {found.shape}."
        if not np.isfinite(found).all():
            return f"At T = {T} some results are not finite: the powers became zero. Work with logarithms."
        if not np.allclose(found.sum(axis=1), 1):
            return "Each row should sum to 1."
        truth = softmax(np.log(np.clip(q, 1e-300, None)) / T, axis=1)
        if not np.allclose(found, truth, atol=1e-6):
            if np.allclose(found, softmax(np.log(np.clip(q, 1e-300, None)) * T, axis=1), atol=1e-6):
                return "That is with the power T; the power should be 1 / T."
            return f"For {classes} classes and T = {T} some rows are not right."
    return None


def entropy_peak(answer):
    """The q above one half at which entropy pushes hardest.

    Hint: take np.linspace(0.5, 0.999, 100_000) as a grid, and np.argmax of the push on it.
    """
    force = lambda q: q * (1 - q) * np.log(q / (1 - q))
    truth = minimize_scalar(lambda q: -force(q), bounds=(0.5, 0.999), method="bounded").x
    if _near(answer, truth, 0.006):
        return None
    if _near(answer, 1 - truth, 0.006):
        return "That is where it pushes hardest downward. Give the q above one half."
    if 0.5 < float(answer) < 1:
        return f"At q = {float(answer):.3f} the push is {force(float(answer)):.4f}; elsewhere it is larger."
    return "The answer is a probability above one half."


def largest(answer):
    """The largest push with a hard target on the same view, three classes and no threshold.

    Hint: the class that the model answers has a probability of a third or more; the push on its logit is 1 minus that.
    """
    if _near(answer, 2 / 3, 0.005):
        return None
    if _near(answer, 0.5, 1e-6):
        return "That is the largest push with two classes. How unsure can an answer be with three?"
    if _near(answer, 0.05, 1e-6):
        return "That is with the threshold. Without it, less sure answers push, too."
    if _near(answer, 1 / 3, 0.005):
        return "That is the answer of the model. The push is target minus answer."
    if _near(answer, -2 / 3, 0.005):
        return "The size is right; the question asks for the size alone."
    return "Take the most unsure answer there can be. What is it, and what is its target?"


@lru_cache(maxsize=None)
def _softer(T, lambda_u=1.0):
    total = []
    for seed in range(100):
        random, parts = np.random.default_rng(seed), []
        for n in (6, 300, 500):
            y = np.arange(n) % 2
            side = np.where(random.random(n) < 0.5, -1, 1) + 0.3 * random.normal(size=n)
            parts.append((np.stack([side, 0.6 * (2 * y - 1) * np.abs(random.normal(size=n)), np.ones(n)], axis=1), y))
        (x, y), (u, _), (x_test, y_test) = parts
        w = np.zeros(3)
        for _ in range(500):
            q = (1 / (1 + np.exp(-u @ w))).clip(1e-9, 1 - 1e-9)
            sharp = q ** (1 / T) / (q ** (1 / T) + (1 - q) ** (1 / T))
            force = (y - 1 / (1 + np.exp(-x @ w))) @ x / len(x) + lambda_u * (sharp - q) @ u / len(u)
            w += 0.5 * (force - 0.01 * w * [1, 1, 0])
        total.append(np.mean((x_test @ w > 0) == y_test))
    return float(100 * np.mean(total))


def softer(answer):
    """Mean accuracy in percent on `cut` of sharpening with T = 0.8 and lambda_u = 1.

    Hint: train(shapes["cut"], lambda q: sharpen(q, T=0.8) - q, 1).mean().
    """
    truth = _softer(0.8)
    if _near(answer, truth, 0.5):
        return None
    if _near(100 * float(answer), truth, 0.5):
        return "In percent, please: multiply by 100."
    return "Call train on shapes['cut'] with the push sharpen(q, T=0.8) - q and lambda_u = 1, and take the mean."
