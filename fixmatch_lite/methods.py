"""How one step's loss comes from a batch: FixMatch, and the labels alone.

A method names the ``views`` of the unlabeled images that it wants and turns a `Batch` into a `Loss`. It may use what
``run``, the `Training`, offers: ``forward`` and ``teacher`` (uint8 or scaled images to logits), ``strong`` (weakly changed
images to a strong view), ``progress`` (share of the steps done) and ``generator``. A method that does the same work on the
device in every step, whatever the progress, says so with ``steady``; such a step can be recorded (`captured`). FixMatch and
the policies that replace its threshold are `Consistency`; what works otherwise is in `comparators`. A method is a module:
what it remembers are buffers, what it learns are parameters.

Source: Sohn et al. 2020, Algorithm 1. Taught in: chapter 9.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from . import comparators
from .checks import check_callable, check_judged, check_knob
from .errors import FixMatchError
from .losses import Loss, semi_supervised_loss
from .policies import FixMatch, PseudoLabels
from .recipes import FORWARDS, Recipe

if TYPE_CHECKING:
    from .batches import Batch
    from .data import SemiSupervisedData
    from .training import Training


class Supervised(nn.Module):
    """The cross-entropy of the labeled images, and nothing else."""

    views: tuple[str, ...] = ()
    steady = True

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        supervised = F.cross_entropy(run.forward(batch.x), batch.y)
        return Loss(supervised, supervised, torch.zeros_like(supervised), None, None, None)


class Consistency(nn.Module):
    """The weak view says the target, the strong view learns it; a policy says which targets count.

    Args:
        policy: see `policies`. The logits that it judges carry no gradient, whatever ``forward`` is.
        lambda_u: weight of the unsupervised loss, at least 0.
        forward: "joint", one forward pass over labeled, weak and strong images, as in the original: batch norm sees
            all of them, and through its statistics the weak views get a gradient. "separate", a pass over the weak
            views without gradient, then one over the rest: about a third less work, and other statistics. "kept", the
            same, and the second pass takes only strong views that count: cheaper still while few do.

    Attributes ``policy``, ``lambda_u`` and ``way`` (the ``forward``) may be changed by a subclass as it trains.

    Raises:
        FixMatchError: ``forward`` is none of these, ``policy`` cannot be called, or ``lambda_u`` is below 0.
    """

    views: tuple[str, ...] = ("weak", "strong")

    def __init__(self, policy: Callable[..., PseudoLabels], lambda_u: float | torch.Tensor = 1.0, forward: str = "joint") -> None:
        super().__init__()
        check_callable("policy", policy, "policy(logits_u_weak, ids=, q_labeled=, y=), for instance fm.FixMatch(0.95)")
        check_knob("lambda_u", lambda_u)
        if forward not in FORWARDS:
            raise FixMatchError(f"There is no forward pass {forward!r}; use one of {', '.join(FORWARDS)}.")
        self.policy, self.lambda_u, self.way = policy, lambda_u, forward
        self.steady = forward != "kept"

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        """The step's `Loss`; ``run.forward`` takes uint8 images to float32 logits in training mode."""
        logits_x, logits_u_strong, pseudo, kept = self.predict(batch, run)
        return semi_supervised_loss(logits_x, batch.y, logits_u_strong, pseudo, self.lambda_u, kept)

    def predict(self, batch: "Batch", run: "Training") -> tuple[torch.Tensor, torch.Tensor, PseudoLabels, torch.Tensor | None]:
        """Logits of the labeled images and of the strong views, the pseudo-labels, and the positions of the views that
        the logits are of (None: all)."""
        (weak, strong), labeled = batch.u, len(batch.x)
        if self.way == "joint":
            logits = run.forward(torch.cat([batch.x, weak, strong]))
            logits_x, logits_u_weak, logits_u_strong = logits.split([labeled, len(weak), len(strong)])
            return logits_x, logits_u_strong, self._judge(logits_x, logits_u_weak, batch), None
        with torch.no_grad():
            logits_u_weak = run.forward(weak)
        if self.way == "separate":
            logits_x, logits_u_strong = run.forward(torch.cat([batch.x, strong])).tensor_split([labeled])
            return logits_x, logits_u_strong, self._judge(logits_x, logits_u_weak, batch), None
        pseudo = self._judge(None, logits_u_weak, batch)
        kept = pseudo.weight.nonzero().squeeze(1)  # how many, the host must know: here it waits for the device
        logits_x, logits_u_strong = run.forward(torch.cat([batch.x, strong[kept]])).tensor_split([labeled])
        return logits_x, logits_u_strong, pseudo, kept

    def _judge(self, logits_x, logits_u_weak, batch):
        q_labeled = None if logits_x is None else logits_x.detach().softmax(-1)
        pseudo = self.policy(logits_u_weak.detach(), ids=batch.ids, q_labeled=q_labeled, y=batch.y)
        return check_judged(pseudo, logits_u_weak.shape[-1])


def make_method(recipe: Recipe, data: "SemiSupervisedData") -> nn.Module:
    """The method that ``recipe.method`` names, for `SemiSupervisedData`."""
    if recipe.method == "supervised":
        return Supervised()
    if recipe.method == "fixmatch":
        from .comparators.alignment import aligned

        return Consistency(aligned(FixMatch(recipe.tau), recipe, data), recipe.lambda_u, recipe.forward)
    with torch.random.fork_rng(devices=[]):  # a head's layers draw from it before `models.draw_head` draws their weights
        return comparators.find(comparators.METHODS, recipe.method)(recipe, data, **recipe.options)
