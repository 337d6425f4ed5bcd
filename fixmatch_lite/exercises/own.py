"""Checkers of chapter 16 (Your own pictures). Every truth is computed here, none is written down."""

import csv
import io

import numpy as np


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def _wilson(right, n, z=1.96):
    p = right / n
    middle, half = p + z * z / (2 * n), z * ((p * (1 - p) + z * z / (4 * n)) / n) ** 0.5
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def leaks(answer):
    """A function leaks(train, test): how many test pictures stand among the training pictures, pixel for pixel.

    Hint: put (picture.shape, picture.tobytes()) of all training pictures into a set.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = leaks."
    random = np.random.default_rng(0)
    train = [random.integers(0, 3, (4, 4), dtype=np.uint8) for _ in range(30)]
    flat = train[0].reshape(2, 8)  # the same bytes in another shape
    train.append(train[3].copy())  # a double: no reason to count a test picture twice
    for test, truth in (([], 0), ([train[3].copy(), train[3].copy(), train[5] + 1], 2), ([t.copy() for t in train[:30]], 30), ([flat], 0)):
        found = answer(list(train), test)
        if not _near(found, truth, 0):
            if test and test[0] is flat:
                return "Two pictures of different shapes are not the same, even if their bytes are."
            return f"For {len(test)} test pictures it should be {truth}, and yours is {found}."
    return None


def perfect(answer):
    """The lower limit of Wilson's interval for 50 of 50, in percent.

    Hint: call wilson(50, 50); the first of its two numbers, times 100.
    """
    low, high = _wilson(50, 50)
    if _near(answer, 100 * low, 0.3):
        return None
    if _near(100 * float(answer), 100 * low, 0.3):
        return "In percent, please: multiply by 100."
    if _near(answer, 100 * high, 0.3):
        return "That is the upper limit."
    return "Call wilson with 50 right of 50, and take the first of the two numbers."


def enough(answer):
    """The smallest multiple of 50 test pictures for a lower limit of 90 % at 93 % right.

    Hint: try n = 50, 100, 150 and so on with wilson(0.93 * n, n)[0] >= 0.9.
    """
    truth = next(n for n in range(50, 5000, 50) if _wilson(0.93 * n, n)[0] >= 0.9)
    if _near(answer, truth, 0):
        return None
    n = float(answer)
    if 1 <= n < 1e6:
        side = "enough, but not the smallest multiple of 50" if _wilson(0.93 * n, n)[0] >= 0.9 else "not enough"
        return f"With {n:.0f} pictures the lower limit is {_wilson(0.93 * n, n)[0]:.2%}: {side}."
    return "Count upward in steps of 50 until the lower limit reaches 0.9."


def rows(answer):
    """A function rows(labels): lines of a CSV table with the columns path and class, in the order of the paths.

    Hint: csv.writer on an io.StringIO puts a name with a comma into quotes by itself.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = rows."
    for labels in ({"b.png": "cat", "a.png": "dog"}, {"x.jpg": "plant, green", "c/d.jpg": 'the "other"'}):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([("path", "class"), *sorted(labels.items())])
        found = [str(line).rstrip("\r\n") for line in answer(dict(labels))]
        if found[:1] != ["path,class"]:
            return "The first line should be path,class."
        if found and not found[-1]:
            return "The last line is empty. A text that ends with a line break has nothing after it: use splitlines, not split."
        if len(found) != 1 + len(labels):
            return f"There should be a line for each of the {len(labels)} files, and one above them."
        if sorted(found) == sorted(text.getvalue().splitlines()) and found != text.getvalue().splitlines():
            return "The lines are right; order them by file name."
        if found != text.getvalue().splitlines():
            return "A line is not right. A class name with a comma or a quotation mark in it needs quotes: let csv write it."
    return None


def surest_mistakes(answer):
    """A function surest_mistakes(q, y, k): indices of the k wrong answers with the largest confidence, the surest first.

    Hint: np.flatnonzero(q.argmax(axis=1) != y) gives the wrong ones; order them by falling q.max(axis=1).
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = surest_mistakes."
    random = np.random.default_rng(0)
    for n, classes, k in ((40, 3, 5), (30, 5, 100), (20, 2, 1)):
        q, y = random.dirichlet(np.ones(classes), size=n), random.integers(0, classes, n)
        wrong = np.flatnonzero(q.argmax(axis=1) != y)
        truth = wrong[np.argsort(-q[wrong].max(axis=1))][:k].tolist()
        found = [int(i) for i in answer(q.copy(), y.copy(), k)]
        if found == truth:
            continue
        if found == np.argsort(-q[wrong].max(axis=1))[:k].tolist():
            return "These are places among the wrong answers; look up in the list of wrong answers which examples they are."
        if any(q[i].argmax() == y[i] for i in found):
            return "Some of these are right answers. First keep only the wrong ones, then order them."
        if len(found) != len(truth):
            return f"With k = {k} there should be {len(truth)} indices, and yours gives {len(found)}."
        if sorted(found) == sorted(truth):
            return "The right ones, but in the wrong order: put the surest first."
        return "These are not the surest: order by falling confidence before you cut."
    return None


def width(answer):
    """The width of the interval with 270 of 300 right, over the width with 90 of 100.

    Hint: the width is the second number of wilson minus the first one.
    """
    size = lambda right, n: _wilson(right, n)[1] - _wilson(right, n)[0]
    truth = size(270, 300) / size(90, 100)
    if _near(answer, truth, 0.01):
        return None
    if _near(answer, 1 / truth, 0.02):
        return "Turn it around: the new width over the old one."
    if _near(answer, 1 / 3, 0.01):
        return "Three times the pictures do not make the interval three times narrower; its width goes with the square root."
    return "Work out wilson(90, 100) and wilson(270, 300), take each one's width, and divide the new by the old."
