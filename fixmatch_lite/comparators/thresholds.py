"""FixMatch's successors: the threshold follows the class or the run, or gives way to a weight.

Each is a policy for `Consistency` and the method around it. Moving averages of statistics forget at the recipe's
``ema_decay`` unless told otherwise: both rates are 0.999 in the papers, and both belong to the length of the run. They
run over the shares of all processes.
Taught in: chapter 14.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from .. import distributed
from ..checks import check_tau
from ..losses import Loss, semi_supervised_loss
from ..methods import Consistency
from ..policies import PseudoLabels
from .alignment import TINY

if TYPE_CHECKING:
    from ..batches import Batch
    from ..data import SemiSupervisedData
    from ..recipes import Recipe
    from ..training import Training


class CurriculumThresholds(nn.Module):
    """A class that is learned well gets a threshold near ``tau``, and one that lags behind gets a lower one.

    weight = 1[c >= tau * beta_k / (2 - beta_k)] with c = max q, k = argmax q, where beta_k = sigma_k / max(max sigma,
    number of images not yet sure) and sigma_k counts the images that were last seen with c >= tau under class k. A
    batch is judged by the counts from before it; where it holds an image twice, the last sure view is remembered. At
    the start nothing is counted, all thresholds are 0 and everything is kept, as in the authors' code.

    Args:
        tau: the highest threshold.
        num_classes, size: how many classes, and how many unlabeled images.
        warm_up: without it, beta_k = sigma_k / max sigma.

    Source: Zhang et al. 2021, section 3. The counts follow each batch on the device, where the authors' code counts
    the whole set on the host every step. Taught in: chapter 14.
    """

    def __init__(self, tau: float | torch.Tensor, num_classes: int, size: int, warm_up: bool = True) -> None:
        super().__init__()
        check_tau(tau)
        self.tau, self.warm_up = tau, warm_up
        self.register_buffer("guessed", torch.full((size,), -1))  # each image's last sure class
        counts = torch.zeros(num_classes + 1, dtype=torch.int64)
        counts[0] = size
        self.register_buffer("counts", counts)  # of guessed: first the images without, then sigma

    def thresholds(self) -> torch.Tensor:
        """The present threshold of each class, float32 ``(classes,)``."""
        sigma = self.counts[1:]
        beta = sigma / (self.counts.max() if self.warm_up else sigma.max().clamp(min=1))
        return self.tau * beta / (2 - beta)

    def forward(self, logits_u_weak: torch.Tensor, *, ids: torch.Tensor | None = None, q_labeled: torch.Tensor | None = None,
                y: torch.Tensor | None = None) -> PseudoLabels:
        confidence, pseudo_label = logits_u_weak.detach().float().softmax(-1).max(-1)
        weight = (confidence >= self.thresholds()[pseudo_label]).float()
        self._remember(*map(distributed.gathered, (ids, pseudo_label, (confidence >= self.tau).long())))
        return PseudoLabels(weight, pseudo_label, confidence)

    def _remember(self, ids, pseudo_label, sure):
        sure = sure.bool()
        again = ((ids[:, None] == ids) & sure).triu(1).any(1)  # the same image is sure once more, later in the batch
        last, before = sure & ~again, self.guessed[ids]
        self.guessed.index_add_(0, ids, torch.where(last, pseudo_label - before, 0))
        self.counts.index_add_(0, before + 1, -last.long()).index_add_(0, pseudo_label + 1, last.long())


class FlexMatch(Consistency):
    """FixMatch with `CurriculumThresholds`.

    Args:
        warm_up: see there.

    Source: Zhang et al. 2021. Taught in: chapter 14.
    """

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, warm_up: bool = True) -> None:
        policy = CurriculumThresholds(recipe.tau, data.num_classes, len(data.u), warm_up)
        super().__init__(policy, recipe.lambda_u, recipe.forward)


class SelfAdaptiveThresholds(nn.Module):
    """The threshold is the net's own mean confidence, lower for classes that it rarely predicts.

    weight = 1[c >= tau_t * p_k / max p], with moving averages over the batches: tau_t of mean c, p of mean q, and h of
    the shares of argmax q. They start from 1 / classes and take in a batch before it is judged.

    Args:
        num_classes: how many.
        decay: of the averages.
        clip: an upper limit for tau_t (0.95 for SVHN); None sets none.

    Source: Wang et al. 2023, section 4.1. Taught in: chapter 14.
    """

    def __init__(self, num_classes: int, decay: float = 0.999, clip: float | None = None) -> None:
        super().__init__()
        self.decay, self.clip = decay, clip
        self.register_buffer("tau", torch.tensor(1 / num_classes))
        self.register_buffer("p", torch.full((num_classes,), 1 / num_classes))
        self.register_buffer("h", torch.full((num_classes,), 1 / num_classes))

    def forward(self, logits_u_weak: torch.Tensor, *, ids: torch.Tensor | None = None, q_labeled: torch.Tensor | None = None,
                y: torch.Tensor | None = None) -> PseudoLabels:
        q = logits_u_weak.detach().float().softmax(-1)
        confidence, pseudo_label = q.max(-1)
        predicted = F.one_hot(pseudo_label, len(self.h)).float()
        for average, of_each in ((self.tau, confidence), (self.p, q), (self.h, predicted)):
            average.lerp_(distributed.mean_(of_each.mean(0)), 1 - self.decay)
        if self.clip is not None:
            self.tau.clamp_(max=self.clip)
        threshold = self.tau * self.p / self.p.max()
        return PseudoLabels((confidence >= threshold[pseudo_label]).float(), pseudo_label, confidence)


def fairness(logits_u_strong: torch.Tensor, weight: torch.Tensor, p: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """sum over classes of a log b, with a = normalize(p / h) and b the same for those of this batch's strong views that count:
    their mean prediction divided by the shares of their argmax.

    A class that is nobody's argmax gets 0, as in the authors' code; where nothing counts, so does the whole term.
    Source: Wang et al. 2023, section 4.2. Taught in: chapter 14.
    """
    prediction, number = logits_u_strong.float().softmax(-1), distributed.summed(weight.sum())
    share = weight / number.clamp(min=1)
    mean = distributed.summed(share @ prediction)
    histogram = distributed.summed(share @ F.one_hot(prediction.argmax(-1), len(p)).float())
    a, b = (_normalized(part, whole) for part, whole in ((p, h), (mean, histogram)))
    return torch.where(number > 0, (a * torch.log(b + 1e-12)).sum(), 0.0)


def _normalized(part, whole):
    ratio = torch.where(whole > 0, part / whole.clamp(min=1e-12), 0.0)
    return ratio / ratio.sum().clamp(min=1e-12)


class FreeMatch(Consistency):
    """FixMatch with `SelfAdaptiveThresholds`, and lambda_f * `fairness` added to the loss.

    The recipe's ``tau`` is not used. The loss's ``unsupervised`` is the consistency term alone.

    Args:
        lambda_f: weight of the fairness term: 0.001 in the authors' USB configurations, 0.01 in those of TorchSSL.
        decay, clip: see `SelfAdaptiveThresholds`; decay None takes the recipe's ``ema_decay``.

    Source: Wang et al. 2023. Taught in: chapter 14.
    """

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, lambda_f: float = 0.001, decay: float | None = None,
                 clip: float | None = None) -> None:
        decay = recipe.ema_decay if decay is None else decay
        super().__init__(SelfAdaptiveThresholds(data.num_classes, decay, clip), recipe.lambda_u, recipe.forward)
        self.lambda_f = lambda_f

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        logits_x, logits_u_strong, pseudo, kept = self.predict(batch, run)
        loss = semi_supervised_loss(logits_x, batch.y, logits_u_strong, pseudo, self.lambda_u, kept)
        weight = pseudo.weight if kept is None else pseudo.weight[kept]
        extra = fairness(logits_u_strong, weight, self.policy.p, self.policy.h)
        return loss._replace(total=loss.total + self.lambda_f * extra)


class TruncatedGaussian(nn.Module):
    """No threshold: the weight falls with the distance below the mean confidence.

    weight = exp(-min(c - m, 0)^2 / (2 s^2 / 4)), m and s^2 moving averages of the batches' mean and unbiased variance
    of c, from 1 / classes and 1 on. c is the largest entry of the uniformly aligned prediction, normalize(q / p_model)
    with p_model the moving average of mean q, from the first batch's on; the target is argmax q, not aligned. All averages
    take in a batch before it is judged.

    Args:
        num_classes: how many.
        decay: of the averages.
        align: without it, c = max q.

    Source: Chen et al. 2023, section 3; the 4 (two standard deviations) is the authors' code's. Taught in: chapter 14.
    """

    def __init__(self, num_classes: int, decay: float = 0.999, align: bool = True) -> None:
        super().__init__()
        self.decay, self.align = decay, align
        self.register_buffer("mean", torch.tensor(1 / num_classes))
        self.register_buffer("variance", torch.tensor(1.0))
        if align:
            self.register_buffer("p_model", torch.zeros(num_classes))  # zeros: no batch yet

    def forward(self, logits_u_weak: torch.Tensor, *, ids: torch.Tensor | None = None, q_labeled: torch.Tensor | None = None,
                y: torch.Tensor | None = None) -> PseudoLabels:
        q = logits_u_weak.detach().float().softmax(-1)
        confidence, pseudo_label = q.max(-1)
        c = self._aligned(q).max(-1).values if self.align else confidence
        every = distributed.gathered(c)
        self.mean.lerp_(every.mean(), 1 - self.decay)
        self.variance.lerp_(every.var(correction=min(1, len(every) - 1)), 1 - self.decay)
        spread = self.variance.clamp(min=1e-12)  # where all are sure for long, it may end at 0
        weight = torch.exp(-(c - self.mean).clamp(max=0).square() / (spread / 2))
        return PseudoLabels(weight, pseudo_label, confidence)

    def _aligned(self, q):
        mean = distributed.mean_(q.mean(0))
        self.p_model.copy_(torch.where(self.p_model.sum() > 0, torch.lerp(self.p_model, mean, 1 - self.decay), mean))
        ratio = q * (1 / len(mean) + TINY) / (self.p_model + TINY)
        return ratio / ratio.sum(-1, keepdim=True)


class SoftMatch(Consistency):
    """FixMatch with the weights of `TruncatedGaussian`; the recipe's ``tau`` is not used.

    ``alignment=False`` in the recipe leaves out the uniform alignment. A weight is hardly ever exactly 0, so
    ``forward="kept"`` saves next to nothing.

    Args:
        decay: of the averages; None takes the recipe's ``ema_decay``.

    Source: Chen et al. 2023. Taught in: chapter 14.
    """

    alignable = True

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, decay: float | None = None) -> None:
        decay = recipe.ema_decay if decay is None else decay
        policy = TruncatedGaussian(data.num_classes, decay, align=recipe.alignment is not False)
        super().__init__(policy, recipe.lambda_u, recipe.forward)
