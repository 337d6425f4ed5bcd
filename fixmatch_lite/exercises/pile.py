"""Checkers of chapter 15 (What is in the pile?). Every truth is computed here, none is written down."""

from functools import cache

import numpy as np


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


@cache
def _gap():
    import torch

    import fixmatch_lite as fm

    data = fm.load_data("digits-unequal", labels=40)
    images, gaps = fm.augment.to_float(data.x_test), []
    for prefix in ("digits-unequal-fixmatch-", "digits-grid-tau0.95-mu7-"):
        recall = []
        with torch.no_grad():
            for run in fm.runs.list_runs(prefix=prefix):
                right = run.model()(images).argmax(dim=1) == data.y_test
                recall.append([right[data.y_test == c].float().mean().item() for c in range(10)])
        recall = 100 * np.mean(recall, axis=0)
        gaps.append(recall[:5].mean() - recall[5:].mean())
    return gaps


def gap(answer):
    """How many points more the digits 5 to 9 lie below 0 to 4 with the unequal pile than with the equal one.

    Hint: np.mean(values[:5]) - np.mean(values[5:]), once for recalls["FixMatch, unequal pile"] and once for
    recalls["FixMatch, equal pile"]; then subtract.
    """
    unequal, equal = _gap()
    truth = unequal - equal
    if _near(answer, truth, 0.3):
        return None
    if _near(answer, -truth, 0.3):
        return "The sign: give how many points wider the gap is, as a positive number."
    if _near(answer, truth / 100, 0.003):
        return "In points, please: multiply by 100."
    if _near(answer, unequal, 0.3):
        return "That is the gap with the unequal pile. How much of it is there with the equal one, too?"
    return "For each pile take the mean of the first five entries minus the mean of the last five. Then subtract."


def balanced(answer):
    """A function balanced(said, true): the mean over the classes in true of the share that is recognized.

    Hint: for each c of np.unique(true), np.mean(said[true == c] == c); then the mean of these.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = balanced."
    for said, true in (([0, 0, 0, 1, 1], [0, 0, 0, 0, 1]), ([2, 2, 1, 0], [2, 2, 1, 1]), ([3, 0, 3, 3], [0, 0, 3, 3])):
        said, true = np.array(said), np.array(true)
        truth = np.mean([np.mean(said[true == c] == c) for c in np.unique(true)])
        found = answer(said.copy(), true.copy())
        if _near(found, truth, 1e-6):
            continue
        if _near(found, np.mean(said == true), 1e-6):
            return "That is the plain accuracy, in which a frequent class counts more. Take the mean class by class."
        if found != found:
            return "Not a number: leave out the classes that do not occur in true."
        return f"For the answers {said.tolist()} and the truth {true.tolist()} it should be {truth:.3f}, and yours is {float(found):.3f}."
    return None


def _shares(q, p, rounds, rows=True):
    s = p.copy()
    for _ in range(rounds):
        corrected = q * s / p
        s = (corrected / corrected.sum(axis=1, keepdims=True) if rows else corrected).mean(axis=0)
        s = s / s.sum()
    return s


def shares(answer):
    """A function shares(q, p, rounds=50): the shares of the classes in a pile, by expectation and maximization.

    Hint: in each round corrected = q * s / p; divide its rows by their sums; the new s is the mean of the rows.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = shares."
    random = np.random.default_rng(0)
    for classes, rounds in ((3, 1), (3, 3), (3, 50), (6, 50)):
        q, p = random.dirichlet(np.full(classes, 0.3), size=200).clip(1e-6), random.dirichlet(np.full(classes, 9.0))
        q /= q.sum(axis=1, keepdims=True)
        truth, found = _shares(q, p, rounds), np.asarray(answer(q.copy(), p.copy(), rounds), dtype=float)
        if found.shape != truth.shape:
            return f"There should be {classes} shares, one for each class."
        if np.allclose(found, truth, atol=1e-6):
            continue
        if np.allclose(found, q.mean(axis=0), atol=1e-6):
            return "That is the mean answer as it is. Correct the answers by s / p first."
        if np.allclose(found, _shares(q, np.full(classes, 1 / classes), rounds), atol=1e-6):
            return "Divide by p, the shares in training, and not by equal shares."
        if np.allclose(found, _shares(q, p, rounds, rows=False), atol=1e-6):
            return "Make each corrected row sum to one, not s at the end: a row is one picture's probabilities."
        if not np.isclose(found.sum(), 1, atol=1e-6):
            return "The shares should sum to one: divide each corrected row by its sum before you take the mean."
        if rounds == 1:
            return "Already wrong after the first round: start from s = p, correct q by s / p, and take means of the whole rows."
        return f"Right for one round, wrong for {rounds}: correct the original q anew in each round, not the corrected one."
    return None


