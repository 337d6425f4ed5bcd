"""Picture files as uint8 tensors.

The training loop wants one uint8 tensor, all images of one size and one number of channels. Pictures are seldom like
that, so the size and the channels are found by looking, said aloud (logger ``fixmatch_lite``), and every picture is
brought to them.
"""

from __future__ import annotations

import logging
import numbers
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from .errors import FixMatchError
from .hints import PathLike

log = logging.getLogger("fixmatch_lite")

SMALL = 64 * 64  # pixels; smaller images are kept when first opened, opening costs more than decoding
NAMED = 20  # of the pictures that cannot be read; all are counted
DARK = 32  # of 255; pictures in which nothing is brighter are worth a word, too
LARGE = 128  # pixels a side; larger pictures than this are worth a word before they are trained on


def read_pictures(paths: Iterable[PathLike], shape: Sequence[int],
                  fit: Callable[..., Any] | None = None) -> tuple[torch.Tensor, list[str | None]]:
    """Some pictures as `load_folder` would bring them in.

    Args:
        paths: the files.
        shape: ``(C, H, W)``.
        fit: brings a picture to a height and a width; None covers them and crops around the center.

    Returns:
        uint8 ``(N, C, H, W)``, and for each a reason where it cannot be read (it is black then), else None.
    """
    (channels, height, width), paths = shape, [*map(Path, paths)]
    pixels = np.zeros((len(paths), channels, height, width), dtype=np.uint8)

    def fill(k):
        picture = open_picture(paths[k], cover=max(height, width))
        if isinstance(picture, Unreadable):
            return str(picture)
        picture = (fit or _fit)(picture, height, width)
        array = np.asarray(picture.convert("L") if channels == 1 else picture)
        pixels[k] = array.reshape(height, width, channels).transpose(2, 0, 1)

    reasons = _in_threads(fill, paths)
    return torch.from_numpy(pixels), reasons


def read_all(paths: Sequence[Path], image_size: int | Sequence[int] | None, spare: range = range(0)) -> tuple[torch.Tensor, int]:
    """All pictures as one uint8 tensor ``(N, C, H, W)``, and how many of those at the positions ``spare`` are not in it,
    since they cannot be read."""
    kept: dict[int, np.ndarray] = {}
    if image_size is None:
        found = _in_threads(lambda i: _size_of(paths[i], i, kept), paths)
        _stop_at_unreadable(paths, found, spare)
        sizes = Counter(size for size in found if not isinstance(size, Unreadable))
        # the most common; among equals the larger one, so that nothing depends on the order of files
        (height, width), count = max(sizes.items(), key=lambda item: (item[1], item[0][0] * item[0][1], item[0]))
        why = "as all are" if len(sizes) == 1 else f"as {count:,} of them are; the rest are resized and cropped"
    else:
        height, width = sides(image_size)
        why = "as asked"
    _check_memory(len(paths), height, width)
    pixels = np.empty((len(paths), 3, height, width), dtype=np.uint8)

    def fill(i):
        rgb = kept.pop(i, None)
        if rgb is None or rgb.shape[:2] != (height, width):
            picture = open_picture(paths[i], cover=max(height, width)) if rgb is None else Image.fromarray(rgb)
            if isinstance(picture, Unreadable):
                return picture
            rgb = np.asarray(_fit(picture, height, width))
        pixels[i] = rgb.transpose(2, 0, 1)
        return np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 1], rgb[..., 2])

    is_gray = _in_threads(fill, paths)
    _stop_at_unreadable(paths, is_gray, spare)
    good = [i for i, gray in enumerate(is_gray) if not isinstance(gray, Unreadable)]
    if unread := [i for i in spare if isinstance(is_gray[i], Unreadable)]:
        for to, i in enumerate(good):  # in place: there may be no room for a second copy
            pixels[to] = pixels[i]
        pixels, one, more = pixels[:len(good)], unread[0], len(unread) > 1
        log.warning("%s picture%s without a label cannot be read and %s left out, for example %s (%s)", f"{len(unread):,}",
                    "s" * more, "are" if more else "is", paths[one], _reason(paths[one], is_gray[one]))
    channels = 1 if all(is_gray[i] for i in good) else 3
    kind = "gray" if channels == 1 else "color"
    log.info("%s images of %d x %d pixels (height x width; %s), %s", f"{len(good):,}", height, width, why, kind)
    if (brightest := int(pixels.max())) < DARK:
        log.warning("no pixel of these pictures is brighter than %s of 255: do they use 8 or 12 of a file's 16 bits? Spread their "
                    "levels over the file's range first", brightest)
    if image_size is None and height * width > LARGE**2:
        log.warning("each step takes about %d times the work that pictures of 32 x 32 would: unless your classes differ in "
                    "fine detail, give a smaller size (--image-size 64)", round(height * width / 32**2))
    return torch.from_numpy(np.ascontiguousarray(pixels[:, :channels])), len(unread)


