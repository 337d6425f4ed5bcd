"""MixMatch and ReMixMatch: guessed labels, sharpened, and images blended with one another.

The released code passes the images in pieces, and interleaves labeled and unlabeled ones so that batch norm meets the
same mixture in each piece. Here all mixed images pass at once, so neither method needs that. As in the released code,
the passes in which labels are guessed leave no trace in the running statistics, which are those of the mixed images.
Taught in: chapter 8.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..augment import to_float
from ..losses import Loss
from ..models import batch_statistics, draw_head, features_of
from .alignment import DistributionAlignment
from .consistency import ramp

if TYPE_CHECKING:
    from ..batches import Batch
    from ..data import SemiSupervisedData
    from ..recipes import Recipe
    from ..training import Training

RAMP_STEPS = 2**14  # the released code's 1,024 times 1,024 images in batches of 64


def ramp_share(recipe: "Recipe", wanted: float | None = None) -> float:
    """The share of the steps over which the weight rises: ``wanted``, else the paper's 16,384 steps (1/64 of its 2^20),
    but at most 40 % of a short run, as in FixMatch's other ancestors. A sixty-fourth of a thousand steps would trust
    guesses before the labels have taught anything."""
    return min(0.4, RAMP_STEPS / recipe.steps) if wanted is None else wanted


def sharpen(q: torch.Tensor, temperature: float) -> torch.Tensor:
    """q^(1 / temperature), normalized; below 1 the likely classes become likelier."""
    if temperature < 0.25:  # or all powers could be rounded to 0
        q = q / q.amax(-1, keepdim=True)
    powered = q.pow(1 / temperature)
    return powered / powered.sum(-1, keepdim=True)


def mixup(images: torch.Tensor, targets: torch.Tensor, alpha: float,
          generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend every image, and its target, with another one of the batch.

    x' = s x + (1 - s) x[other], likewise the targets, with s = max(b, 1 - b) and b ~ Beta(alpha, alpha) drawn for each
    image, so that an image stays nearer to itself than to the other. Of several processes each blends its own share.

    Args:
        images: float ``(n, C, H, W)``.
        targets: float ``(n, classes)``.
        alpha: small values blend little.
        generator: source of b and of the order of the others.

    Source: Berthelot et al. 2019, section 3.3. Taught in: chapter 8.
    """
    n, place = len(images), generator.device
    # Beta is a Dirichlet of two. torch.distributions draws it with this same function, and takes no generator.
    b = torch._sample_dirichlet(torch.full((n, 2), float(alpha), device=place), generator=generator)[:, 0]
    share = torch.maximum(b, 1 - b).to(images.device)
    other = torch.randperm(n, generator=generator, device=place).to(images.device)
    blend = lambda values, s: s * values + (1 - s) * values[other]
    return blend(images, share.view(-1, 1, 1, 1)), blend(targets, share.view(-1, 1))


def _unremembered(run, images, **wanted):
    """A forward pass in training mode that leaves batch norm's running statistics alone."""
    with batch_statistics(run.model):
        return run.forward(images, **wanted)


def _mixed(labeled, batch, target, alpha, run):
    """Logits and targets of all images, the ``labeled`` ones first, mixed; and how many are labeled."""
    images = torch.cat([to_float(part) for part in (labeled, *batch.u)])
    targets = torch.cat([F.one_hot(batch.y, target.shape[1]).float(), *[target] * len(batch.u)])
    images, targets = mixup(images, targets, alpha, run.generator)
    return run.forward(images), targets, len(labeled)


class MixMatch(nn.Module):
    """Guess from several weak views, sharpen, mix everything with everything, and ask for the mixed targets.

    target = sharpen(mean over the views of q, T); then MixUp over the labeled images and all views together. L =
    cross-entropy of the mixed labeled images + lambda_u * mean over images and classes of (p - target)^2 of the mixed
    unlabeled ones. No gradient flows through a guess. Its views pass together; in the released code each by itself.

    Args:
        temperature: of the sharpening.
        alpha: of the Beta distribution.
        views: weak views of an image.
        ramp: share of the steps over which the weight rises linearly from 0 to ``lambda_u``; None: see `ramp_share`.

    Source: Berthelot et al. 2019, section 3, with the values for CIFAR-10 of section 4 (the released code's default
    for alpha is 0.5, its lambda_u 100). Taught in: chapter 8.
    """

    forwards = ("joint",)

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, temperature: float = 0.5, alpha: float = 0.75,
                 views: int = 2, ramp: float | None = None) -> None:
        super().__init__()
        self.views = ("weak",) * views
        self.temperature, self.alpha, self.lambda_u = temperature, alpha, recipe.lambda_u
        self.ramp = ramp_share(recipe, ramp)

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        target = self.guess(batch, run)
        logits, targets, labeled = _mixed(batch.x, batch, target, self.alpha, run)
        supervised = F.cross_entropy(logits[:labeled], targets[:labeled])
        unsupervised = (logits[labeled:].softmax(-1) - targets[labeled:]).square().mean()
        confidence = target.max(-1).values
        return Loss(supervised + self.lambda_u * ramp(run.progress, self.ramp) * unsupervised, supervised, unsupervised,
                    torch.ones_like(confidence), target, confidence)

    @torch.no_grad()
    def guess(self, batch: "Batch", run: "Training") -> torch.Tensor:
        """The targets of the unlabeled images, float32 ``(mu * B, classes)``."""
        q = _unremembered(run, torch.cat(batch.u)).softmax(-1).chunk(len(batch.u))
        return sharpen(torch.stack(q).mean(0), self.temperature)


