"""Recorded truth to move through: what a threshold keeps, and what tau and mu do to whole runs."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from ..checks import check_number
from ..errors import FixMatchError
from .base import DATA_LIMIT, Widget, escape, finite, quantize, svg
from .stills import Still, floor_under, share_marks, step_marks, table

if TYPE_CHECKING:
    from ..run_files import Run


CURVES = ("test_accuracy", "mask_rate", "pseudo_label_accuracy")


class Threshold(Widget):
    """A histogram of confidences and the share that a threshold keeps. Used in chapters 4 and 9.

    Args:
        confidence: ``(N,)`` floats from 0 to 1.
        correct: ``(N,)`` bools, whether the answer was right; None where the truth is unknown.
        tau: where the slider starts; a confidence equal to tau is kept.
        noun: what is counted.
        bins: bars over the range shown.

    Raises:
        FixMatchError: a tau or confidences outside 0 to 1, or lengths that differ.
    """

    module = "threshold"

    def __init__(self, confidence: ArrayLike, correct: ArrayLike | None = None, tau: float = 0.95, noun: str = "examples",
                 bins: int = 20) -> None:
        check_number("tau", tau, 0, 1)
        confidence = [_down(float(c)) for c in finite("confidence", confidence, digits=9)]
        if not confidence or min(confidence) < 0 or max(confidence) > 1:
            raise FixMatchError("confidence must hold at least one number, all between 0 and 1; check it.")
        if correct is not None:
            correct = [int(bool(c)) for c in quantize(correct)]
            if len(correct) != len(confidence):
                raise FixMatchError(f"There are {len(confidence)} confidences and {len(correct)} entries in correct; "
                                    "give one for each confidence.")
        low = min(0.9, int(min(confidence) * 10) / 10)
        super().__init__({"confidence": confidence, "correct": correct, "tau": float(tau), "noun": noun,
                          "bins": int(bins), "low": low}, f"n={len(confidence)}, tau={tau}")

    def fallback(self) -> str:
        state = self.state
        low, bins, n = state["low"], state["bins"], len(state["confidence"])
        counts = [0] * bins
        for c in state["confidence"]:
            counts[min(bins - 1, max(0, int((c - low) / (1 - low) * bins + 1e-9)))] += 1
        bars = "".join(f'<rect x="{20 + 600 * k / bins:.1f}" y="{170 - 150 * c / max(counts):.1f}" '
                       f'width="{600 / bins - 2:.1f}" height="{150 * c / max(counts):.1f}" fill="var(--fm-kept)"/>'
                       for k, c in enumerate(counts))
        kept = sum(c >= state["tau"] for c in state["confidence"])
        text = f"At a threshold of {state['tau']}, {kept} of {n} {state['noun']} are kept."
        return svg(640, 180, bars, f"Histogram of {n} confidences. {text}") + f"<p>{escape(text)}</p>"


def _down(confidence):
    """Four decimals, rounded down so that no threshold keeps more than of the number itself; float32's 0.95 is 0.95."""
    return confidence if confidence >= 1 else min(9999, math.floor(1e4 * confidence + 1e-3)) / 1e4


