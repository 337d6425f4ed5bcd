"""How sure a net is of the unlabeled images, and how often it is right: a few histograms a run.

Taught in: chapters 5 and 10.
"""

from typing import TYPE_CHECKING, Any

import torch

from .augment import to_float
from .devices import apart
from .metrics import at_once
from .models import batch_statistics

if TYPE_CHECKING:
    from .training import Training

BINS = 100     # of equal width: 0.95 and 0.99 are borders
MOMENTS = 10   # a run
AT_MOST = 10_000  # images judged each time: the first so many of the unlabeled set in a fixed random order


def is_moment(step: int, before: int, steps: int) -> bool:
    """Whether a run of ``steps`` passes one of its `MOMENTS` between the evaluations at ``before`` and ``step``."""
    return step * MOMENTS // steps > before * MOMENTS // steps


@torch.no_grad()
def histogram(training: "Training") -> dict[str, Any] | None:
    """What the net being trained says, in evaluation mode, of unlabeled images as they are, without augmentation.

    Returns:
        A dictionary: ``step``; ``right`` and ``wrong``, `BINS` numbers of images by confidence, from 0 to 1;
        ``predicted`` and ``predicted_right``, numbers of images by predicted class. None where the images stay on the
        disk or nobody knows their classes.
    """
    data, model = training.data, training.model
    if not isinstance(data.u, torch.Tensor) or not (data.u_true >= 0).any():
        return None
    known = (data.u_true >= 0).nonzero().squeeze(1).cpu()
    chosen = known[torch.randperm(len(known), generator=torch.Generator().manual_seed(0))[:AT_MOST]]
    counts = torch.zeros(2, BINS + data.num_classes)
    with batch_statistics(model, on=False), apart(training.device):
        for ids in chosen.to(data.u.device).split(at_once(data.u)):
            with torch.autocast(training.device.type, dtype=training.dtype, enabled=training.dtype is not None):
                logits = model(to_float(data.u[ids]))
            confidence, classes = logits.float().softmax(-1).max(-1)
            bins = (confidence * BINS).long().clamp(max=BINS - 1)
            right = (classes == data.u_true[ids]).long()
            where = torch.stack([bins, BINS + classes])
            flat = (right * counts.shape[1] + where).flatten().cpu()
            counts += torch.bincount(flat, minlength=counts.numel()).view_as(counts)
    wrong, right = counts.long()
    return {"step": training.step, "right": right[:BINS].tolist(), "wrong": wrong[:BINS].tolist(),
            "predicted": (right + wrong)[BINS:].tolist(), "predicted_right": right[BINS:].tolist()}

