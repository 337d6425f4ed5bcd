"""Every recorded run, to be looked at: data set, number of labels, method, seeds; curves against steps or minutes."""

import html
import json
import re
import statistics
from collections.abc import Iterable, Sequence
from os.path import commonprefix
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..errors import FixMatchError
from ..names import data_title
from .base import DATA_LIMIT, Widget, escape
from .stills import Still, floor_under, share_marks, step_marks, table

if TYPE_CHECKING:
    from ..run_files import Run

CURVES = {"test_accuracy": 10_000, "mask_rate": 1000, "pseudo_label_accuracy": 1000}  # and the levels that are told
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def variant(run: "Run") -> str:
    """A run's method in words: its name, what in its recipe is not the data set's own, and parts of one's own."""
    from ..recipes import recipe as make

    recipe = run.recipe
    base = make(recipe.dataset, labels=recipe.labels, method=recipe.method)
    about = ("labels", "label_seed", "seed", "steps", "eval_every", "options")
    changed = [f"{name} {value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else f"{name} {value}"
               for name, value in recipe.as_dict().items() if name not in about and value is not None and value != base.as_dict()[name]]
    changed += [f"draw {recipe.label_seed}"] if recipe.label_seed != recipe.seed else []
    changed += [f"{value}" if recipe.method == "mistaken" else f"{name} {value}" for name, value in recipe.options.items()]
    # seeds of one experiment belong together, though each began with another run
    changed += [f"{name} {re.sub(' [(][0-9a-f]{8}[)]|-seed[0-9]+', '', what) if name == 'start' else what}" for name, what in run.own.items()]
    return ", ".join([run.method, *changed])