class ConfidenceHistory(Widget):
    """How sure a net was of the unlabeled images, through a whole run, and what a threshold would have kept. Used in
    chapter 10.

    Args:
        runs: `Run` objects, or names of runs that come with the module, with histograms of confidence (see `confidence`);
            a dictionary gives each a name of your own.
        tau: where the slider starts.

    Raises:
        FixMatchError: a run has no histograms, or a tau outside 0 to 1.
    """

    module = "confidence_history"

    def __init__(self, runs: "Iterable[Run | str] | Mapping[str, Run | str]", tau: float = 0.95) -> None:
        from .. import runs as recorded

        check_number("tau", tau, 0, 1)
        named = runs if isinstance(runs, dict) else {getattr(run, "name", run): run for run in runs}
        runs = {name: recorded.load(run) if isinstance(run, str) else run for name, run in named.items()}
        rows = [{"name": name, "moments": [{k: found[k] for k in ("step", "right", "wrong")}
                                           for found in run.confidence]} for name, run in runs.items()]
        if not rows or not all(row["moments"] for row in rows):
            raise FixMatchError("There are no histograms of confidence to show; record the runs again.")
        super().__init__({"runs": rows, "run": 0, "moment": 0, "tau": float(tau)}, f"runs={len(rows)}, tau={tau}")

    def fallback(self) -> str:
        rows, tau, moments = [], self.state["tau"], self.state["runs"][0]["moments"]
        still = Still((0, len(moments)), (0, 1), {k + 0.5: f"{moments[k]['step']:,}" for k in {0, len(moments) - 1}},
                      share_marks(0), "training step", "share of the unlabeled images")
        for k, found in enumerate(moments):
            good, bad = (sum(found[name][round(100 * tau):]) for name in ("right", "wrong"))
            total = sum(found["right"]) + sum(found["wrong"])
            kept, wrong = (good + bad) / total, bad / max(1, good + bad)
            still.bar((k + 0.15, k + 0.85), (0, 1), "dropped")
            still.bar((k + 0.15, k + 0.85), (0, good / total), "kept")
            still.bar((k + 0.15, k + 0.85), (good / total, kept), "wrong")
            rows.append((f"{found['step']:,}", f"{100 * kept:.0f} %", f"{100 * wrong:.1f} %"))
        told = "; ".join(f"after step {step}: {kept}, {wrong} of them wrong" for step, kept, wrong in rows)
        text = f"What a threshold of {tau} keeps through training, {self.state['runs'][0]['name']}"
        return (still.svg(f"{text}: {told}.") + f"<p>{escape(text)}. From below: kept and right, kept and wrong, "
                f"dropped (hollow).</p>{table(['step', 'kept', 'wrong among them'], rows)}")


def recorded_grid() -> tuple[list[dict[str, Any]], list[float] | None]:
    """The grid of runs over tau and mu that comes with the module, in the form `TwoKnobs` takes, and its baseline.

    Returns:
        ``(runs, baseline)``: a list of dictionaries, and the supervised runs' test accuracies or None.
    """
    from .. import runs

    grid = [{"tau": run.recipe.tau, "mu": run.recipe.mu, "seed": run.recipe.seed, "seconds": run.metrics[-1].seconds,
             "steps": [m.step for m in run.metrics],
             **{curve: [getattr(m, curve) for m in run.metrics] for curve in CURVES}}
            for run in runs.list_runs(prefix="digits-grid-") if run.done]
    alone = [runs.summarize(run)["test_accuracy"] for run in runs.list_runs(prefix="digits-supervised-") if run.done]
    return grid, alone or None


