"""The fourteen operations of RandAugment on uint8 batches, one magnitude an image, with Pillow's pixels.

They come in three kinds: a look-up table for every image (`TABLES`), a matrix that says where each pixel comes from
(`MOVES`), a picture to blend with (`BLENDS`). The same fixed-point sampling, the same integer tables, the same
truncation as Pillow: on a CPU not one pixel differs, over every operation's whole range (tests/test_augment.py). Any
device, any image size up to 8,192 pixels, one or three channels.

Source: Cubuk et al. 2020 (RandAugment); the operations themselves are Pillow's. Taught in: chapter 3.
"""

import torch

from .errors import FixMatchError

GRAY = 127  # the middle of [0, 255]: 0 after scaling to [-1, 1], to half a gray level


# ------------------------------------------------------------------------------ tables: value in, value out
# Each takes uint8 images and float32 magnitudes (N,) and returns the tables, uint8 (N, C or 1, 256).

def _levels(images):
    return torch.arange(256, device=images.device, dtype=torch.int32)


def _look_up(images, table):
    """Replace each value by its entry in the image's own table."""
    n, channels = images.shape[:2]
    return table.expand(n, channels, 256).gather(2, images.flatten(2).long()).view_as(images)


def _auto_contrast(images, magnitude):
    flat, levels = images.flatten(2), _levels(images)
    low, high = flat.amin(2, keepdim=True).int(), flat.amax(2, keepdim=True).int()
    # Pillow's own double-precision expression, rounding errors and all; without doubles (MPS) a pixel in a few
    # hundred comes out one level off.
    real = torch.float32 if images.device.type == "mps" else torch.float64
    scale = 255 / (high - low).clamp(min=1).to(real)
    stretched = (levels * scale - low * scale).clamp(0, 255).int()
    return torch.where(high > low, stretched, levels).to(torch.uint8)


