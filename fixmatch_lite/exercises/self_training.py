"""Checkers of chapter 4 (Self-training with an SVM). Every truth is computed here, none is written down."""

from functools import lru_cache

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from .. import study_hours
from ..data import load_data
from ..self_training import self_train


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def _svm(pass_mark):
    split = study_hours.split(seed=1, pass_mark=pass_mark)
    return split, SVC(kernel="linear", C=1).fit(split.x, split.y)


def boundary(answer):
    """Boundary in hours of a linear SVM with C = 1 on the five labeled students at a pass mark of 30.

    Hint: the boundary is where coef_ * x + intercept_ = 0. It is not halfway, because with C = 1 the SVM prefers a
    wider street with two students in it.
    """
    split, svm = _svm(30)
    truth = -svm.intercept_[0] / svm.coef_[0, 0]
    if _near(answer, truth, 0.02):
        return None
    failed, passed = split.x[split.y == 0].max(), split.x[split.y == 1].min()
    if _near(answer, (failed + passed) / 2, 0.02):
        return ("That is halfway between the best who failed and the worst who passed. Let the SVM decide: "
                "with C = 1 it lands elsewhere.")
    if _near(answer, -truth, 0.02):
        return "The sign: w x + b = 0 gives x = -b / w."
    return "Fit SVC on split(seed=1, pass_mark=30), then solve w x + b = 0 with coef_[0, 0] and intercept_[0]."


def keep(answer):
    """A function keep(q, tau) that returns the mask and the most probable class.

    Hint: q.max(axis=1) is the confidence of every example, q.argmax(axis=1) its most probable class.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = keep."
    rng = np.random.default_rng(0)
    for classes, tau in ((2, 0.7), (3, 0.6), (10, 0.3)):
        q = rng.dirichlet(np.full(classes, 0.5), size=40)
        q[0] = 0
        q[0, :2] = tau, 1 - tau  # a confidence equal to tau
        mask, pseudo_label = (np.asarray(part) for part in answer(q, tau))
        if mask.shape != (40,) or pseudo_label.shape != (40,):
            return (f"Both arrays should have one entry per example; yours have shapes {mask.shape} and "
                    f"{pseudo_label.shape}.")
        if pseudo_label.dtype == bool:
            return "The mask comes first, then the class."
        if mask.dtype != bool:
            return "The mask should be boolean: the result of a comparison."
        truth = q.max(axis=1) >= tau
        if np.array_equal(mask[1:], truth[1:]) and not mask[0]:
            return "Almost: a confidence exactly equal to tau is kept, so compare with >=."
        if not np.array_equal(mask, truth):
            return "The mask is wrong for some examples: compare the largest probability of each row with tau."
        if not np.array_equal(pseudo_label, q.argmax(axis=1)):
            return "The mask is right; the class should be the number of the column with the largest probability."
    return None


def last_tau(answer):
    """Largest tau that keeps anyone in the first round on the article's split.

    Hint: fit unsure_svm on split.x, split.y, and take the largest number in predict_proba(split.u).
    """
    split = study_hours.split(seed=1, pass_mark=50)
    model = CalibratedClassifierCV(SVC(kernel="linear"), ensemble=False, cv=2)
    rounds = self_train(model, split.x, split.y, split.u, tau=1.0).rounds
    truth = rounds[0].confidence.max()
    if _near(answer, truth, 0.005):
        return None
    if float(answer) > truth:
        return f"At tau = {float(answer):.3f} nobody is kept: no confidence of the first round is that high."
    return f"At tau = {float(answer):.3f} someone is kept, but tau can still be larger."


def inside(answer):
    """How many unlabeled students lie inside the street of the SVM at a pass mark of 50.

    Hint: svm.decision_function(split.u) gives the scores; inside means between -1 and +1.
    """
    split, svm = _svm(50)
    score = np.abs(svm.decision_function(split.u))
    if _near(answer, np.sum(score < 1), 0):
        return None
    if _near(answer, np.sum(score >= 1), 0):
        return "Those are the students outside the street, who cannot move it. Count the others."
    if _near(answer, len(score), 0):
        return "That many could move it with wrong pseudo-labels. Count those who could with the SVM's own answers."
    return "Count the unlabeled students whose score lies between -1 and +1."


def unseen_grade(answer):
    """Fraction of test students whose grade (0 below 40, 1 from 40 to 59, 2 from 60) no labeled student has.

    Hint: np.digitize(marks, [40, 60]) gives the grades; np.isin tells which of them occur among the labeled ones.
    """
    split = study_hours.split(seed=1)
    labeled, test = np.digitize(split.y, [40, 60]), np.digitize(split.y_test, [40, 60])
    truth = np.mean(~np.isin(test, labeled))
    if _near(answer, truth, 1e-6):
        return None
    if _near(answer, 1 - truth, 1e-6) or _near(answer, truth * len(test), 1e-6):
        return "Give the fraction, between 0 and 1, of test students whose grade does not occur among the labels."
    return "List the grades of the five labeled students first: which of the three is missing?"


def _pixels(images):
    return images.flatten(1).numpy() / 255


@lru_cache(maxsize=None)
def _mean_gain(C, tau):
    gains = []
    for seed in range(5):
        data = load_data("digits", labels=40, seed=seed)
        rest = np.delete(np.arange(len(data.u)), data.labeled_indices)
        rounds = self_train(LogisticRegression(C=C, max_iter=1000), _pixels(data.x), data.y.numpy(),
                            _pixels(data.u[rest]), tau=tau).rounds
        before, after = (r.classifier.score(_pixels(data.x_test), data.y_test.numpy()) for r in (rounds[0], rounds[-1]))
        gains.append(100 * (after - before))
    return float(np.mean(gains))


def surer_teacher(answer):
    """Mean gain in points of self-training on five digit draws with logistic regression, C = 100, tau = 0.8.

    Hint: average gain(draw, 100, 0.8) over digit_draws and multiply by 100, since gain is a fraction.
    """
    truth = _mean_gain(100, 0.8)
    if _near(answer, truth, 0.3):
        return None
    if _near(100 * float(answer), truth, 0.3):
        return "In points, please: multiply the fraction by 100."
    if _near(answer, _mean_gain(10, 0.8), 0.1):
        return "That is the gain with C = 10, as the chapter prints it. The exercise asks for C = 100."
    side = "less" if float(answer) > truth else "more"
    return f"Measured, it is {side} than that. Average gain(draw, 100, 0.8) over the five digit_draws, in points."
