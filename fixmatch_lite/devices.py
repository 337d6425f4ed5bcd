"""Where a run computes, and in which arithmetic.

Taught in: chapter 4.
"""

import torch

from .errors import FixMatchError


def choose_device(name=None):
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


def autocast_dtype(device, precision="auto"):
    """The dtype for convolutions: bfloat16 or float16 where the device computes in it, None for float32.

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
