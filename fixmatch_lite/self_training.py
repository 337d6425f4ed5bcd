"""Self-training: a classifier labels what it is sure of, and learns from its own labels.

The loop is older than the name pseudo-label: Scudder (1965) and Yarowsky (1995) train this way, and
Lee (2013) brings it to neural networks. FixMatch keeps its threshold. Taught in: chapter 4 (Self-training).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from .devices import is_fast
from .errors import FixMatchError

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Round:
    """One turn of the loop: a classifier is trained, judges all of ``u``, and what it is sure of is kept.

    Attributes:
        number: 0 for the classifier trained on the labels alone.
        classifier: the classifier trained in this round.
        train_size: how many examples it was trained on, labels and pseudo-labels together.
        confidence: float64 ``(N_u,)``, its largest class probability for each of ``u``, between 0 and 1.
        prediction: ``(N_u,)``, the class it gives that probability to.
        mask: bool ``(N_u,)``, which examples carry a pseudo-label when the round is over.
        pseudo_label: ``(N_u,)``, the pseudo-labels carried; only entries with ``mask`` true mean anything.
        added: int64 indices into ``u`` of the examples that got their pseudo-label in this round.
        pseudo_label_accuracy: fraction of carried pseudo-labels that are right; None where nothing is kept or
            the truth was not given.
    """

    number: int
    classifier: object
    train_size: int
    confidence: np.ndarray
    prediction: np.ndarray
    mask: np.ndarray
    pseudo_label: np.ndarray
    added: np.ndarray
    pseudo_label_accuracy: float | None

    @property
    def mask_rate(self) -> float:
        """Fraction of ``u`` that carries a pseudo-label when the round is over."""
        return float(self.mask.mean())


@dataclass(frozen=True, eq=False)
class SelfTraining:
    """What `self_train` returns: every round, in order.

    Attributes:
        rounds: tuple of `Round`; the first is the classifier on the labels alone, the last the final one.
    """

    rounds: tuple

    @property
    def classifier(self) -> Any:
        """The final classifier, trained on the labels and on all pseudo-labels carried at the end."""
        return self.rounds[-1].classifier

    @property
    def mask(self) -> np.ndarray:
        """bool ``(N_u,)``: which examples carry a pseudo-label at the end."""
        return self.rounds[-1].mask

    @property
    def pseudo_label(self) -> np.ndarray:
        """``(N_u,)``: the pseudo-labels at the end; only entries with `mask` true mean anything."""
        return self.rounds[-1].pseudo_label

    @property
    def added_in(self) -> np.ndarray:
        """int64 ``(N_u,)``: the number of the round that last added each of ``u``; -1 where it carries none."""
        added_in = np.full(len(self.mask), -1)
        for step in self.rounds:
            added_in[step.added] = step.number
        return np.where(self.mask, added_in, -1)

    def history(self, x_test: ArrayLike | None = None, y_test: ArrayLike | None = None) -> "pandas.DataFrame":
        """The rounds as a pandas DataFrame, one row a round.

        Args:
            x_test, y_test: if both are given, a column ``test_accuracy`` is added. Only for looking: the loop ran without.

        Returns:
            Indexed by ``round``, with the columns ``train_size, added, mask_rate, pseudo_label_accuracy`` (and ``test_accuracy``).
        """
        import pandas as pd

        rows = [{"round": step.number, "train_size": step.train_size, "added": len(step.added),
                 "mask_rate": step.mask_rate,
                 "pseudo_label_accuracy": np.nan if step.pseudo_label_accuracy is None
                 else step.pseudo_label_accuracy} for step in self.rounds]
        if x_test is not None:
            for row, step in zip(rows, self.rounds):
                row["test_accuracy"] = float(step.classifier.score(x_test, y_test))
        return pd.DataFrame(rows).set_index("round")


def self_train(classifier: Any, x: ArrayLike, y: ArrayLike, u: ArrayLike, *, tau: float = 0.95, max_rounds: int = 10,
               revise: bool = False, u_true: ArrayLike | None = None) -> SelfTraining:
    """Train on the labels, keep the confident predictions on ``u`` as labels, train again, and so on.

    An example is kept if its largest probability is at least ``tau``, FixMatch's rule (Sohn et al. 2020, equation 4).

    With ``revise=False`` a pseudo-label, once given, stays, and the result is that of scikit-learn's
    ``SelfTrainingClassifier(classifier, threshold=tau, max_iter=max_rounds)`` (which asks for > instead of >=,
    so that they differ only where a confidence equals tau exactly). With ``revise=True`` every round decides anew
    which examples are kept and as what, as Yarowsky (1995) and FixMatch do, so that a mistake can be taken back.

    Args:
        classifier: any scikit-learn classifier with ``predict_proba``; it is cloned, never changed.
        x: ``(N_x, features)`` labeled examples. Rows of any kind the classifier takes, as an array.
        y: ``(N_x,)`` their classes, at least two; ints or strings.
        u: ``(N_u, features)`` unlabeled examples.
        tau: confidence threshold, above 0 and at most 1.
        max_rounds: how often pseudo-labels may be given, at least 1; the classifier is trained once more than that. At the
            fast speed (see `devices.is_fast`) no more than twice.
        revise: whether pseudo-labels may be changed and withdrawn later.
        u_true: ``(N_u,)`` true classes of ``u``, or None. Only for measuring: the loop never learns from them.

    Returns:
        A `SelfTraining`. It ends when a round adds nothing, when all of ``u`` carry a pseudo-label
        (``revise=False``), when nothing changes any more (``revise=True``), or after ``max_rounds``.

    Raises:
        FixMatchError: no ``predict_proba``, tau or max_rounds out of range, or arrays that do not fit together.
    """
    x, y, u = np.asarray(x), np.asarray(y), np.asarray(u)
    u_true = None if u_true is None else np.asarray(u_true)
    _check(classifier, x, y, u, tau, max_rounds, u_true)
    max_rounds = min(max_rounds, 2) if is_fast() else max_rounds

    examples = np.concatenate([x, u])
    target = np.concatenate([y, np.zeros(len(u), dtype=y.dtype)])
    mask = np.zeros(len(u), dtype=bool)
    rounds = []
    while True:
        # One order of rows, always: classifiers that draw folds or batches would see another order otherwise.
        known = np.concatenate([np.ones(len(x), dtype=bool), mask])
        trained = clone(classifier).fit(examples[known], target[known])
        q = trained.predict_proba(u)
        confidence, prediction = q.max(axis=1), np.asarray(trained.classes_)[q.argmax(axis=1)]

        pseudo_label, keep = target[len(x):].copy(), mask
        if len(rounds) < max_rounds:
            sure = confidence >= tau
            decide = sure if revise else sure & ~mask
            keep = sure if revise else mask | sure
            pseudo_label[decide] = prediction[decide]
        changed = (keep != mask) | (keep & (pseudo_label != target[len(x):]))
        right = None if u_true is None or not keep.any() else float((pseudo_label == u_true)[keep].mean())
        rounds.append(Round(len(rounds), trained, int(known.sum()), confidence, prediction, keep, pseudo_label,
                            np.flatnonzero(keep & changed), right))
        if not changed.any():
            return SelfTraining(tuple(rounds))
        mask, target[len(x):] = keep, pseudo_label


def _check(classifier, x, y, u, tau, max_rounds, u_true):
    if not hasattr(classifier, "predict_proba"):
        raise FixMatchError(f"{type(classifier).__name__} has no predict_proba, so it states no confidence: wrap it, "
                            "for example CalibratedClassifierCV(SVC(kernel='linear'), ensemble=False)")
    if not 0 < tau <= 1:
        raise FixMatchError(f"tau is {tau}, but a confidence lies between 0 and 1: choose tau above 0 and at most 1")
    if max_rounds < 1:
        raise FixMatchError(f"max_rounds is {max_rounds}: choose 1 or more")
    if len(x) != len(y):
        raise FixMatchError(f"there are {len(x)} labeled examples but {len(y)} labels: give one label for each example")
    if len(np.unique(y)) < 2:
        raise FixMatchError("all labels are of one class, and a classifier needs two: label an example of another")
    if x.shape[1:] != u.shape[1:]:
        raise FixMatchError(f"labeled examples have shape {x.shape[1:]} each but unlabeled ones {u.shape[1:]}: "
                            "give both the same features")
    if len(u) == 0:
        raise FixMatchError("u is empty: give at least one unlabeled example, or fit the classifier directly")
    if u_true is not None and len(u_true) != len(u):
        raise FixMatchError(f"there are {len(u)} unlabeled examples but {len(u_true)} true labels: give one for each, "
                            "or leave u_true out")
