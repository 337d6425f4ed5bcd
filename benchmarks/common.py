"""What several benchmarks need."""

import resource
import sys

import torch


def peak_gigabytes(device):
    """The most memory this process has held so far: of tensors on CUDA, of everything elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    try:  # Linux; getrusage would start from what the parent process held
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024 / 1e9
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