class ReMixMatch(nn.Module):
    """MixMatch with aligned guesses from the weak view alone, strong views everywhere else, and a rotation to predict.

    The labeled images are strongly changed, too. target = sharpen(aligned q of the weak view, T), for that view and all
    strong ones; MixUp over them and the labeled images. L = H(mixed labeled) + lambda_u * r * H(mixed unlabeled) + lambda_1 * r * H(target, first strong view, not
    mixed) + lambda_r * H(angle, first strong view, rotated), H the mean cross-entropy and r the ramp. A linear layer on
    the net's features names the angle; an image that is not square is turned by 0 or 180 degrees only. The loss's
    ``unsupervised`` is the mixed term; the strong view is the recipe's (the paper's is CTAugment, without a `Cutout`
    after it: ``cutout=0``).

    Args:
        temperature, alpha, ramp: as in `MixMatch`.
        views: strong views of an image; the paper's 8 are worth their time with few unlabeled images a step.
        lambda_1, lambda_r: weights of the two last terms.

    Source: Berthelot et al. 2020, section 3 and Algorithm 1, and the released code. Taught in: chapter 8.
    """

    forwards = ("joint",)
    alignable = True
    asks_features = True

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, temperature: float = 0.5, alpha: float = 0.75,
                 views: int = 2, ramp: float | None = None, lambda_1: float = 0.5, lambda_r: float = 0.5) -> None:
        super().__init__()
        self.views = ("weak",) + ("strong",) * views
        self.temperature, self.alpha, self.lambda_u = temperature, alpha, recipe.lambda_u
        self.ramp = ramp_share(recipe, ramp)
        self.lambda_1, self.lambda_r = lambda_1, lambda_r
        self.align = None if recipe.alignment is False else DistributionAlignment(data.num_classes)
        square = data.x.shape[2] == data.x.shape[3]
        self.turns = (0, 1, 2, 3) if square else (0, 2)  # quarters of a circle
        self.head = nn.Linear(features_of(recipe), len(self.turns))
        draw_head(self.head, recipe.seed)

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        target, strong = self.guess(batch, run), batch.u[1]
        logits, targets, labeled = _mixed(run.strong(batch.x), batch, target, self.alpha, run)
        supervised = F.cross_entropy(logits[:labeled], targets[:labeled])
        unsupervised = F.cross_entropy(logits[labeled:], targets[labeled:])
        turned, turn = self.turn(strong, run.generator)
        before = F.cross_entropy(_unremembered(run, strong), target)
        rotation = F.cross_entropy(self.head(_unremembered(run, turned, with_features=True)[1]), turn)
        r, confidence = ramp(run.progress, self.ramp), target.max(-1).values
        total = supervised + r * (self.lambda_u * unsupervised + self.lambda_1 * before) + self.lambda_r * rotation
        return Loss(total, supervised, unsupervised, torch.ones_like(confidence), target, confidence)

    @torch.no_grad()
    def guess(self, batch: "Batch", run: "Training") -> torch.Tensor:
        """The targets of the unlabeled images, float32 ``(mu * B, classes)``."""
        logits = _unremembered(run, batch.u[0])
        q = logits.softmax(-1) if self.align is None else self.align(logits, batch.y).exp()
        return sharpen(q, self.temperature)

    def turn(self, images: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Each image turned by an angle of its own, and the angles as positions in ``turns``, int64 ``(n,)``."""
        n, place = len(images), generator.device
        turn = torch.randint(len(self.turns), (n,), generator=generator, device=place).to(images.device)
        every = torch.stack([torch.rot90(images, quarters, (2, 3)) for quarters in self.turns])
        return every[turn, torch.arange(n, device=images.device)], turn
