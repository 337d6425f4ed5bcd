"""How long is a full-size training step? This module against a plain rendition of the popular PyTorch port.

    python benchmarks/step.py                          # on the best device there is
    python benchmarks/step.py --rounds 5 --compile     # torch.compile too, whose first step takes half a minute

A step: Wide ResNet-28-2, 64 labeled and 7 x 64 unlabeled images of 32 x 32 pixels, so 960 views, and everything from
drawing them to the moving average. The port's step: float32, contiguous images, one joint forward, views made image by
image with Pillow in a `DataLoader`'s worker processes, metrics read after each step, a moving average parameter by
parameter. Both train the same net on the same images. Each way is measured in a process of its own, in turns, so that
a busy machine slows all alike. Memory is the process's peak, on CUDA the tensors' peak.
"""

import argparse
import copy
import functools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch  # noqa: E402
from augment import photos, pillow_view  # noqa: E402
from common import peak_gigabytes  # noqa: E402

import fixmatch_lite as fm  # noqa: E402
from fixmatch_lite.batches import AHEAD  # noqa: E402
from fixmatch_lite.captured import CapturedStep  # noqa: E402
from fixmatch_lite.data import SemiSupervisedData  # noqa: E402
from fixmatch_lite.devices import autocast_dtype, keep_memory  # noqa: E402
from fixmatch_lite.training import learning_rate  # noqa: E402

BATCH, MU = 64, 7


def photo_data(count=4096):
    """Patches of photographs with made-up classes: what they show changes no timing."""
    images, targets = photos(count), torch.arange(count) % 10
    return SemiSupervisedData("photos", images[:250], targets[:250], images, targets, images[:100], targets[:100],
                              tuple("0123456789"), tuple(range(250)))


# ------------------------------------------------------------------------------------------------- the port's rendition

class Views(torch.utils.data.Dataset):
    """One labeled image: its weak view and class. One unlabeled image: its weak and its strong view."""

    def __init__(self, images, targets=None):
        self.images, self.targets = images.permute(0, 2, 3, 1).numpy(), targets

    def __len__(self):
        return 2**30  # no end: the port's loaders start again and again

    def __getitem__(self, index):
        image = self.images[index % len(self.images)]
        if self.targets is not None:
            return self._scaled(pillow_view(image, strong=False)), self.targets[index % len(self.images)]
        return self._scaled(pillow_view(image, strong=False)), self._scaled(pillow_view(image))

    @staticmethod
    def _scaled(view):
        return torch.from_numpy(view).permute(2, 0, 1).float() / 127.5 - 1


def port(data, device):
    """A function that does one step as the popular port does."""
    workers = min(4, os.cpu_count())

    def loader(dataset, size):
        return iter(torch.utils.data.DataLoader(dataset, size, num_workers=workers))

    labeled, unlabeled = loader(Views(data.x, data.y), BATCH), loader(Views(data.u), MU * BATCH)
    model = fm.WideResNet().to(device).train()
    average = copy.deepcopy(model)
    recipe = fm.recipe("cifar10")
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def step(number=[0]):
        (x, y), (weak, strong) = next(labeled), next(unlabeled)
        logits = model(torch.cat([x, weak, strong]).to(device))
        logits_x, logits_weak, logits_strong = logits.split([BATCH, MU * BATCH, MU * BATCH])
        loss = fm.fixmatch_loss(logits_x, y.to(device), logits_weak, logits_strong)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] = learning_rate(recipe, number[0])
        number[0] += 1
        with torch.no_grad():
            for mine, its in zip(average.parameters(), model.parameters()):
                mine.copy_(0.999 * mine + 0.001 * its)
            for mine, its in zip(average.buffers(), model.buffers()):
                mine.copy_(its)
        return loss.total.item(), loss.supervised.item(), loss.unsupervised.item(), loss.mask.mean().item()

    return step


def ours(data, device, *, compile=False, graph=False, **changes):
    """A function that does one step of `fit`; with ``graph`` recorded as one CUDA graph, after the first few."""
    training = fm.fit(fm.recipe("cifar10", labels=250, **changes), data, device=device, compile=compile)
    training._captured = CapturedStep(training) if graph else None

    def step():
        training.batches.ahead(AHEAD, training.method.views)
        training._train_step()

    return step


# --------------------------------------------------------------------------------------------------- what bounds a step

