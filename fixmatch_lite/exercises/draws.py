"""Checkers of chapter 13 (The luck of the draw). Every truth is computed here, none is written down."""

import statistics
from functools import lru_cache

import numpy as np
import torch
from scipy.stats import norm
from sklearn.cluster import KMeans

from .. import runs
from ..data import load_data


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def _pixels(images):
    return images.flatten(1).float() / 255


def _nearest_label(data):
    nearest = torch.cdist(_pixels(data.u), _pixels(data.x)).argmin(dim=1)
    return 100 * (data.y[nearest] == data.u_true).float().mean().item()


def spread(answer):
    """The standard deviation of FixMatch's five accuracies with 10 labels, in points.

    Hint: statistics.stdev(reached[10]), which has n - 1 in the denominator.
    """
    found = [100 * runs.summarize(run)["test_accuracy"] for run in runs.list_runs(prefix="digits-10-fixmatch-")]
    truth = statistics.stdev(found)
    if _near(answer, truth, 0.06):
        return None
    if _near(answer, statistics.pstdev(found), 0.06):
        return "That has n in the denominator; with five draws take n - 1."
    if _near(answer, max(found) - min(found), 0.06):
        return "That is the distance from best to worst."
    if _near(100 * float(answer), truth, 0.06):
        return "In points, please: multiply by 100."
    return "Take the five numbers of reached[10] and their standard deviation."


@lru_cache(maxsize=None)
def _hundred():
    return [_nearest_label(load_data("digits", labels=10, seed=seed)) for seed in range(100)]


def best_seed(answer):
    """The seed from 0 to 99 whose ten labels do best by the nearest label.

    Hint: nearest_label(fm.load_data("digits", labels=10, seed=seed)) for each seed; then the seed with the largest value.
    """
    found = _hundred()
    if _near(answer, int(np.argmax(found)), 0):
        return None
    seed = int(answer)
    if 0 <= seed < 100:
        return f"Seed {seed} reaches {found[seed]:.1f} %; another one reaches more."
    return "The answer is a seed from 0 to 99."


def collapsed(answer):
    """A function collapsed(predicted, low) that counts classes with less than low times the equal share.

    Hint: the equal share is sum(predicted) / len(predicted); compare each count with low times that.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = collapsed."
    for predicted, low in (([258, 119, 7, 482, 3, 6, 275, 1, 6, 140], 0.2), ([10, 10, 10], 0.5), ([0, 30, 3], 0.3), ([5, 1], 0.9),
                           ([50, 9, 9, 9, 9], 0.5), ([2, 3, 4, 7], 0.5)):
        truth = sum(count < low * sum(predicted) / len(predicted) for count in predicted)
        found = answer(list(predicted), low)
        if not _near(found, truth, 0):
            if _near(found, sum(count < low * max(predicted) for count in predicted), 0):
                return "Compare with the equal share, not with the largest class: that class may have taken too much."
            if _near(found, sum(count < low * sum(predicted) for count in predicted), 0):
                return "Compare with low times the equal share, not with low times the sum of all."
            return f"For the counts {predicted} and low = {low} it should be {truth}, and yours is {found}."
    return None


def wrong_winner(answer):
    """The probability that B, at 86 %, beats A, at 87 %, in one run each, with standard deviations of 3 points.

    Hint: the difference has mean 1 and standard deviation 3 times the root of 2.
    """
    truth = norm.cdf(-1 / (3 * 2**0.5))
    if _near(answer, truth, 0.006):
        return None
    if _near(answer, 100 * truth, 0.6):
        return "As a probability, between 0 and 1: divide by 100."
    if _near(answer, norm.cdf(-1 / 3), 0.006):
        return "Both vary, so their difference has a standard deviation of 3 times the root of 2."
    if _near(answer, 1 - truth, 0.006):
        return "That is the probability that A comes out ahead."
    return "The difference A - B is normal with mean 1 and standard deviation 3 sqrt(2). How often is it below 0?"


def classes_seen(answer):
    """How many of ten digits ten pictures hold on average, drawn blindly.

    Hint: a digit is missed by one picture with probability 0.9, by all ten with 0.9**10.
    """
    truth = 10 * (1 - 0.9**10)
    if _near(answer, truth, 0.06):
        return None
    if _near(answer, 10 * 0.9**10, 0.06):
        return "That many are missing. How many are there?"
    if _near(answer, truth / 10, 0.006):
        return "That is the probability for one digit. There are ten."
    return "With what probability is a given digit missed by all ten pictures?"


@lru_cache(maxsize=None)
def _twenty():
    pool, found = load_data("digits", labels=10, seed=0), []
    u = _pixels(pool.u).numpy()
    for seed in range(5):
        middles = KMeans(20, n_init=4, random_state=seed).fit(u).transform(u).argmin(axis=0)
        found.append(_nearest_label(load_data("digits", labeled=middles.tolist())))
    return statistics.median(found)


def twenty_middles(answer):
    """Median of nearest_label in percent on the middles of 20 clusters, random states 0 to 4.

    Hint: KMeans(20, n_init=4, random_state=seed), then pass its middles as labeled=... and call nearest_label.
    """
    if _near(answer, _twenty(), 1.0):
        return None
    if _near(100 * float(answer), _twenty(), 1.0):
        return "In percent, please: multiply by 100."
    return "Label the middles of 20 clusters, for five random states, and take the median of nearest_label."
