"""Wide ResNet as the FixMatch authors built it, and its moving average.

Source: Zagoruyko and Komodakis 2016; the block of FixMatch's released code. Taught in: chapter 9.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from .checks import check_number
from .errors import FixMatchError
from .vision import torchvision

if TYPE_CHECKING:
    from .recipes import Recipe

SLOPE = 0.1  # of the leaky ReLU


class Block(nn.Module):
    """Pre-activation residual block: norm, leaky ReLU, convolution, twice, plus the shortcut.

    In the first block of the first group (``activate_shortcut``) the shortcut starts after the activation; in every
    other block it carries the raw input. Most PyTorch ports compute the first activation of groups 2 and 3 and
    throw it away, which leaves a batch norm without gradient; here the convolution sees it, as in the original.
    ``dead`` builds such a port's block, for comparison.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, activate_shortcut: bool, norm: Callable[[int], nn.Module],
                 dead: bool = False) -> None:
        super().__init__()
        self.norm1 = norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)
        self.norm2 = norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, padding=1)
        changes = in_channels != out_channels or stride != 1
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride) if changes else nn.Identity()
        self.activation = nn.LeakyReLU(SLOPE, inplace=True)
        self.activate_shortcut, self.dead = activate_shortcut, dead and changes and not activate_shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.activation(self.norm1(x))
        if self.activate_shortcut:
            x = h
        if self.dead:
            h = x
        h = self.conv2(self.activation(self.norm2(self.conv1(h))))
        return self.shortcut(x) + h


def blocks_of(depth: int, groups: int = 3) -> int:
    """Blocks in each group of a Wide ResNet of this depth.

    Raises:
        FixMatchError: no number of blocks makes that depth, or there are no groups.
    """
    if not isinstance(groups, int) or groups < 1:
        raise FixMatchError(f"A Wide ResNet cannot have {groups!r} groups; give a whole number, at least 1.")
    blocks, rest = divmod(depth - 1 - groups, 2 * groups)
    if rest or blocks < 1:
        fitting = ", ".join(str(groups * (2 * n + 1) + 1) for n in range(1, 5))
        raise FixMatchError(f"A Wide ResNet of {groups} groups has {2 * groups} n + {groups + 1} layers; {depth} is not "
                            f"such a number, use {fitting} …")
    return blocks


class WideResNet(nn.Module):
    """Wide ResNet-``depth``-``width``: 28-2 with ten classes has 1,469,642 parameters.

    Args:
        depth: groups * (2 n + 1) + 1 layers, n blocks in each group; with three groups 6 n + 4.
        width: channels are 16, then ``width`` times 16, 32, 64 and so on.
        num_classes: outputs.
        in_channels: 1 or 3.
        bn_momentum: share of a new batch in batch norm's running statistics. 0.001 is the original's; short runs
            need more (0.001 takes thousands of steps to forget its start).
        groups: how often the image is halved, plus one. Three for 32 pixels; four for 96, where 37-2 has 5,933,770
            parameters.
        dead: build the first blocks of all groups but one as most ports do, see `Block`.
        generator: source of the initial weights; None uses torch's global one.

    Input float ``(N, in_channels, H, W)`` in [-1, 1], output logits ``(N, num_classes)``, with ``with_features=True``
    also the features ``(N, channels)`` from which they come. Every convolution has a
    bias, as in the original. Weights start from N(0, 2 / (k k out)) in convolutions and from Glorot's normal in the
    last layer, biases from 0. Strided convolutions pad both sides alike (TensorFlow's "same" pads only the far
    side, which shifts the sampling grid by one pixel and has no known effect).

    Raises:
        FixMatchError: ``depth``, ``groups``, ``width`` or ``num_classes`` is not possible.
    """

    def __init__(self, depth: int = 28, width: int = 2, num_classes: int = 10, in_channels: int = 3, *, groups: int = 3,
                 bn_momentum: float = 0.001, dead: bool = False, generator: torch.Generator | None = None) -> None:
        super().__init__()
        for name, number in (("depth", depth), ("width", width), ("num_classes", num_classes)):
            check_number(name, number, 1, math.inf, whole=True)
        blocks = blocks_of(depth, groups)
        norm = lambda channels: nn.BatchNorm2d(channels, eps=1e-3, momentum=bn_momentum)
        channels, layers = 16, []
        self.stem = nn.Conv2d(in_channels, channels, 3, padding=1)
        for group in range(groups):
            out = 16 * width * 2**group
            for block in range(blocks):
                first = block == 0
                layers.append(Block(channels, out, 2 if first and group > 0 else 1, first and group == 0, norm, dead))
                channels = out
        self.blocks = nn.Sequential(*layers)
        self.norm = norm(channels)
        self.activation = nn.LeakyReLU(SLOPE, inplace=True)
        self.classifier = nn.Linear(channels, num_classes)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights again."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor, with_features: bool = False) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        h = self.activation(self.norm(self.blocks(self.stem(x))))
        features = h.mean((2, 3))
        logits = self.classifier(features)
        return (logits, features) if with_features else logits


