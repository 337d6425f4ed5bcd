"""Data sets as uint8 tensors: a few labeled images, many unlabeled ones, and a test part that is never trained on.

Source of the protocol: Sohn et al. 2020, section 4; Oliver et al. 2018. Taught in: chapters 9 and 13.
"""

import importlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from .checks import check_data, completed
from .errors import FixMatchError
from .hints import PathLike
from .labeled import OWN_SPLIT, SPLITS, check_seed, choose_labeled, draw_labeled, labeled_hash
from .names import DATASETS, check_dataset, mirrors
from .recipes import recipe

if TYPE_CHECKING:
    from .download import RemoteFile

@dataclass(frozen=True, eq=False)
class SemiSupervisedData:
    """What a training run needs; images uint8 ``(N, C, H, W)``, targets int64 ``(N,)``.

    ``u`` holds every training image, the labeled ones included (the only way in which a labeled image is ever seen
    strongly augmented). ``u_true`` are the true classes of ``u``, -1 where they are not known, ``num_classes`` where the image is
    known to be foreign, of none of the classes; they measure pseudo-labels and train nothing. Where only the labels are
    known, all are -1: what a net says about the images that it was taught measures nothing. Of your own data you may leave out
    ``u_true`` (all -1), ``class_names`` ("0", "1", and so on) and ``labeled_indices`` (0, 1, and so on).
    """

    name: str             #: str: the data set, or a word of your own for tensors of your own.
    x: torch.Tensor       #: uint8 ``(N, C, H, W)``, or `streaming.Pictures`: the labeled images.
    y: torch.Tensor       #: int64 ``(N,)``: their classes, positions in ``class_names``.
    u: torch.Tensor       #: uint8 ``(N, C, H, W)``, or `streaming.Pictures`: the unlabeled images.
    u_true: torch.Tensor = None  #: int64 ``(N,)``: their true classes, or -1.
    x_test: torch.Tensor = None  #: uint8 ``(N, C, H, W)``, or `streaming.Pictures`: images that no step uses; must be given.
    y_test: torch.Tensor = None  #: int64 ``(N,)``: their classes; must be given.
    class_names: Sequence[str] = None  #: tuple: a name for each class.
    labeled_indices: Sequence[int] | np.ndarray = None  #: tuple of int: the position of each of ``x`` among the training images.
    flip: bool = True     #: bool: whether a mirrored picture still shows its class.
    drawn: tuple | None = None  #: tuple: seed and split that drew the labeled set; None where it was named, or is everything.

    def __post_init__(self):
        vars(self).update(completed(self))  # what is frozen cannot be set
        check_data(self)

    def __repr__(self):
        return (f"<{self.name}: {len(self.x):,} labeled and {len(self.u):,} unlabeled images {tuple(self.x.shape[1:])}, "
                f"{len(self.x_test):,} to test, {self.num_classes} classes>")

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def channels(self) -> int:
        return self.x.shape[1]

    @cached_property
    def labeled_hash(self) -> str:
        """16 hexadecimal digits of a SHA-256, by which runs name a labeled set. It is taken over the labeled indices,
        and for your own pictures over pixels and classes, too, since the same indices may stand for others tomorrow."""
        return labeled_hash(self.labeled_indices, (self.y, self.x) if self._own else ())

    @cached_property
    def test_hash(self) -> str | None:
        """The same for the test part's pixels and classes; None where the data are known by name, as `load_data` gave them."""
        return self._hash(self.y_test, self.x_test)

    @cached_property
    def unlabeled_hash(self) -> str | None:
        """The same for the pixels of the unlabeled images."""
        return self._hash(self.u)

    @property
    def _own(self):
        return self.name == "folder" or self.name not in DATASETS and isinstance(self.x, torch.Tensor)  # no file is read for it

    def _hash(self, *tensors):
        on_disk = any(hasattr(tensor, "decoded") for tensor in tensors)  # no file is read for it
        known = all(getattr(tensor, "known_as", None) == self.name for tensor in tensors)  # by `load_data`
        return None if on_disk or known else labeled_hash((), tensors)

    def to(self, device: torch.device | str) -> "SemiSupervisedData":
        """The same data with its tensors on ``device``."""
        moved = {k: v.to(device) for k, v in vars(self).items() if hasattr(v, "to") and k != "x"}
        # Where all training images are labeled, x is the beginning of u: there as here.
        place = lambda images: (images.data_ptr(), images.stride())
        is_view = isinstance(self.u, torch.Tensor) and place(self.x) == place(self.u)
        for name in moved:
            if hasattr(vars(self)[name], "known_as"):
                moved[name].known_as = vars(self)[name].known_as
        return replace(self, x=moved["u"][:len(self.x)] if is_view else self.x.to(device), **moved)

    def save_labeled(self, path: PathLike) -> None:
        """Write the labeled indices to a JSON file that `load_data` takes back as ``labeled=``."""
        content = {"dataset": self.name, "labeled_hash": self.labeled_hash, "indices": list(self.labeled_indices)}
        Path(path).write_text(json.dumps(content) + "\n")


