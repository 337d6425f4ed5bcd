"""The live lab: two sliders, a net that trains behind them, and its curves and pseudo-labels while it does.

Source: Sohn et al. 2020, Algorithm 1. Taught in: chapter 10.
"""

import threading
from dataclasses import dataclass, field
from typing import Any

import torch

from .augment import to_float, weak_augment
from .data import SemiSupervisedData, load_data
from .errors import FixMatchError
from .lab_drawing import draw_lab, percent
from .metrics import Metrics
from .models import batch_statistics
from .recipes import Recipe, recipe
from .training import fit

SHOWN = 12  # unlabeled images in view


@dataclass
class Trial:
    """One training in the lab: its recipe, the `Metrics` so far, and how the last net judged the images in view."""

    recipe: Recipe
    metrics: list = field(default_factory=list)
    judged: list = field(default_factory=list)  # of (image, class name, confidence, verdict)
    state: str = "waiting"  # then "training", then "done", "stopped" or "failed"

    @property
    def name(self) -> str:
        return f"tau {self.recipe.tau:g}, mu {self.recipe.mu}"


class Picture:
    """A still of the lab as HTML. It needs no kernel and no script, so a built page can hold it."""

    def __init__(self, text: str, summary: str) -> None:
        self._text, self._summary = text, summary

    def _repr_html_(self):
        return self._text

    def __repr__(self):
        return f"Picture({self._summary})"


