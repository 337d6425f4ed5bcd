"""What something costs: a step in parts that get faster, a ratio mu in images through the net."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..errors import FixMatchError
from .base import Widget, svg
from .stills import Still, floor_under, share_marks, step_marks, table

if TYPE_CHECKING:
    from ..run_files import Run

FACTORS = [1, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000]


class StepBudget(Widget):
    """A training step in parts: one part gets faster, and the figure shows what the whole gains. Used in chapter 17.

    Args:
        names: of the parts, at least two, all different.
        ms: ``(parts,)`` floats, milliseconds of each, all above 0.
        part: which one gets faster.
        factor: how many times faster; where the slider starts (the nearest of `FACTORS`).

    Raises:
        FixMatchError: names and times do not fit together, or there is no such part.
    """

    module = "step_budget"

    def __init__(self, names: Iterable[str], ms: ArrayLike, part: str | None = None, factor: float = 2) -> None:
        names, ms = list(names), np.asarray(ms, dtype=float)
        part = names[0] if part is None and names else part
        if not (len(set(names)) == len(names) == len(ms) >= 2 and np.isfinite(ms).all() and (ms > 0).all()):
            raise FixMatchError("Give at least two parts with different names, and a time above 0 for each.")
        if part not in names:
            raise FixMatchError(f"There is no part {part!r}; choose one of {', '.join(names)}.")
        super().__init__({"names": names, "ms": ms, "part": part, "factors": FACTORS,
                          "factor": min(FACTORS, key=lambda f: abs(f - factor))}, f"parts={len(names)}")

    def speedup(self, part: str, factor: float) -> float:
        """How many times faster the step becomes if ``part`` becomes ``factor`` times faster. Source: Amdahl 1967."""
        ms = dict(zip(self.state["names"], self.state["ms"]))
        return sum(ms.values()) / (sum(ms.values()) - ms[part] + ms[part] / factor)

    def fallback(self) -> str:
        names, ms, total = self.state["names"], self.state["ms"], sum(self.state["ms"])
        text = "A step of " + ", ".join(f"{name} {t:.0f} ms ({t / total:.0%})" for name, t in zip(names, ms))
        left, bars = 10.0, ""
        for k, t in enumerate(ms):
            bars += (f'<rect x="{left:.1f}" y="10" width="{620 * t / total:.1f}" height="40" stroke="var(--fm-card)" '
                     f'fill="var(--fm-{"labeled" if k % 2 else "accuracy"})"/>')
            left += 620 * t / total
        return svg(640, 60, bars, text) + f"<p>{text}.</p>"


class Ratio(Widget):
    """What a bigger ratio mu buys and costs: accuracy by images through the net, cut off at a budget. Used in chapter 10.

    Args:
        runs: {mu: recorded runs with that mu}; accuracies are medians over the runs of one mu at each step, then over
            five evaluations.
        mu: whose curve is highlighted.
        budget: images, all views counted, that may pass through the net.

    Raises:
        FixMatchError: no runs, a mu without any, or runs of one mu that were not evaluated at the same steps.
    """

    module = "ratio"

    def __init__(self, runs: "Mapping[int, Sequence[Run]]", mu: int | None = None, budget: float | None = None) -> None:
        curves = {}
        for ratio, some in sorted(runs.items()):
            steps = {tuple(m.step for m in run.metrics) for run in some}
            if len(steps) != 1:
                raise FixMatchError(f"For mu = {ratio} give at least one run, all evaluated at the same steps.")
            accuracy = np.median([[m.test_accuracy_raw for m in run.metrics] for run in some], axis=0)
            smooth = [float(np.median(accuracy[max(0, k - 4):k + 1])) for k in range(len(accuracy))]
            size = some[0].recipe.batch_size
            curves[ratio] = {"steps": list(steps.pop()), "accuracy": smooth, "labeled": size,
                             "images": size * (1 + 2 * ratio)}
        if not curves:
            raise FixMatchError("Give the recorded runs of at least one mu.")
        ends = [curve["steps"][-1] * curve["images"] for curve in curves.values()]
        budgets = [round(max(ends) * k / 20) for k in range(1, 21)]
        wanted = min(ends) if budget is None else budget
        super().__init__({"mus": list(curves), "curves": curves, "mu": max(curves) if mu is None else mu, "budgets": budgets,
                          "budget": min(budgets, key=lambda b: abs(b - wanted))}, f"mus={len(curves)}")

    def bought(self, mu: int, budget: float) -> tuple[int, float | None, int]:
        """At this budget: (steps done, accuracy at the last evaluation by then or None, labeled images seen)."""
        curve = self.state["curves"][str(mu)]
        done = min(curve["steps"][-1], int(budget // curve["images"]))
        until = [a for step, a in zip(curve["steps"], curve["accuracy"]) if step <= done]
        return done, until[-1] if until else None, done * curve["labeled"]

    def fallback(self) -> str:
        mus, budget, rows = self.state["mus"], self.state["budget"], []
        paths = {mu: [(step * curve["images"], a) for step, a in zip(curve["steps"], curve["accuracy"])]
                 for mu in mus for curve in [self.state["curves"][str(mu)]]}
        low, end = floor_under([path[-1][1] for path in paths.values()]), max(path[-1][0] for path in paths.values())
        still = Still((0, end), (low, 1), step_marks(end), share_marks(low), "images through the net", "test accuracy")
        still.line([(budget, low), (budget, 1)], "ink", dash="5 3")
        for mu in sorted(mus, key=lambda mu: mu == self.state["mu"]):
            still.line(paths[mu], *(("accuracy", 2.8) if mu == self.state["mu"] else ("dropped", 1.2)))
        for mu in mus:
            done, accuracy, _ = self.bought(mu, budget)
            still.text(*paths[mu][-1], f"μ {mu}", dx=-2, dy=-7, anchor="end")
            reached = "not measured yet" if accuracy is None else f"{100 * accuracy:.1f} %"
            rows.append((f"mu {mu}", f"{done:,}", reached))
        text = f"Test accuracy against images through the net. With {budget:,} images (dashed line)"
        told = "; ".join(f"{name} does {done} steps, {accuracy}" for name, done, accuracy in rows)
        return still.svg(f"{text} {told}.") + f"<p>{text}:</p>" + table(["", "steps", "accuracy"], rows)
