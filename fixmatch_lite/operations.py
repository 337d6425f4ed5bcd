"""The fourteen operations of RandAugment on uint8 batches, one magnitude an image, with Pillow's pixels.

What they do to pixels is in `pixels`: on a CPU not one pixel differs from Pillow's, over every operation's whole range
(tests/test_augment.py). Here are the ways in. Any device, any image size up to 8,192 pixels, one or three channels.

Source: Cubuk et al. 2020 (RandAugment); the operations themselves are Pillow's. Taught in: chapter 7.
"""

from collections.abc import Sequence

import torch

from .checks import check_images
from .errors import FixMatchError
from .pixels import BLENDS, GRAY, MOVES, TABLES, blend, cover, gray_levels, look_up, matrix_of, sample

__all__ = ["GRAY", "MORE", "OPERATIONS", "apply", "apply_each", "cover"]

OPERATIONS = ("AutoContrast", "Brightness", "Color", "Contrast", "Equalize", "Identity", "Posterize", "Rotate",
              "Sharpness", "ShearX", "ShearY", "Solarize", "TranslateX", "TranslateY")
MORE = tuple(sorted({*TABLES, *MOVES, *BLENDS} - {*OPERATIONS}))  # that other policies than RandAugment's use


def check_operations(names: Sequence[str], possible: Sequence[str] = OPERATIONS + MORE) -> tuple[str, ...]:
    """The names of operations as a tuple. Raises FixMatchError where there are none, or one is none of those that are ``possible``."""
    if isinstance(names, str):
        raise FixMatchError(f"Operations are given in a tuple: ({names!r},) in place of {names!r}.")
    if not len(names):
        raise FixMatchError(f"Without an operation nothing can be drawn: name at least one of {', '.join(possible)}.")
    for name in names:
        if name not in possible:
            raise FixMatchError(f"There is no operation {name!r} here; use one of {', '.join(possible)}.")
    return tuple(names)


def apply(name: str, images: torch.Tensor, magnitudes: torch.Tensor | Sequence[float] | float, *,
          fill: int = GRAY) -> torch.Tensor:
    """Apply one named operation, with one magnitude an image.

    Args:
        name: one of `OPERATIONS` or `MORE`.
        images: uint8 ``(N, C, H, W)``.
        magnitudes: ``(N,)`` numbers, or one for all, in the operation's own unit: a factor for Brightness, Color, Contrast and
            Sharpness (1 changes nothing), bits kept for Posterize, the threshold for Solarize, degrees for Rotate
            (counter-clockwise), pixels for TranslateX and TranslateY, a slope for ShearX and ShearY; ignored by
            AutoContrast, Equalize, Identity and Invert. SolarizeAdd takes what is added to values below 128, Blur a
            factor as Sharpness does, and the three that end in Blend the share of the changed picture.
        fill: gray level of the pixels that come from outside the image.

    Returns:
        The changed images, uint8 ``(N, C, H, W)``.

    Taught in chapter 7.
    """
    check_operations((name,))
    check_images(images)
    magnitudes = torch.as_tensor(magnitudes, dtype=torch.float32, device=images.device)
    if magnitudes.shape not in ((), (1,), (len(images),)):
        raise FixMatchError(f"Magnitudes must be ({len(images)},), one for each image, or one number for all; these are "
                            f"{tuple(magnitudes.shape)}.")
    magnitudes = magnitudes.expand(len(images))
    if name in TABLES:
        return look_up(images, TABLES[name](images, magnitudes))
    if name in MOVES:
        return sample(images, matrix_of(name, magnitudes, *images.shape[-2:]), fill)
    if name in BLENDS:
        return blend(BLENDS[name](images).int(), images.int(), magnitudes.view(-1, 1, 1, 1))
    return images


