"""What an operation does to the pixels of a uint8 batch, one magnitude an image, as Pillow does it.

They come in three kinds: a look-up table for every image (`TABLES`), a matrix that says where each pixel comes from
(`MOVES`), a picture to blend with (`BLENDS`). The same fixed-point sampling, the same integer tables, the same
truncation as Pillow. `operations` applies them.

Source: Pillow's documented operations and its arithmetic, measured. Taught in: chapter 7.
"""

import torch

GRAY = 127  # the middle of [0, 255]: 0 after scaling to [-1, 1], to half a gray level


def as_uint8(images: torch.Tensor) -> str:
    """What images of another dtype hold, and how they become uint8 without losing what they show; nothing without values."""
    if images.is_meta or not images.numel():
        return ""
    low, high = (float(f"{value:.6g}") for value in torch.stack(images.float().aminmax()).tolist())  # 1.0000001 is 1
    whole, cure = not images.is_floating_point(), "Bring them to 0 to 255 first"
    if 0 <= low and high <= 1:
        cure = "Convert them with (255 * images).round().to(torch.uint8)"
    elif 0 <= low and high <= 255:
        cure = f"Convert them with images{'' if whole else '.round()'}.to(torch.uint8)"
    elif 0 <= low and high <= 65535 and whole:
        cure = "If they use all 16 bits, convert them with (images.int() >> 8).to(torch.uint8)"
    return f", from {low:g} to {high:g}. {cure}"


# ------------------------------------------------------------------------------ tables: value in, value out
# Each takes uint8 images and float32 magnitudes (N,) and returns the tables, uint8 (N, C or 1, 256).

def gray_levels(images: torch.Tensor) -> torch.Tensor:
    return torch.arange(256, device=images.device, dtype=torch.int32)


def look_up(images: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Replace each value by its entry in the image's own table."""
    n, channels = images.shape[:2]
    return table.expand(n, channels, 256).gather(2, images.flatten(2).long()).view_as(images)


def _auto_contrast(images, magnitude):
    flat, levels = images.flatten(2), gray_levels(images)
    low, high = flat.amin(2, keepdim=True).int(), flat.amax(2, keepdim=True).int()
    # Pillow's own double-precision expression, rounding errors and all; without doubles (MPS) a pixel in a few
    # hundred comes out one level off.
    real = torch.float32 if images.device.type == "mps" else torch.float64
    span = (high - low).clamp(min=1).to(real)
    scale = torch.full_like(span, 255) / span  # 255 / span would be 255 times the reciprocal, and round twice
    stretched = (levels * scale - low * scale).clamp(0, 255).int()
    return torch.where(high > low, stretched, levels).to(torch.uint8)


def _equalize(images, magnitude):
    values = images.flatten(2).long()
    counts = torch.zeros(*values.shape[:2], 256, dtype=torch.int32, device=images.device)
    counts.scatter_add_(2, values, torch.ones((), dtype=torch.int32, device=images.device).expand_as(values))
    last = counts.gather(2, values.amax(2, keepdim=True))  # of the brightest value: Pillow leaves it out
    step = (values.shape[2] - last) // 255
    ramp = (counts.cumsum(2) - counts + step // 2) // step.clamp(min=1)
    return torch.where(step > 0, ramp.clamp(max=255), gray_levels(images)).to(torch.uint8)


def _posterize(images, magnitude):
    dropped = (8 - magnitude.int().view(-1, 1, 1)).clamp(0, 8)
    return ((gray_levels(images) >> dropped) << dropped).to(torch.uint8)


def _solarize(images, magnitude):
    levels = gray_levels(images)
    return torch.where(levels < magnitude.view(-1, 1, 1), levels, 255 - levels).to(torch.uint8)


def _brightness(images, magnitude):
    return blend(0, gray_levels(images), magnitude.view(-1, 1, 1))


def _contrast(images, magnitude):
    luma = _gray(images).flatten(2).long()
    count = luma.shape[2]
    mean = (2 * luma.sum(2, keepdim=True) + count) // (2 * count)  # the mean, rounded half up, in integers
    return blend(mean, gray_levels(images), magnitude.view(-1, 1, 1))


def _invert(images, magnitude):
    return (255 - gray_levels(images)).to(torch.uint8).expand(len(images), 1, 256)


def _solarize_add(images, magnitude):
    values = gray_levels(images)
    brighter = (values + magnitude.int().view(-1, 1, 1)).clamp(0, 255)
    return torch.where(values < 128, brighter, values).to(torch.uint8)


def _share_of(table):
    """Pillow's blend of the picture with the changed one, by a share in [0, 1]; a table again."""
    return lambda images, magnitude: blend(gray_levels(images), table(images, magnitude).int(), magnitude.view(-1, 1, 1))


TABLES = {"AutoContrast": _auto_contrast, "Equalize": _equalize, "Posterize": _posterize, "Solarize": _solarize,
          "Brightness": _brightness, "Contrast": _contrast, "Invert": _invert, "SolarizeAdd": _solarize_add,
          "AutoContrastBlend": _share_of(_auto_contrast), "EqualizeBlend": _share_of(_equalize),
          "InvertBlend": _share_of(_invert)}


# -------------------------------------------------------------------------- moves: where each pixel comes from
# A matrix has a row (a, b, c, d, e, f) for each image: its pixel at (x, y) comes from (a x + b y + c, d x + e y + f).
# The value is the entry that the magnitude takes in the matrix that changes nothing, (1, 0, 0, 0, 1, 0).

MOVES = {"ShearX": 1, "ShearY": 3, "TranslateX": 2, "TranslateY": 5, "Rotate": None}


def matrix_of(name: str, magnitude: torch.Tensor, height: int, width: int) -> torch.Tensor:
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


def sample(images: torch.Tensor, matrix: torch.Tensor, fill: int) -> torch.Tensor:
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


def cover(images: torch.Tensor, covered: torch.Tensor, fill: int) -> torch.Tensor:
    """``fill`` where ``covered``, bool ``(N, 1, H, W)``; in whole numbers, several times faster than a masked fill."""
    return images * ~covered + covered.to(torch.uint8) * fill


# ------------------------------------------------------------------------------- blends: another picture, mixed in
# Each takes uint8 images and returns the picture at factor 0.

def blend(base: torch.Tensor | int, values: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
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


def _blur(images):
    """Pillow's BLUR: the mean of the sixteen pixels on the rim of 5 x 5; two border pixels stay as they are."""
    blurred = images.clone()
    height, width = images.shape[-2:]
    if min(height, width) > 4:
        x = images.short()
        part = lambda rows, columns: sum(x[:, :, r:height - 4 + r, c:width - 4 + c] for r in rows for c in columns)
        total = part(range(5), range(5)) - part(range(1, 4), range(1, 4))
        blurred[:, :, 2:-2, 2:-2] = (total + 8 >> 4).to(torch.uint8)  # /16, rounded
    return blurred


BLENDS = {"Color": _gray, "Sharpness": _smooth, "Blur": _blur}
