"""A net that begins with what another run has learned: its features, under a last layer drawn anew. Taught in: chapter 18."""

import hashlib
from dataclasses import dataclass

from .checkpoints import check_weights
from .run_files import Run, load

LAST = "classifier."  # the last layer, by the name that it has in every net of the module


@dataclass(frozen=True, eq=False)
class Start:
    """The features of a recorded run: all tensors of its moving average but those of the last layer."""

    name: str
    tensors: dict

    def __str__(self):
        """In words, and the same for the same numbers only."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
        return f"features of {self.name} ({digest.hexdigest()[:8]})"

    def give(self, net):
        """Put the features into ``net``; its last layer stays.

        Raises:
            FixMatchError: it is another net. Nothing is changed then.
        """
        tensors = {**net.state_dict(), **self.tensors}
        check_weights(net, tensors, f"The run {self.name}, the start,", "start from a run of the same net, and of pictures with as "
                      "many channels")
        net.load_state_dict(tensors)


def start_of(run):
    """The `Start` from a run: its folder, its name if it comes with the module, or a `Run`; None stays None.

    Raises:
        FixMatchError: there is no run, or it has no weights, or a net of its own that was not given to `runs.load`.
    """
    if run is None or isinstance(run, Start):
        return run
    run = run if isinstance(run, Run) else load(run)
    return Start(run.name, {k: v for k, v in run.model().state_dict().items() if not k.startswith(LAST)})
