"""The 25-student table and its split."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from fixmatch_lite import FixMatchError, study_hours


def arrays():
    students = study_hours.table()
    return students[["No_of_Hours_Studied"]].to_numpy(), students["Scores_Obtained"].to_numpy()


def test_table_has_the_published_rows_and_the_articles_names():
    raw, renamed = study_hours.raw_table(), study_hours.table()
    assert list(raw.columns) == ["Hours", "Scores"]
    assert list(renamed.columns) == ["No_of_Hours_Studied", "Scores_Obtained"]
    assert len(renamed) == 25 and renamed["Scores_Obtained"].dtype == np.int64
    assert raw.iloc[0].tolist() == [2.5, 21] and raw.iloc[-1].tolist() == [7.8, 86]
    assert raw["Hours"].sum() == pytest.approx(125.3) and raw["Scores"].sum() == 1287


def test_table_is_new_at_every_call():
    changed = study_hours.table()
    changed.loc[0, "No_of_Hours_Studied"] = 99.0
    assert study_hours.table().iloc[0, 0] == 2.5


def test_least_squares_over_all_students_is_the_well_known_line():
    line = LinearRegression().fit(*arrays())
    assert line.intercept_ == pytest.approx(2.484, abs=5e-4)
    assert line.coef_[0] == pytest.approx(9.776, abs=5e-4)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_split_is_the_articles_two_calls(seed):
    x, y = arrays()
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=seed)
    x_labeled, u, y_labeled, u_true = train_test_split(x_train, y_train, test_size=0.7, random_state=seed)
    split = study_hours.split(seed)
    for ours, theirs in [(split.x, x_labeled), (split.y, y_labeled), (split.u, u), (split.u_true, u_true),
                         (split.x_test, x_test), (split.y_test, y_test)]:
        np.testing.assert_array_equal(ours, theirs)


def test_split_covers_every_student_once():
    split = study_hours.split(3)
    rows = np.concatenate([split.labeled_rows, split.unlabeled_rows, split.test_rows])
    assert (len(split.x), len(split.u), len(split.x_test)) == (5, 12, 8)
    assert sorted(rows) == list(range(25))
    np.testing.assert_array_equal(arrays()[0][split.unlabeled_rows], split.u)


def test_the_articles_hours_are_marks_predicted_by_the_five_label_line():
    split = study_hours.split(seed=1)
    line = LinearRegression().fit(split.x, split.y)
    predicted = dict(zip(split.y_test.tolist(), line.predict(split.x_test).round(1).tolist()))
    assert predicted[17] == 5.1 and predicted[24] == 14.5
    hours = dict(zip(split.y_test.tolist(), split.x_test[:, 0].tolist()))
    assert hours[17] == 1.1 and hours[24] == 1.9


def test_a_line_does_not_move_when_fitted_on_its_own_predictions():
    split = study_hours.split(seed=5)
    line = LinearRegression().fit(split.x, split.y)
    again = LinearRegression().fit(np.concatenate([split.x, split.u]),
                                   np.concatenate([split.y, line.predict(split.u)]))
    assert again.coef_[0] == pytest.approx(line.coef_[0], rel=1e-10)
    assert again.intercept_ == pytest.approx(line.intercept_, rel=1e-10)


def test_pass_mark_makes_two_classes_and_counts_the_mark_itself_as_passed():
    marks, passed = study_hours.split(1), study_hours.split(1, pass_mark=76)
    np.testing.assert_array_equal(passed.y, (marks.y >= 76).astype(int))
    assert passed.y[marks.y == 76] == 1


def test_stratified_split_gives_both_classes_two_labels_at_least():
    for seed in range(50):
        assert study_hours.split(seed, pass_mark=50, stratify=True).y.sum() in (2, 3)


@pytest.mark.parametrize("arguments", [{"stratify": True}, {"pass_mark": 0}, {"pass_mark": 96}, {"test_size": 0.99},
                                       {"test_size": 1.5}, {"pass_mark": 95, "stratify": True}])
def test_impossible_splits_say_what_to_do(arguments):
    with pytest.raises(FixMatchError, match="choose|give"):
        study_hours.split(1, **arguments)
