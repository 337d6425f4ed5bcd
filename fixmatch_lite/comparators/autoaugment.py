"""AutoAugment: the policy that a search found for CIFAR-10, for comparison.

Source: Cubuk et al. 2019; the table and its magnitudes are read from torchvision. Taught in: chapter 7.
"""

from typing import TYPE_CHECKING

import torch

from ..augment import apply_each
from ..operations import MORE, OPERATIONS
from ..vision import torchvision

if TYPE_CHECKING:
    from ..recipes import Recipe


class AutoAugment:
    """One of 25 pairs of operations an image, each operation with its own probability and strength.

    The search used 4,000 labeled images, so a comparison with methods that see 40 is not a fair one. Pixels are those
    of this module's operations: gray where an image is uncovered, where torchvision's own class fills with black unless
    told otherwise. Shifts scale with the image.

    Args:
        recipe: its ``fill`` takes the place of gray; None: gray.

    Called with uint8 ``(N, C, H, W)`` and a generator it returns a new batch. Source: Cubuk et al. 2019, table 7, as
    in torchvision.transforms.AutoAugment. Taught in: chapter 7.
    """

    names = OPERATIONS + MORE
    _FACTORS = ("Brightness", "Color", "Contrast", "Sharpness")

    def __init__(self, recipe: "Recipe | None" = None) -> None:
        self.fill = 127 if recipe is None or recipe.fill is None else recipe.fill
        self._made = {}  # tables, by size and device; kept, since a recorded CUDA graph reads them where they are

    def table(self, size: tuple[int, ...], device: torch.device) -> torch.Tensor:
        """For both operations of each pair, for images of ``size`` (height, width): number in `names`, probability,
        magnitude at plus and at minus; float32 ``(2, 25, 4)``."""
        if (size, device) not in self._made:
            self._made[size, device] = self._table(size).to(device)
        return self._made[size, device]

    def _table(self, size):
        torchvision()
        from torchvision.transforms.autoaugment import AutoAugment as Theirs
        from torchvision.transforms.autoaugment import AutoAugmentPolicy

        theirs = Theirs(AutoAugmentPolicy.CIFAR10)
        space = theirs._augmentation_space(10, tuple(size))
        rows = [[self._row(*step, space) for step in pair] for pair in theirs.policies]
        return torch.tensor(rows).transpose(0, 1)

    def _row(self, name, probability, level, space):
        magnitudes, signed = space[name]
        plus = 0.0 if level is None or magnitudes.ndim == 0 else magnitudes[level].item()
        minus = -plus if signed else plus
        if name in self._FACTORS:
            plus, minus = 1 + plus, 1 + minus
        if name.startswith("Translate"):
            plus, minus = -int(plus), -int(minus)  # ours says where a pixel comes from, theirs where it goes
        return self.names.index(name), probability, plus, minus

    def __call__(self, images: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
        n, device = len(images), images.device
        where = generator.device if generator is not None else "cpu"
        numbers = torch.rand(5, n, generator=generator, device=where).to(device, non_blocking=True)
        pairs = self.table(images.shape[-2:], device)
        pair = (numbers[0] * pairs.shape[1]).long().clamp_(max=pairs.shape[1] - 1)
        for step, on, sign in zip(pairs, numbers[1:3], numbers[3:]):
            operation, probability, plus, minus = step[pair].T
            chosen = torch.where(on <= probability, operation.long(), -1)
            images = apply_each(images, self.names, chosen, torch.where(sign < 0.5, plus, minus), fill=self.fill)
        return images