def sides(image_size: int | Sequence[int]) -> tuple[int, ...]:
    """``(height, width)`` in pixels of a number or a pair; anything else is refused."""
    sides = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    if len(sides) != 2 or not all(isinstance(side, numbers.Integral) and not isinstance(side, bool) and side >= 1 for side in sides):
        raise FixMatchError(f"An image size of {image_size!r} is not possible: give a number of pixels, such as 32, or (height, width).")
    return tuple(map(int, sides))


class Unreadable(Exception):
    """What a thread hands back instead of a picture, so that all bad files are counted."""


def open_picture(path: PathLike, cover: int | None = None) -> Image.Image | Unreadable:
    """The upright RGB picture at ``path``, or the reason why there is none.

    ``cover``: pixels that each side will need; a large JPEG is then decoded at a fraction of its size.
    """
    try:
        with Image.open(path) as picture:
            if cover and picture.format == "JPEG" and picture.width * picture.height > SMALL:  # a smaller one may have been kept whole
                picture.draft(None, (2 * cover, 2 * cover))
            return _to_rgb(_upright(picture))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise nearly every type on damaged files
        return Unreadable(getattr(error, "strerror", None) or str(error) or type(error).__name__)


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
                if turned and picture.format == "TIFF":  # some of Pillow's versions turn it, or its size, by themselves
                    width, height = _upright(picture).size
                    return height, width
                return (width, height) if turned else (height, width)
            kept[index] = np.asarray(_to_rgb(_upright(picture)))
            return kept[index].shape[:2]
    except MemoryError:
        raise
    except Exception as error:
        return Unreadable(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _in_threads(work, paths):
    """``[work(0), work(1), …]``, one call a path. Threads help large pictures only: decoding a
    thumbnail is mostly Python, and two threads that take turns at Python are slower than one."""
    sizes = [path.stat().st_size for path in paths[:20] if path.exists()]
    if sum(sizes) < 10_000 * len(sizes):
        return [work(i) for i in range(len(paths))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, range(len(paths))))


def _reason(path, unreadable):
    """Why a picture cannot be read, without the path, which Pillow repeats in its own sentence."""
    return str(unreadable).replace(f" {str(path)!r}", "")


def _stop_at_unreadable(paths, results, spare) -> None:
    bad = [(path, result) for i, (path, result) in enumerate(zip(paths, results))
           if isinstance(result, Unreadable) and i not in spare]
    if bad:
        (path, result), *others = bad
        named = ", ".join(str(path) for path, _ in others[:NAMED]) + (" and so on" if len(others) > NAMED else "")
        more = f" Nor can {len(others)} more: {named}." if others else ""
        those = "them" if others else "it"
        raise FixMatchError(f"The image {path} cannot be read: {_reason(path, result)}.{more} Replace {those}, or take {those} out of the folder.")


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
