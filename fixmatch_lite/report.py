"""The last line of every chapter's set-up cell: what runs here, and on what."""

import platform

import torch

from .devices import autocast_dtype, choose_device, is_fast
from .version import __version__


def report() -> None:
    """Print the versions and the device, and give the notebook's figures the book's style."""
    from . import plots

    plots.use_style()
    device = choose_device()
    name = {"cuda": lambda: torch.cuda.get_device_name(device), "mps": lambda: "Apple GPU"}.get(
        device.type, lambda: f"CPU, {torch.get_num_threads()} threads")()
    dtype = str(autocast_dtype(device) or torch.float32).removeprefix("torch.")
    print(f"fixmatch_lite {__version__}, torch {torch.__version__}, Python {platform.python_version()}")
    print(f"device: {name}; arithmetic the fastest recipes use here: {dtype}")
    if is_fast():
        print("FIXMATCH_LITE_FAST is set: trainings are cut short, their numbers mean nothing.")
