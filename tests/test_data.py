"""Data sets: the digits, the labeled draw, the files of indices."""

import dataclasses
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

import fixmatch_lite as fm
from fixmatch_lite.data import draw_labeled, labeled_hash
from fixmatch_lite.streaming import Pictures


def test_digits_ship_with_the_module_and_have_a_fixed_test_part():
    first, second = fm.load_data("digits", labels=40, seed=0), fm.load_data("digits", labels=100, seed=7)
    assert first.x.shape == (40, 1, 8, 8) and first.x.dtype == torch.uint8 and first.y.dtype == torch.int64
    assert len(first.u) + len(first.x_test) == 1797
    assert torch.equal(first.x_test, second.x_test) and torch.equal(first.u, second.u)
    assert torch.bincount(first.y_test).tolist() == [50] * 10
    assert first.u.max() == 255 and first.u.min() == 0
    assert first.class_names == tuple("0123456789") and first.num_classes == 10 and first.channels == 1


def test_no_test_image_is_trained_on():
    data = fm.load_data("digits")
    trained = {image.numpy().tobytes() for image in data.u}
    assert sum(image.numpy().tobytes() in trained for image in data.x_test) == 0


@pytest.mark.parametrize("labels, each", [(10, {1}), (40, {4}), (100, {10}), (47, {4, 5})])
def test_T17_labeled_set_is_balanced(labels, each):
    for seed in range(5):
        data = fm.load_data("digits", labels=labels, seed=seed)
        counts = torch.bincount(data.y, minlength=10)
        assert set(counts.tolist()) == each and counts.sum() == labels
        assert len(set(data.labeled_indices)) == labels


def test_T17_labeled_set_depends_on_the_seed_alone():
    np.random.seed(1), torch.manual_seed(1)
    first = fm.load_data("digits", seed=3)
    np.random.seed(2), torch.manual_seed(2)
    state = np.random.get_state()[1].copy()
    assert fm.load_data("digits", seed=3).labeled_hash == first.labeled_hash
    assert (np.random.get_state()[1] == state).all(), "the global generator was used"
    hashes = {fm.load_data("digits", seed=seed).labeled_hash for seed in range(10)}
    assert len(hashes) == 10


def test_T17_labeled_set_is_the_same_in_every_version():
    """Published runs name their labeled set by this hash; a change here would orphan them."""
    assert fm.load_data("digits", labels=40, seed=0).labeled_hash == "1d25094a8d8ec6c8"
    assert draw_labeled([0, 0, 0, 1, 1, 1, 1, 2, 2, 2], 6, seed=1) == tuple(sorted(draw_labeled(
        [0, 0, 0, 1, 1, 1, 1, 2, 2, 2], 6, seed=1)))
    assert labeled_hash([3, 1, 2]) == labeled_hash((1, 2, 3)) != labeled_hash((1, 2, 4))


def test_labeled_indices_travel_in_a_file(tmp_path):
    data = fm.load_data("digits", labels=40, seed=5)
    data.save_labeled(tmp_path / "labeled.json")
    back = fm.load_data("digits", labeled=tmp_path / "labeled.json")
    assert back.labeled_indices == data.labeled_indices and torch.equal(back.x, data.x)
    (tmp_path / "list.json").write_text(json.dumps([5, 3, 900]))
    assert fm.load_data("digits", labeled=str(tmp_path / "list.json")).labeled_indices == (3, 5, 900)
    entry = next(entry for entry in os.scandir(tmp_path) if entry.name == "list.json")  # a path, and neither str nor Path
    assert fm.load_data("digits", labeled=entry).labeled_indices == (3, 5, 900)
    assert fm.load_data("digits", labeled=[5, 3]).labeled_indices == (3, 5)


def test_a_file_of_another_data_set_or_another_set_of_labels_is_refused(tmp_path):
    fm.load_data("digits", labels=40, seed=5).save_labeled(path := tmp_path / "labeled.json")
    with pytest.raises(fm.FixMatchError, match="saved for digits, and the data set is digits-unequal"):
        fm.load_data("digits-unequal", labeled=path)
    saved = json.loads(path.read_text())
    path.write_text(json.dumps({**saved, "indices": saved["indices"][1:]}))
    with pytest.raises(fm.FixMatchError, match="not the one that was saved"):
        fm.load_data("digits", labeled=path)


