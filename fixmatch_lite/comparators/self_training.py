"""Self-training with a net: the oldest way to use unlabeled images, in rounds.

Taught in: chapters 4 and 5.
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..errors import FixMatchError
from ..losses import Loss, semi_supervised_loss
from ..metrics import at_once
from ..policies import PseudoLabels

if TYPE_CHECKING:
    from ..batches import Batch
    from ..data import SemiSupervisedData
    from ..recipes import Recipe
    from ..training import Training


class SelfTraining(nn.Module):
    """Train on the labels; label the whole unlabeled set at once, keep what is sure; train on both; again.

    The steps are cut into ``rounds`` equal parts. The first has no pseudo-labels. At the start of each other part the
    moving average judges every unlabeled image as it is, without augmentation, and weight = 1[max q >= tau], target =
    argmax q stay as they are until the next part, right or wrong: that is what sets self-training apart from
    Pseudo-Label and FixMatch, which ask anew at every step. The net goes on from where it is, where the classical loop
    (see `self_training`) starts afresh in every round; so all methods have equal budgets. The mean runs over all images,
    kept or not.

    Args:
        rounds: how many parts.

    Source: Yarowsky 1995; the loop of chapter 4. Taught in: chapter 5.
    """

    views = ("weak",)
    forwards = ("joint",)

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, rounds: int = 5) -> None:
        super().__init__()
        if not isinstance(data.u, torch.Tensor):
            raise FixMatchError("self_training labels all unlabeled images at once, but these stay on the disk; use "
                                "another method, for instance pseudo_label.")
        self.tau, self.lambda_u, self.rounds = recipe.tau, recipe.lambda_u, rounds
        for name, like in (("weight", 0.0), ("target", 0), ("confidence", 0.0)):
            self.register_buffer(name, torch.full((len(data.u),), like))

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        now, before = (step * self.rounds // run.recipe.steps for step in (run.step, run.step - 1))
        if now > max(before, 0):
            self._label_all(run)
        logits_x, logits_u = run.forward(torch.cat([batch.x, *batch.u])).tensor_split([len(batch.x)])
        pseudo = PseudoLabels(self.weight[batch.ids], self.target[batch.ids], self.confidence[batch.ids])
        return semi_supervised_loss(logits_x, batch.y, logits_u, pseudo, self.lambda_u)

    def _label_all(self, run):
        logits = torch.cat([run.teacher(part) for part in run.data.u.split(at_once(run.data.u))])
        self.confidence, self.target = logits.softmax(-1).max(-1)
        self.weight = (self.confidence >= self.tau).float()
