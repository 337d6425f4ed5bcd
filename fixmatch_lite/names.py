"""The data sets by their names, and what follows from a name alone."""

import difflib

from .errors import FixMatchError

DATASETS = ("digits", "digits-unequal", "digits-home", "digits-foreign", "cifar10", "cifar10-jpeg", "cifar100", "svhn",
            "stl10", "imagenet", "folder")
_TITLES = {"digits-unequal": "digits, unequal", "digits-home": "digits 0 to 4", "digits-foreign": "digits 0 to 4, foreign in u",
           "cifar10": "CIFAR-10", "cifar10-jpeg": "CIFAR-10 (JPEG)", "cifar100": "CIFAR-100", "svhn": "SVHN",
           "stl10": "STL-10", "imagenet": "ImageNet"}


def check_dataset(name: str) -> None:
    """Refuse the name of no data set.

    Raises:
        FixMatchError: there is none of that name.
    """
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=1)
        raise FixMatchError(f"There is no data set {name!r}; {f'did you mean {near[0]!r}? Use' if near else 'use'} one of "
                            f"{', '.join(DATASETS)}.")


def data_title(name: str) -> str:
    """A data set's name as people write it."""
    return _TITLES.get(name, name)


def mirrors(name: str) -> bool:
    """Whether a mirrored picture of a data set keeps its class, as long as nobody says otherwise."""
    return not name.startswith(("digits", "svhn"))