def convolutions(data, device):
    """A function that does the convolutions of a joint step, forward and backward, and nothing else, on random numbers,
    in the precision that `fit` would take."""
    dtype = autocast_dtype(device) or torch.float32
    if device.type == "cpu":
        keep_memory()
    layers, views = {}, BATCH * (1 + 2 * MU)
    for (layer, shape), count in shapes().items():
        layer = copy.deepcopy(layer).to(device, dtype, memory_format=torch.channels_last)
        image = torch.randn(views, *shape, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        layers[layer] = image.requires_grad_(shape[0] > 3), torch.randn_like(layer(image)), count

    def step():
        for layer, (image, gradient, count) in layers.items():
            for _ in range(count):
                layer(image).backward(gradient)
                image.grad = None

    return step


def shapes():
    """The convolutions of Wide ResNet-28-2 that differ, each with the shape of an image it sees, and how often."""
    seen, counts = {}, {}

    def look(layer, inputs, output):
        key = (str(layer), tuple(inputs[0].shape[1:]))
        first = seen.setdefault(key, (layer, key[1]))
        counts[first] = counts.get(first, 0) + 1

    net = fm.WideResNet().eval()
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(look)
    net(torch.zeros(1, 3, 32, 32))
    for layer, _ in counts:
        layer._forward_hooks.clear()
    return counts


def gigaflop():
    """Of the convolutions of a joint step: two operations a multiplication, forward once, backward twice."""
    one = sum(2 * layer.weight.numel() * (shape[1] // layer.stride[0]) * (shape[2] // layer.stride[0]) * count
              * (3 if shape[0] > 3 else 2) for (layer, shape), count in shapes().items())
    return one * BATCH * (1 + 2 * MU) / 1e9


def peak(device):
    """GFLOP/s of a large matrix product in the precision that `fit` would take: what this device can do."""
    side, dtype = (8192 if device.type == "cuda" else 2048), autocast_dtype(device) or torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product = functools.partial(torch.mm, a, b)
    seconds(product, 3, device)
    return 2 * side**3 / seconds(product, 10, device) / 1e9


# ----------------------------------------------------------------------------------------------------------- measuring

def seconds(step, count, device):
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    for _ in range(count):
        step()
    wait()
    return (time.perf_counter() - began) / count


WAYS = {
    "the port": port,
    "float32": functools.partial(ours, precision="float32"),
    "joint": ours,
    "separate": functools.partial(ours, forward="separate"),
    "kept, none of them": functools.partial(ours, forward="kept", tau=1.0),
    "kept, all of them": functools.partial(ours, forward="kept", tau=0.0),
    "the convolutions of joint": convolutions,
    "joint, compiled": functools.partial(ours, compile=True),
    "separate, compiled": functools.partial(ours, forward="separate", compile=True),
    "joint, one graph": functools.partial(ours, graph=True),
    "joint, compiled, one graph": functools.partial(ours, graph=True, compile=True),
    "supervised, compiled, one graph": functools.partial(ours, method="supervised", graph=True, compile=True),
}


def ways_on(device, compile):
    """The ways that can be measured on a device; those with `torch.compile` on request."""
    return [name for name in WAYS if (compile or "compiled" not in name) and (device.type == "cuda" or "graph" not in name)]


def measure(name, device, count):
    """In this process: seconds of the first step and of a later one, and the most memory that was held, in GB."""
    step = WAYS[name](photo_data(), device)
    first = seconds(step, 1, device)
    seconds(step, 1 if device.type == "cpu" else 10, device)  # the second step still allocates
    later = seconds(step, count, device)
    return first, later, peak_gigabytes(device)


def in_a_process_of_its_own(name, options):
    """So that one way's memory settings and threads are not another's."""
    command = [sys.executable, __file__, "--way", name, "--steps", str(options.steps)]
    command += ["--device", options.device] if options.device else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    first, later, memory = json.loads(done.stdout.splitlines()[-1])
    print(f"  {name}: {later:.3f} s a step", file=sys.stderr, flush=True)
    return first, later, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="steps of each way in a round (2; on CUDA 100)")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too")
    parser.add_argument("--ways", nargs="+", choices=WAYS, help="measure these only")
    parser.add_argument("--out", type=Path, help="write the JSON to this file too")
    parser.add_argument("--way", help="measure one way in this process, and print only its numbers")
    options = parser.parse_args()
    device = fm.choose_device(options.device)
    options.steps = options.steps or (100 if device.type == "cuda" else 2)
    if options.way:
        print(json.dumps(measure(options.way, device, options.steps)))
        return
    names = options.ways or ways_on(device, options.compile)
    rounds = [{name: in_a_process_of_its_own(name, options) for name in names} for _ in range(options.rounds)]
    rows = []
    for name in names:
        first, later, memory = zip(*(each[name] for each in rounds))
        rows.append({"way": name, "seconds_a_step": statistics.median(later), "first_step": first[0],
                     "memory_gb": max(memory), "times_the_port": statistics.median(
                         each["the port"][1] / each[name][1] for each in rounds) if "the port" in names else None,
                     "rounds": [round(value, 4) for value in later]})
    print(f"full-size step on {device} ({torch.get_num_threads()} threads), median of {options.rounds} rounds")
    print(f"{'':28}{'s a step':>10}{'first step':>12}{'memory':>11}{'times the port':>16}")
    for row in rows:
        print(f"{row['way']:28}{row['seconds_a_step']:10.4f}{row['first_step']:10.1f} s{row['memory_gb']:8.1f} GB"
              + (f"{row['times_the_port']:16.2f}" if row["times_the_port"] is not None else f"{'-':>16}"))
    best, work = peak(device), gigaflop()
    print(f"The convolutions of a joint step are {work:.0f} GFLOP; a large matrix product runs at {best:.0f} GFLOP/s here.")
    for row in rows:
        if row["way"].startswith(("joint", "the conv")):
            row["share_of_peak"] = work / row["seconds_a_step"] / best
            print(f"{row['way']}: {work / row['seconds_a_step']:.0f} GFLOP/s, {row['share_of_peak']:.0%} of that")
    found = json.dumps({
        "benchmark": "step", "device": fm.devices.device_name(device),
        "threads": torch.get_num_threads(), "torch": torch.__version__, "gflop_a_joint_step": work,
        "peak_gflop_a_second": best, "rows": rows})
    print(found)
    if options.out:
        options.out.write_text(json.dumps(json.loads(found), indent=1) + "\n")


if __name__ == "__main__":
    main()