@pytest.mark.parametrize("changes, says", [
    (lambda d: {"u": d.u / 255}, "Images of u must be uint8 .*this is float32"),
    (lambda d: {"u": d.u[:, 0]}, r"Images of u must be uint8 .*images\[:, None\] makes a batch of gray"),
    (lambda d: {"u": d.u[:0], "u_true": d.u_true[:0]}, "There is no image of u"), (lambda d: {"x_test": d.x_test[:0], "y_test": d.y_test[:0]}, "no image"),
    (lambda d: {"u_true": d.u_true[1:]}, r"classes of u must be int64 \(1297,\), .*this is int64 \(1296,\)"), (lambda d: {"y": d.y.int()}, "must be int64"),
    (lambda d: {"x": d.x.numpy(), "y": d.y.numpy()}, "Images of x must be .* torch tensor; this is of the type ndarray.*from_numpy"),
    (lambda d: {"x": None}, "Images of x must .* NoneType"), (lambda d: {"x": d.x.tolist()}, "Images of x must .* list"),
    (lambda d: {"y_test": d.y_test.tolist()}, "classes of x_test must be .* torch tensor, .* list"),
    (lambda d: {"x": d.x.permute(0, 2, 3, 1)}, r"Images of x .*three channels first; this is uint8 \(40, 8, 8, 1\).*permute"),
    (lambda d: {"x": d.x.expand(-1, 4, -1, -1)}, r"Images of x .*this is uint8 \(40, 4, 8, 8\).*drops a fourth"),
    (lambda d: {"labeled_indices": (1, 2)}, "labeled_indices must be 40 whole numbers, .* are 2 and"),
    (lambda d: {"labeled_indices": ("a",) * 40}, "labeled_indices must be 40 whole numbers"), (lambda d: {"flip": "no"}, "flip = 'no' is not"),
    (lambda d: {"u": d.u[..., :6]}, "all must have the same shape"), (lambda d: {"y": d.y + 1}, "y holds classes from 1 to 10"),
])
def test_data_whose_parts_do_not_fit_are_refused(changes, says):
    data = fm.load_data("digits")
    with pytest.raises(fm.FixMatchError, match=says):
        dataclasses.replace(data, **changes(data))


def test_data_show_themselves_in_a_line():
    assert repr(fm.load_data("digits")) == "<digits: 40 labeled and 1,297 unlabeled images (1, 8, 8), 500 to test, 10 classes>"


def test_so_many_labels_as_the_recipe_says(tmp_path):
    assert len(fm.load_data("digits").x) == 40 and len(fm.load_data("digits-home").x) == 20
    for k in range(60):
        path = tmp_path / ("test" if k < 4 else "train") / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), k).save(path)
    assert len(fm.load_data("folder", root=tmp_path).x) == 56
    assert len(fm.load_data("folder", labels=40, root=tmp_path).x) == 40


def test_hash_of_ones_own_tensors_knows_their_pixels_and_classes():
    data = fm.load_data("digits")
    mine = dataclasses.replace(data, name="mine")
    others = dataclasses.replace(mine, x=255 - mine.x), dataclasses.replace(mine, y=mine.y.flip(0))
    assert len({data.labeled_hash, mine.labeled_hash, *(other.labeled_hash for other in others)}) == 4
    assert dataclasses.replace(data, x=255 - data.x).labeled_hash == data.labeled_hash  # known data: their indices alone
    stays = Pictures([f"{k}.jpg" for k in range(40)], 8)  # no such files: nothing may be read
    assert dataclasses.replace(mine, x=stays, u=stays, x_test=stays, u_true=data.y, y_test=data.y).labeled_hash == data.labeled_hash


def test_data_tell_how_their_labels_were_drawn():
    assert fm.load_data("digits", labels=20, seed=3).drawn == (3, "balanced")
    assert fm.load_data("digits", labels=20, split="proportional").drawn == (0, "proportional")
    assert fm.load_data("digits", labeled=[5, 3]).drawn is fm.load_data("digits", labels=None).drawn is None


@pytest.mark.parametrize("content, message", [
    ("[1, 2", "cannot be read"), ("{}", "cannot be read"), ("[]", "none, or an image is named twice"), ("5", "cannot be read"),
    ("[1.7]", "no whole number"), ('["3"]', "no whole number"), ("[[1]]", "no whole number"),
    ("[1, 1]", "an image is named twice"), ("[1, 1297]", "index 1297 is outside 0 … 1296"), ("[-1]", "outside"),
])
def test_files_of_indices_that_cannot_be(tmp_path, content, message):
    (tmp_path / "labeled.json").write_text(content)
    with pytest.raises(fm.FixMatchError, match=message):
        fm.load_data("digits", labeled=tmp_path / "labeled.json")


