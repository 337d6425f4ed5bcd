"""The pseudo-label loop, against scikit-learn's and against what chapter 4 says of it."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC

from fixmatch_lite import FixMatchError, study_hours
from fixmatch_lite.self_training import self_train


def students(seed=1):
    return study_hours.split(seed, pass_mark=50, stratify=seed != 1)


def calibrated_svm():
    return CalibratedClassifierCV(SVC(kernel="linear"), ensemble=False, cv=2)


def iris(names=False):
    x, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    x, y = x[order], y[order]
    labeled = np.concatenate([np.flatnonzero(y == k)[:4] for k in range(3)])
    rest = np.setdiff1d(np.arange(150), labeled)
    y = np.array(["setosa", "versicolor", "virginica"])[y] if names else y
    return x[labeled], y[labeled], x[rest], y[rest]


CLASSIFIERS = {
    "calibrated SVM": calibrated_svm(),
    "logistic": LogisticRegression(max_iter=500),
    "scaled logistic": make_pipeline(StandardScaler(), LogisticRegression(C=10)),
    "Bayes": GaussianNB(),
}


@pytest.mark.parametrize("tau", [0.6, 0.8, 0.95])
@pytest.mark.parametrize("max_rounds", [1, 3, 10])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_same_result_as_scikit_learns_loop(name, max_rounds, tau):
    x, y, u, _ = iris()
    ours = self_train(CLASSIFIERS[name], x, y, u, tau=tau, max_rounds=max_rounds)
    theirs = SelfTrainingClassifier(CLASSIFIERS[name], threshold=tau, max_iter=max_rounds)
    theirs.fit(np.concatenate([x, u]), np.concatenate([y, np.full(len(u), -1)]))
    np.testing.assert_array_equal(theirs.transduction_[len(x):], np.where(ours.mask, ours.pseudo_label, -1))
    np.testing.assert_allclose(ours.classifier.predict_proba(u), theirs.predict_proba(u), atol=1e-12)
    kept_in = theirs.labeled_iter_[len(x):]  # scikit-learn counts rounds from 1, and -1 means never, as here
    np.testing.assert_array_equal(np.where(kept_in > 0, kept_in - 1, -1), ours.added_in)


@pytest.mark.parametrize("seed", range(8))
def test_same_result_as_scikit_learns_loop_on_the_students(seed):
    split = students(seed)
    ours = self_train(calibrated_svm(), split.x, split.y, split.u, tau=0.8)
    theirs = SelfTrainingClassifier(calibrated_svm(), threshold=0.8)
    theirs.fit(np.concatenate([split.x, split.u]), np.concatenate([split.y, np.full(len(split.u), -1)]))
    np.testing.assert_allclose(ours.classifier.predict_proba(split.u), theirs.predict_proba(split.u), atol=1e-12)


def test_names_of_classes_give_the_same_as_numbers():
    x, y, u, _ = iris()
    names = iris(names=True)[1]
    number, name = (self_train(GaussianNB(), x, target, u, tau=0.9) for target in (y, names))
    kinds = np.array(["setosa", "versicolor", "virginica"])
    np.testing.assert_array_equal(number.mask, name.mask)
    np.testing.assert_array_equal(kinds[number.pseudo_label[number.mask]], name.pseudo_label[name.mask])


def test_rows_may_be_texts():
    texts = np.array(["cheap pills", "win money now", "lunch at noon", "see you at lunch"])
    u = np.array(["money for cheap pills", "lunch with you"])
    result = self_train(make_pipeline(CountVectorizer(), MultinomialNB()), texts, [1, 1, 0, 0], u, tau=0.6)
    assert result.mask.all() and result.pseudo_label.tolist() == [1, 0]


def test_history_counts_what_happened():
    split = students()
    result = self_train(calibrated_svm(), split.x, split.y, split.u, tau=0.8, u_true=split.u_true)
    table = result.history(split.x_test, split.y_test)
    assert table["train_size"].tolist() == (5 + np.concatenate([[0], np.cumsum(table["added"])[:-1]])).tolist()
    assert table["mask_rate"].iloc[-1] == pytest.approx(result.mask.mean())
    assert table["added"].iloc[-1] == 0  # the loop ended by itself
    assert table["test_accuracy"].iloc[0] == result.rounds[0].classifier.score(split.x_test, split.y_test)
    assert "test_accuracy" not in result.history()
    for step in result.rounds:
        carried = step.pseudo_label[step.mask] == split.u_true[step.mask]
        assert step.pseudo_label_accuracy == (pytest.approx(carried.mean()) if step.mask.any() else None)
        assert np.all(result.added_in[step.added] == step.number)


def test_pseudo_labels_stay_once_given():
    x, y, u, _ = iris()
    rounds = self_train(LogisticRegression(max_iter=500), x, y, u, tau=0.7).rounds
    assert len(rounds) > 2
    for earlier, later in zip(rounds, rounds[1:]):
        assert np.all(later.mask[earlier.mask])
        np.testing.assert_array_equal(later.pseudo_label[earlier.mask], earlier.pseudo_label[earlier.mask])


class Moody(GaussianNB):
    """States confidence 0.99 for everything with few examples, and 0.6 once it has seen more."""

    def fit(self, x, y):
        self.seen = len(x)
        return super().fit(x, y)

    def predict_proba(self, x):
        q = super().predict_proba(x)
        top = 0.99 if self.seen < 8 else 0.6
        return np.where(q == q.max(axis=1, keepdims=True), top, 1 - top)


def test_revise_withdraws_what_is_no_longer_confident():
    split = students()
    kept = self_train(Moody(), split.x, split.y, split.u, tau=0.9, max_rounds=2)
    revised = self_train(Moody(), split.x, split.y, split.u, tau=0.9, max_rounds=2, revise=True)
    assert kept.mask.all()
    assert revised.rounds[0].mask.all() and not revised.rounds[1].mask.any()
    assert np.all(revised.added_in == -1)


def test_revise_ends_when_nothing_changes():
    x, y, u, _ = iris()
    rounds = self_train(GaussianNB(), x, y, u, tau=0.9, max_rounds=50, revise=True).rounds
    assert len(rounds) < 51
    np.testing.assert_array_equal(rounds[-1].mask, rounds[-2].mask)
    np.testing.assert_array_equal(rounds[-1].mask, rounds[-1].confidence >= 0.9)


def test_truth_measures_and_never_trains():
    split = students()
    runs = [self_train(calibrated_svm(), split.x, split.y, split.u, tau=0.7, u_true=truth)
            for truth in (None, split.u_true, 1 - split.u_true)]
    for run in runs[1:]:
        np.testing.assert_array_equal(run.classifier.predict_proba(split.u), runs[0].classifier.predict_proba(split.u))
    right, wrong = (run.rounds[-1].pseudo_label_accuracy for run in runs[1:])
    assert runs[0].rounds[-1].pseudo_label_accuracy is None and right == pytest.approx(1 - wrong)


def test_arguments_are_left_as_they_were():
    split = students()
    classifier, y = calibrated_svm(), split.y.copy()
    self_train(classifier, split.x, split.y, split.u, tau=0.7)
    assert not hasattr(classifier, "classes_")
    np.testing.assert_array_equal(split.y, y)


def test_confidence_equal_to_tau_is_kept():
    split = students()
    result = self_train(KNeighborsClassifier(1), split.x, split.y, split.u, tau=1.0)
    assert result.mask.all()


def test_nothing_confident_means_the_classifier_on_the_labels_alone():
    split = students()
    result = self_train(calibrated_svm(), split.x, split.y, split.u, tau=0.99, u_true=split.u_true)
    assert len(result.rounds) == 1 and not result.mask.any() and result.rounds[0].pseudo_label_accuracy is None
    np.testing.assert_array_equal(result.classifier.predict(split.u),
                                  calibrated_svm().fit(split.x, split.y).predict(split.u))


def hinge_objective(svm, x, y):
    w, b = svm.coef_[0, 0], svm.intercept_[0]
    return w * w / 2 + np.maximum(0, 1 - (2 * y - 1) * (w * x[:, 0] + b)).sum()


def test_pseudo_labels_outside_the_street_leave_an_svm_at_its_minimum():
    for seed in range(10):
        split = students(seed)
        svm = SVC(kernel="linear", tol=1e-8).fit(split.x, split.y)
        outside = np.abs(svm.decision_function(split.u)) >= 1
        x, y = np.concatenate([split.x, split.u[outside]]), np.concatenate([split.y, svm.predict(split.u[outside])])
        again = SVC(kernel="linear", tol=1e-8).fit(x, y)
        assert outside.any()
        # Not the coefficients: where several intercepts are equally good, the solver may pick another of them.
        assert hinge_objective(svm, x, y) == pytest.approx(hinge_objective(again, x, y), rel=1e-4)


X, Y, U = np.array([[0.0], [1.0]]), np.array([0, 1]), np.array([[0.5]])


@pytest.mark.parametrize("change", [
    {"classifier": SVC(kernel="linear")}, {"tau": 0.0}, {"tau": 1.2}, {"tau": float("nan")}, {"max_rounds": 0},
    {"y": np.array([0, 1, 1])}, {"y": np.array([1, 1])}, {"u": np.array([[0.5, 1.0]])}, {"u": np.empty((0, 1))},
    {"u_true": np.array([0, 1])},
])
def test_bad_input_gets_one_sentence_with_what_to_do(change):
    arguments = {"classifier": LogisticRegression(), "x": X, "y": Y, "u": U, "tau": 0.9} | change
    with pytest.raises(FixMatchError, match="(choose|give|label|wrap) ") as caught:
        self_train(**arguments)
    assert "\n" not in str(caught.value)


def test_fast_speed_gives_pseudo_labels_twice_at_most(monkeypatch):
    random = np.random.default_rng(0)
    x, u = random.normal(size=(20, 2)), random.normal(size=(300, 2))
    rounds = {}
    for fast in ("", "1"):
        monkeypatch.setenv("FIXMATCH_LITE_FAST", fast)
        rounds[fast] = self_train(LogisticRegression(), x, (x[:, 0] > 0).astype(int), u, tau=0.9).rounds
    assert len(rounds[""]) > len(rounds["1"]) == 3
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(rounds["1"], rounds[""][:2]))