def _auroc(score, foreign):
    difference = score[foreign][:, None] - score[~foreign]
    return np.mean((difference > 0) + 0.5 * (difference == 0))


def auroc(answer):
    """A function auroc(score, foreign): how often a stranger has a higher score than a picture from home.

    Hint: score[foreign][:, None] - score[~foreign] holds the differences of all pairs.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = auroc."
    random = np.random.default_rng(0)
    for n, ties in ((30, False), (40, True), (7, True)):
        foreign = np.arange(n) % 3 == 0
        score = random.normal(size=n) + foreign
        score = np.round(score) if ties else score
        truth, found = _auroc(score, foreign), answer(score.copy(), foreign.copy())
        if _near(found, truth, 1e-6):
            continue
        if _near(found, 1 - truth, 1e-6):
            return "The other way around: count the pairs in which the stranger has the higher score."
        pairs = score[foreign][:, None] - score[~foreign]
        if ties and (_near(found, np.mean(pairs > 0), 1e-6) or _near(found, np.mean(pairs >= 0), 1e-6)):
            return "Equal scores count one half."
        return f"It should be {truth:.3f}, and yours is {float(found):.3f}. Compare every stranger with every picture from home."
    return None


def gate(answer):
    """The share of foreign pictures among the kept: 1,000 pictures, 400 foreign; 90 % of those from home pass, and half of the foreign.

    Hint: count the strangers that pass and all that pass, and divide.
    """
    truth = 200 / (200 + 540)
    if _near(answer, truth, 0.005):
        return None
    if _near(answer, 100 * truth, 0.5):
        return "As a share between 0 and 1, please."
    if _near(answer, 200 / 540, 0.005):
        return "Divide by all that are kept, including the strangers."
    if _near(answer, 0.5, 0.001) or _near(answer, 0.4, 0.001):
        return "Give not the share that passes, and not the share in the pile, but the share among those that passed."
    return "200 strangers pass. How many pass in all?"


@cache
def _quarter():
    from sklearn.linear_model import LogisticRegression

    import fixmatch_lite as fm

    pixels = lambda images: images.flatten(1).numpy() / 255
    reached = {}
    for part in (0.25, 0.5):
        found = []
        for seed in range(5):
            data = fm.load_data("digits-foreign", labels=20, seed=seed)
            x, y = pixels(data.x), data.y.numpy()
            u = pixels(data.u)[np.delete(np.arange(len(data.u)), data.labeled_indices)]
            distance = np.sqrt(((u[:, None] - x) ** 2).sum(axis=2)).min(axis=1)
            run = fm.self_training.self_train(LogisticRegression(C=10, max_iter=3000), x, y, u[distance <= np.quantile(distance, part)], tau=0.8)
            found.append(100 * run.classifier.score(pixels(data.x_test), data.y_test.numpy()))
        reached[part] = np.median(found)
    return reached


def quarter(answer):
    """The median accuracy in percent after self-training with the nearest quarter of the pile.

    Hint: cleaned(seed, share=0.25)[4] for the seeds 0 to 4.
    """
    truth = _quarter()
    if _near(answer, truth[0.25], 0.5):
        return None
    if _near(answer, truth[0.25] / 100, 0.005):
        return "In percent, please: multiply by 100."
    if _near(answer, truth[0.5], 0.5):
        return "That is with the nearer half; use share=0.25."
    return "Take the fifth of the numbers that cleaned returns, for the seeds 0 to 4, and then the median."
