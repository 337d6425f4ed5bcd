"""Your own pictures: ``train/<class>/…``, ``test/<class>/…``, and ``unlabeled/`` if you have it; or any folder, and
a CSV file that names the labeled ones."""

from __future__ import annotations

import difflib
import functools
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import features

from .errors import FixMatchError
from .hints import PathLike
from .labels_file import one_form, read_labels
from .pictures import read_all

log = logging.getLogger("fixmatch_lite")

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".jp2"}
if "avif" in features.modules and features.check("avif"):  # not every Pillow reads it
    SUFFIXES.add(".avif")
SHAPE = "it needs train/<class>/… and test/<class>/… with the same class names (or a file of labels, --labels-from)"


def load_folder(root: PathLike | None, image_size: int | Sequence[int] | None = None,
                labels_from: PathLike | None = None) -> tuple[Any, ...]:
    """``(pool, train_images, train_targets, test_images, test_targets, class_names)``.

    Images are uint8 ``(N, C, H, W)``, targets int64 ``(N,)``; ``pool`` holds the images of train/, then those of
    unlabeled/, and ``train_images`` is a view of its beginning. Classes and files come in sorted order, at any depth.

    - C is 1 if every picture is gray, else 3.
    - H and W are ``image_size`` (an int, or ``(height, width)``), or else the most common size
      among all pictures. Others are scaled to cover it and cropped around their center.
    - Turned photos (EXIF) are set upright, transparent pixels become white, 16-bit images keep
      their highest 8 bits, CMYK and palettes become RGB, of an animation the first frame counts.
    - Pictures without a label that cannot be read are left out, and the log (logger ``fixmatch_lite``) says so.
    - ``labels_from`` is a CSV file that names the labeled pictures, see `labels_file.read_labels`; every other picture
      under ``root`` is then without a label.

    Raises:
        FixMatchError: a folder is missing, empty or of one class; the classes of train/ and test/
            differ; a picture of train/ or test/, or a labeled one, cannot be read; all of them together do not fit into memory.
    """
    (train_paths, train_targets), pool_paths, (test_paths, test_targets), names = _found(root, labels_from, ignored := [])
    first, second = len(train_paths), len(train_paths) + len(pool_paths)
    pixels, unread = read_all([*train_paths, *pool_paths, *test_paths], image_size, spare=range(first, second))
    tell_ignored(ignored)
    second -= unread
    targets = [torch.tensor(t, dtype=torch.int64) for t in (train_targets, test_targets)]
    return pixels[:second], pixels[:first], targets[0], pixels[second:], targets[1], names


def load_test(root: PathLike | None, image_size: int | Sequence[int],
              labels_from: PathLike | None = None) -> tuple[torch.Tensor, torch.Tensor, Sequence[str]]:
    """The test part alone of what `load_folder` loads, ``(images, targets, class_names)``; here C is 1 where every test picture is
    gray. None of the other pictures is opened."""
    _, _, (paths, targets), names = _found(root, labels_from, [])
    return read_all(paths, image_size)[0], torch.tensor(targets), names


def _found(root, labels_from, ignored):
    """Paths and classes to train with, paths without a class, paths and classes to test, and the names of the classes."""
    if root is None:
        raise FixMatchError("The data set 'folder' needs a place: give root (--root), a folder with train/<class>/ and test/<class>/ "
                            "in it; or any folder, and labels_from (--labels-from), a file of labels.")
    if not (root := Path(root)).is_dir():
        raise FixMatchError(f"There is no folder {root}: give the folder that holds the pictures.")
    found = _sorted_in_folders(root, ignored) if labels_from is None else _named(root, labels_from, ignored)
    _at_least_two(root, found[-1])
    return found


def tell_ignored(ignored: list[Path]) -> None:
    """Say how many files were passed over for their names, if any."""
    if ignored:
        log.info("ignored %d file%s with other endings than pictures have, for example %s", len(ignored),
                 "s" * (len(ignored) > 1), ignored[0])


def _at_least_two(root, names):
    if len(names) < 2:
        raise FixMatchError(f"{root} has one class only ({names[0]}): a classifier needs at least two.")


def _sorted_in_folders(root, ignored):
    train_paths, train_targets, names = class_folders(root, "train", ignored)
    test_paths, test_targets, test_names = class_folders(root, "test", ignored)
    if names != test_names:
        raise FixMatchError(_difference(root, names, test_names))
    has_pool = (root / "unlabeled").is_dir()
    pool_paths = images_under(root / "unlabeled", ignored) if has_pool else []
    if has_pool and not pool_paths:
        raise FixMatchError(f"{root / 'unlabeled'} holds no images: fill it or remove it.")
    left = [e.name for e in sorted(root.iterdir()) if e.is_dir() and not e.name.startswith(".")
            and e.name not in ("train", "test", "unlabeled") and images_under(e, [])]
    if left:
        log.warning("the pictures in %s are left alone; if they are meant to be learned from, put them into unlabeled/",
                    ", ".join(f"{name}/" for name in left))
    return (train_paths, train_targets), pool_paths, (test_paths, test_targets), names