class Loaded(NamedTuple):
    """What a loader found. ``pool`` holds first ``images``, which may be a view of it, then those without a label."""

    images: torch.Tensor       #: uint8 ``(N, C, H, W)``: the training images whose class is known.
    targets: torch.Tensor      #: int64 ``(N,)``: their classes.
    x_test: torch.Tensor       #: uint8 ``(N, C, H, W)``: the test images.
    y_test: torch.Tensor       #: int64 ``(N,)``: their classes.
    class_names: tuple         #: tuple: a name for each class.
    pool: torch.Tensor = None  #: uint8 ``(N, C, H, W)``: every training image; None where ``images`` are all.
    foreign: bool = False      #: bool: whether those without a label are known to be of none of the classes.
    folds: tuple = ()          #: tuple: labeled sets that come with the data, each the positions of its images.


def _digits(root):
    """scikit-learn's 1,797 handwritten digits, 8 x 8; 50 of each class, drawn once and for all, are the test part."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy((bunch.images * 255 / 16).round().astype(np.uint8)).unsqueeze(1)
    targets = torch.from_numpy(bunch.target.astype(np.int64))
    test = np.zeros(len(targets), dtype=bool)
    test[list(draw_labeled(targets, 500, seed=2020))] = True
    train, test = torch.from_numpy(~test), torch.from_numpy(test)
    names = tuple(str(k) for k in range(10))
    return Loaded(images[train], targets[train], images[test], targets[test], names)


def _digits_unequal(root):
    """Digits of which 5 to 9 are rare: every eighth of their training images is there. The test part is the same."""
    found = _digits(root)
    there = (found.targets < 5) | (torch.arange(len(found.targets)) % 8 == 0)
    return found._replace(images=found.images[there], targets=found.targets[there])


def _digits_of_five(foreign):
    """Digits with the classes 0 to 4 alone; ``foreign``: the unlabeled images are those of all ten."""
    def load(root):
        found = _digits(root)
        home, home_test = found.targets < 5, found.y_test < 5
        images = found.images[home]
        pool = torch.cat([images, found.images[~home]]) if foreign else None
        return Loaded(images, found.targets[home], found.x_test[home_test], found.y_test[home_test], found.class_names[:5],
                      pool, foreign)

    return load


def _cifar(source):
    def load(root):
        from . import cifar

        return Loaded(*cifar.load_cifar(getattr(cifar, source), root))

    return load


def _of(module):
    """The loader of a module of the same name, which is imported when the data are asked for."""
    return lambda root: Loaded(*getattr(importlib.import_module(f".{module}", __package__), f"load_{module}")(root))


def _stl10(root):
    from .stl10 import load_stl10

    pool, *rest, folds = load_stl10(root)
    return Loaded(*rest, pool=pool, folds=folds)


def _imagenet(root, image_size):
    from .streaming import load_imagenet

    return Loaded(*load_imagenet(root, image_size))


def _folder(root, image_size, labels_from):
    from .folders import load_folder

    pool, *rest = load_folder(root, image_size, labels_from)
    return Loaded(*rest, pool=pool)


def remote_files(name: str) -> tuple["RemoteFile", ...]:
    """What has to be fetched for a data set: `download.RemoteFile`, one for each file."""
    from . import cifar, stl10, svhn

    return {"cifar10": (cifar.CIFAR10.archive,), "cifar10-jpeg": (cifar.CIFAR10.archive,), "svhn": svhn.FILES,
            "cifar100": (cifar.CIFAR100.archive,), "stl10": (stl10.ARCHIVE,)}.get(name, ())


def load_data(name: str, labels: int | str | None = "recipe", seed: int = 0, root: PathLike | None = None, *,
              labeled: PathLike | Iterable[int] | None = None, split: str | None = None,
              image_size: int | Sequence[int] | None = None, flip: bool | None = None,
              labels_from: PathLike | None = None) -> SemiSupervisedData:
    """Load a data set and draw its labeled part.

    Args:
        name: "digits" (ships with scikit-learn) and three piles of them for chapter 15: "digits-unequal" (5 to 9 are rare),
            "digits-home" (0 to 4 alone), "digits-foreign" (the same, with all ten among the unlabeled); "cifar10",
            "cifar100", "svhn" or "stl10" (downloaded once, checked byte for byte), "cifar10-jpeg" (see `cifar_jpeg`),
            "imagenet" (``train/<class>/…``, ``val/<class>/…``; read from disk as it is needed: the images are
            `streaming.Pictures`), or "folder" (any tree ``train/<class>/…``, ``test/<class>/…``, optional
            ``unlabeled/…``).
        labels: size of the labeled set; "recipe" takes the one in the data set's recipe (digits 40, cifar10 250,
            folder all), None takes every training image.
        seed: decides, alone, which images are labeled. With 1,000 labels of stl10 it is the number of one of the
            data set's own ten folds, 0 to 9; the papers use the first five.
        root: the folder of the data, where a downloaded archive lies or will lie (``data`` unless given).
        labeled: a file of indices (see `SemiSupervisedData.save_labeled`) or a sequence of them, instead of a draw.
        split: "balanced" over the classes, or "proportional" to them, see `labeled.draw_labeled`; None takes the one in
            the data set's recipe (proportional for svhn and imagenet, as in FixMatch's released code).
        labels_from: a CSV file that names a folder's labeled pictures, see `labels_file.read_labels`; no class folders
            are needed then, and all other pictures are unlabeled.
        image_size: side in pixels to which a folder's images are brought; None keeps the most common size (ImageNet:
            224).
        flip: whether mirrored pictures keep their class; None takes the data set's default (no for digits and svhn).

    Returns:
        `SemiSupervisedData`.

    Raises:
        FixMatchError: unknown name, unreadable data, or a labeled set that cannot be drawn.
    """
    check_dataset(name)
    labels = recipe(name).labels if labels == "recipe" else labels
    split = OWN_SPLIT.get(name, "balanced") if split is None else split
    if split not in SPLITS:
        raise FixMatchError(f"There is no split {split!r}; use one of {', '.join(SPLITS)}.")
    if labels_from is not None and name != "folder":
        raise FixMatchError(f"The labels of {name} come with it; leave out labels_from, or load 'folder'.")
    if image_size is not None and name not in ("folder", "imagenet"):
        raise FixMatchError(f"The images of {name} have their own size; leave out image_size, or load 'folder'.")
    if labeled is None and labels is not None:
        check_seed(name, labels, seed)
    loaders = {"digits": _digits, "digits-unequal": _digits_unequal, "digits-home": _digits_of_five(False),
               "digits-foreign": _digits_of_five(True), "cifar10": _cifar("CIFAR10"), "cifar10-jpeg": _of("cifar_jpeg"),
               "cifar100": _cifar("CIFAR100"), "svhn": _of("svhn"), "stl10": _stl10,
               "imagenet": lambda root: _imagenet(root, image_size), "folder": lambda root: _folder(root, image_size, labels_from)}
    found = loaders[name](root)
    indices, saved = choose_labeled(name, found, labels, seed, labeled, split)
    pool = found.images if found.pool is None else found.pool
    others = torch.full((len(pool) - len(found.images),), len(found.class_names) if found.foreign else -1)
    u_true = torch.cat([found.targets, others])
    if len(indices) == len(found.images) and not found.foreign:
        u_true = torch.full_like(u_true, -1)  # a pseudo-label of a picture that trains with its label tells nothing
    # With every image labeled a view will do: a second copy of a large folder may not fit.
    chosen = slice(None) if indices == tuple(range(len(found.images))) else torch.tensor(indices)
    data = SemiSupervisedData(
        name=name, x=found.images[chosen], y=found.targets[chosen], u=pool, u_true=u_true, x_test=found.x_test, y_test=found.y_test,
        class_names=tuple(found.class_names), labeled_indices=indices, flip=mirrors(name) if flip is None else flip,
        drawn=(seed, split) if labeled is None and labels is not None else None)
    if saved is not None and saved != data.labeled_hash:
        raise FixMatchError(f"The labeled set in {labeled} is not the one that was saved (hash {saved}, now "
                            f"{data.labeled_hash}): the file, the pictures or image_size has changed; save it again.")
    for tensor in (data.u, data.x_test, data.y_test) if name != "folder" else ():
        tensor.known_as = name  # what is made of it is not: it gets a hash
    return data
