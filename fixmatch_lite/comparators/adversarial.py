"""Virtual adversarial training: the picture's worst small change must not alter the answer.

Taught in: chapter 8, and the page "The rest of the field".
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..augment import to_float
from ..errors import FixMatchError
from ..losses import Loss
from ..models import batch_statistics
from .consistency import ramp

if TYPE_CHECKING:
    from ..batches import Batch
    from ..data import SemiSupervisedData
    from ..recipes import Recipe
    from ..training import Training

TRIAL = 0.1  # length of the trial step, as a share of epsilon


def of_length(change: torch.Tensor, length: float) -> torch.Tensor:
    """``change``, float ``(N, C, H, W)``, with every image's L2 norm made ``length``; an image of zeros stays one."""
    tiny = torch.finfo(change.dtype).tiny
    change = change / change.abs().amax((1, 2, 3), keepdim=True).clamp(min=tiny)  # squares of tiny numbers would be 0
    return length * F.normalize(change.flatten(1), dim=1).view_as(change)


def divergence(logits_teacher: torch.Tensor, logits_student: torch.Tensor) -> torch.Tensor:
    """KL(softmax(teacher) || softmax(student)) of each image, float32 ``(N,)``; the teacher is a constant."""
    log_q = logits_teacher.detach().float().log_softmax(-1)
    return F.kl_div(logits_student.float().log_softmax(-1), log_q, log_target=True, reduction="none").sum(-1)


def worst_change(net: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, epsilon: float,
                 generator: torch.Generator | None = None) -> torch.Tensor:
    """The change of the given length that should move the net's answers farthest: one step of power iteration.

    A random direction is tried, a tenth of the way; the gradient of the divergence there shows the line along which the answer
    moves most. Which way along it is left to chance, as in the paper.

    Args:
        net: float images ``(N, C, H, W)`` to logits ``(N, classes)``. Its parameters get no gradient. (Dropout draws anew in
            each of its two passes, which blurs the direction.)
        images: float, scaled to [-1, 1].
        epsilon: L2 norm of an image's change.
        generator: source of the random directions, on the images' device; None takes torch's own.

    Returns:
        float ``(N, C, H, W)``, to be added to ``images``; zero for an image whose answer nothing moves.

    Raises:
        FixMatchError: the net gives no gradient at the images.

    The paper's code tries a length of 1e-6. That is lost in rounding: on a net of 250 labels of CIFAR-10 the direction found
    had a cosine of 0.1 with the exact one in float32, and of 0.2 in bfloat16 (medians; with a length of 0.1 they are 0.98 and
    0.74). In either the change found from a tenth of epsilon does as much harm as the exact one.

    Source: Miyato et al. 2019, Algorithm 1, with one power iteration. Taught in: the page "The rest of the field".
    """
    direction = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    trial = of_length(direction, TRIAL * epsilon).requires_grad_()
    with torch.no_grad():
        logits = net(images.clone())  # a net may work in place
    with torch.enable_grad():
        moved = divergence(logits, net(images + trial)).sum()
    gradient = torch.autograd.grad(moved, trial, allow_unused=True)[0] if moved.requires_grad else None
    if gradient is None:
        raise FixMatchError("vat asks how a change of the picture moves the answer, and this net gives no gradient there: "
                            "let no part of it run under torch.no_grad().")
    return of_length(gradient, epsilon)


class VAT(nn.Module):
    """The net keeps its answer to a weak view after the small change that would alter the answer most, and is sure of it.

    L = L_labeled + lambda_u * mean KL(q || p) + entropy * mean H(q), with q for the weak view and p for the same view with
    `worst_change` added. The first mean's q is a constant; lambda_u rises with the ramp. Finding the change takes two forward
    passes and one backward pass besides those of the loss; batch norm takes the batch's statistics there and remembers
    nothing of it. FixMatch's released code, whose values these are, takes the other divergence, KL(p || q), against the
    paper; its batch norm sees weak and changed views apart and remembers the labeled images only.

    Args:
        epsilon: L2 norm of the change of an image scaled to [-1, 1]; None: 6 for 32 x 32 pixels in color, and for others in
            proportion to the root of their number of values, so that a value changes as much.
        entropy: weight of the entropy of q; 0 leaves it out, as the method's first form does.
        ramp: share of the steps over which lambda_u rises.

    Source: Miyato et al. 2019, section 3 (there epsilon is tuned for each data set, and both weights are 1).
    Taught in: chapter 8, and the page "The rest of the field".
    """

    views = ("weak",)
    forwards = ("joint",)

    def __init__(self, recipe: "Recipe", data: "SemiSupervisedData", *, epsilon: float | None = None, entropy: float = 0.06,
                 ramp: float = 0.4) -> None:
        super().__init__()
        self.epsilon = 6 * (math.prod(data.x.shape[1:]) / 3072) ** 0.5 if epsilon is None else epsilon
        self.entropy, self.lambda_u, self.ramp = entropy, recipe.lambda_u, ramp

    def loss(self, batch: "Batch", run: "Training") -> Loss:
        x, u = to_float(batch.x), to_float(batch.u[0])
        with batch_statistics(run.model):
            changed = u + worst_change(run.forward, u, self.epsilon, run.generator)
        logits_x, logits_u, logits_changed = run.forward(torch.cat([x, u, changed])).split([len(x), len(u), len(u)])
        supervised = F.cross_entropy(logits_x, batch.y)
        unsupervised = divergence(logits_u, logits_changed).mean()
        log_q = logits_u.log_softmax(-1)  # finite, and so is the gradient, where q is 0
        unsure = -(log_q.exp() * log_q).sum(-1).mean()
        total = supervised + self.lambda_u * ramp(run.progress, self.ramp) * unsupervised + self.entropy * unsure
        q = log_q.detach().exp()
        confidence = q.max(-1).values
        return Loss(total, supervised, unsupervised, torch.ones_like(confidence), q, confidence)
