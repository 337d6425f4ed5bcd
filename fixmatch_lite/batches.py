"""What a step trains on: which images, and which views of them.

Source: Sohn et al. 2020, section 2.2 and the released code. Taught in: chapter 9.
"""

import collections
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from . import comparators, distributed
from .augment import PRESETS, Cutout, RandAugment, weak_augment
from .checks import check_callable, check_number, check_view
from .errors import FixMatchError

if TYPE_CHECKING:
    from .data import SemiSupervisedData
    from .recipes import Recipe
    from .training import Training


class Batch(NamedTuple):
    """One step's images, augmented, on the training device, and what a method may know of them."""

    x: torch.Tensor    #: uint8 ``(B, C, H, W)``: weak views of the labeled images.
    y: torch.Tensor    #: int64 ``(B,)``: their classes.
    u: tuple[torch.Tensor, ...]  #: tuple of uint8 ``(mu * B, C, H, W)``: one a view that the method asked for, of the same images.
    ids: torch.Tensor | None  #: int64 ``(mu * B,)``: which ones, as positions in the unlabeled set; None without views.


class ShuffledIndices:
    """An endless stream of indices: every index once in a random order, then all of them again in another.

    Args:
        size: how many indices there are; may be smaller than a batch (ten labels, batches of 64).
        generator: source of the orders.
    """

    def __init__(self, size: int, generator: torch.Generator) -> None:
        check_number("size", size, 1, math.inf, whole=True)
        self.size, self.generator = size, generator
        self.order, self.position = torch.randperm(size, generator=generator), 0

    def next(self, count: int) -> torch.Tensor:
        """The next ``count`` indices, int64 ``(count,)``."""
        parts = []
        while count > 0:
            if self.position == self.size:
                self.order, self.position = torch.randperm(self.size, generator=self.generator), 0
            part = self.order[self.position: self.position + count]
            parts.append(part)
            self.position += len(part)
            count -= len(part)
        return torch.cat(parts)

    def state(self) -> dict[str, torch.Tensor]:
        """Order, position and generator, as tensors."""
        return {"order": self.order, "position": torch.tensor(self.position), "generator": self.generator.get_state()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Go on where `state` was asked."""
        self.order, self.position = state["order"], int(state["position"])
        self.generator.set_state(state["generator"])


AHEAD = 256  # steps whose images are chosen at once, so that the host waits for the device once for all of them


class Batches:
    """An endless stream of `Batch`; data and augmentation stay on the device.

    Args:
        recipe: see `recipe`.
        data: `SemiSupervisedData`, on the training device.
        strong: what makes a strong view of a weak one, see `Strong`.
        generators: by name: "labeled" and "unlabeled" for the order, on the CPU, and "augment" for the views.
    """

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", strong: nn.Module,
                 generators: dict[str, torch.Generator]) -> None:
        if recipe.batch_size % distributed.world_size():
            raise FixMatchError(f"A batch of {recipe.batch_size} labeled images cannot be shared by "
                                f"{distributed.world_size()} processes; give a batch_size that their number divides.")
        self.recipe, self.data, self.strong = recipe, data, strong
        self.labeled = ShuffledIndices(len(data.x), generators["labeled"])
        self.unlabeled = ShuffledIndices(len(data.u), generators["unlabeled"])
        self.generator = generators["augment"]
        self.flip = data.flip if recipe.flip is None else recipe.flip
        self._chosen = collections.deque()

    def ahead(self, steps: int, views: Sequence[str]) -> None:
        """Choose the images of the next ``steps`` batches, or of `AHEAD` if those are fewer, and bring the choice to the
        device in one go; nothing where some are left. `state` must not be asked before all of them were used."""
        if not self._chosen:
            steps = min(steps, AHEAD)
            labeled = self._choice(self.labeled, steps, self.recipe.batch_size)
            unlabeled = [None] * steps
            if views:
                unlabeled = self._choice(self.unlabeled, steps, self.recipe.mu * self.recipe.batch_size)
            self._chosen.extend(zip(labeled, unlabeled))

    def _choice(self, stream, steps, count):
        index = stream.next(steps * count).view(steps, count)
        return self._on_device(torch.stack([distributed.share(row) for row in index])).unbind(0)

    def choose(self, views: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Which images the next batch is of: int64 positions among the labeled ones and among the unlabeled ones (None
        without ``views``), on the device; of several processes each gets its share."""
        self.ahead(1, views)
        return self._chosen.popleft()

    def next(self, views: Sequence[str]) -> Batch:
        """The next batch, with one view of the unlabeled images for each entry of ``views``: "weak" or "strong"."""
        return self.make(*self.choose(views), views)

    def make(self, index: torch.Tensor, ids: torch.Tensor | None, views: Sequence[str]) -> Batch:
        """The batch of the chosen images. Every view starts with a flip and a crop of its own. Nothing here waits for the
        device."""
        data = self.data
        x, y = self.weak(data.x[index]), data.y[index]
        if not views:
            return Batch(x, y, (), None)
        images, made = data.u[ids], [None] * len(views)
        # Strong views before weak ones, Cutout last: the order of draws with which the recorded runs were made.
        for k, view in enumerate(views):
            if view == "strong":
                made[k] = self.strong.operations(self.weak(images), generator=self.generator)
        for k, view in enumerate(views):
            made[k] = self.weak(images) if view == "weak" else made[k]
        for k, view in enumerate(views):
            if view == "strong":
                made[k] = check_view(self.strong.cutout(made[k], generator=self.generator), images)
        return Batch(x, y, tuple(made), ids)

    def state(self) -> dict[str, torch.Tensor]:
        """All that decides which images come next: tensors by name."""
        streams = {"labeled": self.labeled, "unlabeled": self.unlabeled}
        return {f"{name}.{k}": v for name, stream in streams.items() for k, v in stream.state().items()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Go on where `state` was asked."""
        self._chosen.clear()
        for name, stream in (("labeled", self.labeled), ("unlabeled", self.unlabeled)):
            stream.load_state({k.partition(".")[2]: v for k, v in state.items() if k.startswith(name + ".")})

    def weak(self, images: torch.Tensor) -> torch.Tensor:
        """Weak views of uint8 ``(N, C, H, W)``, by the recipe."""
        return weak_augment(images, generator=self.generator, flip=self.flip, pad=self.recipe.pad)

    def _on_device(self, index):
        return index.to(self.data.x.device, non_blocking=True)


class Strong(nn.Module):
    """A strong view of a weak one: operations, then Cutout.

    Args:
        operations: called as ``operations(images, generator=generator)``; turns uint8 ``(N, C, H, W)`` into another batch of
            the same shape and kind. Where it learns (CTAugment), it is a module with a method ``learn``: what it remembers are
            buffers, since the optimizer trains the net and the method alone, and no parameter here.
        cutout: likewise; None leaves it out.

    A transform from ``torchvision.transforms.v2`` takes no generator, and draws once for all images of a batch. So call it
    once an image::

        Strong(lambda images, generator=None: torch.stack([transform(image) for image in images]))

    Raises:
        FixMatchError: ``operations`` or ``cutout`` cannot be called.
    """

    def __init__(self, operations: Callable[..., torch.Tensor], cutout: Callable[..., torch.Tensor] | None = None) -> None:
        super().__init__()
        self.operations, self.cutout = operations, _leave if cutout is None else cutout
        for name in ("operations", "cutout"):
            check_callable(name, getattr(self, name), f"{name}(images, generator=generator)")

    def forward(self, images: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
        return self.cutout(self.operations(images, generator=generator), generator=generator)

    def learn(self, run: "Training", batch: Batch) -> None:
        """Let the operations learn from the labeled part of a step's batch; most have nothing to learn."""
        if hasattr(self.operations, "learn"):
            self.operations.learn(run, batch)


def make_strong(recipe: "Recipe") -> Strong:
    """The strong view that ``recipe.augment`` names: operations and `Cutout`; "cutout" has the second alone, "none"
    neither, and the ImageNet preset has no `Cutout`."""
    covers = recipe.augment != "none" and (recipe.augment not in PRESETS or PRESETS[recipe.augment].cutout)
    cutout = Cutout(recipe.cutout if covers else 0.0)
    if recipe.augment in ("cutout", "none"):
        operations = _leave
    elif recipe.augment in PRESETS:
        operations = RandAugment(recipe.augment, probability=recipe.probability, fill=recipe.fill,
                                 operations=recipe.operations)
        cutout.fill = operations.fill
    else:
        operations = comparators.find(comparators.AUGMENTATIONS, recipe.augment)(recipe)
    if recipe.fill is not None:
        cutout.fill = recipe.fill
    return Strong(operations, cutout)


def _leave(images, *, generator=None):
    return images
