"""The last line of every chapter's set-up cell: what runs here, on what, and how fast."""

import platform
import statistics
import time

import torch

from .devices import autocast_dtype, choose_device, device_name, is_fast
from .version import __version__

PASS = 0.1  # seconds of `seconds_a_pass` where SECONDS were taken: two cores without bfloat16 units
SECONDS = (20, 10, 40, 65, 75, 25, 25, 30, 100, 45, 10, 15, 85, 25, 35, 60, 60, 45)  # of each chapter's code, as its page says


def report() -> None:
    """Print the versions, the device and how fast it is, and give the notebook's figures the book's style."""
    from . import plots

    plots.use_style()
    device = choose_device()
    name = {"mps": "Apple GPU", "cpu": f"CPU, {torch.get_num_threads()} threads"}.get(device.type) or device_name(device)
    dtype = str(autocast_dtype(device) or torch.float32).removeprefix("torch.")
    print(f"fixmatch_lite {__version__}, torch {torch.__version__}, Python {platform.python_version()}")
    print(f"device: {name}; arithmetic the fastest recipes use here: {dtype}")
    if is_fast():
        print("FIXMATCH_LITE_FAST is set: training runs are cut short, and their numbers mean nothing.")
        return
    slower = seconds_a_pass(device) / PASS
    minutes = [f"{k}: {slower * seconds / 60:.1f}" for k, seconds in enumerate(SECONDS, start=1)]
    print(f"minutes each chapter takes here, about {slower:.1f} times what its page says:")
    print("  ".join(minutes[:9]), "  ".join(minutes[9:]), sep="\n")


def seconds_a_pass(device: torch.device, times: int = 5) -> float:
    """Seconds of one pass, forward and back, of the digits' net over the 480 views of a step, which is most of what a
    chapter's training does: the median of ``times``. Leaves torch's global generator as it was."""
    from .models import WideResNet

    generator, dtype = torch.Generator().manual_seed(0), autocast_dtype(device)
    with torch.random.fork_rng(devices=[]):  # torch's layers draw first weights from the global generator
        net = WideResNet(10, 1, in_channels=1, generator=generator).to(device)
    views = torch.rand(480, 1, 8, 8, generator=generator).to(device)
    if device.type != "mps":
        net, views = (it.to(memory_format=torch.channels_last) for it in (net, views))
    taken = []
    for _ in range(1 + times):
        began = time.perf_counter()
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            logits = net(views)
        logits.float().logsumexp(dim=1).mean().backward()
        net.stem.weight.grad.sum().item()  # waits for the device
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])  # the first also chooses algorithms
