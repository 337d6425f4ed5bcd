"""Checkers of chapter 9 (FixMatch in twelve lines). Every truth is computed here, none is written down."""

import torch
import torch.nn.functional as F

from ..augment import Cutout
from ..losses import fixmatch_loss
from ..recipes import recipe


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def views(answer):
    """How many pictures one step of the paper's CIFAR-10 recipe sends through the net.

    Hint: every labeled picture gives one view, every unlabeled picture two. B is 64 and mu is 7.
    """
    paper = recipe("cifar10")
    B, mu = paper.batch_size, paper.mu
    if _near(answer, B + 2 * mu * B, 0):
        return None
    if _near(answer, B + mu * B, 0):
        return "Every unlabeled picture goes through twice, once as its weak and once as its strong view."
    if _near(answer, 2 * (B + mu * B), 0):
        return "The labeled pictures have one view only: a strong view of them is made when they turn up in u."
    return "Count the rows of the joint batch: B labeled views, mu * B weak ones, mu * B strong ones."


def _four_pictures():
    """The table of the exercise: class probabilities of four weak views and their strong views."""
    weak = torch.tensor([[0.97, 0.02, 0.01], [0.60, 0.30, 0.10], [0.02, 0.95, 0.03], [0.05, 0.01, 0.94]])
    strong = torch.tensor([[0.50, 0.25, 0.25], [0.10, 0.80, 0.10], [0.50, 0.25, 0.25], [0.10, 0.10, 0.80]])
    return weak, strong


def by_hand(answer):
    """The unsupervised loss of four unlabeled pictures at tau = 0.95.

    Hint: two pictures are kept. Each adds -log of the probability that its strong view gives to the pseudo-label;
    the sum is divided by all four.
    """
    weak, strong = _four_pictures()
    each = -strong.log()[torch.arange(4), weak.argmax(1)]
    mask = weak.max(1).values >= 0.95
    if _near(answer, (mask * each).mean().item(), 0.005):
        return None
    if _near(answer, each[mask].mean().item(), 0.005):
        return "That is the mean over the kept pictures. Divide by all mu * B pictures, here 4."
    if _near(answer, each[mask].sum().item(), 0.005):
        return "That is the sum. The loss is a mean over all mu * B pictures, here 4."
    if _near(answer, each.mean().item(), 0.005):
        return "That keeps every picture. Which of them have a confidence of at least 0.95?"
    if _near(answer, each[0].item() / 4, 0.005):
        return "A confidence of exactly tau is kept: the comparison is >=."
    return "Find the mask and the pseudo-labels in the weak rows, then read -log p of these classes in the strong rows."


