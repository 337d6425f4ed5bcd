"""Recorded runs: a run is a folder, and everything said about it can be read from the folder again.

``recipe.json`` (recipe, code version, device, labeled indices and their hash), ``metrics.jsonl`` (a line an
evaluation), ``confidence.jsonl`` (ten times a run: how sure the net is of the unlabeled images, see `confidence`),
``weights.safetensors`` (the moving average, once the run is done), and ``checkpoint.safetensors`` until then. A file of
tensors may have parts beside it, see `tensor_files`. Taught in: chapters 10 and 16.
"""

import contextlib
import json
import math
import platform
import statistics
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import distributed
from .checkpoints import check_belongs, save_weights
from .checks import check_given, check_number, check_told, described
from .confidence import histogram, is_moment
from .data import SemiSupervisedData
from .devices import device_name, is_fast
from .errors import FixMatchError
from .files import append_line, make_folder, only_one, write_atomically
from .hints import DeviceLike, PathLike
from .metrics import Metrics
from .names import data_title, mirrors
from .recipes import Recipe
from .run_files import (CHECKPOINT, CONFIDENCE, METRICS, RECIPE, WEIGHTS, Run, check_free, ends, lines, list_runs, load,
                        remove_left_overs, run_of, shipped)
from .starts import Start, start_of
from .tensor_files import remove_tensors
from .training import Training, fit
from .version import __version__

if TYPE_CHECKING:
    import pandas

__all__ = ["CHECKPOINT", "CONFIDENCE", "METRICS", "RECIPE", "WEIGHTS", "Recording", "Run", "compare", "ends", "list_runs", "load",
           "record", "shipped", "summarize", "table"]

def record(folder: PathLike, recipe: Recipe, data: SemiSupervisedData, *, device: DeviceLike = None, resume: bool = False,
           progress: str | None = None, compile: bool | None = None, net: nn.Module | None = None, method: nn.Module | None = None,
           strong: nn.Module | None = None, start: Start | Run | PathLike | None = None) -> "Recording":
    """Train as `fit` does and keep the run in ``folder``.

    Args:
        folder: made if it is not there. A folder that already holds a run is refused unless ``resume`` is given; so is one with
            files that are named like a run's but belong to none.
        recipe, data, device, progress, compile: as in `fit`. The run's recipe records the ``flip`` that `load_data` was given.
        resume: go on where the folder's checkpoint stands.
        net, method, strong: of your own, as in `fit`. The run keeps the names of their classes, and the plain values (numbers,
            words) that a method, its policy and a strong view were made with; `load` takes a net of your own again, and a
            resumed run all three, made as they were.
        start: as in `fit`; the run keeps its name and a hash of its features.

    Returns:
        A `Recording`, an iterator of the same `Metrics`. Nothing is read or trained until the first is asked for.

    Raises:
        FixMatchError: the folder holds a run already (nothing in it is touched), another process trains in it, it cannot
            be written, or its checkpoint does not belong to this recipe, labeled set, parts of your own and start; or the recipe
            names other data.
    """
    made, own = [], dict(net=net, method=method, strong=strong)
    return Recording(_record(made, folder, recipe, data, device, resume, progress, compile, start, own), made)


class Recording(Iterator[Metrics]):
    """A run that is being recorded: an iterator of `Metrics`. After a loop that was left, `close` lets others have the folder."""

    def __init__(self, steps: Generator[Metrics, None, None], made: list[Training]) -> None:
        self._steps, self._made = steps, made

    def __next__(self) -> Metrics:
        return next(self._steps)

    def close(self) -> None:
        self._steps.close()

    @property
    def training(self) -> Training | None:
        """The `Training`, whose ``model`` and ``ema_model`` may be used in the loop; None before the first metrics."""
        return self._made[0] if self._made else None