def _named(root, labels_from, ignored):
    """What `_sorted_in_folders` finds, where a CSV file names the labeled pictures."""
    train, test = read_labels(labels_from, root)
    names = tuple(sorted(set(train.values())))
    _at_least_two(root, names)
    if not test:
        if not (root / "test").is_dir():
            raise FixMatchError(f"{root} has no test pictures: put some into test/<class>/, or give {labels_from} a "
                                "column split that says train or test.")
        paths, targets, test_names = class_folders(root, "test", ignored)
        test = {path: test_names[target] for path, target in zip(paths, targets)}
        both = sorted(set(train) & set(test))
        if both:
            raise FixMatchError(f"{both[0]} is a test picture, and {labels_from} would train with it: take out its line and "
                                "those of all others in test/.")
    strange = sorted(set(test.values()) - set(names))
    if strange:
        raise FixMatchError(f"The class {strange[0]} is among the test pictures only: label some to train with, or "
                            "take them out.")
    for name in sorted(set(names) - set(test.values())):
        near = difflib.get_close_matches(name, set(test.values()), n=1)
        log.warning("no test picture is called %s; %s", name, f"did you mean {near[0]}?" if near else "its accuracy is unknown")
    held_out, folder_of = os.path.realpath(root / "test"), functools.cache(os.path.realpath)
    place = lambda path: (folder_of(path.parent), path.name)  # one picture has several paths where folders are linked
    named, inside = {place(path) for path in (*train, *test)}, os.path.join(held_out, "")
    others = [path for path in images_under(root, ignored)
              if place(path) not in named and not os.path.join(place(path)[0], "").startswith(inside)]
    parts = [(list(part), [names.index(name) for name in part.values()]) for part in (train, test)]
    return parts[0], others, parts[1], names


def class_folders(root: Path, part: str, ignored: list[Path]) -> tuple[list[Path], list[int], tuple[str, ...]]:
    """Sorted image paths, their class numbers, and the class names of ``root/part``."""
    folder = root / part
    if not folder.is_dir():
        other = next((n for n in ("val", "valid", "validation", part.capitalize()) if (root / n).is_dir()), None)
        hint = f"; if you mean {other}/, rename it to {part}/" if other else ""
        raise FixMatchError(f"{root} has no folder {part}/: {SHAPE}{hint}.")
    entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
    classes = sorted((e for e in entries if e.is_dir()), key=lambda e: one_form(e.name))
    ignored += [e for e in entries if not e.is_dir()]
    if not classes:
        raise FixMatchError(f"{folder} has no class folders: {SHAPE}.")
    names = tuple(one_form(c.name) for c in classes)
    if twice := next((name for name, following in zip(names, names[1:]) if name == following), None):
        raise FixMatchError(f"{folder} has two folders {twice}, written in two ways in Unicode: put their pictures into one.")
    paths, targets = [], []
    for number, class_folder in enumerate(classes):
        found = images_under(class_folder, ignored)
        if not found:
            other = next((e for e in ignored if class_folder in e.parents), None)
            told = "fill it or remove it" if other is None else f"files like {other.name} are not read here, convert them to JPEG or PNG"
            raise FixMatchError(f"The class folder {class_folder} holds no images: {told}.")
        paths += found
        targets += [number] * len(found)
    return paths, targets, names


def images_under(folder: Path, ignored: list[Path]) -> list[Path]:
    found, seen = [], set()
    for here, folders, files in os.walk(folder, followlinks=True):
        # linked folders are followed, but a link back to a parent must not make an endless walk
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if (real := os.path.realpath(here)) in seen:
            folders[:] = []
            continue
        seen.add(real)
        for name in sorted(files):
            if not name.startswith("."):
                is_image = os.path.splitext(name)[1].lower() in SUFFIXES
                (found if is_image else ignored).append(Path(here, name))
    return found


def _difference(root, train_names, test_names) -> str:
    sides = []
    for names, others, part in ((train_names, test_names, "train"), (test_names, train_names, "test")):
        if only := sorted(set(names) - set(others)):
            more = f" and {len(only) - 5} more" if len(only) > 5 else ""
            sides.append(f"only {part}/ has {', '.join(only[:5])}{more}")
    return f"The classes of train/ and test/ in {root} differ ({'; '.join(sides)}): give both the same class folders."