class TwoKnobs(Widget):
    """Runs recorded over a grid of tau and mu: all seeds and their median. Used in chapter 10.

    Args:
        runs: dictionaries with ``tau, mu, seed, steps, test_accuracy, mask_rate, pseudo_label_accuracy`` (lists of one
            length; accuracies and rates from 0 to 1, None where nothing was kept) and ``seconds``. None: the runs
            that come with the module.
        baseline: test accuracy of training on the labels alone, one number, or one for each seed; drawn as a line.
        tau, mu: where the sliders start (the nearest recorded values).

    Raises:
        FixMatchError: no runs, or lists of different lengths.
    """

    module = "two_knobs"

    def __init__(self, runs: Iterable[Mapping[str, Any]] | None = None, baseline: float | Sequence[float] | None = None,
                 tau: float | None = None, mu: int | None = None) -> None:
        if runs is None:
            runs, baseline = recorded_grid()
        runs = [dict(run) for run in runs]
        if not runs:
            raise FixMatchError("There are no runs to show; give at least one, or None for the recorded ones.")
        for run in runs:
            if any(len(run[c]) != len(run["steps"]) for c in CURVES):
                raise FixMatchError(f"The run tau={run['tau']}, mu={run['mu']}, seed={run['seed']} has lists of "
                                    "different lengths; give each list one value for every entry of steps.")
        taus, mus = sorted({float(r["tau"]) for r in runs}), sorted({int(r["mu"]) for r in runs})
        nearest = lambda values, v, default: min(values, key=lambda x: abs(x - (default if v is None else v)))
        if baseline is not None:
            baseline = [float(b) for b in quantize(baseline)] if hasattr(baseline, "__len__") else [float(baseline)]
        # Thousandths are finer than any difference between two seeds, and a third of the size. Where a grid is too
        # large even so, every second evaluation is left out (the last one stays) until the page can carry it.
        longest, every = max(len(run["steps"]) for run in runs), 1
        while True:
            lean = [self._lean(run, every) for run in runs]
            steps = lean[0]["steps"]
            for run in lean:  # nearly always all runs were evaluated at the same steps: said once
                if run["steps"] == steps:
                    del run["steps"]
            state = {"taus": taus, "mus": mus, "baseline": baseline, "tau": nearest(taus, tau, 0.95),
                     "mu": nearest(mus, mu, 7), "steps": list(steps), "runs": lean}
            if len(json.dumps(state, separators=(",", ":"))) < 0.9 * DATA_LIMIT or every >= longest:
                break
            every *= 2
        seeds = len({r["seed"] for r in runs})
        super().__init__(state, f"taus={len(taus)}, mus={len(mus)}, seeds={seeds}")

    @staticmethod
    def _lean(run, every):
        keep = list(range(len(run["steps"]) - 1, -1, -every))[::-1]
        thousandths = lambda v: None if v is None or v != v else round(1000 * float(v))
        lean = {"tau": float(run["tau"]), "mu": int(run["mu"]), "seed": int(run["seed"]),
                "steps": [int(run["steps"][k]) for k in keep], "seconds": round(float(run.get("seconds") or 0))}
        # Said of a run is the median of its last 20 evaluations, as by `runs.summarize`, before any is left out.
        lean["final"] = thousandths(statistics.median(float(v) for v in run["test_accuracy"][-20:]))
        return lean | {c: [thousandths(run[c][k]) for k in keep] for c in CURVES}

    def table(self) -> dict[tuple[float, int], float]:
        """The median final test accuracy of each (tau, mu) with runs, as a dictionary."""
        cells = {}
        for run in self.state["runs"]:
            cells.setdefault((run["tau"], run["mu"]), []).append(run["final"] / 1000)
        return {cell: statistics.median(values) for cell, values in sorted(cells.items())}

    def _still(self, cells):
        """The runs of one cell, all seeds and their median, with a sentence about them."""
        tau, mu = self.state["tau"], self.state["mu"]
        own = [run for run in self.state["runs"] if (run["tau"], run["mu"]) == (tau, mu)]
        alone, values = self.state["baseline"] and statistics.median(self.state["baseline"]), {}
        low = floor_under([run["final"] / 1000 for run in self.state["runs"]] + ([alone] if alone else []))
        paths = [[(step, v / 1000) for step, v in zip(run.get("steps", self.state["steps"]), run["test_accuracy"])]
                 for run in own]
        for step, v in sum(paths, []):
            values.setdefault(step, []).append(v)
        end = max(values, default=self.state["steps"][-1])
        still = Still((0, end), (low, 1), step_marks(end), share_marks(low), "training step",
                      f"test accuracy, τ = {tau:g}, μ = {mu}")
        for path in paths:
            still.line(path, "accuracy", 0.8)
        still.line([(step, statistics.median(values[step])) for step in sorted(values)], "accuracy", 2.8)
        text = f"Runs with τ = {tau:g}, μ = {mu} (thin, {len(own)} seeds) and their median (thick)"
        text += f": {100 * cells[tau, mu]:.1f} % at the end" if own else ""
        if alone:
            still.line([(0, alone), (end, alone)], "ink", dash="2 3")
            still.text(end, alone, "labels alone", dy=15, anchor="end")
            text += f"; with the labels alone (dashed) {100 * alone:.1f} %"
        return still.svg(f"Test accuracy. {text}.") + f"<p>{escape(text)}.</p>"

    def fallback(self) -> str:
        cells, mus = self.table(), self.state["mus"]
        rows = [(f"τ = {tau:g}", *(f"{100 * cells[tau, mu]:.1f} %" if (tau, mu) in cells else "" for mu in mus))
                for tau in self.state["taus"]]
        return (f"{self._still(cells)}<p>Median test accuracy at the end of the recorded runs:</p>"
                + table(["", *(f"μ = {mu}" for mu in mus)], rows))
