"""Progress that reads well wherever it lands: a bar in a terminal or notebook, a line now and then in a log."""

import sys

from tqdm import tqdm

from .errors import FixMatchError


class Progress:
    """Shows the steps of a run; ``style`` is "bar", "lines", None (nothing) or "auto" (finds out)."""

    def __init__(self, total, start=0, style="auto"):
        if style not in ("bar", "lines", "auto", None):
            raise FixMatchError(f"progress = {style!r} is not possible; use 'auto', 'bar', 'lines' or None.")
        notebook = _in_notebook()
        if style == "auto":
            style = "bar" if notebook or sys.stderr.isatty() else "lines"
        self.style, self.total = style, total
        self.bar = None
        if style == "bar":
            # plain text also in notebooks: tqdm's notebook widget leaves state behind that breaks saved notebooks
            self.bar = tqdm(total=total, initial=start, unit="step", mininterval=0.2, leave=False,
                            file=sys.stdout if notebook else sys.stderr, dynamic_ncols=not notebook)

    def step(self):
        if self.bar is not None:
            self.bar.update()

    def evaluated(self, metrics):
        text = describe(metrics)
        if self.bar is not None:
            self.bar.set_postfix_str(text)
        elif self.style == "lines":
            print(f"step {metrics.step}/{self.total}  {text}  {metrics.images_per_second:.0f} images/s",
                  file=sys.stderr, flush=True)

    def close(self):
        if self.bar is not None:
            self.bar.close()


def _in_notebook():
    """Whether a notebook's kernel runs this (a terminal's IPython has no ``kernel``)."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None


def describe(metrics):
    """One evaluation in a few words."""
    right = metrics.pseudo_label_accuracy
    kept = "" if metrics.mask_rate is None else f"  kept {metrics.mask_rate:.0%}"
    return (f"test accuracy {metrics.test_accuracy:.2%}{kept}"
            + (f", of which {right:.1%} right" if right is not None else ""))
