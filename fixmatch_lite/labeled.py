"""Which images are labeled: drawn by a seed, or read from a file.

Source of the protocol: Sohn et al. 2020, section 4; Oliver et al. 2018. Taught in: chapter 9.
"""

import hashlib
import json
import numbers
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike

from .errors import FixMatchError
from .hints import PathLike

if TYPE_CHECKING:
    from .data import Loaded

SPLITS = ("balanced", "proportional")
# As FixMatch's released code draws them, and as their recipes say; the other data sets are balanced.
OWN_SPLIT = {"svhn": "proportional", "imagenet": "proportional"}
FOLDS = {"stl10": (1000, 10)}  # labeled sets that come with the data: how many labels in each, how many there are


def check_seed(name: str, labels: int, seed: int) -> None:
    """Refuse a seed that gives no labeled set; before anything is fetched for it.

    Raises:
        FixMatchError: the seed is below 0 or too large, or the data set has its own folds of that many labels and none
            of that number.
    """
    in_a_fold, folds = FOLDS.get(name, (None, 0))
    last, told = 2**32 - 1, ""
    if labels == in_a_fold:
        last, told = folds - 1, f": with {labels:,} labels of {name} it is the number of one of the data set's own folds"
    whole = lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole(labels):
        raise FixMatchError(f"The number of labels cannot be {labels!r}; give a whole number, or None for all.")
    if not whole(seed) or not 0 <= seed <= last:
        raise FixMatchError(f"The seed of the labeled set cannot be {seed!r}{told}; give a whole number from 0 to "
                            f"{last}.")


def labeled_hash(indices: Iterable[int], content: Iterable[torch.Tensor] = ()) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of indices, in any order, and of what the tensors ``content`` hold."""
    found = hashlib.sha256(",".join(str(int(i)) for i in sorted(indices)).encode())
    for tensor in content:
        found.update(tensor.cpu().contiguous().numpy())
    return found.hexdigest()[:16]


def draw_labeled(targets: ArrayLike, labels: int, seed: int, class_names: Sequence[str] | None = None,
                 split: str = "balanced") -> tuple[int, ...]:
    """Draw a labeled set, by the seed alone: the same number from every class, or in proportion to the classes.

    Args:
        targets: int64 ``(N,)`` classes of the training images.
        labels: how many in all. Where the classes do not divide it, some classes, drawn by the seed, get one more.
        split: "balanced", or "proportional": each label goes to the class that lacks most, measured by the most
            frequent class, as in FixMatch's released code (where the classes are equal, so are the shares).
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
        raise FixMatchError(f"There are {len(targets)} training images with a known class, fewer than the {labels} labels asked for; "
                            f"ask for at most {len(targets)}.")
    if labels < len(classes):
        raise FixMatchError(f"{labels} labels cannot cover {len(classes)} classes; ask for at least {len(classes)}.")
    random = np.random.RandomState(seed)  # the legacy generator, because its stream never changes
    if split == "proportional":
        share = _proportional(counts, labels)
    else:
        share = np.full(len(classes), labels // len(classes))
        share[random.permutation(len(classes))[: labels % len(classes)]] += 1
    chosen = []
    for kind, count, wanted in zip(classes, counts, share):
        if count < wanted:
            name = class_names[kind] if class_names is not None else kind
            raise FixMatchError(f"Class {name} has {count} training images, fewer than the {wanted} labels that a "
                                f"{split} draw of {labels} needs; ask for fewer labels"
                                + (", draw in proportion to the classes (split proportional)" if split == "balanced" else "")
                                + ", or name the labeled images in a file.")
        members = np.flatnonzero(targets == kind)
        chosen.extend(random.permutation(members)[:wanted])
    return tuple(sorted(int(i) for i in chosen))


def _proportional(counts, labels):
    frequency, share = counts / counts.max(), np.zeros(len(counts), dtype=int)
    for _ in range(labels):
        share[np.argmax(frequency - share / max(share.max(), 1))] += 1
    return share


def read_labeled(path: PathLike, size: int, name: str) -> tuple[tuple[int, ...], str | None]:
    """Read labeled indices from a JSON file: a list, or what `SemiSupervisedData.save_labeled` wrote.

    Returns:
        The indices, as `check_labeled` gives them, and the hash that they were saved with (None for a list).

    Raises:
        FixMatchError: the file cannot be read, was saved for another data set than ``name``, or `check_labeled` does.
    """
    try:
        content = json.loads(Path(path).read_text())
        saved = content if isinstance(content, dict) else {"indices": content}
        indices = list(saved["indices"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FixMatchError(f"The file of labeled indices {path} cannot be read ({error}); give a JSON list of "
                            "whole numbers.") from None
    if saved.get("dataset", name) != name:
        raise FixMatchError(f"The labeled indices in {path} were saved for {saved['dataset']}, and the data set is {name}: "
                            "the same numbers are other images there.")
    return check_labeled(indices, size, f"The labeled indices in {path}"), saved.get("labeled_hash")


def check_labeled(indices: Iterable[int], size: int, told: str = "The labeled indices") -> tuple[int, ...]:
    """The labeled ``indices``, a sequence, array or tensor, sorted: a tuple of ints.

    Raises:
        FixMatchError: there are none, one is no whole number from 0 to ``size`` - 1, or one stands there twice.
    """
    indices = indices.tolist() if hasattr(indices, "tolist") else list(indices)
    wrong = [i for i in indices if isinstance(i, bool) or not isinstance(i, numbers.Integral) or not 0 <= i < size]
    if not indices or wrong or len(set(indices)) < len(indices):
        problem = "there are none, or an image is named twice"
        if wrong:
            problem = f"index {wrong[0]!r} is outside 0 … {size - 1}, or no whole number"
        raise FixMatchError(f"{told} do not fit this data set: {problem}; use what was saved for it.")
    return tuple(sorted(int(i) for i in indices))


def choose_labeled(name: str, found: "Loaded", labels: int | None, seed: int, labeled: PathLike | Iterable[int] | None,
                   split: str) -> tuple[tuple[int, ...], str | None]:
    """For what `data.load_data` was given, and what a loader `found`: the labeled indices, and the hash that a saved file says
    they have (None otherwise)."""
    if isinstance(labeled, (str, os.PathLike)):
        return read_labeled(labeled, len(found.images), name)
    if labeled is not None:
        return check_labeled(labeled, len(found.images)), None
    if labels is None:
        return tuple(range(len(found.images))), None
    if found.folds and labels == len(found.folds[0]):
        return tuple(sorted(found.folds[seed])), None
    return draw_labeled(found.targets, labels, seed, found.class_names, split), None
