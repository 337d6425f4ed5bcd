"""Weak and strong augmentation: a uint8 batch in, a uint8 batch out, a separate draw for every image.

Everything works on ``(N, C, H, W)`` uint8 tensors on any device, for any image size and one or three channels.
The operations that RandAugment chooses from are in `operations`.

Source: Sohn et al. 2020 (FixMatch), section 2.3 and the released code; Cubuk et al. 2020 (RandAugment);
DeVries and Taylor 2017 (Cutout). Taught in: chapter 7.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from .checks import check_generator, check_images, check_number
from .errors import FixMatchError
from .operations import GRAY, OPERATIONS, apply, apply_each, check_operations, cover


def _uniform(n, generator, device):
    """``n`` numbers in [0, 1), drawn where the generator lives, brought to ``device``."""
    where = check_generator(generator).device if generator is not None else "cpu"
    return torch.rand(n, generator=generator, device=where, dtype=torch.float32).to(device, non_blocking=True)


def _integers(high, n, generator, device):
    return (_uniform(n, generator, device) * high).long().clamp_(max=high - 1)


# ---------------------------------------------------------------------------------------------- weak augmentation

def weak_augment(images: torch.Tensor, *, generator: torch.Generator | None = None,
                 flip: bool = True, pad: float = 0.125) -> torch.Tensor:
    """Mirror with probability 1/2, then shift by up to an eighth of the image, reflected at the border.

    Args:
        images: uint8 ``(N, C, H, W)``.
        generator: source of every draw; None uses torch's global one.
        flip: False where a mirrored picture may mean something else (digits, house numbers).
        pad: largest shift as a share of the side, at most 0.5; 0.125 is 4 pixels of 32, as in the paper.

    Returns:
        The views, uint8 ``(N, C, H, W)``.

    Source: Sohn et al. 2020, section 2.3. Taught in chapter 7.
    """
    check_images(images)
    check_number("pad", pad, 0, 0.5, ", a share of the side (0.125 is 4 pixels of 32)")
    n, channels, height, width = images.shape
    rows = _shifted(height, round(pad * height), n, generator, images.device)
    columns = _shifted(width, round(pad * width), n, generator, images.device)
    if flip:
        mirrored = _uniform(n, generator, images.device) < 0.5
        columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    index = rows[:, :, None] * width + columns[:, None, :]
    index = index.flatten(1)[:, None].expand(-1, channels, -1)
    return images.flatten(2).gather(2, index).view_as(images)


def _shifted(side, pad, n, generator, device):
    """For ``n`` images, which source row each target row takes: a random crop of the reflect-padded image."""
    offset = _integers(2 * pad + 1, n, generator, device) - pad
    source = torch.arange(side, device=device) + offset[:, None]
    source = source.abs()  # reflection without repeating the border: -1 -> 1, side -> side - 2
    return torch.where(source >= side, 2 * (side - 1) - source, source).clamp_(0, side - 1)


# ------------------------------------------------------------------------------------------------------ RandAugment

@dataclass(frozen=True)
class Preset:
    """How one code base draws strong augmentations; `RandAugment` takes one of your own, too. For instance a single level:
    ``RandAugment(dataclasses.replace(PRESETS["fixmatch"], levels=(2,)))``."""

    #: ``magnitude(name, level, side)`` takes an operation's name, levels (a float32 tensor) and the side in pixels, and gives the
    #: magnitudes at these levels, a tensor of the same shape, as `apply` takes them.
    magnitude: Callable[[str, torch.Tensor, int], torch.Tensor]
    num_ops: int = 2                #: operations an image, drawn with replacement.
    probability: float = 0.5        #: that one of them is applied.
    levels: Sequence[float] | None = range(1, 10)  #: range or tuple that a draw takes one of; None is any number in [0, 10].
    fill: int = GRAY                #: gray level of uncovered pixels.
    operations: tuple[str, ...] = OPERATIONS  #: names of the operations.
    cutout: bool = True             #: whether the recipe of that name has a `Cutout`, too.
    possible = property(lambda self: tuple(sorted({*OPERATIONS, "Invert", *self.operations})))  # whose strength it knows


_ENHANCE = ("Brightness", "Color", "Contrast", "Sharpness")
_SIGNED = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")


def _shared_magnitude(name, level, side):
    """What every code base agrees on."""
    if name == "Rotate":
        return (3 * level).floor()
    if name == "Solarize":
        return 256 - (25.6 * level).floor()
    if name.startswith("Shear"):
        return 0.03 * level
    return torch.zeros_like(level)  # AutoContrast, Equalize, Identity


def _original_magnitude(name, level, side):
    if name in _ENHANCE:
        return 0.1 + 0.18 * level  # 0.28 … 1.72, both directions
    if name == "Posterize":
        return 4 - (4 * level).div(10, rounding_mode="floor")  # 4 … 1 bits
    if name.startswith("Translate"):
        return (level * side / 32).round()  # 1 … 9 pixels of 32, scaled with the image
    return _shared_magnitude(name, level, side)


def _paper_magnitude(name, level, side):
    if name in _ENHANCE:
        return 0.05 + 0.09 * level  # 0.14 … 0.86, darker and duller only
    if name == "Posterize":
        return 4 + (4 * level).div(10, rounding_mode="floor")  # 4 … 7 bits, milder as the level grows
    if name.startswith("Translate"):
        return (0.03 * level * side).floor()
    return _shared_magnitude(name, level, side)


def _usb_magnitude(name, level, side):
    if name == "Rotate":
        return 3 * level
    if name.startswith("Translate"):
        return 0.03 * level * side
    return _paper_magnitude(name, level, side)


def _imagenet_magnitude(name, level, side):
    if name in _ENHANCE:
        return 0.1 + 0.18 * level  # 0.1 … 1.9
    if name == "Posterize":
        return (4 * level).div(10, rounding_mode="floor")  # 0 … 4 bits: a black picture at the lowest two levels
    if name == "Solarize":
        return (25.6 * level).floor()
    if name == "SolarizeAdd":
        return 11 * level
    if name.startswith("Translate"):
        return 10 * level * side / 224  # up to 100 of 224 pixels
    if name == "Rotate":
        return 3 * level
    return _shared_magnitude(name, level, side)


# Operations only: the `Cutout` after them is FixMatch's in all. (USB's own covers a square of at most half the side, of a
# size drawn anew each time; kekmodel's is one of 17 pixels.)
PRESETS = {
    "fixmatch": Preset(_original_magnitude),                        # the released code of the FixMatch authors
    "paper": Preset(_paper_magnitude, fill=0),                      # the table printed in the paper, as kekmodel has it
    "usb": Preset(_usb_magnitude, num_ops=3, probability=1.0, levels=None, fill=0),  # TorchSSL and USB
    # The FixMatch authors' ImageNet code: sixteen operations, levels 0 to 10, no Cutout.
    "imagenet": Preset(_imagenet_magnitude, levels=range(11), fill=128, cutout=False,
                       operations=tuple(sorted((*OPERATIONS, "Invert", "SolarizeAdd")))),
}


class RandAugment:
    """Strong augmentation without a search: a few random operations, each at a random level.

    Args:
        preset: "fixmatch" (the authors' code, the default), "paper" (the printed table), "usb", "imagenet" or a `Preset`.
        num_ops, probability: change the preset's number of operations an image and their probability.
        fill: gray level of uncovered pixels; None takes the preset's.
        operations: names to choose from, among those for which the preset knows a strength; the preset's own unless given.

    Calling it with uint8 ``(N, C, H, W)`` and a generator returns a new batch of the same shape. Source: Cubuk et
    al. 2020; FixMatch's released code. Taught in: chapter 7.
    """

    def __init__(self, preset: str | Preset = "fixmatch", *, num_ops: int | None = None, probability: float | None = None,
                 fill: int | None = None, operations: Sequence[str] | None = None) -> None:
        if preset not in [*PRESETS] and not isinstance(preset, Preset):
            raise FixMatchError(f"There is no RandAugment preset {preset!r}; use one of {', '.join(PRESETS)}, or a Preset.")
        self.preset = PRESETS[preset] if isinstance(preset, str) else preset
        self.name = preset if isinstance(preset, str) else f"{getattr(preset.magnitude, '__name__', 'own')} at {preset.levels}"
        self.num_ops = self.preset.num_ops if num_ops is None else num_ops
        self.probability = self.preset.probability if probability is None else probability
        self.fill = self.preset.fill if fill is None else fill
        self.operations = check_operations(self.preset.operations if operations is None else operations, self.preset.possible)
        check_number("num_ops", self.num_ops, 0, math.inf, whole=True)
        check_number("probability", self.probability, 0, 1)
        check_number("fill", self.fill, 0, 255, ", a gray level", whole=True)
        self._made = {}  # tables, by size and device; kept, since a recorded CUDA graph reads them where they are

    def draw(self, n: int, size: tuple[int, ...], *,
             generator: torch.Generator | None = None,
             device: torch.device | str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
        """One layer's draws for ``n`` images of ``size`` (height, width): the operation's number (-1: none) and its
        magnitude, each ``(n,)``."""
        chosen = _integers(len(self.operations), n, generator, device)
        level = _uniform(n, generator, device)
        on = _uniform(n, generator, device) < self.probability
        plus = _uniform(n, generator, device) >= 0.5
        signed, magnitudes = self._tables(size, device)
        count = magnitudes.shape[1]
        if self.preset.levels is not None:
            magnitude = magnitudes[chosen, (count * level).long().clamp_(max=count - 1)]
        else:
            magnitude = self._magnitudes(10 * level, size).gather(0, chosen[None])[0]
        return torch.where(on, chosen, -1), torch.where(signed[chosen] & ~plus, -magnitude, magnitude)

    def _magnitudes(self, level, size):
        """For each operation its magnitudes at these levels, ``(operations, levels)``."""
        pixels = lambda name: size[0] if name == "TranslateY" else size[1]
        return torch.stack([self.preset.magnitude(name, level, pixels(name)) for name in self.operations])

    def _tables(self, size, device):
        """Whether each operation has two directions, and its magnitudes at the preset's levels."""
        if (size, device) not in self._made:
            signed = torch.tensor([name in _SIGNED for name in self.operations], device=device)
            levels = torch.tensor([*(self.preset.levels or (0,))], dtype=torch.float32)
            self._made[size, device] = signed, self._magnitudes(levels, size).to(device)
        return self._made[size, device]

    def __call__(self, images: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
        check_images(images)
        for _ in range(self.num_ops):
            chosen, magnitude = self.draw(len(images), images.shape[-2:], generator=generator, device=images.device)
            images = apply_each(images, self.operations, chosen, magnitude, fill=self.fill)
        return images if self.num_ops else images.clone()


class Cutout:
    """Cover a square around a random pixel, clipped at the borders.

    Args:
        size: the square's side as a share of the image's; 0.5 covers 19.1 % of a 32-pixel image on average.
        fill: gray level of the square.

    Calling it with uint8 ``(N, C, H, W)`` and a generator returns a new batch of the same shape. Source: DeVries
    and Taylor 2017; FixMatch's released code. Taught in: chapter 7.
    """

    def __init__(self, size: float = 0.5, *, fill: int = GRAY) -> None:
        check_number("size", size, 0, 2, ", a share of the side (0.5 is 16 pixels of 32, 2 covers all)")
        check_number("fill", fill, 0, 255, ", a gray level", whole=True)
        self.size, self.fill = size, fill

    def __call__(self, images: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
        check_images(images)
        n, _, height, width = images.shape
        rows = self._covered(height, n, generator, images.device)
        columns = self._covered(width, n, generator, images.device)
        covered = rows[:, None, :, None] & columns[:, None, None, :]
        return cover(images, covered, self.fill)

    def _covered(self, side, n, generator, device):
        length = round(self.size * side)
        start = _integers(side, n, generator, device)[:, None] - length // 2
        pixel = torch.arange(side, device=device)
        return (pixel >= start) & (pixel < start + length)


def to_float(images: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Scale uint8 to the [-1, 1] that the original's net sees; nothing else is normalized.

    Raises:
        FixMatchError: the images are not uint8.
    """
    if images.dtype != torch.uint8:
        raise FixMatchError(f"Images must be uint8, 0 to 255; these are {images.dtype}, and would be scaled a second time.")
    return images.to(dtype) / 127.5 - 1