class ResNet50(nn.Module):
    """torchvision's ResNet-50, for images of 224 pixels; called as `WideResNet` is.

    Args:
        num_classes, bn_momentum, generator: as in `WideResNet`.

    Source: He et al. 2016; torchvision.models.resnet50, without weights.
    """

    def __init__(self, num_classes: int, *, bn_momentum: float = 0.1, generator: torch.Generator | None = None) -> None:
        super().__init__()
        seed = torch.randint(2**62, (), generator=generator).item()
        with torch.random.fork_rng(devices=[]):  # torchvision draws its weights from the global generator
            torch.manual_seed(seed)
            torchvision()
            from torchvision.models import resnet50

            self.body = resnet50(num_classes=num_classes)
        self.classifier, self.body.fc = self.body.fc, nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = bn_momentum

    def forward(self, x: torch.Tensor, with_features: bool = False) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        features = self.body(x)
        logits = self.classifier(features)
        return (logits, features) if with_features else logits


NETS = ("wide_resnet", "wide_resnet_dead", "resnet50")  # the second: see `Block`


def make_net(recipe: "Recipe", num_classes: int, channels: int, generator: torch.Generator | None = None) -> WideResNet | ResNet50:
    """The net that ``recipe.net`` names, in float32; with a ``generator`` torch's global one stays where it is.

    Raises:
        FixMatchError: it does not take images with that many channels.
    """
    if recipe.net == "resnet50" and channels != 3:
        raise FixMatchError(f"ResNet-50 takes images of 3 channels, not {channels}; use the net wide_resnet.")
    with torch.random.fork_rng(devices=[], enabled=generator is not None):  # torch's layers draw first weights from it
        if recipe.net == "resnet50":
            net = ResNet50(num_classes, bn_momentum=recipe.bn_momentum, generator=generator)
        else:
            net = WideResNet(recipe.depth, recipe.width, num_classes, channels, groups=recipe.groups,
                             bn_momentum=recipe.bn_momentum, dead=recipe.net == "wide_resnet_dead", generator=generator)
    return net.float()


def features_of(recipe: "Recipe") -> int:
    """How many numbers the net that ``recipe.net`` names hands to its last layer."""
    return 2048 if recipe.net == "resnet50" else 16 * recipe.width * 2 ** (recipe.groups - 1)


def draw_head(head: nn.Module, seed: int) -> None:
    """Draw the weights of the linear layers that a method puts behind the net's features. Their random stream is far from those
    of `make_generators`: the net's own weights do not depend on the method."""
    generator = torch.Generator().manual_seed(2**40 + seed)
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)


class MovingAverage(AveragedModel):
    """A net that follows another: weights averaged, batch-norm statistics shared with it, so always the live ones.

    It starts from the other net's present weights, so the first update already averages (torch's own class would copy
    the weights after the first step). Move the net before, not after. Source: FixMatch's released code, decay 0.999.

    Raises:
        FixMatchError: ``decay`` is no number in [0, 1], or the weights have 16 bits, in which such small steps are lost.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        check_number("decay", decay, 0, 1, ", the share of the average that stays at each update")
        if any(parameter.dtype in (torch.bfloat16, torch.float16) for parameter in model.parameters()):
            raise FixMatchError(f"In 16 bits an average with decay {decay} stands still: keep the net in float32, in torch.autocast.")
        super().__init__(model)
        self.decay = decay
        self.frozen = frozen(self.module)  # before it is so as a whole
        self._shared = [(mine._buffers, its._buffers) for mine, its in zip(self.module.modules(), model.modules()) if its._buffers]
        self._share()
        self.requires_grad_(False)
        self.eval()  # in training mode, predicting with it would move the statistics that the other net trains with

    def _share(self):
        for mine, its in self._shared:
            mine.update(its)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """average += (1 - decay) * (weights - average), as torch has it, but without a counter for which the host would wait."""
        torch._foreach_lerp_(list(self.module.parameters()), list(model.parameters()), 1 - self.decay)
        self._share()  # a net of one's own may have put a new tensor in the place of a buffer


def frozen(model: nn.Module) -> set[nn.Module]:
    """The modules that stay in evaluation mode while a net trains: those in it whose parameters all stand still, and all inside them."""
    still = [m for m in model.modules() if not m.training and (own := [*m.parameters()]) and not any(p.requires_grad for p in own)]
    return {inner for module in still for inner in module.modules() if not inner.training}


@contextlib.contextmanager
def batch_statistics(model: nn.Module, on: bool = True) -> Iterator[None]:
    """In this context batch norm takes the statistics of the batch at hand and leaves its running ones alone, except in what
    is `frozen`; with ``on=False`` the model is in evaluation mode instead. Afterward all is as before."""
    modes = [(module, module.training) for module in model.modules()]
    still = (model.frozen if isinstance(model, MovingAverage) else frozen(model)) if on else ()
    norms = [module for module in model.modules() if getattr(module, "track_running_stats", False) and module not in still]
    model.train(on)
    for module in still:
        module.training = False
    for norm in norms:
        norm.track_running_stats = not on
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
        for module, training in modes:
            module.training = training


def decayed_and_not(*models: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Two lists of parameters, each parameter once: kernels (two or more dimensions), which weight decay is for, and biases and norms
    of one dimension or none, which it spares; ``torch.optim.SGD([{"params": first, "weight_decay": 5e-4}, {"params": second,
    "weight_decay": 0}], lr=0.03)``."""
    parameters = {id(p): p for model in models for p in model.parameters() if p.requires_grad}.values()  # one may hold another
    return [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
