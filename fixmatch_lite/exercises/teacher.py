"""Checkers of chapter 5 (When the teacher is wrong). Every truth is computed here, none is written down."""

from functools import lru_cache

import numpy as np
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression

from ..data import load_data
from ..self_training import self_train


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def _draw(seed, labels=40):
    data = load_data("digits", labels=labels, seed=seed)
    pixels = lambda images: images.flatten(1).numpy() / 255
    rest = np.delete(np.arange(len(data.u)), data.labeled_indices)
    return (pixels(data.x), data.y.numpy(), pixels(data.u)[rest], data.u_true.numpy()[rest], pixels(data.x_test),
            data.y_test.numpy())


@lru_cache(maxsize=None)
def _last_round(labels, C, tau):
    x, y, u, u_true, x_test, y_test = _draw(0, labels)
    return self_train(LogisticRegression(C=C, max_iter=1000), x, y, u, tau=tau).rounds[-1], u_true, x_test, y_test


def gap(answer):
    """Mean confidence minus share right on the unlabeled pictures, in points, in the last round of `ten`.

    Hint: inside(ten, u_true_ten)[-1] is the pair of the last round; take the difference and multiply by 100.
    """
    step, u_true, *_ = _last_round(10, 10, 0.5)
    truth = 100 * (step.confidence.mean() - np.mean(step.prediction == u_true))
    if _near(answer, truth, 0.5):
        return None
    if _near(100 * float(answer), truth, 0.5):
        return "In points, please: multiply by 100."
    if _near(-float(answer), truth, 0.5):
        return "The other way around: the confidence is the larger one."
    return "Take the last pair of inside(ten, u_true_ten): what it says, minus how often it is right."


def forgotten(answer):
    """The digit that the last classifier of `forty` recognizes least often.

    Hint: for each digit c, the share of test pictures with y_test == c that are predicted as c.
    """
    step, _, x_test, y_test = _last_round(40, 1, 0.8)
    said = step.classifier.predict(x_test)
    recall = [np.mean(said[y_test == c] == c) for c in range(10)]
    if _near(answer, int(np.argmin(recall)), 0):
        return None
    digit = int(answer)
    if 0 <= digit <= 9:
        return f"Of the test pictures of {digit} it recognizes {recall[digit]:.0%}; of another digit, a smaller share."
    return "The answer is a digit, 0 to 9."


def surest(answer):
    """A function surest(q, k): sorted indices of the k most confident examples of each predicted class.

    Hint: for each class, take the examples whose argmax it is, order them by falling confidence, and keep the first k.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = surest."
    rng = np.random.default_rng(0)
    for n, classes, k in ((60, 4, 5), (30, 3, 20), (40, 10, 2), (40, 10, 4)):  # in the last some classes are short
        q = rng.dirichlet(np.full(classes, 0.5), size=n)
        prediction, confidence = q.argmax(axis=1), q.max(axis=1)
        truth = sorted(i for c in range(classes) for i in
                       sorted(np.flatnonzero(prediction == c), key=lambda i: -confidence[i])[:k])
        found = np.asarray(answer(q.copy(), k))
        if len(found) != len(truth):
            return f"With {classes} classes and k = {k} it should keep {len(truth)} examples, and yours keeps {len(found)}."
        if set(found.tolist()) != set(truth):
            if set(found.tolist()) == set(np.argsort(-confidence)[:k * classes].tolist()):
                return "Those are the surest over all classes together. Cut class by class."
            if found.max() < max(np.bincount(prediction)):
                return "Are these places within a class? np.flatnonzero(prediction == c) tells which examples they are."
            return "The number is right, but not the examples: order by falling confidence before you cut."
        if found.tolist() != truth:
            return "These are the right examples; now sort the indices."
    return None


def validation_size(answer):
    """Pictures for a standard deviation of one point at an accuracy of 90 %.

    Hint: solve sqrt(0.9 * 0.1 / n) = 0.01 for n.
    """
    truth = 0.9 * 0.1 / 0.01**2
    if -0.5 <= float(answer) - truth <= 1:  # rounded up, the quotient gives one more: a float is not exact
        return None
    if _near(answer, 0.09 / 0.01, 0.5):
        return "A standard deviation of one point is 0.01, and it is squared."
    return "Set sqrt(p (1 - p) / n) to 0.01 with p = 0.9, and solve for n."


def winner(answer):
    """Mean of the best of ten accuracies on 20 pictures each, all settings right with probability 0.9, in percent.

    Hint: random.binomial(20, 0.9, size=(many, 10)), the maximum of each row, and the mean of these divided by 20.
    """
    below = binom.cdf(np.arange(-1, 21), 20, 0.9) ** 10
    truth = 100 * np.sum(np.diff(below) * np.arange(21)) / 20
    if _near(answer, truth, 0.5):
        return None
    if _near(100 * float(answer), truth, 0.5):
        return "In percent, please."
    if _near(answer, 90, 0.5):
        return "That is what each of them is worth. What does the best of ten look like?"
    return "Draw ten binomial numbers (20 pictures, 0.9), take the largest, and average over many repetitions."


@lru_cache(maxsize=None)
def _fair():
    changes = []
    for seed in range(5):
        x, y, u, _, x_test, y_test = _draw(seed, 20)
        model = LogisticRegression(C=10, max_iter=1000).fit(x, y)
        before = model.score(x_test, y_test)
        for r in range(1, 6):
            q = model.predict_proba(u)
            confidence, prediction = q.max(axis=1), q.argmax(axis=1)
            kept = np.concatenate([np.flatnonzero(prediction == c)[np.argsort(-confidence[prediction == c])][:len(u) * r // 50]
                                   for c in range(10)])
            model.fit(np.concatenate([x, u[kept]]), np.concatenate([y, prediction[kept]]))
        changes.append(100 * (model.score(x_test, y_test) - before))
    return float(np.median(changes))


def fair_twenty(answer):
    """Median change in points of fair self-training with 20 labels and C = 10, draws 0 to 4.

    Hint: teach_fairly(seed, 20, 10) returns the accuracy before and after; take 100 times the difference.
    """
    truth = _fair()
    if _near(answer, truth, 1.0):
        return None
    if _near(100 * float(answer), truth, 1.0):
        return "In points, please: multiply by 100."
    return "Call teach_fairly(seed, 20, 10) for the seeds 0 to 4, and take the median of after minus before, in points."
