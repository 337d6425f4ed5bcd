"""UDA: FixMatch with soft targets, and labels that step back once they are learned.

Taught in: chapter 8.
"""

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from .. import distributed
from ..checks import check_tau
from ..losses import Loss, semi_supervised_loss
from ..methods import Consistency
from ..policies import PseudoLabels
from .alignment import aligned

if TYPE_CHECKING:
    from ..batches import Batch
    from ..data import SemiSupervisedData
    from ..recipes import Recipe
    from ..training import Training

SIGNALS = {  # share of the way from 1 / classes to 1 at a share of the steps
    "none": lambda progress: 1.0,
    "linear": lambda progress: progress,
    "exp": lambda progress: math.exp(5 * (progress - 1)),
    "log": lambda progress: 1 - math.exp(-5 * progress),
}


class Sharpened(nn.Module):
    """weight = 1[max q > tau], where q is not sharpened; target = softmax(z / temperature).

    A port that thresholds the sharpened prediction keeps far more than ``tau`` says, and one that takes the softmax
    of probabilities does not sharpen at all; both are in use. Source: Xie et al. 2020, its training techniques. Taught
    in: chapter 8.
    """

    def __init__(self, tau: float | torch.Tensor, temperature: float) -> None:
        super().__init__()
        check_tau(tau)
        self.tau, self.temperature = tau, temperature

    def forward(self, logits_u_weak: torch.Tensor, *, ids: torch.Tensor | None = None, q_labeled: torch.Tensor | None = None,
                y: torch.Tensor | None = None) -> PseudoLabels:
        logits = logits_u_weak.detach().float()
        confidence = logits.softmax(-1).max(-1).values
        return PseudoLabels((confidence > self.tau).float(), (logits / self.temperature).softmax(-1), confidence)


class UDA(Consistency):
    """L = L_labeled + lambda_u * mean over all unlabeled of 1[max q > tau] KL(softmax(z / temperature) || p_strong).

    With training signal annealing, L_labeled is the mean cross-entropy of the labeled images whose true class has at
    most the probability eta = a (1 - 1 / classes) + 1 / classes, where a rises from 0 to 1 over the run. The paper's
    values for CIFAR-10 are tau = 0.8 and temperature = 0.4, and its annealing depends on the data; FixMatch's released
    code has tau = 0.95, no sharpening, ``>=``, and a rise that ends after 2^22 labeled images.

    Args:
        temperature: below 1 sharpens the targets.
        tsa: "none", "linear", "log" (soon all labels count) or "exp" (learned ones wait until near the end).

    Source: Xie et al. 2020, section 2, and its training techniques. Taught in: chapter 8.
    """

    alignable = True

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, temperature: float = 0.4, tsa: str = "none") -> None:
        policy = aligned(Sharpened(recipe.tau, temperature), recipe, data)
        super().__init__(policy, recipe.lambda_u, recipe.forward)
        self.tsa, self.num_classes = tsa, data.num_classes
        self.steady = self.steady and tsa == "none"

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        logits_x, logits_u_strong, pseudo, kept = self.predict(batch, run)
        loss = semi_supervised_loss(logits_x, batch.y, logits_u_strong, pseudo, self.lambda_u, kept)
        entropy = torch.special.entr(pseudo.target).sum(-1)  # what makes of a cross-entropy a divergence: a constant
        unsupervised = loss.unsupervised - (pseudo.weight * entropy).mean()
        supervised = self._annealed(logits_x, batch.y, run)
        return loss._replace(total=supervised + self.lambda_u * unsupervised, supervised=supervised,
                             unsupervised=unsupervised)

    def threshold(self, progress: float) -> float:
        """eta: the probability of the true class above which a labeled image is left out."""
        return SIGNALS[self.tsa](progress) * (1 - 1 / self.num_classes) + 1 / self.num_classes

    def _annealed(self, logits_x, y, run):
        each = F.cross_entropy(logits_x, y, reduction="none")
        if self.tsa == "none":
            return each.mean()
        counts = (torch.exp(-each.detach()) <= self.threshold(run.progress)).float()
        number = distributed.summed(counts.sum()).clamp(min=1) / distributed.world_size()  # a process's even share of it
        return (counts * each).sum() / number
