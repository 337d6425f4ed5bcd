"""What a stated confidence is worth: how far it lies from the accuracy, and the one number that mends most of it.

Source: Guo et al. 2017 ("On Calibration of Modern Neural Networks"), sections 2 and 4.2. Taught in: chapter 2.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from .checks import check_number
from .errors import FixMatchError


def calibration_error(confidence: ArrayLike, right: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error: the mean over all examples of the gap between accuracy and mean confidence in their
    bin (Guo et al. 2017, equation 3).

    Args:
        confidence: ``(N,)``, 0 to 1.
        right: ``(N,)`` bools.
        bins: intervals of equal width; a confidence on an edge belongs to the upper one.

    Returns:
        A share, 0 to 1.

    Raises:
        FixMatchError: lengths that differ, none at all, or a confidence outside 0 to 1.
    """
    confidence, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    if confidence.ndim != 1 or confidence.shape != right.shape or not len(confidence):
        raise FixMatchError(f"Give one confidence and one True or False for each example; these have the shapes {confidence.shape} "
                            f"and {right.shape}.")
    if not (0 <= confidence.min() and confidence.max() <= 1):
        raise FixMatchError("Confidences are shares between 0 and 1, and one of these is not: is it in percent?")
    check_number("bins", bins, 1, 10_000, whole=True)
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(sum(abs((right - confidence)[bin_of == b].sum()) for b in range(bins)) / len(confidence))


def fit_temperature(logits: ArrayLike, y: ArrayLike) -> float:
    """The temperature T at which softmax(logits / T) has the least cross-entropy with the classes (section 4.2 there).

    The logits must be of examples that the model was not trained on: on its own it is right nearly everywhere, and T
    runs to 0.

    Args:
        logits: ``(N, classes)``.
        y: ``(N,)`` true classes.

    Returns:
        T, between 1/1000 and 1000. Where every prediction is right, any small T is as good, and some small T is returned.

    Raises:
        FixMatchError: shapes that do not fit together, logits that are not finite, or a class without a logit.
    """
    logits, y = np.asarray(logits, dtype=float), np.asarray(y)
    if logits.ndim != 2 or y.shape != logits.shape[:1] or not len(y) or not np.isfinite(logits).all():
        raise FixMatchError(f"Give finite logits (N, classes) and N classes; these have the shapes {logits.shape} and {y.shape}.")
    if y.min() < 0 or y.max() >= logits.shape[1]:
        raise FixMatchError(f"y holds classes from {y.min()} to {y.max()}, and the logits have columns for 0 to {logits.shape[1] - 1}.")
    cross_entropy = lambda log_t: -log_softmax(logits / np.exp(log_t), axis=1)[np.arange(len(y)), y].mean()
    return float(np.exp(minimize_scalar(cross_entropy, bounds=(-np.log(1000), np.log(1000)), method="bounded").x))
