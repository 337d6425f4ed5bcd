"""What is measured while a net trains, and how it is counted without a wait inside a step.

Taught in: chapters 9 and 17.
"""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import distributed
from .augment import to_float
from .checks import check_truth
from .errors import Diverged
from .models import batch_statistics

if TYPE_CHECKING:
    from .losses import Loss
    from .recipes import Recipe
    from .streaming import Pictures


@dataclass(frozen=True)
class Metrics:
    """What one evaluation saw. Losses, mask rate and pseudo-label accuracy are means over the steps since the last
    evaluation; shares lie in [0, 1]. A number that does not exist (nothing kept, no truth known) is None."""

    step: int                       #: updates done.
    loss: float                     #: the whole loss, as `Loss` has it; the next two are its parts.
    loss_supervised: float          #: of the labeled images.
    loss_unsupervised: float        #: of the unlabeled images, before it is weighed with ``lambda_u``.
    test_accuracy: float            #: of the moving average, the number to report.
    test_accuracy_raw: float        #: of the net being trained.
    mask_rate: float | None         #: mean weight of the unlabeled images, with FixMatch the share that was kept.
    pseudo_label_accuracy: float | None  #: share of the kept pseudo-labels that are right, each with its weight.
    #: For each class, the share of ALL unlabeled images that were kept with this pseudo-label; they sum to ``mask_rate``.
    mask_rate_per_class: tuple[float, ...] | None
    #: For each class, of the images that were kept with this pseudo-label, the share for which it is right. That is the precision
    #: of the predicted class, not the recall of the true one.
    pseudo_label_accuracy_per_class: tuple[float | None, ...] | None
    lr: float                       #: learning rate of the last step.
    images_per_second: float        #: all views counted, evaluation left out.
    seconds: float                  #: since the run began, evaluation and earlier parts of a resumed run included.

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def at_once(images: Any, most: int = 1024) -> int:
    """How many of some images, or of a shape that ends with height and width, a net judges at once: ``most`` of 32 x 32 pixels,
    and fewer of larger ones, so that they take no more memory."""
    *_, height, width = getattr(images, "shape", images)
    return min(most, max(1, most * 32 * 32 // (height * width)))


@torch.no_grad()
def evaluate(model: nn.Module, images: "torch.Tensor | Pictures",
             targets: torch.Tensor, *, dtype: torch.dtype | None = None,
             batch_size: int | None = None) -> float:
    """Accuracy of ``model`` on uint8 images (a tensor, or `streaming.Pictures`), in evaluation mode; the model's mode
    is put back afterward. ``targets``: int64 ``(N,)``. ``batch_size``: how many at once; None takes `at_once`. Several processes
    share the work."""
    return accuracies([model], images, targets, dtype=dtype, batch_size=batch_size)[0]


def accuracies(models: Sequence[nn.Module], images: "torch.Tensor | Pictures", targets: torch.Tensor, *,
               dtype: torch.dtype | None = None, batch_size: int | None = None) -> list[float]:
    """As `evaluate`, of several models; images on the disk are read once for all of them."""
    check_truth(images, targets)
    right, batch_size = torch.zeros(len(models), device=images.device), batch_size or at_once(images)
    parts = list(zip(images.split(batch_size), targets.split(batch_size)))
    with contextlib.ExitStack() as modes:
        for model in models:
            modes.enter_context(batch_statistics(model, on=False))
        for part, truth in distributed.share(parts):
            inputs = to_float(part if isinstance(part, torch.Tensor) else part.decoded())
            with torch.autocast(images.device.type, dtype=dtype, enabled=dtype is not None, cache_enabled=False):
                right += torch.stack([(model(inputs).argmax(1) == truth).sum() for model in models])
    return [round(share * distributed.world_size()) / len(targets) for share in distributed.mean_(right).tolist()]


def diverged(what: str, recipe: "Recipe", step: int) -> Diverged:
    """The `Diverged` to raise where ``what`` (a loss, the weights) is no longer finite."""
    return Diverged(
        f"The {what} stopped being finite before step {step}; try a smaller lr (it is {recipe.lr}), "
        "precision='float32', or look for broken images. The last checkpoint, if any, is from before that.")


class Tally:
    """Sums over the steps since the last evaluation, kept on the device: steps, three losses, images judged, then
    per class: weight kept, of it with known truth, of that right."""

    def __init__(self, num_classes: int, device: torch.device | str) -> None:
        self.num_classes = num_classes
        self._sums = torch.zeros(5 + 3 * num_classes, device=device)

    @torch.no_grad()
    def add(self, loss: "Loss", truth: torch.Tensor | None) -> None:
        """Count a step's `Loss`; ``truth`` are the true classes of the unlabeled images, -1 where nobody knows."""
        judged = 0 if loss.mask is None else len(loss.mask)
        self._sums[:5] += torch.stack([torch.ones_like(loss.total), loss.total, loss.supervised, loss.unsupervised,
                                       torch.full_like(loss.total, judged)])
        if judged:
            classes = loss.pseudo_label if loss.pseudo_label.ndim == 1 else loss.pseudo_label.argmax(1)
            known = loss.mask * (truth >= 0)
            per_class = self._sums[5:].view(3, -1)
            added = torch.stack([loss.mask, known, known * (classes == truth)])
            per_class += torch.zeros_like(per_class).index_add_(1, classes, added)  # ones added to 2**24 in float32 are lost

    def clear(self) -> None:
        """Count from nothing again, in the same memory."""
        self._sums.zero_()

    def read(self, recipe: "Recipe", step: int) -> tuple[dict[str, Any], int]:
        """The sums as fields of `Metrics`, and the number of steps. The one place where the host waits.

        Raises:
            Diverged: a loss was not finite.
        """
        sums = distributed.mean_(self._sums)  # of the processes' shares
        (steps, *losses, judged), per_class = (part.tolist() for part in sums.tensor_split([5]))
        if not all(math.isfinite(value) for value in losses):
            raise diverged("loss", recipe, step)
        names = ("loss", "loss_supervised", "loss_unsupervised")
        return {name: value / steps for name, value in zip(names, losses)} | self._shares(per_class, judged), int(steps)

    def _shares(self, sums, judged):
        """Mask rate and pseudo-label accuracy; all None where nothing is judged."""
        if not judged:
            return dict.fromkeys(("mask_rate", "pseudo_label_accuracy", "mask_rate_per_class",
                                  "pseudo_label_accuracy_per_class"))
        classes = self.num_classes
        kept, known, right = (sums[k * classes:(k + 1) * classes] for k in range(3))
        share = lambda part, whole: part / whole if whole else None
        return {
            "mask_rate": sum(kept) / judged,
            "pseudo_label_accuracy": share(sum(right), sum(known)),
            "mask_rate_per_class": tuple(k / judged for k in kept),
            "pseudo_label_accuracy_per_class": tuple(share(r, k) for r, k in zip(right, known)),
        }
