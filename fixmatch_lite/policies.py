"""Which pseudo-labels count, how much, and toward what.

A policy is called once a step with the weak view's predictions, which to it are constants, and answers with a weight
and a target for each unlabeled image. FixMatch needs nothing else; its successors keep statistics, for which the call
has ``ids`` (positions in the unlabeled set), ``q_labeled`` and ``y`` (probabilities of the labeled batch
``(B, classes)``, None with ``forward="kept"``, and its classes). A policy keeps what it remembers in buffers, so a
checkpoint holds it.
Taught in: chapter 9.
"""

from typing import NamedTuple

import torch
from torch import nn

from .checks import check_tau


class PseudoLabels(NamedTuple):
    """What a policy decides for a batch of ``n`` unlabeled images. The loss takes it as constants: no gradient flows through it."""

    weight: torch.Tensor      #: float32 ``(n,)``: how much each image counts, FixMatch's mask of zeros and ones.
    target: torch.Tensor      #: int64 ``(n,)`` or float32 ``(n, classes)``: classes, or probabilities.
    confidence: torch.Tensor  #: float32 ``(n,)``: the largest class probability of the weak view.


class FixMatch(nn.Module):
    """Keep the most likely class as a hard label where its probability reaches ``tau``.

    Source: Sohn et al. 2020, equation 4: weight = 1[max q >= tau], target = argmax q. Taught in: chapter 9.

    Args:
        tau: threshold on the confidence, from 0 to 2. The paper's value is 0.95; a value above 1 keeps nothing (a recipe's
            ``tau`` ends at 1).

    Raises:
        FixMatchError: ``tau`` is no such number.
    """

    def __init__(self, tau: float | torch.Tensor = 0.95) -> None:
        super().__init__()
        check_tau(tau)
        self.tau = tau

    def forward(self, logits_u_weak: torch.Tensor, *, ids: torch.Tensor | None = None,
                q_labeled: torch.Tensor | None = None,
                y: torch.Tensor | None = None) -> PseudoLabels:
        """Judge a batch.

        Args:
            logits_u_weak: ``(n, classes)`` outputs on the weak views, any floating dtype; taken to float32 first,
                since in bfloat16 a probability of 0.998 already reads 1.
            ids, q_labeled, y: not used by FixMatch.
        """
        q = torch.softmax(logits_u_weak.detach().float(), dim=-1)
        confidence, pseudo_label = q.max(dim=-1)
        return PseudoLabels((confidence >= self.tau).float(), pseudo_label, confidence)
