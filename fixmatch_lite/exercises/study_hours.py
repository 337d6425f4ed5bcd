"""Checkers of chapter 1 (Study hours). Every truth is computed here from the table, none is written down."""

from collections import Counter
from functools import lru_cache

import numpy as np
from sklearn.linear_model import LinearRegression

from .. import study_hours


def _all_students():
    students = study_hours.table()
    return students[[study_hours.HOURS_COLUMN]].to_numpy(), students[study_hours.MARKS_COLUMN].to_numpy()


def _five_label_line():
    split = study_hours.split(seed=1)
    return split, LinearRegression().fit(split.x, split.y)


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def longer(answer):
    """Marks the line over all students adds for 2.5 hours more.

    Hint: write down the line's prediction for x + 2.5 hours and for x hours, and subtract.
    """
    line = LinearRegression().fit(*_all_students())
    slope, intercept = float(line.coef_[0]), float(line.intercept_)
    if _near(answer, 2.5 * slope, 0.05):
        return None
    if _near(answer, intercept + 2.5 * slope, 0.05):
        return "That is the prediction for a student with 2.5 hours. Give the difference between two students."
    if _near(answer, slope, 0.05):
        return "That is the slope, the marks for one hour more. How many hours are asked for?"
    if _near(answer, 2.5 * float(_five_label_line()[1].coef_[0]), 0.05):
        return "That is the line of the five labeled students. Use the line fitted on all 25."
    return "Only the slope of the line over all 25 students is needed: it is marks per hour."


def worst_miss(answer):
    """Largest absolute error of the five-label line on the test students.

    Hint: compute line_5.predict(x_test) - y_test, drop the signs, and take the largest.
    """
    split, line = _five_label_line()
    miss = line.predict(split.x_test) - split.y_test
    if _near(answer, np.abs(miss).max(), 0.1):
        return None
    if _near(answer, np.abs(miss).mean(), 0.05):
        return "That is the mean error. Give the largest error."
    if _near(answer, miss.min(), 0.05) or _near(answer, np.abs(miss.min()), 0.05):
        return "That is the student whose marks lie furthest above the line. Misses on the other side count, too."
    return "Take the absolute differences between predicted and actual marks of the eight test students."


def hours_for_17(answer):
    """Hours at which the five-label line gives 17 marks.

    Hint: a + b x = 17, so subtract a from both sides, then divide by b. Mind the sign of a.
    """
    _, line = _five_label_line()
    a, b = float(line.intercept_), float(line.coef_[0])
    if _near(answer, (17 - a) / b, 0.02):
        return None
    if _near(answer, a + 17 * b, 1.0):
        return "That is the prediction for 17 hours. Find the hours for 17 marks: solve for x."
    if _near(answer, (17 + a) / b, 0.02):
        return "Mind the sign: the intercept is negative, and it is subtracted."
    return "Solve a + b x = 17 for x with line_5.intercept_ and line_5.coef_[0]."


def refit(answer):
    """A function refit(x, y, u, bonus) that returns the intercept and slope after a refit on raised pseudo-labels.

    Hint: predict u with a first LinearRegression, add bonus, np.concatenate both x and u and both targets, fit a
    second LinearRegression, and return (second.intercept_, second.coef_[0]).
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = refit."
    rng = np.random.default_rng(0)  # tables the reader has not seen, so that only a general answer passes
    for bonus in (0.0, 10.0, -3.0):
        x, u = rng.uniform(0, 10, (6, 1)), rng.uniform(0, 10, (9, 1))
        y = 3 + 8 * x[:, 0] + rng.normal(0, 5, 6)
        first = LinearRegression().fit(x, y)
        target = np.concatenate([y, first.predict(u) + bonus])
        second = LinearRegression().fit(np.concatenate([x, u]), target)
        found = np.array([np.asarray(v, dtype=float).item() for v in answer(x, y, u, bonus)])  # coef_, too, has one number
        if found.shape != (2,):
            return "The function should return two numbers, the intercept and the slope."
        if not np.allclose(found, [second.intercept_, second.coef_[0]], rtol=1e-6, atol=1e-6):
            if np.allclose(found[::-1], [second.intercept_, second.coef_[0]], rtol=1e-6, atol=1e-6):
                return "The two numbers are right, but in the wrong order: intercept first, then slope."
            if bonus and np.allclose(found, [first.intercept_, first.coef_[0]], rtol=1e-6, atol=1e-6):
                return "With a bonus the line should move, and yours does not: is the bonus added before the refit?"
            return f"With a bonus of {bonus:g} on a table that the checker drew, the refitted line should be a different one."
    return None


def whom_to_ask(answer):
    """Five hours of the 17 training students with the largest spread around their mean.

    Hint: try them all: itertools.combinations(x_train[:, 0], 5), and keep the one with the largest np.var.
    """
    split = study_hours.split(seed=1)
    hours = np.concatenate([split.x, split.u])[:, 0]
    chosen = np.asarray(answer, dtype=float).ravel()
    if len(chosen) != 5:
        return f"Five hours are asked for; these are {len(chosen)}."
    too_many = Counter(chosen.round(6).tolist()) - Counter(hours.round(6).tolist())
    if too_many:
        return f"{next(iter(too_many))} is chosen more often than it occurs among the 17 hours of x_train."
    # The variance is convex in each hour, so the best five are some of the smallest and the rest of the largest.
    ordered = np.sort(hours)
    best = max(np.var(np.concatenate([ordered[:k], ordered[len(ordered) - 5 + k:]])) for k in range(6))
    if np.var(chosen) >= best - 1e-9:
        return None
    return (f"Their sum of squares around the mean is {5 * np.var(chosen):.1f}; {5 * best:.1f} is possible. "
            "Think of a ruler laid on five pins: where do they hold it best?")


@lru_cache(maxsize=1)
def _draws():
    splits = [study_hours.split(seed) for seed in range(200)]
    return [(np.concatenate([s.x, s.u])[:, 0], np.concatenate([s.y, s.u_true]), s.x_test[:, 0], s.y_test)
            for s in splits]


def _worst_error(n):
    errors = []
    for x, y, x_test, y_test in _draws():
        slope, intercept = np.polyfit(x[:n], y[:n], 1)
        errors.append(np.abs(intercept + slope * x_test - y_test).mean())
    return max(errors)


def enough_labels(answer):
    """Smallest n from 3 on for which none of 200 draws has a mean test error above 10 marks.

    Hint: for each n, loop over the 200 splits, fit on np.concatenate([s.x, s.u])[:n], and keep the largest error.
    """
    n = int(answer)
    if n != float(answer) or not 3 <= n <= 17:
        return "The answer is a whole number from 3 to 17."
    truth = next(k for k in range(3, 18) if _worst_error(k) <= 10)
    if n == truth:
        return None
    side = "is still above" if _worst_error(n) > 10 else "is not above"
    more = "" if _worst_error(n) > 10 else ", but that was already so with fewer labels"
    return f"With {n} labels the worst of the 200 draws is off by {_worst_error(n):.1f} marks, which {side} 10{more}."
