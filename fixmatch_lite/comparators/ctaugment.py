"""CTAugment: strong augmentation whose strengths are learned while the net trains.

Source: Berthelot et al. 2020 (ReMixMatch), section 3.2; the code released with FixMatch. Taught in: chapter 7.
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

from .. import distributed
from ..augment import apply_each
from ..pixels import GRAY, cover
from .resampling import FILTERS, rescale

if TYPE_CHECKING:
    from ..batches import Batch
    from ..recipes import Recipe
    from ..training import Training

# The operation that does it (None: done here), the bins of its level, and the magnitude at levels (n,) in [0, 1) for
# images of a side.
_ENHANCE = lambda level, side: 0.1 + 1.9 * level
_SHARE = lambda level, side: level
_REST = lambda level, side: 1 - level  # the blends with a filtered picture take the share of the untouched one
_SLOPE = lambda level, side: 0.3 * (2 * level - 1)
_SHIFT = lambda level, side: (0.3 * side * (2 * level - 1)).round()
OPERATIONS = {
    "autocontrast": ("AutoContrastBlend", 17, _SHARE),
    "blur": ("Blur", 17, _REST),
    "brightness": ("Brightness", 17, _ENHANCE),
    "color": ("Color", 17, _ENHANCE),
    "contrast": ("Contrast", 17, _ENHANCE),
    "cutout": (None, 17, None),
    "equalize": ("EqualizeBlend", 17, _SHARE),
    "identity": ("Identity", 1, _SHARE),
    "invert": ("InvertBlend", 17, _SHARE),
    "posterize": ("Posterize", 8, lambda level, side: 1 + (7.999 * level).floor()),
    "rescale": (None, 17, None),
    "rotate": ("Rotate", 17, lambda level, side: (45 * (2 * level - 1)).round()),
    "sharpness": ("Sharpness", 17, _ENHANCE),
    "shear_x": ("ShearX", 17, _SLOPE),
    "shear_y": ("ShearY", 17, _SLOPE),
    "smooth": ("Sharpness", 17, _REST),
    "solarize": ("Solarize", 17, lambda level, side: (255.999 * level).floor()),
    "translate_x": ("TranslateX", 17, _SHIFT),
    "translate_y": ("TranslateY", 17, _SHIFT),
}
NAMES, BINS = tuple(OPERATIONS), 17


class CTAugment(nn.Module):
    """Two operations an image, each at a level from a bin in which the net still recognizes labeled images.

    Every level is cut into bins with a rate each, 1 at the start. A drawn operation takes a bin with a probability in
    proportion to p = rate + 0.01, divided by the largest p, where p below 0.8 counts as 0. After each step every
    labeled image of the batch, weakly augmented, is changed by two operations drawn without regard to the rates (a
    probe), the moving average judges it in evaluation mode, and the rate of each bin that was used becomes
    0.99 rate + 0.01 (probability of the true class). Images that share a bin are counted one after the other.

    Where this differs from the released code: there translations move by at most 0.3 pixels, so never; here by up to
    0.3 of the side, as the paper says. Its strong views lag the rates by four steps, because other processes prepare
    them; these do not. FixMatch's `Cutout` comes after this on strong views, and not on probes, as there.

    Args:
        recipe: its ``fill`` is for what a move uncovers and for CTAugment's own square; None: black for the former and gray
            for the latter, as in the released code.
        depth, decay, threshold: operations an image, memory of a rate, smallest p that counts.

    Called with uint8 ``(N, C, H, W)`` and a generator it returns a new batch. ``rates`` is float32 (19, 2, 17): the
    operations in the order of `NAMES`, their parameters (only "rescale" has a second one, its filter), the bins.

    Source: Berthelot et al. 2020, section 3.2; FixMatch's released code, libml/ctaugment.py. Taught in: chapter 7.
    """

    def __init__(self, recipe: "Recipe | None" = None, *, depth: int = 2, decay: float = 0.99, threshold: float = 0.8) -> None:
        super().__init__()
        self.depth, self.decay, self.threshold = depth, decay, threshold
        fill = None if recipe is None else recipe.fill
        self.uncovered, self.covered = (0, GRAY) if fill is None else (fill, fill)
        bins = torch.tensor([[bins, len(FILTERS) if name == "rescale" else 1]
                             for name, (_, bins, _) in OPERATIONS.items()])
        self.register_buffer("bins", bins, persistent=False)
        self.register_buffer("rates", (torch.arange(BINS) < bins[..., None]).float())

    def forward(self, images: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
        shares = self.shares()
        for _ in range(self.depth):
            chosen, where, within, place = self._draw(len(images), generator)
            cumulated = shares[chosen].cumsum(-1)  # (n, 2, bins)
            bin = (cumulated <= where[..., None] * cumulated[..., -1:]).sum(-1).clamp(max=BINS - 1)
            images = self._operate(images, chosen, (bin + within) / self.bins[chosen], place)
        return images

    def shares(self) -> torch.Tensor:
        """Relative probabilities of the bins, float32 (19, 2, 17)."""
        exists = self.rates.new_ones(BINS).cumsum(0) <= self.bins[..., None]
        p = (self.rates + 1 - self.decay) * exists
        p = p / p.amax(-1, keepdim=True)
        return p * (p >= self.threshold)

    def probe(self, images: torch.Tensor, *,
              generator: torch.Generator | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Change images whatever the rates say.

        Returns:
            The images, the operations int64 ``(depth, n)`` and the levels float32 ``(depth, n, 2)``.
        """
        operations, levels = [], []
        for _ in range(self.depth):
            chosen, level, _, place = self._draw(len(images), generator)
            images = self._operate(images, chosen, level, place)
            operations.append(chosen)
            levels.append(level)
        return images, torch.stack(operations), torch.stack(levels)

    @torch.no_grad()
    def learn(self, run: "Training", batch: "Batch") -> None:
        """Probe a step's labeled images and update the rates."""
        images, operations, levels = self.probe(batch.x, generator=run.generator)
        q = run.teacher(images).softmax(-1)
        used = (distributed.gathered(part.transpose(0, 1)).transpose(0, 1) for part in (operations, levels))
        self.update(*used, distributed.gathered(q.gather(1, batch.y[:, None])[:, 0]))

    def update(self, operations: torch.Tensor, levels: torch.Tensor, proximity: torch.Tensor) -> None:
        """Bring ``rates`` nearer to ``proximity``, float32 ``(n,)``, in the bins that `probe` used for each image."""
        bins = self.bins[operations]                                           # (depth, n, 2)
        used = (levels * bins * 0.999).long()
        parameter = torch.arange(2, device=used.device)
        slot = (operations[..., None] * 2 + parameter) * BINS + used           # (depth, n, 2)
        slot = slot.transpose(0, 1).flatten()                                  # image by image
        target = proximity.repeat_interleave(2 * self.depth)
        # What an update by itself adds is forgotten a little by each later one of the same slot.
        later = ((slot[:, None] == slot) & (slot.new_ones(len(slot)).cumsum(0)[:, None] <
                                            slot.new_ones(len(slot)).cumsum(0))).sum(1)
        count = torch.zeros(self.rates.numel(), device=slot.device).index_add_(0, slot, torch.ones_like(target))
        added = torch.zeros_like(count).index_add_(0, slot, (1 - self.decay) * self.decay**later * target)
        self.rates.copy_((self.rates.flatten() * self.decay**count + added).view_as(self.rates))

    def _draw(self, n, generator):
        """Operations ``(n,)``, three pairs of uniform numbers ``(n, 2)``."""
        where = generator.device if generator is not None else "cpu"
        numbers = torch.rand(7, n, generator=generator, device=where).to(self.rates.device, non_blocking=True)
        chosen = (numbers[0] * len(NAMES)).long().clamp_(max=len(NAMES) - 1)
        return chosen, *(pair.T for pair in numbers[1:].split(2))

    def _operate(self, images, chosen, level, place):
        height, width = images.shape[-2:]
        first, magnitude = level[:, 0], torch.zeros_like(level[:, 0])
        for k, (operation, _, amount) in enumerate(OPERATIONS.values()):
            if operation is not None:
                side = height if operation == "TranslateY" else width
                magnitude = torch.where(chosen == k, amount(first, side), magnitude)
        operations = [operation or "Identity" for operation, _, _ in OPERATIONS.values()]
        images = apply_each(images, operations, chosen, magnitude, fill=self.uncovered)
        covered = self._box(images, first, place) & (chosen == NAMES.index("cutout")).view(-1, 1, 1, 1)
        images = cover(images, covered, self.covered)
        return rescale(images, level, chosen == NAMES.index("rescale"))

    @staticmethod
    def _box(images, level, place):
        """Squares of 0 to half a side around ``place``, an even number of pixels, bool ``(N, 1, H, W)``."""
        sides = []
        for side, at in zip(images.shape[-2:], place.T):
            half = ((1 + (0.499 * side * level).floor()) / 2).floor()[:, None]
            middle = (at * side).floor()[:, None]
            pixel = torch.arange(side, device=images.device)
            sides.append((pixel >= middle - half) & (pixel < middle + half))
        return sides[0][:, None, :, None] & sides[1][:, None, None, :]
