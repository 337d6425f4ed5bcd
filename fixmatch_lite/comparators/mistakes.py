"""Mistakes that are easy to make and hard to see: FixMatch with one thing wrong, so that its price can be measured.

They exist to be compared with, not to be used. A mistake that is only a wrong value needs no code: runs/WANTED.toml
has the recipes of all eleven. Taught in: chapter 11.
"""

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from ..augment import RandAugment, apply_each
from ..errors import FixMatchError
from ..losses import Loss
from ..methods import Consistency
from ..policies import FixMatch
from ..run_files import ends, list_runs

if TYPE_CHECKING:
    from ..batches import Batch
    from ..data import SemiSupervisedData
    from ..metrics import Metrics
    from ..recipes import Recipe
    from ..training import Training

RIGHT = ("digits-grid-tau0.95-mu7-", "digits-crossed-40-fixmatch-")
# Each by the name of its recorded runs, ``digits-mistake-<name>-seed0`` and so on.
MISTAKES = {
    "weak_only": "no strong view: the second view is weak as well",
    "one_draw": "one draw of operations for the whole batch",
    "flip": "mirrored pictures whose class a mirror changes",
    "leak": "a soft pseudo-label, and the gradient flows through it",
    "kept_mean": "the mean runs over the kept pictures only",
    "apart": "labeled, weak and strong views normalized apart",
    "frozen": "the net left in evaluation mode from step 20 on",
    "dead_net": "a norm and an activation that lead nowhere",
    "slow_average": "the moving average of a million steps: decay 0.999",
    "slow_statistics": "running statistics of a million steps: momentum 0.001",
    "no_decay": "no weight decay",
}


class End(NamedTuple):
    """Where a run ended: medians of the last 20 evaluations."""

    average: float  #: the moving average's test accuracy.
    net: float      #: the net's own.


def end_of(metrics: Sequence["Metrics"]) -> End:
    """The `End` of a whole run's `Metrics`."""
    return End(*(statistics.median(getattr(m, tested) for m in metrics[-20:]) for tested in ("test_accuracy", "test_accuracy_raw")))


def ended(mistake: str | None = None) -> dict[tuple[int, int], End]:
    """Where the runs with a mistake ended: the recorded runs, and further ones of which only the end was kept
    (benchmarks/mistakes.py). Runs that broke off are left out.

    Args:
        mistake: one of `MISTAKES`; None for the right recipe.

    Returns:
        ``{(label_seed, seed): End}``. Wrong and right runs of the same key are twins, with the same labels, first weights and order.

    Raises:
        FixMatchError: there is no such mistake.
    """
    if mistake is not None and mistake not in MISTAKES:
        raise FixMatchError(f"There is no mistake {mistake!r}; use one of {', '.join(MISTAKES)}.")
    prefixes = [f"digits-mistake-{mistake}-"] if mistake else RIGHT
    runs = [run for prefix in prefixes for run in list_runs(prefix=prefix) if run.done]
    found = {(run.recipe.label_seed, run.recipe.seed): end_of(run.metrics) for run in runs}
    if mistake:
        found |= {(int(row["label_seed"]), int(row["seed"])): End(float(row["average"]), float(row["net"]))
                  for row in ends("mistakes") if row["mistake"] == mistake}
    return found


class Mistaken(Consistency):
    """FixMatch with one of four mistakes.

    Args:
        mistake: "leak", the target is the weak view's probabilities and the gradient flows through them (trap: no
            stop-gradient); "kept_mean", the unsupervised mean runs over the kept images instead of all; "apart",
            labeled, weak and strong images pass the net one after another, so that each part is normalized by its own
            statistics; "frozen", after the first evaluation the net stays in evaluation mode.

    Source of what is right: Sohn et al. 2020, Algorithm 1 and the released code. Taught in: chapter 11.
    """

    forwards = ("joint",)

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, mistake: str = "leak") -> None:
        super().__init__(FixMatch(recipe.tau), recipe.lambda_u)
        self.mistake, self.steady = mistake, mistake != "frozen"

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        if self.mistake == "frozen" and run.step >= run.recipe.eval_every:
            run.model.eval()
        parts = [batch.x, *batch.u]
        if self.mistake == "apart":
            logits_x, logits_weak, logits_strong = (run.forward(part) for part in parts)
        else:
            logits_x, logits_weak, logits_strong = run.forward(torch.cat(parts)).split([len(part) for part in parts])
        pseudo = self.policy(logits_weak)
        target = logits_weak.softmax(-1) if self.mistake == "leak" else pseudo.target
        each = pseudo.weight * F.cross_entropy(logits_strong, target, reduction="none")
        count = pseudo.weight.sum().clamp(min=1) if self.mistake == "kept_mean" else len(each)
        supervised, unsupervised = F.cross_entropy(logits_x, batch.y), each.sum() / count
        return Loss(supervised + self.lambda_u * unsupervised, supervised, unsupervised, *pseudo)


class OneDraw(RandAugment):
    """RandAugment with one draw for a whole batch: every image gets the same operations at the same strength.

    Many ports to the GPU do so, since it is the easy way. Source of what is right: Cubuk et al. 2020. Taught in:
    chapter 11.
    """

    def __init__(self, recipe: "Recipe") -> None:
        super().__init__(probability=recipe.probability, fill=recipe.fill, operations=recipe.operations)

    def __call__(self, images: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
        for _ in range(self.num_ops):
            chosen, magnitude = self.draw(1, images.shape[-2:], generator=generator, device=images.device)
            images = apply_each(images, self.operations, chosen.expand(len(images)), magnitude.expand(len(images)),
                                fill=self.fill)
        return images
