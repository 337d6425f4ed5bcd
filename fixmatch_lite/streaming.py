"""Pictures that stay on the disk: ImageNet, read and cut by threads while the net trains.

A view is cut when the picture is decoded, so that no large picture is kept. Every cut has a seed of its own, drawn with
the indices: which thread makes it, and when, changes nothing.

Source: Sohn et al. 2020, appendix; the released ImageNet code.
"""

import collections
import functools
import math
import os
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from . import distributed
from .batches import Batch, Batches
from .checks import check_view
from .errors import FixMatchError
from .folders import class_folders
from .hints import PathLike
from .pictures import Unreadable, open_picture, sides

AHEAD = 3           # batches that are being prepared
CENTER = 224 / 256  # share of the shorter side that an evaluation sees, as is usual


@functools.cache
def _threads():
    """Pillow lets go of Python while it decodes and scales, so threads do; each takes a core."""
    return ThreadPoolExecutor(os.cpu_count())


class Pictures:
    """Picture files that behave like a uint8 tensor ``(N, 3, side, side)`` where training asks: length, shape, choice
    by index, `split`, `to`. What is on the disk is read when `decoded` or `views` is called."""

    def __init__(self, paths: Sequence[PathLike] | np.ndarray, side: int, device: torch.device | str = "cpu") -> None:
        self.paths, self.side, self.device = np.asarray(paths, dtype=object), side, torch.device(device)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self), 3, self.side, self.side

    def __getitem__(self, index: Any) -> "Pictures":
        index = index.cpu().numpy() if isinstance(index, torch.Tensor) else index
        return Pictures(self.paths[index], self.side, self.device)

    def to(self, device: torch.device | str) -> "Pictures":
        return Pictures(self.paths, self.side, device)

    def split(self, size: int) -> list["Pictures"]:
        return [self[first:first + size] for first in range(0, len(self), size)]

    def decoded(self) -> torch.Tensor:
        """The middle of every picture, uint8 ``(N, 3, side, side)`` on the device, as it is evaluated."""
        cut = _threads().map(functools.partial(_read, side=self.side, seeds=(None,)), self.paths)
        return torch.stack([views[0] for views in cut]).to(self.device)

    def views(self, seeds: torch.Tensor, flip: bool = True) -> Callable[[], tuple[torch.Tensor, ...]]:
        """Weak views that are on their way.

        Args:
            seeds: int64 ``(N, V)``, one for each of V views of each picture.
            flip: whether every other view is mirrored.

        Returns:
            A function that waits for them: V tensors, uint8 ``(N, 3, side, side)``, on the device.
        """
        coming = [_threads().submit(_read, path, self.side, row, flip) for path, row in zip(self.paths, seeds.tolist())]

        def wait():
            made = torch.stack([future.result() for future in coming])
            return made.transpose(0, 1).to(self.device, non_blocking=True).unbind(0)

        return wait


def _read(path, side, seeds, flip=True):
    """Views of one picture, uint8 ``(V, 3, side, side)``: a random cut for every seed, the middle for None."""
    picture = open_picture(path, cover=2 * side)
    if isinstance(picture, Unreadable):
        raise FixMatchError(f"The image {path} cannot be read: {picture}. Replace it, or take it out of the folder.")
    views = [middle(picture, side) if seed is None else _cut(picture, side, random.Random(seed), flip) for seed in seeds]
    return torch.from_numpy(np.stack([np.asarray(view) for view in views])).permute(0, 3, 1, 2)


def middle(picture: Image.Image, side: int, _: object = None) -> Image.Image:
    """The middle of a picture, brought to the side: what an evaluation sees."""
    width, height = picture.size
    across = CENTER * min(width, height)
    box = ((width - across) / 2, (height - across) / 2, (width + across) / 2, (height + across) / 2)
    return picture.resize((side, side), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)


