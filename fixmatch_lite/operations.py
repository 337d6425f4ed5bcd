"""The fourteen operations of RandAugment on uint8 batches, one magnitude an image, with Pillow's pixels.

The same fixed-point sampling, the same integer look-up tables, the same truncation as Pillow: on a CPU not one pixel
differs, over every operation's whole range (tests/test_augment.py). Any device, any image size, one or three channels.

Source: Cubuk et al. 2020 (RandAugment); the operations themselves are Pillow's. Taught in: chapter 3.
"""

import torch

from .errors import FixMatchError

GRAY = 127  # the middle of [0, 255]: 0 after scaling to [-1, 1], to half a gray level


def _look_up(images, table):
    """Replace each value by its entry in the image's own table, uint8 ``(N, C or 1, 256)``."""
    n, channels = images.shape[:2]
    table = table.expand(n, channels, 256)
    return table.gather(2, images.flatten(2).long()).view_as(images)


def _blend(base, images, factor):
    """Pillow's ``Image.blend``: base + factor * (images - base), clipped, the fraction cut off."""
    base = base.float()
    mixed = base + factor.float().view(-1, 1, 1, 1) * (images.float() - base)
    return mixed.clamp_(0, 255).to(torch.uint8)


def _gray(images):
    """Luma in Pillow's 16-bit arithmetic; a one-channel image is its own."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.int().unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8).unsqueeze(1)


def _histogram(images):
    flat = images.flatten(2).long()
    counts = torch.zeros(*flat.shape[:2], 256, dtype=torch.long, device=images.device)
    return counts.scatter_add_(2, flat, torch.ones_like(flat))


def _identity(images, magnitude, fill):
    return images


def _auto_contrast(images, magnitude, fill):
    flat = images.flatten(2).int()
    low, high = flat.amin(2, keepdim=True), flat.amax(2, keepdim=True)
    levels = torch.arange(256, device=images.device, dtype=torch.int32)
    # Pillow's own double-precision expression, rounding errors and all; without doubles (MPS) a pixel in a few
    # hundred comes out one level off.
    real = torch.float32 if images.device.type == "mps" else torch.float64
    scale = torch.tensor(255, dtype=real, device=images.device) / (high - low).clamp(min=1)
    stretched = (levels * scale - low * scale).clamp(0, 255).int()
    return _look_up(images, torch.where(high > low, stretched, levels).to(torch.uint8))


def _equalize(images, magnitude, fill):
    counts = _histogram(images)
    total = counts.sum(2, keepdim=True)
    last = counts.gather(2, images.flatten(2).amax(2, keepdim=True).long())
    step = (total - last) // 255
    ramp = (counts.cumsum(2) - counts + step // 2) // step.clamp(min=1)
    levels = torch.arange(256, device=images.device)
    return _look_up(images, torch.where(step > 0, ramp.clamp(max=255), levels).to(torch.uint8))


def _posterize(images, magnitude, fill):
    dropped = 8 - magnitude.int().view(-1, 1, 1, 1)
    return ((images.int() >> dropped) << dropped).to(torch.uint8)


def _solarize(images, magnitude, fill):
    return torch.where(images < magnitude.view(-1, 1, 1, 1), images, 255 - images)


def _brightness(images, magnitude, fill):
    return _blend(torch.zeros_like(images), images, magnitude)


def _color(images, magnitude, fill):
    return _blend(_gray(images), images, magnitude)


def _contrast(images, magnitude, fill):
    luma = _gray(images).flatten(1).long()
    mean = (2 * luma.sum(1) + luma.shape[1]) // (2 * luma.shape[1])  # the mean, rounded half up, in integers
    return _blend(mean.view(-1, 1, 1, 1), images, magnitude)


def _sharpness(images, magnitude, fill):
    smooth = images.clone()  # Pillow leaves the border as it is
    if min(images.shape[-2:]) > 2:
        x = images.int()
        rows = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
        total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * x[:, :, 1:-1, 1:-1]
        smooth[:, :, 1:-1, 1:-1] = ((2 * total + 13) // 26).to(torch.uint8)  # /13, rounded
    return _blend(smooth, images, magnitude)


def _affine(images, matrix, fill):
    """Sample each image at ``(a x + b y + c, d x + e y + f)``, nearest pixel, in Pillow's 16.16 fixed point."""
    n, channels, height, width = images.shape
    a, b, c, d, e, f = (torch.as_tensor(v, dtype=torch.float64).expand(n) for v in matrix)
    fixed = torch.stack([a, b, c + 0.5 * (a + b), d, e, f + 0.5 * (d + e)])
    a, b, c, d, e, f = (fixed * 65536 + 0.5).floor().to(torch.int64).to(images.device)[..., None, None]
    x = torch.arange(width, device=images.device)
    y = torch.arange(height, device=images.device)[:, None]
    column, row = (a * x + b * y + c) >> 16, (d * x + e * y + f) >> 16
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).view(n, 1, -1)
    moved = images.flatten(2).gather(2, index.expand(-1, channels, -1)).view_as(images)
    return torch.where(inside[:, None], moved, fill)


def _rotate(images, magnitude, fill):
    height, width = images.shape[-2:]
    angle = -torch.deg2rad(magnitude.cpu().double())
    cos, sin, cx, cy = angle.cos(), angle.sin(), width / 2, height / 2
    return _affine(images, (cos, sin, cx - cos * cx - sin * cy, -sin, cos, cy + sin * cx - cos * cy), fill)


def _shear_x(images, magnitude, fill):
    return _affine(images, (1, magnitude.cpu().double(), 0, 0, 1, 0), fill)


def _shear_y(images, magnitude, fill):
    return _affine(images, (1, 0, 0, magnitude.cpu().double(), 1, 0), fill)


def _translate_x(images, magnitude, fill):
    return _affine(images, (1, 0, magnitude.cpu().double(), 0, 1, 0), fill)


def _translate_y(images, magnitude, fill):
    return _affine(images, (1, 0, 0, 0, 1, magnitude.cpu().double()), fill)


OPERATIONS = {
    "AutoContrast": _auto_contrast, "Brightness": _brightness, "Color": _color, "Contrast": _contrast,
    "Equalize": _equalize, "Identity": _identity, "Posterize": _posterize, "Rotate": _rotate,
    "Sharpness": _sharpness, "ShearX": _shear_x, "ShearY": _shear_y, "Solarize": _solarize,
    "TranslateX": _translate_x, "TranslateY": _translate_y,
}


def apply(name, images, magnitudes, *, fill=GRAY):
    """Apply one named operation, with one magnitude an image.

    Args:
        name: a key of `OPERATIONS`.
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
    magnitudes = torch.as_tensor(magnitudes, dtype=torch.float32, device=images.device)
    fill = torch.as_tensor(fill, dtype=torch.uint8, device=images.device)
    return OPERATIONS[name](images, magnitudes.expand(len(images)), fill)
