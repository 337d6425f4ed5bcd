"""Twenty-five students: a line through a few of them, and a classifier that teaches itself. Chapters 1 and 4."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import ArrayLike

from ..errors import FixMatchError
from .base import Widget, escape, finite, quantize, svg


class LineFit(Widget):
    """A scatter of students; the least-squares line follows the labeled ones as they are dragged. Chapter 1.

    Args:
        hours, scores: ``(N,)`` numbers.
        labeled: which students are labeled, as ``(N,)`` bools or as row numbers; None draws five by ``seed``.
        seed: of that draw, and of the button that draws another five.
        x_label, y_label: names of the axes.

    Raises:
        FixMatchError: lengths that differ, or fewer than two labeled students.
    """

    module = "line_fit"

    def __init__(self, hours: ArrayLike, scores: ArrayLike, labeled: ArrayLike | None = None, seed: int = 0,
                 x_label: str = "hours studied", y_label: str = "marks") -> None:
        x, y = finite("hours", hours), finite("scores", scores)
        x, y = [v[0] if isinstance(v, list) else v for v in x], [v[0] if isinstance(v, list) else v for v in y]
        if len(x) != len(y):
            raise FixMatchError(f"There are {len(x)} hours and {len(y)} scores; give as many of each.")
        if labeled is None:
            rows = sorted(random.Random(seed).sample(range(len(x)), 5))
        else:
            given = quantize(labeled)
            is_mask = len(given) == len(x) and all(v in (True, False) for v in given)
            rows = [i for i, v in enumerate(given) if v] if is_mask else sorted({int(i) for i in given})
        if len(rows) < 2 or max(rows) >= len(x):
            raise FixMatchError("A line needs at least two labeled students from the table; change labeled.")
        super().__init__({"x": x, "y": y, "labeled": [int(i in rows) for i in range(len(x))], "moved": list(y),
                          "movedX": list(x), "seed": int(seed), "draw": 0, "xLabel": x_label, "yLabel": y_label},
                         f"students={len(x)}, labeled={len(rows)}")

    def line(self) -> tuple[float, float]:
        """``(intercept, slope)`` of the least-squares line through the labeled students."""
        pairs = [(a, b) for a, b, known in zip(self.state["x"], self.state["y"], self.state["labeled"]) if known]
        mean_x, mean_y = (sum(p[k] for p in pairs) / len(pairs) for k in (0, 1))
        spread = sum((a - mean_x) ** 2 for a, _ in pairs)
        slope = sum((a - mean_x) * (b - mean_y) for a, b in pairs) / spread if spread else 0.0
        return mean_y - slope * mean_x, slope

    def fallback(self) -> str:
        state = self.state
        high = max(state["x"]) * 1.05, max(state["y"]) * 1.1
        at = lambda a, b: (30 + 590 * a / high[0], 230 - 215 * b / high[1])
        dots = ""
        for a, b, known in zip(state["x"], state["y"], state["labeled"]):
            cx, cy = at(a, b)
            look = 'r="6" fill="var(--fm-labeled)"' if known else 'r="4" fill="none" stroke="var(--fm-dropped)"'
            dots += f'<circle cx="{cx:.1f}" cy="{cy:.1f}" {look}/>'
        intercept, slope = self.line()
        (x1, y1), (x2, y2) = at(0, intercept), at(high[0], intercept + slope * high[0])
        dots += f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="var(--fm-labeled)"/>'
        text = (f"The line through the {sum(state['labeled'])} labeled students: {state['yLabel']} = "
                f"{intercept:.1f} + {slope:.2f} × {state['xLabel']}.")
        return svg(640, 240, dots, text) + f"<p>{escape(text)}</p>"


class SelfTrainingStepper(Widget):
    """Recorded rounds of self-training, one step at a time. Chapter 4.

    Args:
        history: ``{"class_names", "x_label", "hours", "true", "labeled", "flips", "taus", "runs"}``; a run is
            ``{"flip", "tau", "given", "rounds"}`` and a round ``{"boundary", "pseudo_label", "prediction",
            "confidence"}``, lists over all students. `SelfTrainingStepper.record` makes it from results of
            `fixmatch_lite.self_training.self_train`.

    Raises:
        FixMatchError: a pair of flip and tau without a run, or lists not as long as ``hours``.
    """

    module = "stepper"

    def __init__(self, history: dict[str, Any]) -> None:
        history = quantize(history)
        n = len(history["hours"])
        pairs = {(run["flip"], run["tau"]) for run in history["runs"]}
        for flip in range(len(history["flips"])):
            for tau in history["taus"]:
                if (flip, tau) not in pairs:
                    raise FixMatchError(f"There is no run for tau={tau} and '{history['flips'][flip]}'; record one.")
        for run in history["runs"]:
            lists = [run["given"]] + [r[k] for r in run["rounds"] for k in ("pseudo_label", "prediction", "confidence")]
            if any(len(values) != n for values in lists) or not run["rounds"]:
                raise FixMatchError(f"A round of tau={run['tau']} does not have one entry for each of the {n} students.")
        super().__init__({"history": history, "tau": history["taus"][-1], "flip": 0, "round": 0},
                         f"students={n}, taus={len(history['taus'])}, flips={len(history['flips'])}")

    @classmethod
    def record(cls, x: ArrayLike, y: ArrayLike, u: ArrayLike, u_true: ArrayLike, runs: Iterable[dict[str, Any]],
               class_names: Sequence[str] = ("fail", "pass"), x_label: str = "hours studied",
               flip_names: Sequence[str] | None = None) -> "SelfTrainingStepper":
        """Make the figure from finished self-training.

        Args:
            x, y: hours ``(N_x,)`` or ``(N_x, 1)`` and true classes ``(N_x,)``, 0 or 1, of the labeled students.
            u, u_true: the same for the unlabeled students.
            runs: ``[{"tau": 0.8, "flip": None, "result": self_train(...)}, ...]``; ``flip`` is the index of the
                labeled student whose label was flipped before training, or None. Every tau with every flip.
            class_names, x_label: words.
            flip_names: what to call the flips, in order of appearance; None: they are named by the student's hours.
        """
        flat = lambda v: [a[0] if isinstance(a, list) else a for a in quantize(v, 6)]
        x, u, y, u_true = flat(x), flat(u), [int(v) for v in flat(y)], [int(v) for v in flat(u_true)]
        flips = sorted({run["flip"] for run in runs}, key=lambda f: -1 if f is None else f)
        if flip_names is None:
            flip_names = ["all labels right" if f is None else f"label of the {x[f]:g}-hour student flipped"
                          for f in flips]
        recorded = [cls._run(run, x, y, u, flips) for run in runs]
        return cls({"class_names": list(class_names), "x_label": x_label, "hours": x + u, "true": y + u_true,
                    "labeled": [True] * len(x) + [False] * len(u), "flips": list(flip_names),
                    "taus": sorted({float(run["tau"]) for run in runs}), "runs": recorded})

    @staticmethod
    def _run(run, x, y, u, flips):
        import numpy as np

        given = [1 - label if i == run["flip"] else label for i, label in enumerate(y)]
        low, high = min(x + u), max(x + u)
        grid = np.linspace(low - 0.1 * (high - low), high + 0.1 * (high - low), 1201)
        points = np.array(x + u, dtype=float)[:, None]
        rounds = []
        for step in run["result"].rounds:
            classes = [int(c) for c in step.classifier.classes_]
            along = step.classifier.predict_proba(grid[:, None]).argmax(axis=1)
            change = np.flatnonzero(np.diff(along))
            q = step.classifier.predict_proba(points)
            rounds.append({"boundary": [float(v) for v in (grid[change] + grid[change + 1]) / 2],
                           "pseudo_label": [None] * len(x) + [int(c) if kept else None for c, kept in
                                                              zip(step.pseudo_label, step.mask)],
                           "prediction": [classes[k] for k in q.argmax(axis=1)],
                           "confidence": [float(c) for c in q.max(axis=1)]})
        return {"flip": flips.index(run["flip"]), "tau": float(run["tau"]), "given": given + [None] * len(u),
                "rounds": rounds}

    def run(self, tau: float, flip: int = 0) -> dict[str, Any]:
        """The recorded run of one threshold and one flip, as a dictionary."""
        return next(r for r in self.state["history"]["runs"] if r["tau"] == tau and r["flip"] == flip)

    def fallback(self) -> str:
        history = self.state["history"]
        first, last = (self.run(self.state["tau"])["rounds"][k] for k in (0, -1))
        kept = lambda r: sum(v is not None for v in r["pseudo_label"])
        text = (f"Self-training with a threshold of {self.state['tau']}: {kept(first)} students carry a pseudo-label "
                f"after the first round and {kept(last)} after the last.")
        high = max(history["hours"]) * 1.05
        dots = "".join(
            f'<circle cx="{20 + 600 * a / high:.1f}" cy="{90 - 50 * true}" r="{6 if known else 4}" '
            + ('fill="var(--fm-labeled)"/>' if known else 'fill="none" stroke="var(--fm-dropped)"/>')
            for a, true, known in zip(history["hours"], history["true"], history["labeled"]))
        return svg(640, 120, dots, text) + f"<p>{escape(text)}</p>"
