"""Distribution alignment: predictions on unlabeled images are pulled toward the class shares of the labeled ones.

Source: Berthelot et al. 2020 (ReMixMatch), section 3.1. Taught in: chapter 12.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from .. import distributed
from ..policies import PseudoLabels

if TYPE_CHECKING:
    from ..data import SemiSupervisedData
    from ..recipes import Recipe

TINY = 1e-6  # of the released code, in numerator and denominator


class DistributionAlignment(nn.Module):
    """q~ = normalize(q * p_data / p_model).

    ``p_model`` is the mean of the last 128 batches' mean predictions, ``p_data`` a moving average (0.999) of the
    labeled batches' class shares; both start uniform, and a batch is judged by what was known before it, as in the
    released code. Where the labeled set is balanced, ``p_data`` stays next to uniform.

    Args:
        num_classes: how many.
        batches, decay: the two memories.

    Source: Berthelot et al. 2020, section 3.1. Taught in: chapter 12.
    """

    def __init__(self, num_classes: int, batches: int = 128, decay: float = 0.999) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("p_model", torch.full((batches, num_classes), 1 / num_classes))
        self.register_buffer("p_data", torch.full((num_classes,), 1 / num_classes))
        self.register_buffer("position", torch.zeros(1, dtype=torch.int64))

    @torch.no_grad()
    def forward(self, logits_u_weak: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Logits ``(n, classes)`` and the labeled batch's classes ``(B,)`` to log q~, float32 ``(n, classes)``."""
        log_q = F.log_softmax(logits_u_weak.float(), dim=-1)
        aligned = F.log_softmax(log_q + torch.log((TINY + self.p_data) / (TINY + self.p_model.mean(0))), dim=-1)
        classes = self.p_model.shape[1]
        self.p_data.lerp_(distributed.mean_(F.one_hot(y, classes).float().mean(0)), 1 - self.decay)
        self.p_model.index_copy_(0, self.position, distributed.mean_(log_q.exp().mean(0, keepdim=True)))
        self.position.add_(1).remainder_(len(self.p_model))
        return aligned


class Aligned(nn.Module):
    """A policy that judges aligned predictions: alignment first, then threshold, sharpening or argmax, so that all
    that the inner policy says, its confidence included, is about q~.

    Source: Sohn et al. 2020, section 4 (FixMatch with alignment on CIFAR-100). Taught in: chapter 12.
    """

    def __init__(self, policy: Callable[..., PseudoLabels], num_classes: int) -> None:
        super().__init__()
        self.policy, self.align = policy, DistributionAlignment(num_classes)

    def forward(self, logits_u_weak: torch.Tensor, *, ids: torch.Tensor | None = None, q_labeled: torch.Tensor | None = None,
                y: torch.Tensor | None = None) -> PseudoLabels:
        return self.policy(self.align(logits_u_weak, y), ids=ids, q_labeled=q_labeled, y=y)


def aligned(policy: Callable[..., PseudoLabels], recipe: "Recipe", data: "SemiSupervisedData") -> Callable[..., PseudoLabels]:
    """``policy``, inside `Aligned` where the recipe asks for it."""
    return Aligned(policy, data.num_classes) if recipe.alignment else policy