@pytest.mark.parametrize("arguments, message", [
    (dict(name="digit"), "did you mean 'digits'"), (dict(name="mnist"), "one of digits, digits-unequal, digits-home, digits-foreign, cifar10, cifar10-jpeg, cifar100, svhn, stl10, imagenet, folder"),
    (dict(name="digits", labels=9), "9 labels cannot cover 10 classes"),
    (dict(name="digits", labels=5000), "1297 training images with a known class, fewer than the 5000"),
    (dict(name="digits", labels=1290), "Class . has 1.. training images, fewer than the 129"),
    (dict(name="folder"), r"give root \(--root\), a folder with train/<class>/"),
])
def test_labeled_sets_that_cannot_be(arguments, message):
    with pytest.raises(fm.FixMatchError, match=message):
        fm.load_data(**arguments)


def test_every_label():
    data = fm.load_data("digits", labels=None)
    assert torch.equal(data.x, data.u)


# Piles that are not like the labels ----------------------------------------------------------------------------------

def test_unequal_digits_have_an_eighth_of_the_upper_five_and_the_same_test_part():
    plain, unequal = fm.load_data("digits", labels=40), fm.load_data("digits-unequal", labels=40, seed=3)
    whole, left = torch.bincount(plain.u_true), torch.bincount(unequal.u_true)
    assert torch.equal(whole[:5], left[:5]) and (left[5:] * 8 - whole[5:]).abs().float().mean() < 25
    assert torch.equal(plain.x_test, unequal.x_test) and torch.bincount(unequal.y).tolist() == [4] * 10
    assert torch.equal(unequal.u[torch.tensor(unequal.labeled_indices)], unequal.x) and not unequal.flip


def test_foreign_digits_stand_in_the_pile_alone():
    plain, home, foreign = (fm.load_data(name, labels=None if name == "digits" else 20, seed=1)
                            for name in ("digits", "digits-home", "digits-foreign"))
    assert home.labeled_hash == foreign.labeled_hash and torch.equal(home.x, foreign.x)
    assert home.num_classes == foreign.num_classes == 5 and home.u_true.max() == 4 and len(home.x_test) == 250
    assert len(foreign.u) == len(plain.u) and torch.equal(foreign.u[:len(home.u)], home.u)
    assert (foreign.u_true[len(home.u):] == 5).all() and foreign.y.max() == foreign.y_test.max() == 4


def test_kept_foreign_pictures_count_as_wrong():
    data = fm.load_data("digits-foreign", seed=0, labels=20)
    recipe = fm.recipe("digits-foreign", steps=3, eval_every=3, tau=0.0, batch_size=4, mu=50)
    *_, last = fm.fit(recipe, data)
    assert last.mask_rate == 1 and 0 < last.pseudo_label_accuracy < 0.5 + 0.2  # half of the pile is foreign
    *_, plain = fm.fit(recipe, dataclasses.replace(data, u_true=torch.where(data.u_true == 5, -1, data.u_true)))
    assert plain.pseudo_label_accuracy > last.pseudo_label_accuracy and plain.loss == last.loss


@pytest.mark.parametrize("arguments, says", [
    ({"labels": "40"}, "number of labels cannot be '40'"), ({"labels": 40.0}, "number of labels"), ({"seed": 1.5}, "seed of the labeled set cannot be 1.5"),
    ({"seed": None}, "cannot be None"), ({"image_size": 16}, "have their own size"),
])
def test_arguments_of_the_wrong_kind(arguments, says):
    with pytest.raises(fm.FixMatchError, match=says):
        fm.load_data("digits", **arguments)


@pytest.mark.parametrize("labeled", [[99_999], [], [-1, 3], [3, 3], [1.7], ["3"], [True, False], torch.tensor([True, False])])
def test_indices_that_cannot_be_are_refused(labeled):
    with pytest.raises(fm.FixMatchError, match="do not fit this data set"):
        fm.load_data("digits", labeled=labeled)


def test_indices_may_come_as_an_array():
    by_list, by_array = (fm.load_data("digits", labeled=kind([7, 3, 11])) for kind in (list, np.array))
    assert by_list.labeled_indices == by_array.labeled_indices == (3, 7, 11)
