"""Calibration: numbers that can be counted by hand, and a temperature that is found again."""

import numpy as np
import pytest

from fixmatch_lite.calibration import calibration_error, fit_temperature
from fixmatch_lite.errors import FixMatchError


def test_calibration_error_is_the_gap_that_one_can_count():
    assert calibration_error([0.95] * 10, [True] * 9 + [False]) == pytest.approx(0.05)
    assert calibration_error([0.9] * 10, [False] * 10) == pytest.approx(0.9)
    # Two bins of two examples: one of 0.72 and 0.78 is right, both of 0.95.
    assert calibration_error([0.72, 0.78, 0.95, 0.95], [1, 0, 1, 1]) == pytest.approx((0.5 + 0.1) / 4)
    assert calibration_error([1.0], [True]) == 0
    # Exactly 1 is in the last bin, where 0.95 is: there one of two is right.
    assert calibration_error([1.0, 0.95], [False, True]) == pytest.approx(0.95 / 2)


def test_who_is_right_as_often_as_stated_has_no_error():
    rng = np.random.default_rng(0)
    confidence = rng.random(100_000)
    assert calibration_error(confidence, rng.random(100_000) < confidence) < 0.01


@pytest.mark.parametrize("true", [0.25, 1.0, 4.0])
def test_the_temperature_that_made_the_answers_is_found_again(true):
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=3, size=(20_000, 5))
    q = np.exp(logits / true)
    q /= q.sum(axis=1, keepdims=True)
    y = (rng.random((20_000, 1)) > q.cumsum(axis=1)).sum(axis=1).clip(max=4)
    assert fit_temperature(logits, y) == pytest.approx(true, rel=0.05)


def test_where_every_answer_is_right_any_small_temperature_does():
    assert fit_temperature(3 * np.eye(4), [0, 1, 2, 3]) < 0.2


@pytest.mark.parametrize("call, says", [
    (lambda: calibration_error([0.5, 0.6], [True]), r"shapes \(2,\) and \(1,\)"),
    (lambda: calibration_error([], []), "for each example"),
    (lambda: calibration_error([50, 60], [True, False]), "in percent"),
    (lambda: calibration_error([np.nan], [True]), "between 0 and 1"),
    (lambda: calibration_error([0.5], [True], bins=0), "bins = 0 is not possible"),
    (lambda: fit_temperature(np.zeros((4, 3)), [0, 1]), r"shapes \(4, 3\) and \(2,\)"),
    (lambda: fit_temperature(np.zeros(4), [0, 1, 2, 0]), "finite logits"),
    (lambda: fit_temperature(np.full((1, 3), np.nan), [0]), "finite logits"),
    (lambda: fit_temperature(np.zeros((2, 3)), [0, 3]), "columns for 0 to 2"),
])
def test_what_does_not_fit_together_is_not_measured(call, says):
    with pytest.raises(FixMatchError, match=says):
        call()