def _equalize(images, magnitude):
    values = images.flatten(2).long()
    counts = torch.zeros(*values.shape[:2], 256, dtype=torch.int32, device=images.device)
    counts.scatter_add_(2, values, torch.ones((), dtype=torch.int32, device=images.device).expand_as(values))
    last = counts.gather(2, values.amax(2, keepdim=True))  # of the brightest value: Pillow leaves it out
    step = (values.shape[2] - last) // 255
    ramp = (counts.cumsum(2) - counts + step // 2) // step.clamp(min=1)
    return torch.where(step > 0, ramp.clamp(max=255), _levels(images)).to(torch.uint8)


def _posterize(images, magnitude):
    dropped = 8 - magnitude.int().view(-1, 1, 1)
    return ((_levels(images) >> dropped) << dropped).to(torch.uint8)


def _solarize(images, magnitude):
    levels = _levels(images)
    return torch.where(levels < magnitude.view(-1, 1, 1), levels, 255 - levels).to(torch.uint8)


def _brightness(images, magnitude):
    return _blend(0, _levels(images), magnitude.view(-1, 1, 1))


def _contrast(images, magnitude):
    luma = _gray(images).flatten(2).long()
    count = luma.shape[2]
    mean = (2 * luma.sum(2, keepdim=True) + count) // (2 * count)  # the mean, rounded half up, in integers
    return _blend(mean, _levels(images), magnitude.view(-1, 1, 1))


TABLES = {"AutoContrast": _auto_contrast, "Equalize": _equalize, "Posterize": _posterize, "Solarize": _solarize,
          "Brightness": _brightness, "Contrast": _contrast}


# -------------------------------------------------------------------------- moves: where each pixel comes from
# A matrix has a row (a, b, c, d, e, f) for each image: its pixel at (x, y) comes from (a x + b y + c, d x + e y + f).
# The value is the entry that the magnitude takes in the matrix that changes nothing, (1, 0, 0, 0, 1, 0).

MOVES = {"ShearX": 1, "ShearY": 3, "TranslateX": 2, "TranslateY": 5, "Rotate": None}


def _matrix(name, magnitude, height, width):
    """The move's matrix, float64 ``(N, 6)``; on the CPU where the device (MPS) has no doubles."""
    if magnitude.device.type == "mps":
        magnitude = magnitude.cpu()
    matrix = torch.zeros(len(magnitude), 6, dtype=torch.float64, device=magnitude.device)
    if name == "Rotate":
        angle = -torch.deg2rad(magnitude.double())
        cos, sin, cx, cy = angle.cos(), angle.sin(), width / 2, height / 2
        rotated = (cos, sin, cx - cos * cx - sin * cy, -sin, cos, cy + sin * cx - cos * cy)
        return torch.stack(rotated, dim=1, out=matrix)
    matrix[:, 0::4] = 1
    matrix[:, MOVES[name]] = magnitude
    return matrix


def _sample(images, matrix, fill):
    """The nearest pixel, in Pillow's 16.16 fixed point; ``fill`` where it lies outside."""
    n, channels, height, width = images.shape
    corner = matrix.view(-1, 2, 3)
    corner = torch.cat([corner[..., :2], corner[..., 2:] + 0.5 * corner[..., :2].sum(2, keepdim=True)], dim=2)
    corner = (corner * 65536 + 0.5).floor().to(torch.int32).to(images.device)
    x = torch.arange(width, device=images.device, dtype=torch.int32)
    y = torch.arange(height, device=images.device, dtype=torch.int32)
    across, down, start = corner[..., None].unbind(2)  # each (N, 2, 1): of the column and of the row
    column, row = ((across * x)[:, :, None] + (down * y + start)[..., None] >> 16).unbind(1)  # each (N, H, W)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    moved = images.flatten(2).gather(2, index.view(n, 1, -1).long().expand(-1, channels, -1)).view_as(images)
    return cover(moved, ~inside[:, None], fill)


def cover(images, covered, fill):
    """``fill`` where ``covered``, bool ``(N, 1, H, W)``; in whole numbers, several times faster than a masked fill."""
    return images * ~covered + covered.to(torch.uint8) * fill


# ------------------------------------------------------------------------------- blends: another picture, mixed in
# Each takes uint8 images and returns the picture at factor 0.

def _blend(base, values, factor):
    """Pillow's ``Image.blend``: base + factor * (values - base), clipped, the fraction cut off; uint8."""
    mixed = base + factor.float() * (values - base).float()
    return mixed.clamp(0, 255).to(torch.uint8)


def _gray(images):
    """Luma in Pillow's 16-bit arithmetic; a one-channel image is its own."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.int().unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8).unsqueeze(1)


def _smooth(images):
    """Pillow's SMOOTH: the mean of 3 x 3 pixels with the middle one five times; the border stays as it is."""
    smooth = images.clone()
    if min(images.shape[-2:]) > 2:
        x = images.short()
        rows = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
        total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * x[:, :, 1:-1, 1:-1]
        smooth[:, :, 1:-1, 1:-1] = ((2 * total + 13) // 26).to(torch.uint8)  # /13, rounded
    return smooth


BLENDS = {"Color": _gray, "Sharpness": _smooth}


# ---------------------------------------------------------------------------------------------------- the ways in

OPERATIONS = tuple(sorted([*TABLES, *MOVES, *BLENDS, "Identity"]))


def apply(name, images, magnitudes, *, fill=GRAY):
    """Apply one named operation, with one magnitude an image.

    Args:
        name: one of `OPERATIONS`.
        images: uint8 ``(N, C, H, W)``.
        magnitudes: ``(N,)`` numbers in the operation's own unit: a factor for Brightness, Color, Contrast and
            Sharpness (1 changes nothing), bits kept for Posterize, the threshold for Solarize, degrees for Rotate
            (counter-clockwise), pixels for TranslateX and TranslateY, a slope for ShearX and ShearY; ignored by
            AutoContrast, Equalize and Identity.
        fill: gray level of the pixels that come from outside the image.

    Returns:
        uint8 ``(N, C, H, W)``. Taught in: chapter 3.
    """
    if name not in OPERATIONS:
        raise FixMatchError(f"There is no operation {name!r}; use one of {', '.join(OPERATIONS)}.")
    magnitudes = torch.as_tensor(magnitudes, dtype=torch.float32, device=images.device).expand(len(images))
    if name in TABLES:
        return _look_up(images, TABLES[name](images, magnitudes))
    if name in MOVES:
        return _sample(images, _matrix(name, magnitudes, *images.shape[-2:]), fill)
    if name in BLENDS:
        return _blend(BLENDS[name](images).int(), images.int(), magnitudes.view(-1, 1, 1, 1))
    return images


def apply_each(images, names, chosen, magnitudes, *, fill=GRAY):
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
    taken, levels, first = images.index_select(0, order), magnitudes[order].split(sizes), 0
    slices = [(name, level) for name, level in zip(sequence, levels) if len(level)]
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
    return _sample(images, torch.cat([_matrix(name, level, *images.shape[-2:]) for name, level in own]), fill)


def _table_slices(images, own, fill):
    parts = images.split([len(level) for _, level in own])
    tables = [TABLES[name](part, level) for part, (name, level) in zip(parts, own)]
    return _look_up(images, torch.cat([table.expand(-1, images.shape[1], -1) for table in tables]))


def _blend_slices(images, own, fill):
    parts = images.split([len(level) for _, level in own])
    base = torch.cat([BLENDS[name](part).expand_as(part) for part, (name, _) in zip(parts, own)]).int()
    return _blend(base, images.int(), torch.cat([level for _, level in own]).view(-1, 1, 1, 1))


def _all_at_once(images, names, chosen, magnitudes, fill):
    drawn = lambda kind: [(name, chosen == k) for k, name in enumerate(names) if name in kind]
    out = images
    if drawn(MOVES):
        matrix = _matrix("ShearX", torch.zeros_like(magnitudes), *images.shape[-2:])  # nothing moves
        for name, here in drawn(MOVES):
            own = _matrix(name, magnitudes, *images.shape[-2:])
            matrix = torch.where(here.to(own.device)[:, None], own, matrix)
        out = _sample(out, matrix, fill)
    if drawn(TABLES):
        table = _levels(images).to(torch.uint8)
        for name, here in drawn(TABLES):
            table = torch.where(here[:, None, None], TABLES[name](images, magnitudes), table)
        out = _look_up(out, table)
    for name, here in drawn(BLENDS):
        mixed = _blend(BLENDS[name](images).int(), images.int(), magnitudes.view(-1, 1, 1, 1))
        out = torch.where(here[:, None, None, None], mixed, out)
    return out