def _cut(picture, side, draw, flip=True, least=0.08):
    """A part of 8 to 100 % of the area, 3:4 to 4:3 in shape, brought to the side, and mirrored every other time; the
    weak view of the released ImageNet code."""
    width, height = picture.size
    for _ in range(10):
        area = draw.uniform(least, 1) * width * height
        shape = math.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)))
        across, down = math.sqrt(area * shape), math.sqrt(area / shape)
        if across <= width and down <= height:
            break
    else:
        across = down = min(width, height)
    left, top = draw.uniform(0, width - across), draw.uniform(0, height - down)
    view = picture.resize((side, side), Image.Resampling.BILINEAR, box=(left, top, left + across, top + down),
                          reducing_gap=2.0)
    return view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip and draw.random() < 0.5 else view


class StreamedBatches(Batches):
    """`Batches` over `Pictures`: the next few are being read while the net is busy.

    ``state`` is that of the batch that comes next, not of those that are being read, so a resumed run is the same.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._coming = collections.deque()
        self._cuts = torch.Generator().manual_seed(2**41 + self.recipe.seed)  # a stream of its own: orders do not depend on it

    def state(self) -> dict[str, torch.Tensor]:
        return self._coming[0][0] if self._coming else self._now()

    def _now(self):
        return {**super().state(), "cuts": self._cuts.get_state()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        super().load_state(state)
        self._cuts.set_state(state["cuts"].cpu())
        self._coming.clear()

    def ahead(self, steps: int, views: Sequence[str]) -> None:
        """Nothing: pictures are chosen as they are read."""

    def next(self, views: Sequence[str]) -> Batch:
        while len(self._coming) < AHEAD:
            self._coming.append((self._now(), *self._begin(len(views))))
        _, index, ids, labeled, unlabeled = self._coming.popleft()
        x, y = labeled()[0], self.data.y[self._on_device(index)]
        if not views:
            return Batch(x, y, (), None)
        made = [check_view(self.strong(view, generator=self.generator), view) if name == "strong" else view
                for name, view in zip(views, unlabeled())]
        return Batch(x, y, tuple(made), self._on_device(ids))

    def _begin(self, views):
        recipe, data = self.recipe, self.data
        index, ids = self.labeled.next(recipe.batch_size), None
        coming = [data.x[distributed.share(index)].views(distributed.share(self._seeds(len(index), 1)), self.flip)]
        if views:
            ids = self.unlabeled.next(recipe.mu * recipe.batch_size)
            coming.append(data.u[distributed.share(ids)].views(distributed.share(self._seeds(len(ids), views)), self.flip))
            ids = distributed.share(ids)
        return distributed.share(index), ids, coming[0], coming[-1]

    def _seeds(self, count, views):
        return torch.randint(2**62, (count, views), generator=self._cuts)


def load_imagenet(root: PathLike | None, image_size: int | Sequence[int] | None = None) -> tuple[Any, ...]:
    """``(train_pictures, train_targets, val_pictures, val_targets, class_names)`` of ImageNet as it is usually unpacked:
    ``root/train/<class>/…`` and ``root/val/<class>/…``. It is available after registration; nothing is fetched.
    ``image_size``: pixels of a side; None takes 224.

    Raises:
        FixMatchError: a folder is missing or empty, the two have different classes, or the size is not one of a square.
    """
    side, width = sides(224 if image_size is None else image_size)
    if side != width:
        raise FixMatchError(f"Pictures of ImageNet are cut to squares: give one number of pixels in place of {image_size}.")
    root = Path("data" if root is None else root)
    if not root.is_dir():
        raise FixMatchError(f"There is no folder {root}: ImageNet is available after registration at image-net.org; unpack "
                            "it into train/<class>/ and val/<class>/, and give their folder with --root.")
    (train, targets, names), (val, val_targets, val_names) = (class_folders(root, part, []) for part in ("train", "val"))
    if names != val_names:
        raise FixMatchError(f"train/ and val/ in {root} have different classes: unpack both in the same way.")
    return (Pictures(train, side), torch.tensor(targets), Pictures(val, side), torch.tensor(val_targets), names)
