"""The net: the original's block, its parameters, its initialization; the moving average."""

import math

import pytest
import torch
import torch.nn.functional as F

import fixmatch_lite as fm
from fixmatch_lite.models import MovingAverage, decayed_and_not


def tiny(**changes):
    return fm.WideResNet(**{"depth": 10, "width": 1, "num_classes": 4, "in_channels": 3,
                            "generator": torch.Generator().manual_seed(0), **changes})


@pytest.mark.parametrize("depth, width, classes, parameters", [(28, 2, 10, 1_469_642), (28, 8, 100, None)])
def test_parameter_count_of_the_paper(depth, width, classes, parameters):
    count = sum(p.numel() for p in fm.WideResNet(depth, width, classes).parameters())
    assert count == parameters if parameters else 23.3e6 < count < 23.6e6  # the paper states 23.4 million for 28-8


def test_T15_every_parameter_gets_a_gradient():
    model = fm.WideResNet(28, 2, 10, 3)
    model(torch.randn(4, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    # The norms that popular ports compute and throw away: here they really steer the output.
    starts = [block for block in model.blocks if block.conv1.stride == (2, 2)]
    assert len(starts) == 2 and all(block.norm1.weight.grad.abs().sum() > 0 for block in starts)


def transcription(model, x):
    """The original's forward pass, written out from its description with nothing but functions."""
    lrelu = lambda h: F.leaky_relu(h, 0.1)

    def bn(h, norm):
        return F.batch_norm(h, None, None, norm.weight, norm.bias, training=True, eps=1e-3)

    conv = lambda h, layer, stride=1, pad=1: F.conv2d(h, layer.weight, layer.bias, stride, pad)
    h = conv(x, model.stem)
    for k, block in enumerate(model.blocks):
        per_group = len(model.blocks) // 3
        stride = 2 if k in (per_group, 2 * per_group) else 1
        activated = lrelu(bn(h, block.norm1))
        shortcut = activated if k == 0 else h  # only the very first block activates before the shortcut
        inner = conv(lrelu(bn(conv(activated, block.conv1, stride), block.norm2)), block.conv2)
        if isinstance(block.shortcut, torch.nn.Conv2d):
            shortcut = conv(shortcut, block.shortcut, stride, 0)
        h = shortcut + inner
    h = lrelu(bn(h, model.norm)).mean((2, 3))
    return h @ model.classifier.weight.T + model.classifier.bias


def test_T15_dead_net_of_the_ports_leaves_two_norms_without_a_gradient():
    """Same parameters, same start; in the first blocks of groups 2 and 3 the convolution sees the raw input."""
    nets = [fm.WideResNet(dead=dead, generator=torch.Generator().manual_seed(0)) for dead in (False, True)]
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    out = [net(images) for net in nets]
    assert [*nets[0].state_dict()] == [*nets[1].state_dict()] and not torch.equal(*out)
    out[1].sum().backward()
    assert {name for name, p in nets[1].named_parameters() if p.grad is None} == {
        f"blocks.{first}.norm1.{kind}" for first in (4, 8) for kind in ("weight", "bias")}
    h = torch.randn(2, 32, 8, 8)
    block = nets[1].blocks[4].eval()
    by_hand = block.shortcut(h) + block.conv2(block.activation(block.norm2(block.conv1(h))))
    torch.testing.assert_close(block(h), by_hand)


@pytest.mark.parametrize("depth, width", [(10, 1), (16, 2), (28, 2)])
def test_T16_output_equals_a_transcription_of_the_original(depth, width):
    model = tiny(depth=depth, width=width).double().train()
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    x = torch.randn(6, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(model(x), transcription(model, x))


def test_T12_norms_and_slope():
    model = fm.WideResNet()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 25 and all(m.eps == 1e-3 and m.momentum == 0.001 for m in norms)
    assert {m.negative_slope for m in model.modules() if isinstance(m, torch.nn.LeakyReLU)} == {0.1}
    assert all(m.bias is not None for m in model.modules() if isinstance(m, torch.nn.Conv2d))


def test_initialization():
    model = fm.WideResNet(28, 8, 10, 3, generator=torch.Generator().manual_seed(0))
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d) and module.weight.numel() > 5000:
            k, out = module.kernel_size[0], module.out_channels
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / (k * k * out)), rel=0.06), name
        if isinstance(module, torch.nn.Linear):
            expected = math.sqrt(2 / (module.in_features + module.out_features))
            assert module.weight.std().item() == pytest.approx(expected, rel=0.06)
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            assert (module.bias == 0).all()


def test_initial_weights_come_from_the_generator_alone():
    torch.manual_seed(1)
    first = tiny().state_dict()
    torch.manual_seed(2)
    second = tiny().state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    other = tiny(generator=torch.Generator().manual_seed(9)).state_dict()
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


@pytest.mark.parametrize("channels, size, classes", [(1, (8, 8), 2), (3, (32, 32), 10), (3, (40, 24), 3), (1, (9, 7), 5)])
def test_T37_channels_sizes_and_class_counts(channels, size, classes):
    model = tiny(in_channels=channels, num_classes=classes)
    assert model(torch.randn(2, channels, *size)).shape == (2, classes)


def test_depth_that_is_none():
    with pytest.raises(fm.FixMatchError, match="6 n \\+ 4"):
        fm.WideResNet(depth=30)


@pytest.mark.parametrize("groups", [0, -1, 1.5, "4", None])
def test_groups_that_are_none(groups):
    with pytest.raises(fm.FixMatchError, match="cannot have .* groups; give a whole number, at least 1"):
        fm.WideResNet(groups=groups)
    with pytest.raises(fm.FixMatchError, match="groups must be a whole number, at least 1"):
        fm.recipe("cifar10", groups=groups)


def test_T8_weight_decay_on_kernels_only():
    model = fm.WideResNet()
    decayed, plain = decayed_and_not(model)
    names = {id(p): n for n, p in model.named_parameters()}
    assert {names[id(p)].rsplit(".", 1)[1] for p in decayed} == {"weight"}
    assert not any("norm" in names[id(p)] for p in decayed)
    assert all("norm" in names[id(p)] or names[id(p)].endswith("bias") for p in plain)
    assert len(decayed) + len(plain) == len(names)


def test_T10_moving_average_is_constant_and_starts_from_the_initial_weights():
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1.0)
    ema = MovingAverage(model, 0.9)
    expected = 1.0
    for value in (2.0, 5.0, -3.0):
        model.weight.data.fill_(value)
        ema.update_parameters(model)
        expected = 0.9 * expected + 0.1 * value
        assert ema.module.weight.item() == pytest.approx(expected, rel=1e-6)


def test_T11_moving_average_has_the_live_batch_norm_statistics():
    model = tiny().train()
    ema = MovingAverage(model, 0.999)
    for _ in range(3):
        model(torch.randn(8, 3, 8, 8) + 3)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.1)
        ema.update_parameters(model)
        for (name, live), (_, copy) in zip(model.named_buffers(), ema.module.named_buffers()):
            assert torch.equal(live, copy), name
        assert not torch.equal(model.stem.weight, ema.module.stem.weight)
    assert model.norm.num_batches_tracked == 3