def packed(values: Iterable[float | None], levels: int = 10_000) -> str:
    """Numbers from 0 to 1 in whole ``levels``, each as many characters as a number of so many levels takes; the front end
    reads them with parseInt(…, 36)."""
    width = 3 if levels > 36**2 else 2

    def text(value):
        if value is None:
            return "-" * width
        number = round(levels * value)
        return "".join(DIGITS[number // 36**k % 36] for k in reversed(range(width)))

    return "".join(map(text, values))


def unpacked(text: str, width: int = 3, levels: int = 10_000) -> list[float | None]:
    """The numbers that `packed` wrote, each in ``width`` characters."""
    parts = [text[k:k + width] for k in range(0, len(text), width)]
    return [None if part.startswith("-") else int(part, 36) / levels for part in parts]


def state_link(page: str, widget: Widget, state: dict[str, Any]) -> str:
    """The attributes of a link to a widget on ``page`` in a given state. Without scripts it leads to the widget; the state
    follows on a click, since themes take what stands behind # for an element's name."""
    query = "?" + "&".join(f"{key}={quote(json.dumps(value, ensure_ascii=False))}" for key, value in state.items())
    go = ("const there = this.href + this.dataset.state; if (location.href !== there) location.href = there; "
          "else window.dispatchEvent(new Event('hashchange')); return false")  # the same link once more
    return f'href="{page}#{widget.id}" data-state="{html.escape(query)}" onclick="{go}"'


class RunExplorer(Widget):
    """Curves of recorded runs, all seeds of up to two methods. Used on the page of every recorded run.

    Args:
        runs: `Run` objects that are done, or were stopped. None: the runs that come with the module; but of the grid over tau and mu,
            which `TwoKnobs` shows, only those with the recipe's own values, and of several on one draw of the labels only one.
        data, labels, method, other: what is shown first; None takes FixMatch, or else the first there is. ``other`` is a
            second method.

    Raises:
        FixMatchError: no runs.
    """

    module = "run_explorer"

    def __init__(self, runs: "Sequence[Run] | None" = None, data: str | None = None, labels: int | None = None,
                 method: str | None = None, other: str | None = None) -> None:
        from .. import runs as recorded

        if runs is None:
            runs = [run for run in recorded.list_runs() if run.metrics and not run.failed and not self._off_center(run)]
        if not runs:
            raise FixMatchError("There are no runs to show; give at least one, or None for the recorded ones.")
        groups = {}
        for run in runs:
            name = (data_title(run.recipe.dataset), run.recipe.labels, variant(run), tuple(m.step for m in run.metrics))
            groups.setdefault(name, []).append(run)
        order = sorted(groups, key=lambda g: (g[0], g[1] or 0, g[2] != "supervised", g[2] != "fixmatch", g[2], g[3][-1], g[3]))
        asked = ((0, data), (1, labels), (2, method or "fixmatch"))
        first = max(order, key=lambda group: sum(group[k] == value for k, value in asked))
        every = 1
        while True:  # ever fewer evaluations until the page can carry them; the last one stays
            sets = [self._set(*name, groups[name], every) for name in order]
            state = {"sets": sets, "data": first[0], "labels": first[1], "method": first[2], "other": other or "",
                     "axis": "steps", "at": max(len(s["steps"]) for s in sets) - 1, "hidden": "", "run": ""}
            if len(json.dumps(state, separators=(",", ":"))) < 0.97 * DATA_LIMIT or every > 64:
                break
            every += 1
        super().__init__(state, f"runs={len(runs)}")

    @staticmethod
    def _off_center(run):
        from ..recipes import recipe

        base = recipe(run.recipe.dataset)
        crossed = run.recipe.seed != run.recipe.label_seed  # several runs on one draw of the labels: chapter 13
        return crossed or "-grid-" in run.name and (run.recipe.tau, run.recipe.mu) != (base.tau, base.mu)

    @staticmethod
    def _set(data, labels, method, steps, runs, every):
        keep = list(range(len(steps) - 1, -1, -every))[::-1]
        prefix = commonprefix([run.name for run in runs])
        runs = sorted(runs, key=lambda run: run.recipe.seed)
        seconds = [run.metrics[-1].seconds for run in runs]
        curve = lambda name, levels: packed([getattr(run.metrics[k], name) for run in runs for k in keep], levels)
        return {"data": data, "labels": labels, "method": method, "prefix": prefix, "steps": [steps[k] for k in keep],
                "names": [run.name[len(prefix):] for run in runs], "seeds": [run.recipe.seed for run in runs],
                "seconds": [round(s, 1) for s in seconds],
                "finals": [round(10_000 * statistics.median(m.test_accuracy for m in run.metrics[-20:])) for run in runs],
                "time": packed([run.metrics[k].seconds / s for run, s in zip(runs, seconds) for k in keep]),
                **{name: text for name, levels in CURVES.items() if set(text := curve(name, levels)) != {"-"}}}

    def link(self, run: "Run", page: str = "") -> Any:
        """The attributes of a link to the curves of one of the runs, from another page or the same; None for other runs."""
        for s in self.state["sets"]:
            if run.name in [s["prefix"] + name for name in s["names"]]:
                state = {key: s[key] for key in ("data", "labels", "method")}
                return state_link(page, self, state | {"hidden": "", "run": run.name})

    def _still(self):
        """Test accuracy of the methods shown first, all seeds, with a sentence about them."""
        state, told = self.state, []
        find = lambda method: [s for s in state["sets"] if (s["data"], s["labels"], s["method"]) ==
                               (state["data"], state["labels"], method)][:1]
        shown = [*find(state["method"]), *(find(state["other"]) if state["other"] != state["method"] else [])]
        low, end = floor_under([v / 10_000 for s in shown for v in s["finals"]]), max(s["steps"][-1] for s in shown)
        still = Still((0, end), (low, 1), step_marks(end), share_marks(low), "training step", "test accuracy")
        for s in shown:
            first, values, count = s["method"] == state["method"], unpacked(s["test_accuracy"]), len(s["steps"])
            for start in range(0, len(values), count):
                points = zip(s["steps"], values[start:start + count])
                still.line(points, *(("accuracy", 1.5) if first else ("ink", 1.2, "4 3")))
            median = statistics.median(s["finals"]) / 100
            told.append(f"{s['method']} ({'solid' if first else 'dashed'}) {median:.1f} %")
        text = f"{state['data']}, {state['labels']} labels, one line for each run. Medians: {'; '.join(told)}."
        return still.svg(f"Test accuracy, {text}") + f"<p>Test accuracy, {escape(text)}</p>"

    def fallback(self) -> str:
        rows = [(s["data"], s["labels"], s["method"], f"{statistics.median(s['finals']) / 100:.1f} %", len(s["seeds"]))
                for s in self.state["sets"]]
        return (f"{self._still()}<p>Test accuracy of the recorded runs, the median over the seeds of the medians of "
                f"their last 20 evaluations:</p>{table(['data', 'labels', 'method', 'accuracy', 'runs'], rows)}")