def _record(made, folder, recipe, data, device, resume, progress, compile, start, own):
    check_given(recipe, data)
    folder, writes, start = Path(folder), distributed.rank() == 0, start_of(start)
    if recipe.flip is None and data.flip != mirrors(data.name):
        recipe = recipe.changed(flip=data.flip)
    asked, resume = resume, distributed.agree(lambda: _may_resume(folder, resume, recipe, data, described(own, start)))
    training = fit(recipe, data, device=device, checkpoint=folder / CHECKPOINT, resume=resume, progress=progress,
                   compile=compile, start=start, **own)
    made.append(training)
    with contextlib.ExitStack() as held:
        distributed.agree(lambda: _begin(folder, training, asked, resume, held))
        before = training.step
        for metrics in training:
            if writes:
                _keep_confidence(folder, training, before)
                before = metrics.step
                append_line(folder / METRICS, _as_line(metrics.as_dict()))
                if metrics.step >= recipe.steps:
                    _finish(training, folder)
            yield metrics
        if writes and not (folder / WEIGHTS).exists():  # killed between the last checkpoint and the weights
            _finish(training, folder)


def _begin(folder, training, asked, resume, held):
    """Take the folder for this process alone until ``held`` is closed, and bring its files to where the training is."""
    make_folder(folder)
    held.enter_context(only_one(folder))
    # once more, now that nobody else writes
    if _may_resume(folder, asked, training.recipe, training.data, training.began_with) != resume:
        raise FixMatchError(f"Another process has just trained in {folder}: run the command again.")
    remove_left_overs(folder)
    if resume:
        _trim(folder, training)
    else:
        write_atomically(folder / RECIPE, json.dumps(_description(training), indent=1) + "\n")
        write_atomically(folder / METRICS, "")
        write_atomically(folder / CONFIDENCE, "")


def _may_resume(folder, resume, recipe, data, own):
    """Whether there is a checkpoint to go on from; raises where something would be lost or become another run."""
    started = (folder / RECIPE).exists()
    if started and not resume:
        raise FixMatchError(f"{folder} already holds a run; resume it, or choose another folder.")
    if resume and started and (folder / WEIGHTS).exists():
        raise FixMatchError(f"The run in {folder} is finished; choose another folder for a new one.")
    if not started:
        check_free(folder)
        check_told(recipe, data)
    elif (folder / CHECKPOINT).exists():
        return resume
    else:  # stopped before the first checkpoint: it begins again, as it was
        run = load(folder)
        check_belongs(f"The run in {folder}", {"recipe": run.recipe.as_dict(), **run.provenance}, recipe, data, own)
        if lines(folder):  # a checkpoint is written before its line
            raise FixMatchError(f"The run in {folder} has evaluations, and its checkpoint is gone, so it cannot go on; choose another "
                                "folder for a new one.")
    return False


def _keep_confidence(folder, training, before):
    """Add the histogram of this evaluation if the run has come to one of the moments for it."""
    if is_moment(training.step, before, training.recipe.steps) and (found := histogram(training)) is not None:
        append_line(folder / CONFIDENCE, _as_line(found))


def _trim(folder, training):
    """Bring the logs to where the checkpoint stands."""
    kept = _until(training.step, folder, METRICS)
    last = json.loads(kept[-1])["step"] if kept else 0
    judged = _until(last, folder, CONFIDENCE)
    for name, left in ((METRICS, kept), (CONFIDENCE, judged)):
        write_atomically(folder / name, "".join(line + "\n" for line in left))
    if last < training.step:  # killed between checkpoint and log
        _keep_confidence(folder, training, last)
        append_line(folder / METRICS, _as_line(training.last_metrics))


def _until(step, folder, name):
    """The lines of a log of evaluations up to ``step``."""
    try:
        return [line for line in lines(folder, name) if json.loads(line)["step"] <= step]
    except (ValueError, TypeError, KeyError) as error:
        raise FixMatchError(f"{folder / name} has a line that is not a run's ({error}): take it out, and resume again.") from None


def _as_line(values):
    """JSON without what nobody reads: six digits of every number but an accuracy, which is a share of whole images."""
    short = lambda v: float(f"{v:.6g}") if isinstance(v, float) else [*map(short, v)] if isinstance(v, (list, tuple)) else v
    return json.dumps({k: v if k.startswith("test_") else short(v) for k, v in values.items()}, separators=(",", ":"))


def _finish(training, folder):
    save_weights(training, folder / WEIGHTS)
    remove_tensors(folder / CHECKPOINT)


