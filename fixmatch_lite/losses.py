"""The supervised and the unsupervised term of the FixMatch loss.

Source: Sohn et al. 2020, equations 3 and 4. Taught in: chapter 9.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from .checks import check_classes, check_each, check_judged, check_knob, check_logits
from .errors import FixMatchError
from .policies import FixMatch, PseudoLabels


class Loss(NamedTuple):
    """The loss of one step and what went into it; the first three are scalars that carry the gradient."""

    total: torch.Tensor         #: float32 scalar: supervised + lambda_u * unsupervised, and what a method has besides.
    supervised: torch.Tensor    #: float32 scalar: mean cross-entropy of the labeled batch.
    unsupervised: torch.Tensor  #: float32 scalar: weighted cross-entropy of the strong views, mean over ALL mu * B.
    mask: torch.Tensor | None   #: float32 ``(mu * B,)``: the policy's weights; ones in a method without; None without views.
    pseudo_label: torch.Tensor | None  #: as the target in `PseudoLabels`, one an image, whatever the number of its views.
    confidence: torch.Tensor | None    #: float32 ``(mu * B,)``: as in `PseudoLabels`.


def check_loss(loss: object, unlabeled: int) -> None:
    """Refuse what a method returns for a step if it is no `Loss`, or not for so many unlabeled images (0: no views)."""
    if not isinstance(loss, Loss):
        raise FixMatchError(f"A method's loss must be a losses.Loss; this is of the type {type(loss).__name__}.")
    for name in ("total", "supervised", "unsupervised"):
        check_each(f"The {name} of a Loss", getattr(loss, name))
    if not loss.total.requires_grad:
        raise FixMatchError("A loss without a gradient trains nothing: something must be left to learn, and training must not run in "
                            "torch.no_grad() or torch.inference_mode().")
    if loss.mask is not None:
        check_each("The mask of a Loss", loss.mask, unlabeled)
        if not isinstance(loss.pseudo_label, torch.Tensor) or len(loss.pseudo_label) != unlabeled:
            raise FixMatchError(f"A Loss with a mask must have a pseudo_label for each of {unlabeled} unlabeled images.")


def semi_supervised_loss(logits_x: torch.Tensor, y: torch.Tensor,
                         logits_u_strong: torch.Tensor, pseudo: PseudoLabels,
                         lambda_u: float | torch.Tensor = 1.0,
                         kept: torch.Tensor | None = None) -> Loss:
    """The loss for pseudo-labels of any policy.

    Args:
        logits_x: ``(B, classes)`` outputs on the labeled images.
        y: int64 ``(B,)`` labels.
        logits_u_strong: ``(mu * B, classes)`` outputs on the strong views.
        pseudo: what the policy decided; constants, through which no gradient flows.
        lambda_u: weight of the unsupervised term, at least 0.
        kept: int64 positions of the images that ``logits_u_strong`` holds, where it holds only those with a weight.

    Both terms are computed in float32. The unsupervised mean runs over all unlabeled images: an image that is not
    kept adds 0 to the sum and still counts in the number it is divided by.

    Raises:
        FixMatchError: logits, labels or pseudo-labels are not of these shapes and dtypes, or ``lambda_u`` is below 0.
    """
    pseudo = _checked(logits_x, y, logits_u_strong, pseudo, lambda_u, kept)  # all of it constants
    supervised = F.cross_entropy(logits_x.float(), y)
    weight, target = (pseudo.weight, pseudo.target) if kept is None else (pseudo.weight[kept], pseudo.target[kept])
    each = F.cross_entropy(logits_u_strong.float(), target, reduction="none")
    unsupervised = (weight * each).sum() / max(1, len(pseudo.weight))
    return Loss(supervised + lambda_u * unsupervised, supervised, unsupervised,
                pseudo.weight, pseudo.target, pseudo.confidence)


def _checked(logits_x, y, logits_u_strong, pseudo, lambda_u, kept):
    """The pseudo-labels as constants, where everything fits; shapes and dtypes alone are asked, for which no device waits."""
    classes = logits_x.shape[-1]
    check_logits(logits_x, len(logits_x), classes, "logits_x must be logits")
    check_classes(y, len(logits_x), " y")
    check_judged(pseudo, classes)
    check_logits(logits_u_strong, len(pseudo.weight if kept is None else kept), classes, "logits_u_strong must be logits")
    check_knob("lambda_u", lambda_u)
    return PseudoLabels(pseudo.weight.detach(), pseudo.target.detach(), pseudo.confidence.detach())


def fixmatch_loss(logits_x: torch.Tensor, y: torch.Tensor, logits_u_weak: torch.Tensor, logits_u_strong: torch.Tensor, *,
                  tau: float | torch.Tensor = 0.95, lambda_u: float | torch.Tensor = 1.0) -> Loss:
    """The FixMatch loss of one step, from logits.

    Args:
        logits_x: ``(B, classes)`` outputs on weak views of the labeled images.
        y: int64 ``(B,)`` labels.
        logits_u_weak, logits_u_strong: ``(mu * B, classes)`` outputs on two views of the same unlabeled images, in
            the same order. No gradient flows through the weak ones.
        tau: threshold, as in `FixMatch`; a confidence of exactly ``tau`` is kept.
        lambda_u: weight of the unsupervised term, at least 0.

    Raises:
        FixMatchError: logits or labels are not of these shapes and dtypes, or ``tau`` or ``lambda_u`` is not possible.

    Source: Sohn et al. 2020, equations 3 and 4, and Algorithm 1. Taught in: chapter 9.
    """
    check_logits(logits_u_weak, len(logits_u_strong), logits_x.shape[-1], "logits_u_weak must be logits")
    return semi_supervised_loss(logits_x, y, logits_u_strong, FixMatch(tau)(logits_u_weak), lambda_u)
