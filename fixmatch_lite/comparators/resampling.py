"""Crop and enlarge a batch, with a separate crop and one of Pillow's six filters for each image.

Enlarging is linear, rows and columns apart, so it is two products with a matrix. The matrices of all crops and filters
of a side are made once, in Pillow's fixed point; products and sums of whole numbers are exact in double precision, and
so the pixels are Pillow's.

Source: Pillow's documented filters. Taught in: chapter 7.
"""

import functools
import math

import torch


def _sinc(x):
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def _bicubic(x, a=-0.5):
    x = abs(x)
    return ((a + 2) * x - (a + 3)) * x * x + 1 if x < 1 else (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


# Their weight at a distance in pixels, and the distance from which on it is 0.
FILTERS = {
    "LANCZOS": (lambda x: _sinc(x) * _sinc(x / 3) if -3 <= x < 3 else 0.0, 3.0),
    "BICUBIC": (_bicubic, 2.0),
    "BILINEAR": (lambda x: max(0.0, 1 - abs(x)), 1.0),
    "BOX": (lambda x: 1.0 if -0.5 < x <= 0.5 else 0.0, 0.5),
    "HAMMING": (lambda x: _sinc(x) * (0.54 + 0.46 * math.cos(math.pi * x)) if abs(x) < 1 else 0.0, 1.0),
    "NEAREST": (None, 0.0),
}
LARGEST_CROP = 0.25  # of the side, from each end
_ONE = 2**22         # Pillow's weights have 22 bits after the point


def _weights(side, crop, name):
    """The matrix ``(side, side)`` that enlarges what is left after ``crop`` pixels at each end, in units of 1 / _ONE."""
    weight, support = FILTERS[name]
    left = side - 2 * crop
    matrix = torch.zeros(side, side, dtype=torch.float64)
    nearest = left / side * 0.5
    for out in range(side):
        center = (out + 0.5) * left / side
        if name == "NEAREST":
            matrix[out, crop + int(nearest)] = _ONE
            nearest += left / side  # added up as Pillow does, rounding errors and all
            continue
        first, last = max(int(center - support + 0.5), 0), min(int(center + support + 0.5), left)
        shares = [weight(x - center + 0.5) for x in range(first, last)]
        for x, share in zip(range(first, last), shares):
            scaled = share / sum(shares) * _ONE
            matrix[out, crop + x] = int(scaled + math.copysign(0.5, scaled))
    return matrix


@functools.cache  # never given up: a recorded CUDA graph reads them where they are
def _table(side, device):
    """All matrices of a side: ``(crops * filters, side, side)``, and the number of crops."""
    crops = round(LARGEST_CROP * side) + 1
    matrices = [_weights(side, crop, name) for crop in range(crops) for name in FILTERS]
    real = torch.float32 if device.type == "mps" else torch.float64
    return torch.stack(matrices).to(device, real), crops


def rescale(images: torch.Tensor, level: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Crop ``level[:, 0]`` / 4 of the side from each end and enlarge the rest by the filter that ``level[:, 1]`` names.

    Args:
        images: uint8 ``(N, C, H, W)``.
        level: float32 ``(N, 2)`` in [0, 1).
        chosen: bool ``(N,)``, the images that it happens to.

    Returns:
        uint8 ``(N, C, H, W)``.
    """
    if images.device.type != "cpu":  # asking which would wait for the device
        return torch.where(chosen.view(-1, 1, 1, 1), _rescaled(images, level), images)
    which = chosen.nonzero()[:, 0]
    return images.index_copy(0, which, _rescaled(images[which], level[which])) if len(which) else images


def _rescaled(images, level):
    height, width = images.shape[-2:]
    number = (len(FILTERS) * level[:, 1]).long().clamp_(max=len(FILTERS) - 1)
    down, across = (table[(LARGEST_CROP * side * level[:, 0]).round().long() * len(FILTERS) + number][:, None]
                    for side in (height, width) for table, _ in [_table(side, images.device)])
    rows = _rounded(images.to(across.dtype) @ across.transpose(2, 3))
    return _rounded(down @ rows).to(torch.uint8)


def _rounded(sums):
    return ((sums + _ONE // 2) / _ONE).floor().clamp_(0, 255)