def _description(training):
    data = training.data
    return {
        "recipe": training.recipe.as_dict(),
        "code_version": __version__,
        "torch_version": torch.__version__,
        "python_version": platform.python_version(),
        "device": device_name(training.device),
        "processes": distributed.world_size(),
        "threads": torch.get_num_threads(),
        "precision": str(training.dtype or torch.float32).removeprefix("torch."),
        "image_shape": list(data.x.shape[1:]),
        "class_names": list(data.class_names),
        "unlabeled": len(data.u),
        "labeled_hash": data.labeled_hash,
        "fast": is_fast(),
        "labeled_indices": list(data.labeled_indices),
        **{name: value for name in ("test_hash", "unlabeled_hash") if (value := getattr(data, name))},
        **({"own": training.began_with} if training.began_with else {}),
    }


def summarize(run: Run | PathLike, last: int = 20) -> dict[str, Any]:
    """What a run came to: the median of its last evaluations of the moving average, never the best. In a run with fewer than twice
    as many in all they reach into its first half: the start counts, too, and the median may lie far below what the run came to.

    Returns:
        A dictionary: ``name``, ``step``, ``done``, ``test_accuracy`` (median of the last ``last`` evaluations), ``evaluations``
        (how many those were), ``early`` (whether they reach into the first half), ``final`` (the very last), and the last
        ``mask_rate``, ``pseudo_label_accuracy``, ``seconds``.
    """
    run = run_of(run)
    check_number("last", last, 1, math.inf, ", of evaluations", whole=True)
    if not run.metrics:
        raise FixMatchError(f"The run {run.name} has no evaluation yet; let it train longer.")
    tail, end = run.metrics[-last:], run.metrics[-1]
    return {"name": run.name, "step": end.step, "done": run.done,
            "test_accuracy": statistics.median(m.test_accuracy for m in tail), "evaluations": len(tail),
            "early": 2 * tail[0].step <= end.step, "final": end.test_accuracy, "mask_rate": end.mask_rate,
            "pseudo_label_accuracy": end.pseudo_label_accuracy, "seconds": end.seconds}


def compare(runs: Iterable[Run | PathLike]) -> list[dict[str, Any]]:
    """Several runs side by side: a list with, for each, the fields in which the recipes differ and its `summarize`; where two
    recipes name the same draw but the labels differ (they came from a file), the hash of its labeled set, too; and where some
    runs have parts of their own or a start, those in words."""
    runs = [run_of(run) for run in runs]
    recipes = [{**run.recipe.as_dict(), "method": run.method} for run in runs]
    different = [k for k in Recipe.__dataclass_fields__ if len({repr(recipe[k]) for recipe in recipes}) > 1]
    hashes = [run.provenance.get("labeled_hash") for run in runs]
    draws = [tuple(recipe[k] for k in ("dataset", "labels", "label_seed", "split")) for recipe in recipes]
    told = len({*zip(draws, hashes)}) > len({*draws})
    some_own = any(run.own for run in runs)
    return [{**{k: recipe[k] for k in different}, **({"labeled_hash": labels} if told else {}),
             **({"own": ", ".join(run.own.values())} if some_own else {}), **summarize(run)}
            for run, recipe, labels in zip(runs, recipes, hashes)]


def table(folder: PathLike | None = None, prefix: str = "") -> "pandas.DataFrame":
    """All runs of `list_runs` as a pandas table, one row a run: what came of it by `summarize`, or why it broke off; where
    some have parts of their own or a start, those in words."""
    import pandas

    rows = []
    told_of = ("test_accuracy", "evaluations", "mask_rate", "pseudo_label_accuracy")
    nothing = dict.fromkeys((*told_of, "seconds"), math.nan)
    runs = list_runs(folder, prefix)
    some_own = any(run.own for run in runs)
    for run in runs:
        step = run.metrics[-1].step if run.metrics else 0
        recipe, told = run.recipe, {**nothing, "step": step} if run.failed or not run.metrics else summarize(run)
        rows.append({
            "name": run.name, "data": data_title(recipe.dataset), "labels": recipe.labels, "method": run.method,
            **({"own": ", ".join(run.own.values())} if some_own else {}),
            "label_seed": recipe.label_seed, "steps": told["step"], "of": recipe.steps,
            **{name: told[name] for name in told_of}, "minutes": told["seconds"] / 60, "device": run.provenance["device"],
            "weights": (run.path / WEIGHTS).exists(), "failed": run.failed, "stopped": run.stopped,
        })
    return pandas.DataFrame(rows)
