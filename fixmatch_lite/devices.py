"""Where a run computes, and in which arithmetic.

Taught in: chapter 17.
"""

import ctypes
import functools
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._triton import has_triton

from . import distributed
from .errors import FixMatchError
from .hints import DeviceLike


def choose_device(name: DeviceLike = None) -> torch.device:
    """The device to train on: the one named, else CUDA, else Apple's MPS, else the CPU."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise FixMatchError(f"The device {str(name)!r} cannot be used here ({reason}); use 'cpu', or leave the "
                            "device out.") from None


def device_name(device: torch.device) -> str:
    """What a device is called: the model of a card, else "cpu" or "mps"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def autocast_dtype(device: torch.device, precision: str = "auto") -> torch.dtype | None:
    """The dtype for convolutions: bfloat16 or float16 where the device computes in it, None for float32. (On CUDA torch takes
    TF32 for convolutions in float32, unless torch.backends.cudnn.allow_tf32 is False.)

    A CPU gets bfloat16 only with AMX or AVX512-BF16; elsewhere it is emulated and slower than float32.
    """
    if precision != "auto":
        return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type == "cpu":
        quick = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        return torch.bfloat16 if quick else None
    return None


def apart(device: torch.device) -> torch.autocast:
    """A context in which a surrounding autocast does not count, nor do the 16-bit weights that it has cached: autocast keeps them
    until the outermost context ends, even if that one is switched off or for another device."""
    return torch.autocast(device.type, enabled=False, cache_enabled=False)


def make_generators(seed: int, device: torch.device, rank: int = 0) -> dict[str, torch.Generator]:
    """The sources of all randomness in a run, by name: initial weights and orders on the CPU, so that every device
    starts from the same net and sees the same images; the views on the training device, so that no step waits for
    numbers from the host (MPS takes the CPU's). Of several processes each draws views of its own."""
    names = ("weights", "labeled", "unlabeled", "augment")
    where = lambda name: device if name == "augment" and device.type == "cuda" else "cpu"
    return {name: torch.Generator(where(name)).manual_seed(4 * seed + k + (rank << 24 if name == "augment" else 0))
            for k, name in enumerate(names)}


def is_fast() -> bool:
    """Whether the environment has FIXMATCH_LITE_FAST=1: then `fit` does one update before each evaluation and counts it
    as all of them, `self_train` stops after two rounds, and `times` counts a quarter. Every cell of a chapter still
    runs, in seconds, and its accuracies mean nothing. For tests."""
    return os.environ.get("FIXMATCH_LITE_FAST", "0") not in ("", "0")


def times(n: int) -> range:
    """``range(n)`` for a chapter's long loops; where `is_fast`, only a quarter of it, and no fewer than two."""
    return range(min(n, max(2, n // 4)) if is_fast() else n)


@functools.cache
def keep_memory() -> bool:
    """Let the process keep what it frees, where the C library is glibc: it would hand every tensor of some megabytes
    back to the system and take it again, zeroed page by page, a few hundred times a step. On two cores that is a
    quarter of a full-size step (benchmarks/step.py). The process stays as large as its largest step.

    Returns:
        Whether the C library agreed.
    """
    mmap_threshold, trim_threshold = -3, -1  # from malloc.h
    try:
        set_option = ctypes.CDLL(None).mallopt
        return all(set_option(option, 2**31 - 1) == 1 for option in (mmap_threshold, trim_threshold))
    except (OSError, AttributeError, TypeError):  # another C library
        return False


COMPILE_STEPS = 2000  # a run this long gets back what compiling costs; see benchmarks/step.py


def compiled(model: nn.Module, device: torch.device, steps: int, wanted: bool | None = None, fixed: bool = True) -> Callable[..., Any]:
    """``model`` after `torch.compile`, or itself.

    Args:
        model: the net.
        device: where it runs. MPS is never compiled for.
        steps: how many are ahead.
        wanted: True or False decides; None compiles on CUDA where at least 2,000 steps are ahead and all is ``fixed``.
        fixed: the net is one of ours, which compile as a whole, and every step hands it the same shapes.

    Several processes share batch norm's statistics, which cannot be compiled: there the net runs as it is. So it does where
    there is no C++ compiler (torch needs one on every device), or no Triton for a CUDA device, and one line says so.
    """
    if wanted is None:
        wanted = fixed and device.type == "cuda" and steps >= COMPILE_STEPS
    if not wanted or device.type == "mps" or distributed.world_size() > 1:
        return model
    lacking = "C++ compiler" if not _has_compiler() else "Triton" if device.type == "cuda" and not has_triton() else None
    if lacking:
        print(f"There is no {lacking} here: the net runs without torch.compile, which is slower but no less correct.",
              file=sys.stderr)
        return model
    import torch._dynamo.config as limits

    limits.recompile_limit = max(limits.recompile_limit, 64)  # shapes in one process, such as of a notebook that tries many mu
    return torch.compile(model, dynamic=False, fullgraph=True) if fixed else torch.compile(model)


def _has_compiler():
    from torch._inductor import config

    names = [name for name in (os.environ.get("CXX"), *config.cpp.cxx, "g++", "clang++", "cl") if name]
    return any(shutil.which(name) for name in names)
