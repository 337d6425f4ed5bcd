"""A net that begins with what another run has learned: its features, under a last layer drawn anew. Taught in: chapter 18."""

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import nn

from . import distributed
from .checkpoints import check_weights
from .errors import FixMatchError
from .hints import PathLike
from .run_files import CHECKPOINT, WEIGHTS, Run, run_of

LAST = "classifier."  # the last layer, by the name that it has in every net of the module


@dataclass(frozen=True, eq=False)
class Start:
    """The features of a recorded run: all tensors of its moving average but those of the last layer."""

    name: str
    tensors: dict[str, torch.Tensor] = field(repr=False)

    def __str__(self):
        """In words, and the same for the same run and the same numbers only."""
        return f"features of {self.name} ({self._hash})"

    @cached_property
    def _hash(self):
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(name.encode() + tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:8]

    def give(self, net: nn.Module) -> None:
        """Put the features into ``net``; its last layer stays.

        Raises:
            FixMatchError: the net's tensors have other names or shapes. Nothing is changed then.
        """
        tensors = {k: v for k, v in net.state_dict().items() if k.startswith(LAST)} | self.tensors
        check_weights(net, tensors, f"The run {self.name}, the start,", "start from a run of the same net, and of pictures with as "
                      "many channels")
        net.load_state_dict(tensors)


def start_of(run: Run | Start | PathLike | None) -> Start | None:
    """The `Start` from a run: its folder, its name if it comes with the module, or a `Run`; None and a `Start` stay what they are.
    Of several processes the first one reads it.

    Raises:
        FixMatchError: there is no run, or it has no weights or is not finished, or it has a net of its own that was not given to
            `runs.load`.
    """
    if run is None or isinstance(run, Start):
        return run
    if not isinstance(run, (Run, str, os.PathLike)):
        raise FixMatchError(f"start must be a run: its folder, its name or a runs.Run; this is of the type {type(run).__name__}.")
    return distributed.agree(lambda: _read(run_of(run)))


def _read(run):
    if (run.path / CHECKPOINT).exists() and not (run.path / WEIGHTS).exists():
        raise FixMatchError(f"The run {run.name}, the start, is not finished: what it has learned would still change. Finish it first.")
    features = {k: v for k, v in run.model().state_dict().items() if not k.startswith(LAST)}
    return Start(run.path.resolve().name, features)
