"""Checkers of chapter 3 (Why do unlabeled points know anything?). Every truth is computed here, none is written down."""

import warnings
from functools import lru_cache

import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.semi_supervised import LabelSpreading

from ..data import load_data


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def _percent(answer, truth, tolerance, otherwise):
    if _near(answer, truth, tolerance):
        return None
    if _near(100 * float(answer), truth, tolerance):
        return "In percent, please: multiply the share by 100."
    return otherwise


def _cut(random, n):
    y = np.arange(n) % 2
    side = np.where(random.random(n) < 0.5, -1, 1) + 0.3 * random.normal(size=n)
    return np.stack([side, 0.6 * (2 * y - 1) * np.abs(random.normal(size=n))], axis=1), y


def _moons(random, n):
    y, t = np.arange(n) % 2, np.pi * random.random(n)
    arc = np.stack([np.where(y, 1 - np.cos(t), np.cos(t)), np.where(y, 0.5 - np.sin(t), np.sin(t))], axis=1)
    return arc + 0.1 * random.normal(size=(n, 2)), y


def _scores(points, shares, centers, spread):
    away = points[:, None] - centers
    return np.log(shares) - 0.5 * np.einsum("nci,ij,ncj->nc", away, np.linalg.inv(spread), away)


def _heaps(x, y, u, weight, rounds=50):
    """EM for two normal distributions with one spread, where the class of x is known."""
    q, points = np.zeros((len(u), 2)), np.concatenate([x, u])
    for _ in range(rounds):
        belongs = np.concatenate([np.eye(2)[y], weight * q])
        count = belongs.sum(axis=0)
        centers = belongs.T @ points / count[:, None]
        away = points[:, None] - centers
        model = count / count.sum(), centers, np.einsum("nc,nci,ncj->ij", belongs, away, away) / count.sum() + 0.01 * np.eye(2)
        q = np.exp((z := _scores(u, *model)) - z.max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
    return model


def weight(answer):
    """The weight of the right heap at 0.5, for centers at -1 and 1, variance 1 and equal shares.

    Hint: take e to the power of -(distance squared) / 2 for both heaps, and divide the right heap's value by the sum.
    """
    truth = 1 / (1 + np.exp(-1))
    if _near(answer, truth, 0.006):
        return None
    if _near(answer, 1 - truth, 0.006):
        return "That is the weight of the left heap, which is farther from the point."
    if _near(answer, 1 / (1 + np.exp(-2)), 0.006):
        return "Almost: the squared distance is halved in the exponent."
    return "The squared distances are 0.25 and 2.25. Take e to the power of minus half of each, and divide by the sum."


@lru_cache(maxsize=None)
def _quiet():
    found = []
    for seed in range(50):
        random = np.random.default_rng(seed)
        (x, y), (u, _), (x_test, y_test) = _cut(random, 6), _cut(random, 500), _cut(random, 500)
        found.append(np.mean(_scores(x_test, *_heaps(x, y, u, 0.05)).argmax(axis=1) == y_test))
    return float(100 * np.mean(found))


def quiet_points(answer):
    """Mean accuracy in percent on `cut` with 500 unlabeled points of weight 0.05, draws 0 to 49.

    Hint: in `accuracies`, call heaps(x, y, u, weight=0.05) with all of u, for 50 seeds, and take the mean.
    """
    return _percent(answer, _quiet(), 1.0, "Call heaps(x, y, u, weight=0.05) with all 500 points, and average over the seeds 0 to 49.")


def smoothness(answer):
    """A function smoothness(x, y): the share of points whose nearest other point has the same class.

    Hint: NearestNeighbors(n_neighbors=2) finds the point itself first; the second neighbor is the one to compare.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = smoothness."
    random = np.random.default_rng(0)
    for n, classes in ((60, 2), (200, 5)):
        x, y = random.normal(size=(n, 2)), random.integers(0, classes, n)
        y[x[:, 0] > 0] = 0
        nearest = NearestNeighbors(n_neighbors=2).fit(x).kneighbors(x, return_distance=False)[:, 1]
        found, truth = float(answer(x, y)), np.mean(y[nearest] == y)
        if not abs(found - truth) <= 1e-6:  # float32 will do; and so that not-a-number is wrong, too
            if found == 1:
                return "It gives 1 for classes drawn at random: each point has found itself as its nearest neighbor."
            return f"For {n} random points it should be {truth:.3f}, and yours is {found:.3f}."
    return None


@lru_cache(maxsize=None)
def _two():
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(20):
            random = np.random.default_rng(seed)
            (x, y), (u, _), (x_test, y_test) = _moons(random, 2), _moons(random, 300), _moons(random, 500)
            model = LabelSpreading(gamma=50, alpha=0.99, max_iter=500)
            model.fit(np.concatenate([x, u]), np.concatenate([y, np.full(len(u), -1)]))
            found.append(model.score(x_test, y_test))
    return float(100 * np.mean(found))


def two_labels(answer):
    """Mean accuracy in percent of label spreading on moons with one label a class, draws 0 to 19.

    Hint: random = np.random.default_rng(seed), then moons(random, 2), moons(random, 300), moons(random, 500).
    """
    return _percent(answer, _two(), 1.0, "For each seed draw moons(random, 2), then 300 unlabeled, then 500 test points, and average the scores.")


def _digits(seed):
    data = load_data("digits", labels=40, seed=seed)
    pixels = lambda images: images.flatten(1).numpy() / 255
    return pixels(data.u), data.u_true.numpy(), np.array(data.labeled_indices), pixels(data.x_test), data.y_test.numpy()


@lru_cache(maxsize=None)
def _ten():
    found = []
    for seed in range(5):
        u, u_true, _, x_test, y_test = _digits(seed)
        chosen = KMeans(10, n_init=4, random_state=seed).fit(u).transform(u).argmin(axis=0)
        found.append(LogisticRegression(C=10, max_iter=3000).fit(u[chosen], u_true[chosen]).score(x_test, y_test))
    return float(100 * np.median(found))


def ten_middles(answer):
    """Median accuracy in percent of logistic regression on the middles of ten clusters, seeds 0 to 4.

    Hint: middles(seed, k=10) returns three accuracies, and the first is logistic regression's.
    """
    return _percent(answer, _ten(), 1.0, "Take the first number of middles(seed, k=10) for the seeds 0 to 4, then their median.")


@lru_cache(maxsize=None)
def _strangers():
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(5):
            u, u_true, chosen, x_test, y_test = _digits(seed)
            chosen, home, target = chosen[u_true[chosen] < 5], y_test < 5, np.full(len(u), -1)
            target[chosen] = u_true[chosen]
            model = LabelSpreading(kernel="knn", n_neighbors=7, alpha=0.2).fit(u, target)
            found.append(model.score(x_test[home], y_test[home]))
    return float(100 * np.median(found))


def strangers(answer):
    """Median accuracy in percent of label spreading on the digits 0 to 4, with unlabeled pictures of all ten.

    Hint: keep only labels below 5, call compare with all of u, test on the pictures with y_test below 5, and
    take its second number.
    """
    return _percent(answer, _strangers(), 0.5, "Use labels and test pictures of 0 to 4 only, but all of u; take the median over five draws.")