class Lab:
    """Train with a threshold and a ratio of your choice and watch; needs a kernel and ipywidgets (7.7 or 8).

    Show it as the last expression of a cell, or with ``show()``. Without widgets, `run` trains once and `picture`
    shows what came of it.

    Args:
        data: see `load_data`; None loads digits with 40 labels drawn by ``label_seed``, which is ``seed`` unless given.
        tau, mu: where the sliders start.
        steps, eval_every: length of one training, and steps from one picture to the next. Stop takes effect at a picture.
        seed: weights, order of the batches, augmentation, and the labeled set where ``data`` is None.
        changes: any other field of `Recipe`.

    Raises:
        FixMatchError: a value that a recipe does not take, or recipe and data do not fit.
    """

    def __init__(self, data: SemiSupervisedData | None = None, *, tau: float = 0.95, mu: int = 7, steps: int = 400,
                 eval_every: int = 10, seed: int = 0, **changes: Any) -> None:
        if data is None:
            data = load_data("digits", labels=changes.get("labels", 40), seed=changes.setdefault("label_seed", seed))
        self.data = data
        self._recipe = recipe(data.name, **{"labels": len(data.x), "tau": tau, "mu": mu, "steps": steps,
                                            "eval_every": eval_every, "seed": seed, **changes})
        self.trials, self.error = [], None
        self._thread, self._stop, self._drawing = None, threading.Event(), threading.Lock()
        self._box = self.output = None
        labeled = set(data.labeled_indices)
        free = [i for i in range(len(data.u)) if i not in labeled] or list(range(len(data.u)))
        self._view = free[::max(1, len(free) // SHOWN)][:SHOWN]

    # ----------------------------------------------------------------------------------------------------- the knobs

    @property
    def tau(self) -> float:
        return self._recipe.tau

    @tau.setter
    def tau(self, value: float) -> None:
        self._turn("tau", value)

    @property
    def mu(self) -> int:
        return self._recipe.mu

    @mu.setter
    def mu(self, value: int) -> None:
        self._turn("mu", value)

    def _turn(self, knob, value):
        """Set a knob; a training that runs stops, and a new one starts with the new value."""
        if value == getattr(self._recipe, knob):
            return
        self._recipe = self._recipe.changed(**{knob: value})
        if self._box is not None:
            slider = self._sliders[knob]
            slider.max = max(slider.max, value)
            slider.value = value  # comes back here once, with nothing left to change
        if self.running:
            self.start()

    # ---------------------------------------------------------------------------------------------------- the training

    @property
    def running(self) -> bool:
        """Whether a training is under way that nobody has asked to stop."""
        return self._thread is not None and self._thread.is_alive() and not self._stop.is_set()

    def start(self, button: object = None) -> None:
        """Train in the background with the present knobs; a training that runs is stopped first, its curve stays."""
        self._stop.set()
        before, self._stop, self.error = self._thread, threading.Event(), None
        trial = self._add()
        # Daemon: closing the notebook's kernel must not wait for a training.
        self._thread = threading.Thread(target=self._in_background, args=(trial, self._stop, before), daemon=True)
        self._thread.start()

    def stop(self, button: object = None, *, wait: bool = False) -> None:
        """Stop at the next evaluation; with ``wait``, return only when that is done."""
        self._stop.set()
        if wait and self._thread is not None:
            self._thread.join()

    def clear(self, button: object = None) -> None:
        """Stop, and forget every curve."""
        self._stop.set()
        self.trials, self.error = [], None
        self._draw()

    def run(self) -> list[Metrics]:
        """Train once with the present knobs, here and now.

        Returns:
            The list of `Metrics`, one an evaluation.
        """
        self.stop(wait=True)
        self._stop, self.error = threading.Event(), None
        trial = self._add()
        self._train(trial, self._stop)
        return trial.metrics

    def _add(self):
        trial = Trial(self._recipe)
        self.trials = [*self.trials, trial]  # a new list: a thread that draws keeps the one it holds
        self._draw()
        return trial

    def _in_background(self, trial, stop, before):
        if before is not None:
            before.join()  # one net at a time: two would share the cores
        try:
            self._train(trial, stop)
        except Exception:
            pass  # told in the lab by `_train`; a thread has nobody else to tell

    def _train(self, trial, stop):
        trial.state = "stopped"
        try:
            if stop.is_set():
                return
            training, trial.state = fit(trial.recipe, self.data), "training"
            self._draw()
            for metrics in training:
                trial.judged = self._judge(training)
                trial.metrics.append(metrics)
                if stop.is_set():
                    break
                self._draw()
            trial.state = "done" if training.step >= trial.recipe.steps else "stopped"
        except KeyboardInterrupt:
            trial.state = "stopped"
            raise
        except Exception as error:
            trial.state, self.error = "failed", f"{type(error).__name__}: {error}"
            raise
        finally:
            self._draw()

    @torch.no_grad()
    def _judge(self, training):
        """What the net being trained says about a weak view of each image in view."""
        data, model = training.data, training.model
        draw = torch.Generator().manual_seed(training.step)  # its own: watching does not change the training
        view = weak_augment(data.u[self._view], generator=draw, flip=training.batches.flip, pad=training.recipe.pad)
        with batch_statistics(model, on=False):
            confidence, label = model(to_float(view)).float().softmax(-1).max(1)
        judged = []
        truths = data.u_true[self._view].tolist()
        for image, q, c, truth in zip(view.cpu(), confidence.tolist(), label.tolist(), truths):
            right = "kept" if truth < 0 else "kept & right" if c == truth else "kept & wrong"
            judged.append((image, str(data.class_names[c]), q, right if q >= training.recipe.tau else "dropped"))
        return judged

    # --------------------------------------------------------------------------------------------------- the pictures

    def picture(self) -> Picture:
        """The lab as it stands: a still with ``_repr_html_``."""
        trials = [trial for trial in self.trials if trial.metrics]
        last = f", {trials[-1].name}, test accuracy {percent(trials[-1].metrics[-1].test_accuracy)}" if trials else ""
        return Picture(draw_lab(self.trials, self.error), f"{len(trials)} trainings{last}")

    def _draw(self):
        with self._drawing:
            if self.output is not None:
                self.output.value = draw_lab(self.trials, self.error)

    def show(self) -> None:
        """Display sliders, buttons and curves."""
        from IPython.display import display
        display(self.box())

    _ipython_display_ = show

    def box(self) -> Any:
        """The ipywidgets box that `show` displays; made at the first call."""
        if self._box is None:
            try:
                import ipywidgets as w
            except ImportError:
                raise FixMatchError("The live lab needs ipywidgets; install it with `pip install ipywidgets`, or use "
                                    "lab.run() and lab.picture().") from None
            short = w.Layout(width="95px")
            self._sliders = {
                "tau": w.FloatSlider(value=self.tau, min=0, max=1, step=0.01, description="tau",
                                     continuous_update=False),
                "mu": w.IntSlider(value=self.mu, min=1, max=max(8, self.mu), description="mu",
                                  continuous_update=False)}
            self.buttons = {}
            for name, act in (("Start", self.start), ("Stop", self.stop), ("Clear", self.clear)):
                self.buttons[name] = w.Button(description=name, layout=short)
                self.buttons[name].on_click(act)
            self.output = w.HTML()
            self._box = w.VBox([w.HBox(list(self._sliders.values())), w.HBox(list(self.buttons.values())), self.output])
            for knob, slider in self._sliders.items():
                slider.observe(lambda change, knob=knob: self._turn(knob, change["new"]), names="value")
            self._draw()
        return self._box
