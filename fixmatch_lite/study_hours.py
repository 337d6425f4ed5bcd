"""Twenty-five students: the hours they studied and the marks they got.

The table of the article this book grew from, and its split into labeled, unlabeled and test students.
Taught in: chapter 1 (Study hours) and chapter 4 (Self-training with an SVM).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from .errors import FixMatchError

HOURS_COLUMN, MARKS_COLUMN = "No_of_Hours_Studied", "Scores_Obtained"

# A small public table that many first courses use; no source older than those courses is known to us.
_HOURS = (2.5, 5.1, 3.2, 8.5, 3.5, 1.5, 9.2, 5.5, 8.3, 2.7, 7.7, 5.9, 4.5,
          3.3, 1.1, 8.9, 2.5, 1.9, 6.1, 7.4, 2.7, 4.8, 3.8, 6.9, 7.8)
_MARKS = (21, 47, 27, 75, 30, 20, 88, 60, 81, 25, 85, 62, 41,
          42, 17, 95, 30, 24, 67, 69, 30, 54, 35, 76, 86)


def raw_table() -> pd.DataFrame:
    """The table as it is published: 25 rows, columns ``Hours`` (float64, hours) and ``Scores`` (int64, marks)."""
    return pd.DataFrame({"Hours": np.array(_HOURS), "Scores": np.array(_MARKS, dtype=np.int64)})


def table() -> pd.DataFrame:
    """The table with the article's column names, ``No_of_Hours_Studied`` and ``Scores_Obtained``.

    Returns:
        A new DataFrame of 25 rows; changing it changes nothing else. Hours are float64, marks int64 (0 to 100).
    """
    return raw_table().rename(columns={"Hours": HOURS_COLUMN, "Scores": MARKS_COLUMN})


@dataclass(frozen=True, eq=False)
class StudentSplit:
    """Who is labeled, who is unlabeled, who is kept for the test.

    The names are the ones the whole book uses for images too, with one difference: here ``u`` leaves the
    labeled students out, as in the article, while FixMatch's unlabeled images include the labeled ones.

    Attributes:
        x: float64 ``(5, 1)``, hours of the labeled students.
        y: ``(5,)``, their marks (int64), or 1 for pass and 0 for fail where a pass mark was given.
        u: float64 ``(12, 1)``, hours of the unlabeled students.
        u_true: ``(12,)``, what is hidden from the model; only for measuring.
        x_test: float64 ``(8, 1)``.
        y_test: ``(8,)``.
        labeled_rows, unlabeled_rows, test_rows: int64, the rows of `table` they came from.

    The sizes are those of the article's fractions.
    """

    x: np.ndarray
    y: np.ndarray
    u: np.ndarray
    u_true: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    labeled_rows: np.ndarray
    unlabeled_rows: np.ndarray
    test_rows: np.ndarray


def split(seed: int = 1, pass_mark: float | None = None, stratify: bool = False, test_size: float = 0.3,
          unlabeled_size: float = 0.7) -> StudentSplit:
    """Split the students the article's way: first the test part, then most of the rest becomes unlabeled.

    Both draws are scikit-learn's ``train_test_split`` with ``random_state=seed``; ``seed=1`` is the article's.

    Args:
        seed: the random state of both draws, an int.
        pass_mark: None keeps the marks as targets; a number makes them classes, 1 where marks >= pass_mark.
        stratify: draw both parts with the classes in equal proportion (needs `pass_mark`).
        test_size: fraction of the students kept for the test; 0.3 in the article.
        unlabeled_size: fraction of the others whose marks are hidden; 0.7 in the article.

    Returns:
        A `StudentSplit`: 5 labeled, 12 unlabeled and 8 test students with the article's fractions.

    Raises:
        FixMatchError: `stratify` without `pass_mark`, a pass mark that puts every student into one class, or
            fractions that leave a part too small.
    """
    students = table()
    hours = students[[HOURS_COLUMN]].to_numpy()
    target = students[MARKS_COLUMN].to_numpy()
    if pass_mark is not None:
        lowest, highest = target.min(), target.max()
        target = (target >= pass_mark).astype(np.int64)
        if len(np.unique(target)) < 2:
            raise FixMatchError(f"with a pass mark of {pass_mark} all students are in one class: "
                                f"choose one above {lowest} and at most {highest}")
    elif stratify:
        raise FixMatchError("stratify needs classes, and marks are not classes: give a pass_mark too")

    classes = (lambda rows: target[rows]) if stratify else (lambda rows: None)
    rows = np.arange(len(students))
    try:
        rest, test = train_test_split(rows, test_size=test_size, random_state=seed, stratify=classes(rows))
        labeled, unlabeled = train_test_split(rest, test_size=unlabeled_size, random_state=seed,
                                              stratify=classes(rest))
    except ValueError as error:
        raise FixMatchError(f"25 students cannot be split this way (test_size={test_size}, unlabeled_size="
                            f"{unlabeled_size}): {error}; choose fractions nearer to 0.3 and 0.7") from None
    return StudentSplit(x=hours[labeled], y=target[labeled], u=hours[unlabeled], u_true=target[unlabeled],
                        x_test=hours[test], y_test=target[test],
                        labeled_rows=labeled, unlabeled_rows=unlabeled, test_rows=test)
