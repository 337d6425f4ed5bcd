"""A training step as one CUDA graph: recorded once, then started by a single call.

A step of FixMatch is a thousand small operations. A fast card is done with each before the host has asked for the next, so
that it stands idle most of the time; a graph hands it all of them at once. Source: the documentation of
`torch.cuda.CUDAGraph`. Taught in: chapter 17.
"""

import sys
import warnings
import weakref
from typing import TYPE_CHECKING

import torch

from . import distributed

if TYPE_CHECKING:
    from .training import Training

WARM_UP = 5  # steps that are taken one operation at a time: they compile, choose algorithms, and fill caches
LEAST = 200  # a run this long gets back the second that recording takes


def may_capture(training: "Training", steps: int, wanted: bool | None = None) -> bool:
    """Whether every step of a `Training` does the same work on the device, so that one can stand for all.

    Args:
        training: its method says whether it is ``steady``.
        steps: how many are ahead.
        wanted: False forbids it; None asks for at least `LEAST` steps, and for parts that are all the module's.
    """
    possible = (training.device.type == "cuda" and distributed.world_size() == 1 and not training.scaler.is_enabled()
                and isinstance(training.data.u, torch.Tensor) and getattr(training.method, "steady", False))
    return possible and wanted is not False and (bool(wanted) or (steps >= LEAST and not training.own))


class CapturedStep:
    """Takes the steps of a `Training`: the first `WARM_UP` as they are, all others by starting the graph again.

    The graph reads which images and which learning rate from three tensors that stay where they are. Its random numbers
    go on where the generator stands, so they are those of steps that are not recorded. Where recording fails, one line
    says so, and all steps are taken as they are.
    """

    def __init__(self, training: "Training") -> None:
        self.training = weakref.proxy(training)  # whose part this is: in a circle both would stay on the card when they are done
        self.graph, self.left, self.failed = None, WARM_UP, False
        self.stream = torch.cuda.Stream(training.device)
        self.rate = torch.zeros((), device=training.device)

    def __call__(self, index: torch.Tensor, ids: torch.Tensor | None, rate: float) -> None:
        """One update on the images at ``index`` (labeled) and ``ids`` (unlabeled; None without), int64, on the device."""
        if self.graph is None and not self.left and not self.failed:
            if self.training.asked_progress:  # a number of the host, which a graph would keep
                self._leave("its method asks for the progress")
            else:
                self._capture(index, ids)
        if self.graph is None:
            self.left = max(0, self.left - 1)
            return self._beside(lambda: self._update(index, ids, rate))
        self.index.copy_(index)
        if ids is not None:
            self.ids.copy_(ids)
        self.rate.fill_(rate)
        self.graph.replay()

    def _update(self, index, ids, rate):
        training = self.training
        training.update(training.batches.make(index, ids, training.method.views), rate)

    def _beside(self, work):
        """Do ``work`` on the stream on which the graph is recorded, in its turn."""
        now = torch.cuda.current_stream(self.training.device)
        self.stream.wait_stream(now)
        with torch.cuda.stream(self.stream):
            work()
        now.wait_stream(self.stream)

    def _capture(self, index, ids):
        training, graph = self.training, torch.cuda.CUDAGraph()
        self.index, self.ids = index.clone(), None if ids is None else ids.clone()
        augment = training.generators["augment"]
        if hasattr(graph, "register_generator_state"):  # from torch 2.14 on it does nothing, since a recording finds its generators
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                graph.register_generator_state(augment)
        training.optimizer.zero_grad(set_to_none=True)  # the gradients' memory belongs to the graph
        before = torch.cuda.current_stream(training.device)
        sources = augment, torch.cuda.default_generators[self.rate.device.index]
        kept = [source.clone_state() for source in sources]
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                self._update(self.index, self.ids, self.rate)
            self.graph = graph
        except RuntimeError as error:
            torch.cuda.set_stream(before)  # a recording that failed leaves its stream and its draws behind
            for source, state in zip(sources, kept):
                source.graphsafe_set_state(state)
            training.optimizer.zero_grad(set_to_none=True)
            self._leave(str(error).splitlines()[0])

    def _leave(self, why):
        self.failed = True
        print(f"The step could not be recorded as a CUDA graph ({why}): it runs as it is, which is slower but no less "
              "correct.", file=sys.stderr)
