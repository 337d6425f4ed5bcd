"""SimCLR: a net that learns to find a picture's other view among all others, and needs no label for it. Taught in:
chapter 18."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from .. import distributed
from ..augment import to_float
from ..losses import Loss
from ..models import draw_head, features_of

if TYPE_CHECKING:
    import numpy

    from ..batches import Batch
    from ..data import SemiSupervisedData
    from ..recipes import Recipe
    from ..training import Training

EMBEDDING = 128  # numbers that two views are compared by, as in the paper


def nt_xent(first: torch.Tensor, second: torch.Tensor, temperature: float = 0.5) -> torch.Tensor:
    """The mean cross-entropy of finding each view's partner among all other views, by the cosine.

    Args:
        first, second: float ``(n, D)`` embeddings of two views of the same n images, in the same order.
        temperature: what the cosines are divided by, above 0.

    Returns:
        A scalar: for each of the 2 n views the cross-entropy of the softmax over the 2 n - 1 others, its own partner being
        the right answer.

    Source: Chen et al. 2020 (SimCLR), equation 1 and Algorithm 1. Taught in: chapter 18.
    """
    z = F.normalize(torch.cat([first, second]), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    cosine = (z @ z.T).masked_fill(itself, -torch.inf)
    partner = torch.arange(len(z), device=z.device).roll(len(first))
    return F.cross_entropy(cosine / temperature, partner)


@torch.no_grad()
def standardized(net: nn.Module, u: torch.Tensor, *others: torch.Tensor) -> "list[numpy.ndarray]":
    """The features that a net gives for some images, on one scale, for a classifier that reads them.

    Args:
        net: one with features, such as `models.WideResNet`, in evaluation mode.
        u: uint8 ``(N, C, H, W)``; over these each feature gets mean 0 and standard deviation 1.
        others: further uint8 batches, brought to the same scale.

    Returns:
        float32 NumPy arrays ``(N, features)``, one for each batch.
    """
    every = [torch.cat([net(to_float(part), with_features=True)[1].float() for part in images.split(500)]).cpu() for images in (u, *others)]
    mean, deviation = every[0].mean(0), every[0].std(0).clamp(min=1e-6)
    return [((features - mean) / deviation).numpy() for features in every]


class SimCLR(nn.Module):
    """The net learns without labels; the labels teach only its last layer, which reads the features and gives nothing back.

    Two strong views of each unlabeled image pass the net. Two more layers turn its features into 128 numbers, by which every
    view looks for its partner among the views of the whole batch, see `nt_xent`. The labeled images train the last layer
    alone, so that the test accuracy says at every evaluation how much a linear classifier gets out of the features.
    L = H(labels) + lambda_u * NT-Xent. One forward pass over all, as FixMatch's, and as many views a step: the recipe's strong
    view twice in place of weak and strong. (The paper trains the last layer afterward, with a large batch, LARS and crops,
    colors and blur as views.)

    Args:
        temperature: as in `nt_xent`.

    Source: Chen et al. 2020, sections 2 and 4.1. Taught in: chapter 18.
    """

    views = ("strong", "strong")
    forwards = ("joint",)
    asks_features = True
    steady = True

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, temperature: float = 0.5) -> None:
        super().__init__()
        self.temperature, self.lambda_u = temperature, recipe.lambda_u
        wide = features_of(recipe)
        self.head = nn.Sequential(nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, EMBEDDING))
        draw_head(self.head, recipe.seed)

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        labeled, images = len(batch.x), len(batch.u[0])
        _, features = run.forward(torch.cat([batch.x, *batch.u]), with_features=True)
        supervised = F.cross_entropy(run.model.classifier(features[:labeled].detach()), batch.y)
        first, second = (distributed.joined(part) for part in self.head(features[labeled:]).split(images))
        unsupervised = nt_xent(first, second, self.temperature)
        return Loss(supervised + self.lambda_u * unsupervised, supervised, unsupervised, None, None, None)
