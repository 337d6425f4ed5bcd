"""Data sets as uint8 tensors: a few labeled images, many unlabeled ones, a test part that trains nothing.

Source of the protocol: Sohn et al. 2020, section 4; Oliver et al. 2018. Taught in: chapters 3 and 4.
"""

import difflib
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from .errors import FixMatchError

DATASETS = ("digits", "cifar10", "folder")


@dataclass(frozen=True)
class SemiSupervisedData:
    """What a training run needs; images uint8 ``(N, C, H, W)``, targets int64 ``(N,)``.

    ``u`` holds every training image, the labeled ones included (the only way in which a labeled image is ever seen
    strongly augmented). ``u_true`` are the true classes of ``u``, -1 where nobody knows; they measure pseudo-labels
    and train nothing.
    """

    name: str
    x: torch.Tensor
    y: torch.Tensor
    u: torch.Tensor
    u_true: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    class_names: tuple
    labeled_indices: tuple
    flip: bool = True  # whether a mirrored picture still shows its class

    @property
    def num_classes(self):
        return len(self.class_names)

    @property
    def channels(self):
        return self.x.shape[1]

    @property
    def labeled_hash(self):
        """The first 16 hexadecimal digits of the SHA-256 of the labeled indices, by which runs name a labeled set."""
        return labeled_hash(self.labeled_indices)

    def to(self, device):
        """The same data with its tensors on ``device``."""
        tensors = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, torch.Tensor)}
        return replace(self, **tensors)

    def save_labeled(self, path):
        """Write the labeled indices to a JSON file that `load_data` takes back as ``labeled=``."""
        content = {"dataset": self.name, "labeled_hash": self.labeled_hash, "indices": list(self.labeled_indices)}
        Path(path).write_text(json.dumps(content) + "\n")


def labeled_hash(indices):
    return hashlib.sha256(",".join(str(int(i)) for i in sorted(indices)).encode()).hexdigest()[:16]


