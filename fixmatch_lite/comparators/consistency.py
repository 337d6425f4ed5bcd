"""FixMatch's ancestors that ask two predictions for the same image to agree, or one prediction to be sure.

All three weigh the unsupervised loss with a linear ramp, from 0 to ``lambda_u`` over the first 40 % of the steps, as
FixMatch's released code does. There a labeled batch passes the net alone and only its statistics are remembered for
evaluation; here labeled and unlabeled images pass together, as FixMatch's do, so that a difference between methods
comes from their losses. Every image counts (weight 1) where there is no threshold.
Taught in: chapter 8.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..losses import Loss, semi_supervised_loss
from ..policies import FixMatch

if TYPE_CHECKING:
    from ..batches import Batch
    from ..data import SemiSupervisedData
    from ..recipes import Recipe
    from ..training import Training


def ramp(progress: float, length: float) -> float:
    """Rises linearly from 0 to 1 over the share ``length`` of the steps, then stays; 1 throughout for 0."""
    return min(1.0, progress / length) if length > 0 else 1.0


def agreement_loss(logits_x: torch.Tensor, y: torch.Tensor, logits_teacher: torch.Tensor, logits_student: torch.Tensor,
                   lambda_u: float) -> Loss:
    """Cross-entropy of the labels, plus lambda_u * mean over images and classes of (p_student - p_teacher)^2, where the
    teacher is a constant."""
    supervised = F.cross_entropy(logits_x, y)
    target = logits_teacher.detach().softmax(-1)
    unsupervised = (logits_student.softmax(-1) - target).square().mean()
    confidence = target.max(-1).values
    return Loss(supervised + lambda_u * unsupervised, supervised, unsupervised, torch.ones_like(confidence), target,
                confidence)


class PiModel(nn.Module):
    """Two weak views of an image, one net, and the squared distance between its two predictions.

    The first view's prediction is held fixed and only the second gets a gradient, as in FixMatch's released code; the
    paper's Algorithm 1 lets it flow through both, which in expectation is the same direction at twice the length, since
    the views may change places. ``forward="separate"`` predicts the first view in a pass of its own without gradient.

    Args:
        ramp: share of the steps over which the weight rises.

    Source: Laine and Aila 2017, section 2.1; Sajjadi et al. 2016. Taught in: chapter 8.
    """

    views = ("weak", "weak")
    forwards = ("joint", "separate")

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, ramp: float = 0.4) -> None:
        super().__init__()
        self.lambda_u, self.way, self.ramp = recipe.lambda_u, recipe.forward, ramp

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        first, second = batch.u
        if self.way == "joint":
            parts = [len(batch.x), len(first), len(second)]
            logits_x, teacher, student = run.forward(torch.cat([batch.x, first, second])).split(parts)
        else:
            with torch.no_grad():
                teacher = run.forward(first)
            logits_x, student = run.forward(torch.cat([batch.x, second])).tensor_split([len(batch.x)])
        return agreement_loss(logits_x, batch.y, teacher, student, self.lambda_u * ramp(run.progress, self.ramp))


class MeanTeacher(nn.Module):
    """The net learns what its own moving average says of another weak view.

    The teacher is the average before this step's update, and its batch norm takes the statistics of its own batch, as
    in FixMatch's released code. There is one forward pass of the net, whatever the recipe's ``forward`` could ask.

    Args:
        ramp: share of the steps over which the weight rises.

    Source: Tarvainen and Valpola 2017, section 2. Taught in: chapter 8.
    """

    views = ("weak", "weak")
    forwards = ("joint",)

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, ramp: float = 0.4) -> None:
        super().__init__()
        self.lambda_u, self.ramp = recipe.lambda_u, ramp

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        first, second = batch.u
        teacher = run.teacher(first, train=True)
        logits_x, student = run.forward(torch.cat([batch.x, second])).tensor_split([len(batch.x)])
        return agreement_loss(logits_x, batch.y, teacher, student, self.lambda_u * ramp(run.progress, self.ramp))


class PseudoLabel(nn.Module):
    """FixMatch without the strong view: where the net is sure of a weak view, it learns to be surer of that same view.

    weight = 1[max q >= tau], target = argmax q, and the mean runs over all images. The paper takes every image and
    relies on its ramp; the threshold is from FixMatch's released code, which asks for more than ``tau`` where this
    one, like FixMatch, asks for at least ``tau``.

    Args:
        ramp: share of the steps over which the weight rises.

    Source: Lee 2013, section 2. Taught in: chapter 8.
    """

    views = ("weak",)
    forwards = ("joint",)

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, ramp: float = 0.4) -> None:
        super().__init__()
        self.policy, self.lambda_u, self.ramp = FixMatch(recipe.tau), recipe.lambda_u, ramp

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        logits_x, logits_u = run.forward(torch.cat([batch.x, *batch.u])).tensor_split([len(batch.x)])
        lambda_u = self.lambda_u * ramp(run.progress, self.ramp)
        return semi_supervised_loss(logits_x, batch.y, logits_u, self.policy(logits_u), lambda_u)
