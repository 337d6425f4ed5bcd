"""Runs as folders: what lies in one, and how it is read again. Taught in: chapters 10 and 16."""

import copy
import csv
import json
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .checkpoints import check_weights, read_checkpoint, room_of
from .checks import check_parts
from .errors import FixMatchError
from .hints import PathLike
from .metrics import Metrics
from .models import make_net
from .recipes import Recipe

log = logging.getLogger(__name__)

RECIPE, METRICS, CONFIDENCE = "recipe.json", "metrics.jsonl", "confidence.jsonl"
WEIGHTS, CHECKPOINT = "weights.safetensors", "checkpoint.safetensors"


@dataclass(frozen=True)
class Run:
    """A recorded run: its folder, recipe, provenance and `Metrics`, in the order of the steps; and a net of your own that
    `model` takes, if it was trained with one."""

    path: Path
    recipe: Recipe
    provenance: dict[str, Any] = field(hash=False)
    metrics: tuple[Metrics, ...] = field(hash=False)
    net: nn.Module | None = None

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def done(self) -> bool:
        return bool(self.metrics) and self.metrics[-1].step >= self.recipe.steps

    @property
    def failed(self) -> str | None:
        """Why the run broke off for good, in a sentence; None where it did not."""
        return self.provenance.get("failed")

    @property
    def stopped(self) -> str | None:
        """Why the run is recorded only as far as it came, in a sentence; None where it is whole."""
        return self.provenance.get("stopped")

    @property
    def own(self) -> dict[str, str]:
        """The parts of your own that it was trained with, in words, by "net", "method" and "strong"; under "start" the run
        whose features it began with."""
        return self.provenance.get("own", {})

    @property
    def method(self) -> str:
        """The name of the method; "own" where it was one of your own."""
        return "own" if "method" in self.own else self.recipe.method

    @property
    def confidence(self) -> list[dict[str, Any]]:
        """The run's histograms of confidence, see `confidence.histogram`; empty where none were kept."""
        return [json.loads(line) for line in lines(self.path, CONFIDENCE)]

    def model(self) -> nn.Module:
        """The net with the recorded weights (the moving average), in evaluation mode, on the CPU; those of the last
        checkpoint where the run is not finished, and then the logger ``fixmatch_lite`` says so. A net of your own is copied.
        It takes what `augment.to_float` makes of uint8 images, float32 in [-1, 1]; `predicting.classifier` takes the images.

        Raises:
            FixMatchError: there are no weights, they cannot be read, or they are of another net.
        """
        tensors, classes, channels = self._weights()
        if "net" in self.own and self.net is None:
            raise FixMatchError(f"The run {self.name} was trained with a net of its own, {self.own['net']}, which only Python "
                                "can give: fm.runs.load(path, net=...).")
        model = make_net(self.recipe, classes, channels, torch.Generator()) if self.net is None else copy.deepcopy(self.net).cpu()
        check_weights(model, tensors, f"The run {self.name}")
        model.load_state_dict(tensors)
        return model.eval()

    def _weights(self):
        """The moving average's tensors, and how many classes and channels they are for."""
        if (self.path / WEIGHTS).exists():
            tensors, state = read_checkpoint(self.path / WEIGHTS)
            return tensors, state["num_classes"], state["channels"]
        if not (self.path / CHECKPOINT).exists():
            why = ("recorded without its weights; fm.runs.table() tells which runs have them." if self.done or self.failed
                   or self.stopped else "not finished and has no weights yet: go on with the command that began it and "
                   "--resume.")
            raise FixMatchError(f"The run {self.name} is {why}")
        tensors, state = read_checkpoint(self.path / CHECKPOINT)
        log.warning("the run %s is not finished: its weights are those of step %s of %s", self.name, f"{state['step']:,}",
                    f"{self.recipe.steps:,}")
        return room_of(tensors, "ema"), len(self.provenance["class_names"]), self.provenance["image_shape"][0]


def check_free(folder: PathLike, more: Iterable[str] = ()) -> None:
    """Refuse a folder with files in it that are named like those of a run, or like ``more``, hold something and belong to none."""
    paths = [Path(folder) / name for name in (METRICS, CONFIDENCE, WEIGHTS, CHECKPOINT, *more)]
    if taken := [path.name for path in paths if path.exists() and path.stat().st_size]:
        raise FixMatchError(f"{folder} holds a {taken[0]} that is not part of a run: choose another folder.")


def lines(folder: PathLike, name: str = METRICS) -> list[str]:
    """The whole lines of a run's log."""
    path = Path(folder) / name
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return text[:text.rfind("\n") + 1].splitlines()  # what was being written when the run was killed is no line


def remove_left_overs(folder: Path) -> None:
    """Delete what a process that was killed while it wrote files of a run left half written."""
    for name in (RECIPE, METRICS, CONFIDENCE, WEIGHTS, CHECKPOINT):
        for part in folder.glob(f"{name}.*.part"):
            part.unlink(missing_ok=True)


def load(path: PathLike, net: nn.Module | None = None) -> Run:
    """Read the run in a folder.

    Args:
        path: the folder, or the name of a run that comes with the module.
        net: the net of your own that it was trained with, for `Run.model`, which reads the weights into a copy of it.

    Raises:
        FixMatchError: there is no run, or its files cannot be read, or ``net`` is not a net.
    """
    check_parts(net, None, None)
    if not isinstance(path, (str, os.PathLike)):
        raise FixMatchError(f"A run is loaded by its folder or its name; this is of the type {type(path).__name__}.")
    path = next((p for p in (Path(path), shipped() / path) if (p / RECIPE).exists()), Path(path))
    try:
        described = json.loads((path / RECIPE).read_text(encoding="utf-8"))
        values = described.pop("recipe")
        metrics = tuple(Metrics(**json.loads(line)) for line in lines(path))
        return Run(path, Recipe(**values), described, metrics, net)
    except (FileNotFoundError, NotADirectoryError):
        raise FixMatchError(f"There is no run in {path}; give the folder that was named when it was trained.") from None
    except (ValueError, TypeError, KeyError) as error:
        raise FixMatchError(f"The run in {path} cannot be read ({error}); its files are damaged or of another "
                            "version, train it again in another folder.") from None


def run_of(run: Run | PathLike) -> Run:
    """A `Run`: itself, or what `load` reads from a folder or by a name."""
    return run if isinstance(run, Run) else load(run)


def shipped() -> Path:
    """The folder of the recorded runs that come with the module."""
    return Path(str(resources.files(__package__) / "recorded"))


def ends(name: str) -> list[dict[str, str]]:
    """Runs that come with the module of which only the end was kept: the rows of recorded/``name``.csv, each a dictionary of
    texts."""
    with open(shipped() / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def list_runs(folder: PathLike | None = None, prefix: str = "") -> list[Run]:
    """All runs in a folder, sorted by name; without a folder those that come with the module. One that cannot be read is
    left out, and the log says why."""
    found = []
    for path in sorted(Path(folder or shipped()).glob(f"{prefix}*/{RECIPE}")):
        try:
            found.append(load(path.parent))
        except FixMatchError as error:  # one damaged run hides no other
            log.warning("%s", error)
    return found