def draw_labeled(targets, labels, seed, class_names=None):
    """Draw a balanced labeled set: the same number from every class, by the seed alone.

    Args:
        targets: int64 ``(N,)`` classes of the training images.
        labels: how many in all. Where the classes do not divide it, some classes, drawn by the seed, get one more.
        seed: decides everything; no global random state is read or changed.
        class_names: for the messages.

    Returns:
        Sorted indices, a tuple of ints.

    Raises:
        FixMatchError: fewer labels than classes, more than images, or a class with too few images.
    """
    targets = np.asarray(targets)
    classes, counts = np.unique(targets, return_counts=True)
    if labels > len(targets):
        raise FixMatchError(f"There are {len(targets)} training images, fewer than the {labels} labels asked for; "
                            f"ask for at most {len(targets)}.")
    if labels < len(classes):
        raise FixMatchError(f"{labels} labels cannot cover {len(classes)} classes; ask for at least {len(classes)}.")
    random = np.random.RandomState(seed)  # the legacy generator, because its stream never changes
    share = np.full(len(classes), labels // len(classes))
    share[random.permutation(len(classes))[: labels % len(classes)]] += 1
    chosen = []
    for kind, count, wanted in zip(classes, counts, share):
        if count < wanted:
            name = class_names[kind] if class_names is not None else kind
            raise FixMatchError(f"Class {name} has {count} training images, fewer than the {wanted} labels that a "
                                f"balanced draw of {labels} needs; ask for fewer labels or name the labeled images "
                                "in a file.")
        members = np.flatnonzero(targets == kind)
        chosen.extend(random.permutation(members)[:wanted])
    return tuple(sorted(int(i) for i in chosen))


def read_labeled(path, size):
    """Read labeled indices from a JSON file: a list, or what `SemiSupervisedData.save_labeled` wrote."""
    try:
        content = json.loads(Path(path).read_text())
        indices = [int(i) for i in (content["indices"] if isinstance(content, dict) else content)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FixMatchError(f"The file of labeled indices {path} cannot be read ({error}); give a JSON list of "
                            "whole numbers.") from None
    wrong = [i for i in indices if not 0 <= i < size]
    if not indices or wrong or len(set(indices)) < len(indices):
        problem = f"index {wrong[0]} is outside 0 … {size - 1}" if wrong else "it is empty or names an image twice"
        raise FixMatchError(f"The labeled indices in {path} do not fit this data set: {problem}; use the file that "
                            "was saved for it.")
    return tuple(sorted(indices))


def _digits(root, image_size):
    """scikit-learn's 1,797 handwritten digits, 8 x 8; 50 of each class, drawn once and for all, are the test part."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy((bunch.images * 255 / 16).round().astype(np.uint8)).unsqueeze(1)
    targets = torch.from_numpy(bunch.target.astype(np.int64))
    test = np.zeros(len(targets), dtype=bool)
    test[list(draw_labeled(targets, 500, seed=2020))] = True
    train, test = torch.from_numpy(~test), torch.from_numpy(test)
    names = tuple(str(k) for k in range(10))
    return images[train], targets[train], None, images[test], targets[test], names


def _cifar10(root, image_size):
    from .cifar import load_cifar10

    images, targets, x_test, y_test, names = load_cifar10(root)
    return images, targets, None, x_test, y_test, names


def _folder(root, image_size):
    from .folders import load_folder

    if root is None:
        raise FixMatchError("The data set 'folder' needs a place: give root=, a folder with train/<class>/ and "
                            "test/<class>/ in it.")
    return load_folder(root, image_size=image_size)


def load_data(name, labels=40, seed=0, root=None, *, labeled=None, image_size=None, flip=None):
    """Load a data set and draw its labeled part.

    Args:
        name: "digits" (ships with scikit-learn), "cifar10" (downloaded once, checked byte for byte) or "folder" (any
            tree ``train/<class>/…``, ``test/<class>/…``, optional ``unlabeled/…``).
        labels: size of the labeled set, balanced over the classes; None takes every training image.
        seed: decides the labeled set, and nothing else does.
        root: the folder of the data; for cifar10 the place of the archive (``data`` unless given).
        labeled: a file of indices (see `SemiSupervisedData.save_labeled`) or a sequence of them, instead of a draw.
        image_size: side in pixels to which a folder's images are brought; None keeps the most common size.
        flip: whether mirrored pictures keep their class; None takes the data set's own answer (no for digits).

    Returns:
        `SemiSupervisedData`.

    Raises:
        FixMatchError: unknown name, unreadable data, or a labeled set that cannot be drawn.
    """
    loaders = {"digits": _digits, "cifar10": _cifar10, "folder": _folder}
    if name not in loaders:
        near = difflib.get_close_matches(name, DATASETS, n=1)
        raise FixMatchError(f"There is no data set {name!r}; " + (f"did you mean {near[0]!r}? " if near else "")
                            + f"Use one of {', '.join(DATASETS)}.")
    images, targets, unlabeled, x_test, y_test, class_names = loaders[name](root, image_size)
    if labeled is not None:
        is_file = isinstance(labeled, (str, Path))
        indices = read_labeled(labeled, len(images)) if is_file else tuple(sorted(int(i) for i in labeled))
    elif labels is None:
        indices = tuple(range(len(images)))
    else:
        indices = draw_labeled(targets, labels, seed, class_names)
    chosen = torch.tensor(indices)
    u, u_true = images, targets
    if unlabeled is not None and len(unlabeled):
        u = torch.cat([images, unlabeled])
        u_true = torch.cat([targets, torch.full((len(unlabeled),), -1)])
    return SemiSupervisedData(
        name=name, x=images[chosen], y=targets[chosen], u=u, u_true=u_true, x_test=x_test, y_test=y_test,
        class_names=tuple(class_names), labeled_indices=indices, flip=(name != "digits") if flip is None else flip)


class ShuffledIndices:
    """An endless stream of indices: every index once in a random order, then all of them again in another.

    Args:
        size: how many indices there are; may be smaller than a batch (ten labels, batches of 64).
        generator: source of the orders.
    """

    def __init__(self, size, generator):
        self.size, self.generator = size, generator
        self.order, self.position = torch.randperm(size, generator=generator), 0

    def next(self, count):
        """The next ``count`` indices, int64 ``(count,)``."""
        parts = []
        while count > 0:
            if self.position == self.size:
                self.order, self.position = torch.randperm(self.size, generator=self.generator), 0
            part = self.order[self.position: self.position + count]
            parts.append(part)
            self.position += len(part)
            count -= len(part)
        return torch.cat(parts)
