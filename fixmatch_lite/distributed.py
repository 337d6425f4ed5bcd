"""Several processes, one run: ``torchrun --nproc-per-node=N -m fixmatch_lite train …``.

Every process holds the whole data set and takes its share of every step's images, so ``batch_size`` and ``mu`` mean
what they mean in one process. Batch norm takes its statistics over all shares, since FixMatch's batch norm sees the
joint batch; gradients are averaged by `torch.nn.parallel.DistributedDataParallel`; what policies count is averaged or
gathered by the functions here, which do nothing in a run of one process. Process 0 writes the files.

Taught in: chapter 17.
"""

import atexit
import inspect
import os
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from .errors import FixMatchError


def started_by_torchrun() -> bool:
    """Whether this process is one of several that torchrun started."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def start(device: str | None = None) -> str:
    """Join the other processes that torchrun started.

    Args:
        device: "cuda" or "cpu"; None takes CUDA where there is a GPU for every process on this machine.

    Returns:
        The name of this process's device. A process that torchrun has not started is alone, and gets what `fit` would take.
    """
    if not started_by_torchrun():
        from .devices import choose_device

        return str(choose_device(device))
    local, here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if device is None:
        device = "cuda" if torch.cuda.is_available() and torch.cuda.device_count() >= here else "cpu"
    if device == "cuda":
        device = f"cuda:{local}"
        torch.cuda.set_device(device)
    elif device != "cpu":
        raise FixMatchError(f"Several processes run on cuda or cpu, not on {device}; leave out --device.")
    if not dist.is_initialized():
        # A name of its own for every attempt: after a crash torchrun keeps its store, and with it the addresses of the
        # processes that are gone.
        store, rank, size = next(dist.rendezvous("env://"))
        store = dist.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
        backend = "nccl" if device.startswith("cuda") else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
        atexit.register(_leave)  # gloo's threads abort a process that ends right after an exchange
    return device


def _leave():
    if dist.is_initialized():
        dist.destroy_process_group()


def check_started() -> None:
    """Refuse to train alone in each of several processes that torchrun started.

    Raises:
        FixMatchError: there are other processes, and `start` was not called.
    """
    if started_by_torchrun() and int(os.environ.get("WORLD_SIZE", 1)) > 1 and world_size() == 1:
        raise FixMatchError("torchrun started several processes, and each would train alone: call "
                            "fixmatch_lite.distributed.start() first, and give fit the device that it returns.")


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world_size() -> int:
    """How many processes share the run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def share(index: Any) -> Any:
    """This process's part of a step's indices, disjoint from the others'; as long as theirs."""
    return index[rank()::world_size()]


def mean_(tensor: torch.Tensor | None) -> torch.Tensor | None:
    """Replace ``tensor`` by its mean over the processes, and return it; for statistics, without gradient."""
    if world_size() > 1:
        dist.all_reduce(tensor)
        tensor /= world_size()
    return tensor


def gathered(tensor: torch.Tensor) -> torch.Tensor:
    """The tensors ``(n, …)`` of all processes, one after the other, ``(n * world_size, …)``."""
    if world_size() == 1:
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def summed(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of the processes' tensors, through which a gradient flows back to each."""
    return tensor if world_size() == 1 else _Sum.apply(tensor)


def joined(tensor: torch.Tensor) -> torch.Tensor:
    """As `gathered`, but a gradient flows back to each."""
    if world_size() == 1:
        return tensor
    return summed(torch.stack([tensor if k == rank() else torch.zeros_like(tensor) for k in range(world_size())])).flatten(0, 1)


def agree(decide: Callable[[], Any]) -> Any:
    """What ``decide()`` gives in process 0, in every process; a `FixMatchError` there is raised everywhere, as it is."""
    answer = [None, None]
    if rank() == 0:
        try:
            answer[0] = decide()
        except FixMatchError as error:
            answer[1] = error
            error.agreed = True
    if world_size() > 1:
        dist.broadcast_object_list(answer, src=0)
    if answer[1] is not None:
        raise answer[1]
    return answer[0]


class _Sum(torch.autograd.Function):
    """The sum over the processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx, tensor):
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    backward = staticmethod(lambda ctx, gradient: _Sum.forward(ctx, gradient))


class SyncBatchNorm(nn.BatchNorm2d):
    """Batch norm over the images of all processes, for the CPU; torch's own `torch.nn.SyncBatchNorm` knows GPUs only.

    Mean and variance are sums over the processes through which the gradient flows back to each. Processes may hold
    different numbers of images.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or world_size() == 1:
            return super().forward(x)
        values, per_channel = x.float(), (1, -1, 1, 1)
        count = mean_(torch.tensor(float(x.numel() // x.shape[1]), device=x.device)) * world_size()
        mean = _Sum.apply(values.sum((0, 2, 3))) / count
        centered = values - mean.view(per_channel)
        variance = _Sum.apply(centered.square().sum((0, 2, 3))) / count
        if self.track_running_stats:
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean, share)
                self.running_var.lerp_(variance * count / (count - 1), share)
        normal = centered * (variance + self.eps).rsqrt().view(per_channel)
        if self.affine:
            normal = normal * self.weight.view(per_channel) + self.bias.view(per_channel)
        return normal.to(x.dtype)


def same(module: nn.Module) -> nn.Module:
    """``module`` with the parameters and buffers that process 0 has."""
    if world_size() > 1:
        for tensor in module.state_dict().values():
            if isinstance(tensor, torch.Tensor):
                dist.broadcast(sent := tensor.contiguous(), 0)
                tensor.copy_(sent)
    return module


def synchronized(model: nn.Module, device: torch.device) -> nn.Module:
    """``model`` with batch norm over all processes; itself where there is one.

    Raises:
        FixMatchError: on the CPU, batch norm of another class than torch's `torch.nn.BatchNorm2d`.
    """
    if world_size() == 1:
        return model
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncBatchNorm  # the same parameters and buffers, another forward
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(module, SyncBatchNorm):
            raise FixMatchError(f"In several processes on the CPU a net's batch norm must be nn.BatchNorm2d, whose statistics are then "
                                f"those of all of them; this one has {type(module).__name__}. Train it in one process, or on GPUs.")
    return model


def parallel(model: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """``model`` with gradients averaged over all processes; itself where there is one."""
    if world_size() == 1:
        return model
    devices = [device.index] if device.type == "cuda" else None
    wrapper = nn.parallel.DistributedDataParallel  # batch norm's buffers are the same everywhere, so none is sent
    newer = "forward_sync_buffers" in inspect.signature(wrapper).parameters
    return wrapper(model, device_ids=devices, **{"forward_sync_buffers" if newer else "broadcast_buffers": False})
