"""Your own pictures: ``train/<class>/…``, ``test/<class>/…``, and ``unlabeled/`` if you have it.

The training loop wants one uint8 tensor, all images of one size and one number
of channels. Folders of pictures are seldom like that, so the size and the channels are found by
looking, said aloud (logger ``fixmatch_lite``), and every picture is brought to them.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from .errors import FixMatchError

log = logging.getLogger("fixmatch_lite")

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".jp2"}
SHAPE = "it needs train/<class>/… and test/<class>/… with the same class names"
SMALL = 64 * 64  # pixels; smaller images are kept when first opened, opening costs more than decoding


def load_folder(root, image_size=None):
    """``(pool, train_images, train_targets, test_images, test_targets, class_names)``.

    Images are uint8 ``(N, C, H, W)``, targets int64 ``(N,)``; ``pool`` holds the images of train/, then those of
    unlabeled/, and ``train_images`` is a view of its beginning. Classes and files come in sorted order, at any depth.

    - C is 1 if every picture is gray, else 3.
    - H and W are ``image_size`` (an int, or ``(height, width)``), or else the most common size
      among all pictures. Others are scaled to cover it and cropped around their center.
    - Turned photos (EXIF) are set upright, transparent pixels become white, 16-bit images keep
      their highest 8 bits, CMYK and palettes become RGB, of a moving picture the first one counts.

    Raises:
        FixMatchError: a folder is missing, empty or of one class; the classes of train/ and test/
            differ; a picture cannot be read; all of them together do not fit into memory.
    """
    root = Path(root)
    if not root.is_dir():
        raise FixMatchError(f"There is no folder {root}: give the folder that holds train/ and test/.")
    ignored = []
    train_paths, train_targets, names = _labeled(root, "train", ignored)
    test_paths, test_targets, test_names = _labeled(root, "test", ignored)
    if names != test_names:
        raise FixMatchError(_difference(root, names, test_names))
    if len(names) < 2:
        raise FixMatchError(f"{root} has one class only ({names[0]}): a classifier needs at least two class folders.")
    has_pool = (root / "unlabeled").is_dir()
    pool_paths = _images_under(root / "unlabeled", ignored) if has_pool else []
    if has_pool and not pool_paths:
        raise FixMatchError(f"{root / 'unlabeled'} holds no images: fill it or remove it.")
    pixels = _read_all([*train_paths, *pool_paths, *test_paths], image_size)
    if ignored:
        log.info("ignored %d files that are not images, %s for one", len(ignored), ignored[0])
    first, second = len(train_paths), len(train_paths) + len(pool_paths)
    targets = [torch.tensor(t, dtype=torch.int64) for t in (train_targets, test_targets)]
    return pixels[:second], pixels[:first], targets[0], pixels[second:], targets[1], names


def _labeled(root: Path, part: str, ignored: list):
    """Sorted image paths, their class numbers, and the class names of ``root/part``."""
    folder = root / part
    if not folder.is_dir():
        other = next((n for n in ("val", "valid", "validation", part.capitalize()) if (root / n).is_dir()), None)
        hint = f"; if {other}/ is meant, rename it to {part}/" if other else ""
        raise FixMatchError(f"{root} has no folder {part}/: {SHAPE}{hint}.")
    entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
    classes = [e for e in entries if e.is_dir()]
    ignored += [e for e in entries if not e.is_dir()]
    if not classes:
        raise FixMatchError(f"{folder} has no class folders: {SHAPE}.")
    paths, targets = [], []
    for number, class_folder in enumerate(classes):
        found = _images_under(class_folder, ignored)
        if not found:
            raise FixMatchError(f"The class folder {class_folder} holds no images: fill it or remove it.")
        paths += found
        targets += [number] * len(found)
    return paths, targets, tuple(c.name for c in classes)


def _images_under(folder: Path, ignored: list) -> list[Path]:
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


def _read_all(paths, image_size) -> torch.Tensor:
    """All pictures as one uint8 tensor ``(N, C, H, W)``."""
    kept: dict[int, np.ndarray] = {}
    if image_size is None:
        found = _in_threads(lambda i: _size_of(paths[i], i, kept), paths)
        _stop_at_unreadable(paths, found)
        sizes = Counter(found)
        # the most common; among equals the larger one, so that nothing depends on the order of files
        (height, width), count = max(sizes.items(), key=lambda item: (item[1], item[0][0] * item[0][1], item[0]))
        why = "as all are" if len(sizes) == 1 else f"as {count:,} of them are; the rest are resized and cropped"
    else:
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if min(height, width) < 1:
            raise FixMatchError(f"An image size of {image_size} is not possible: give a number of pixels, such as 32.")
        why = "as asked"
    _check_memory(len(paths), height, width)
    pixels = np.empty((len(paths), 3, height, width), dtype=np.uint8)

    def fill(i):
        rgb = kept.pop(i, None)
        if rgb is None or rgb.shape[:2] != (height, width):
            picture = _open(paths[i], cover=max(height, width)) if rgb is None else Image.fromarray(rgb)
            if isinstance(picture, _Unreadable):
                return picture
            rgb = np.asarray(_fit(picture, height, width))
        pixels[i] = rgb.transpose(2, 0, 1)
        return np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 1], rgb[..., 2])

    is_gray = _in_threads(fill, paths)
    _stop_at_unreadable(paths, is_gray)
    channels = 1 if all(is_gray) else 3
    kind = "gray" if channels == 1 else "color"
    log.info("%s images of %d x %d pixels (height x width; %s), %s", f"{len(paths):,}", height, width, why, kind)
    return torch.from_numpy(np.ascontiguousarray(pixels[:, :channels]))


class _Unreadable(Exception):
    """What a thread hands back instead of a picture, so that all bad files are counted."""


def _open(path, cover=None):
    """The upright RGB picture at ``path``, or the reason why there is none.

    ``cover``: pixels that each side will need; a large JPEG is then decoded at a fraction of its size.
    """
    try:
        with Image.open(path) as picture:
            if cover and picture.format == "JPEG":
                picture.draft(None, (2 * cover, 2 * cover))
            return _to_rgb(_upright(picture))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise nearly every type on damaged files
        return _Unreadable(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _upright(picture):
    ImageOps.exif_transpose(picture, in_place=True)  # without a copy where nothing is to turn
    return picture


def _to_rgb(picture):
    if picture.mode.startswith("I"):  # 16 bits a pixel; Pillow would clip at 255 instead of scaling
        levels = np.asarray(picture).astype(np.int64).clip(0, 65535) >> 8
        picture = Image.fromarray(levels.astype(np.uint8))
    elif picture.mode == "F":
        raise ValueError("its pixels are 32-bit floating-point numbers without a known range")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _fit(picture, height, width):
    if picture.size == (width, height):
        return picture
    return ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)


def _size_of(path, index, kept):
    """``(height, width)``; the pixels of a small picture are put into ``kept`` on the way."""
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            if width * height > SMALL:
                turned = picture.getexif().get(0x0112, 1) >= 5  # orientations 5 to 8 lie on their side
                return (width, height) if turned else (height, width)
            kept[index] = np.asarray(_to_rgb(_upright(picture)))
            return kept[index].shape[:2]
    except MemoryError:
        raise
    except Exception as error:
        return _Unreadable(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _in_threads(work, paths):
    """``[work(0), work(1), …]``, one call a path. Threads help large pictures only: decoding a
    thumbnail is mostly Python, and two threads that take turns at Python are slower than one."""
    sizes = [path.stat().st_size for path in paths[:20] if path.exists()]
    if sum(sizes) < 10_000 * len(sizes):
        return [work(i) for i in range(len(paths))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, range(len(paths))))


def _stop_at_unreadable(paths, results) -> None:
    bad = [(path, reason) for path, reason in zip(paths, results) if isinstance(reason, _Unreadable)]
    if bad:
        (path, reason), more = bad[0], f" (and {len(bad) - 1} more like it)" if len(bad) > 1 else ""
        # Pillow repeats the path in its own sentence
        reason = str(reason).replace(f" {str(path)!r}", "")
        raise FixMatchError(f"The image {path} cannot be read: {reason}{more}. Replace it, or take it out of the "
                            "folder.")


def _check_memory(count, height, width) -> None:
    need = count * height * width * 3
    try:
        have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return  # Windows does not say
    if need > 0.7 * have:
        raise FixMatchError(
            f"{count:,} images of {height} x {width} pixels need {need / 1e9:.1f} GB of the {have / 1e9:.1f} GB of "
            "memory here: choose a smaller image size, such as 64."
        )