def cutout_share(answer):
    """Mean share of a digit that the recipe's Cutout covers.

    Hint: list the eight rows the square's center can have and count the covered rows; do not forget that the square
    is cut off at the border. Rows and columns are drawn independently.
    """
    settings = recipe("digits")
    cutout, side = Cutout(settings.cutout, fill=0), 8
    length = round(settings.cutout * side)
    starts = [center - length // 2 for center in range(side)]
    rows = sum(sum(0 <= start + k < side for k in range(length)) for start in starts) / side
    truth = (rows / side) ** 2
    if _near(answer, truth, 0.001):
        return None
    if _near(answer, cutout.size**2, 0.001):
        return "That is a square that always lies inside. The center may be a border pixel, and then part of the square is lost."
    if _near(answer, rows / side, 0.001):
        return "That is the share of the rows. A pixel is covered only when both its row and its column are."
    if _near(answer, 100 * truth, 0.1):
        return "As a share between 0 and 1, please."
    return f"The square has a side of {length} pixels; find how many of the 8 rows it covers on average."


def divisor(answer):
    """The weight with which the paper's loss, divided by all, has the gradient of one that is divided by the 28 kept.

    Hint: the sum is the same; one loss divides it by 28, the other by all mu * batch_size.
    """
    digits = recipe("digits")
    truth = digits.mu * digits.batch_size / 28
    if _near(answer, truth, 0.01):
        return None
    if _near(answer, 1 / truth, 0.005):
        return "That is the other way around: the paper divides by more, so its gradient is the smaller one."
    if _near(answer, digits.mu * digits.batch_size / 200, 0.01):
        return "That is the weight for the late step. Give the weight for the early step."
    return "Divide the same sum by 28, and by 224. How many times as large is the first?"


EXACTLY = "One case is missing: a confidence of exactly tau is kept, too, so the comparison is >=."


def _exactly_sure():
    """Weak logits whose softmax is exactly 1, however it is computed, and strong ones that are undecided."""
    return torch.tensor([[200.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, -200.0]])


def soft(answer):
    """A function soft(logits_u_weak, logits_u_strong, tau): the unsupervised loss with q itself as the target.

    Hint: the cross-entropy with a whole distribution q is -(q * log_softmax(strong)).sum(1). q is a target, so no
    gradient may flow through it. Mask and mean stay as they are.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = soft."
    generator = torch.Generator().manual_seed(0)
    weak = (4 * torch.randn(30, 5, generator=generator)).requires_grad_()
    strong = torch.randn(30, 5, generator=generator).requires_grad_()
    tau = 0.8
    value = answer(weak, strong, tau)
    q = weak.detach().softmax(1)
    each, mask = -(q * F.log_softmax(strong, 1)).sum(1), (q.max(1).values >= tau).float()
    truth = (mask * each).mean()
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        return "The function should return one number, as a tensor that carries the gradient."
    value = value.to(truth.dtype)  # float64 is no mistake
    if torch.isclose(value, (mask * each).sum() / mask.sum(), rtol=1e-4):
        return "That is the mean over the kept pictures; divide by all of them."
    if torch.isclose(value, fixmatch_loss(strong, q.argmax(1), weak, strong, tau=tau).unsupervised, rtol=1e-4):
        return "That is the hard label. Let every class count as much as q says, not only the largest."
    if not torch.isclose(value, truth, rtol=1e-4):
        return "The value differs. Compare with -(q * log p).sum(1), masked, then the mean over all pictures."
    if not value.requires_grad:
        return "The value is right, but no gradient reaches the strong logits: only q is a target."
    slopes = torch.autograd.grad(value, (weak, strong), allow_unused=True)
    if slopes[0] is not None and not slopes[0].abs().max() <= 1e-7:
        return "The value is right, but a gradient flows through q: the net could lower the loss by moving its target."
    if slopes[1] is None or not torch.allclose(slopes[1], torch.autograd.grad(truth, strong)[0], atol=1e-6):
        return "The value is right, but its gradient on the strong logits is not: do not detach those."
    sure = answer(*_exactly_sure(), 1.0).to(truth.dtype)
    if not torch.isfinite(sure):
        return "Not a number where q or p is exactly 0 or 1: use log_softmax, which never takes the logarithm of 0."
    return None if torch.isclose(sure, torch.tensor(2.0).log()) else EXACTLY


def gradient(answer):
    """A function gradient(logits_u_weak, logits_u_strong, tau): the unsupervised loss's slope, without autograd.

    Hint: for one picture the slope of cross-entropy is softmax(strong) minus 1 at the pseudo-label. Then come the
    mask and the mean.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = gradient."
    generator = torch.Generator().manual_seed(1)
    weak = 4 * torch.randn(30, 5, generator=generator)
    strong = torch.randn(30, 5, generator=generator).requires_grad_()
    loss = fixmatch_loss(strong, weak.argmax(1), weak, strong, tau=0.8)
    truth, = torch.autograd.grad(loss.unsupervised, strong)
    with torch.no_grad():
        value = torch.as_tensor(answer(weak, strong.detach(), 0.8)).to(truth.dtype)
    if value.shape != truth.shape:
        return f"The slope has one number per logit, shape {tuple(truth.shape)}; yours has {tuple(value.shape)}."
    same = lambda scale: torch.allclose(value, truth * scale, atol=1e-5)
    if same(1):
        weak, strong = _exactly_sure()
        slope = torch.as_tensor(answer(weak, strong, 1.0)).to(truth.dtype)
        return None if torch.allclose(slope, torch.tensor([[-0.5, 0.5, 0.0]]), atol=1e-5) else EXACTLY
    if same(-1):
        return "The sign is reversed: a slope points uphill."
    if same(len(weak)):
        return "The mean is missing: divide by the number of unlabeled pictures."
    if same(len(weak) / loss.mask.sum()):
        return "You divide by the kept pictures; the loss divides by all of them."
    if not torch.equal(value.abs().sum(1) > 1e-7, loss.mask > 0):
        return "The rows of pictures that are not kept should be 0, and no others: multiply by the mask."
    return "Kept rows should be softmax(strong) minus 1 at the pseudo-label, divided by the number of pictures."