def apply_each(images: torch.Tensor, names: Sequence[str], chosen: torch.Tensor, magnitudes: torch.Tensor, *,
               fill: int = GRAY) -> torch.Tensor:
    """Apply to every image the operation that was drawn for it.

    Args:
        images: uint8 ``(N, C, H, W)``.
        names: operations to choose from.
        chosen: int64 ``(N,)`` positions in ``names``; -1 leaves an image as it is.
        magnitudes: float32 ``(N,)``, as in `apply`.
        fill: as in `apply`.

    Returns:
        uint8 ``(N, C, H, W)``, a new tensor. On a CPU the images are taken in groups, an operation at a time. Elsewhere
        that would wait for the device, and so each kind of operation runs once over all images, with a table, a matrix
        or a factor that changes nothing where another one was drawn. Both ways give the same pixels.
    """
    if images.device.type == "cpu" and not torch.compiler.is_compiling():
        # A few hundred images at a time, so that what is between two steps stays in the cache.
        parts = zip(images.split(512), chosen.split(512), magnitudes.split(512))
        return torch.cat([_in_groups(u, names, k, level, fill) for u, k, level in parts])
    return _all_at_once(images, names, chosen, magnitudes, fill)


def _in_groups(images, names, chosen, magnitudes, fill):
    # Sorted by kind and operation, each operation and each kind is one slice.
    kinds = [[name for name in names if name in kind] for kind in (MOVES, TABLES, BLENDS)]
    sequence = [name for kind in kinds for name in kind]
    last = len(sequence)  # where nothing happens
    rank = torch.tensor([sequence.index(name) if name in sequence else last for name in names] + [last])[chosen]
    order = rank.argsort()
    sizes = torch.bincount(rank, minlength=last + 1).tolist()
    taken, magnitude_parts, first = images.index_select(0, order), magnitudes[order].split(sizes), 0
    slices = [(name, level) for name, level in zip(sequence, magnitude_parts) if len(level)]
    done = []
    for kind, build in zip((MOVES, TABLES, BLENDS), (_move_slices, _table_slices, _blend_slices)):
        own = [(name, level) for name, level in slices if name in kind]
        if own:
            count = sum(len(level) for _, level in own)
            done.append(build(taken[first:first + count], own, fill))
            first += count
    done.append(taken[first:])
    return torch.cat(done).index_select(0, order.argsort())


def _move_slices(images, own, fill):
    return sample(images, torch.cat([matrix_of(name, level, *images.shape[-2:]) for name, level in own]), fill)


def _table_slices(images, own, fill):
    parts = images.split([len(level) for _, level in own])
    tables = [TABLES[name](part, level) for part, (name, level) in zip(parts, own)]
    return look_up(images, torch.cat([table.expand(-1, images.shape[1], -1) for table in tables]))


def _blend_slices(images, own, fill):
    parts = images.split([len(level) for _, level in own])
    base = torch.cat([BLENDS[name](part).expand_as(part) for part, (name, _) in zip(parts, own)]).int()
    return blend(base, images.int(), torch.cat([level for _, level in own]).view(-1, 1, 1, 1))


def _all_at_once(images, names, chosen, magnitudes, fill):
    drawn = lambda kind: [(name, chosen == k) for k, name in enumerate(names) if name in kind]
    out = images
    if drawn(MOVES):
        matrix = matrix_of("ShearX", torch.zeros_like(magnitudes), *images.shape[-2:])  # nothing moves
        for name, here in drawn(MOVES):
            own = matrix_of(name, magnitudes, *images.shape[-2:])
            matrix = torch.where(here.to(own.device)[:, None], own, matrix)
        out = sample(out, matrix, fill)
    if drawn(TABLES):
        table = gray_levels(images).to(torch.uint8)
        for name, here in drawn(TABLES):
            table = torch.where(here[:, None, None], TABLES[name](images, magnitudes), table)
        out = look_up(out, table)
    for name, here in drawn(BLENDS):
        mixed = blend(BLENDS[name](images).int(), images.int(), magnitudes.view(-1, 1, 1, 1))
        out = torch.where(here[:, None, None, None], mixed, out)
    return out
