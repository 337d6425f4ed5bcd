"""Pictures: one color and one marker for each kind of point, in every chapter.

Colors are Okabe and Ito's (safe for color-blind readers), two of them shifted for contrast. No picture tells
anything by color alone. Taught in: book/notation.md.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .checks import check_images
from .errors import FixMatchError

COLORS = {
    "labeled": "#0072B2",
    "kept": "#009E73",
    "dropped": "#8A8A8A",
    "wrong": "#D55E00",
    "accuracy": "#AA3377",
}
PAPER, INK = "#FCFBF8", "#22262B"

_STYLE = {
    "figure.figsize": (6.0, 3.6),
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.12,
    "svg.fonttype": "none",
    "svg.hashsalt": "fixmatch-lite",  # the same figure gives the same file, build after build
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": "#E4E1DA",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "axes.prop_cycle": mpl.cycler(color=[COLORS[k] for k in ("labeled", "wrong", "kept", "accuracy", "dropped")]),
}


def use_style() -> None:
    """Give matplotlib the book's style, and sharp SVG pictures where a notebook shows them."""
    plt.rcParams.update(_STYLE)
    try:  # no notebook, no IPython: plain matplotlib is fine
        from matplotlib_inline.backend_inline import set_matplotlib_formats
        set_matplotlib_formats("svg")
    except Exception:
        pass


def show_images(images: torch.Tensor | np.ndarray, titles: Sequence[object] | np.ndarray | None = None, columns: int = 10,
                colors: Sequence[str | tuple[float, ...]] | None = None, size: float = 0.62) -> Figure:
    """Draw a batch of images as a grid, pixels left as they are.

    Args:
        images: uint8 ``(N, C, H, W)``, ``C`` 1 or 3.
        titles: ``N`` short texts to stand above the images, or None.
        columns: images a row.
        colors: ``N`` color names of the titles (keys of `COLORS` or matplotlib colors), or None.
        size: width of one image in inches.

    Returns:
        The matplotlib figure.

    Raises:
        FixMatchError: no batch of uint8 images, or another number of titles or colors.
    """
    images = torch.as_tensor(images).cpu()
    check_images(images)
    for name, given in (("images", images), ("titles", titles), ("colors", colors)):
        if given is not None and (not len(given) or len(given) != len(images)):
            raise FixMatchError(f"There are {len(images)} images and {len(given)} {name}; give at least one image, and one "
                                "entry for each.")
    rows = -(-len(images) // columns)
    extra = 0.22 if titles is not None else 0.04
    figure, axes = plt.subplots(rows, columns, figsize=(columns * size, rows * (size + extra)), squeeze=False)
    for k, cell in enumerate(axes.flat):
        cell.set_axis_off()
        if k >= len(images):
            continue
        picture = images[k].permute(1, 2, 0).numpy()
        cell.imshow(picture[..., 0] if picture.shape[2] == 1 else picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        if titles is not None:
            color = INK if colors is None else COLORS.get(colors[k], colors[k])
            cell.set_title(str(titles[k]), fontsize=8, loc="center", pad=2, color=color)
    figure.tight_layout(pad=0.25)
    return figure


def plot_curves(histories: Iterable[Sequence[Any]], metric: str = "test_accuracy", label: str | None = None,
                color: str | tuple[float, ...] = "accuracy", ax: Axes | None = None) -> Axes:
    """Draw one metric of several runs against the steps: every run thin, the median thick.

    Where runs were evaluated at different steps, the median is of those that all have.

    Args:
        histories: a list of runs, each a list of `Metrics` (or of dictionaries with the same keys).
        metric: the name of the metric; values that are None leave a gap.
        label: the legend's text for the median.
        color: key of `COLORS` or a matplotlib color.
        ax: where to draw; a new figure if None.

    Returns:
        The axes.

    Raises:
        FixMatchError: no run, one run in place of a list of runs, or a metric that there is not.
    """
    histories = list(histories)
    if not histories or not all(isinstance(run, (list, tuple)) and len(run) for run in histories):
        raise FixMatchError("histories must be a list of runs, each a list of Metrics, such as [run.metrics for run in runs]; [history] "
                            "makes one of a single run.")
    first = histories[0][0]
    known = [name for name in (first if isinstance(first, dict) else vars(first)) if not name.endswith("per_class")]
    if metric not in known:
        raise FixMatchError(f"There is no metric {metric!r} to draw; use one of {', '.join(known)}.")
    ax = ax or plt.subplots()[1]
    color = COLORS.get(color, color)
    get = lambda m, key: m[key] if isinstance(m, dict) else getattr(m, key)
    value = lambda m: np.nan if get(m, metric) is None else get(m, metric)
    curves = [{get(m, "step"): value(m) for m in run} for run in histories]
    for curve in curves:
        ax.plot(list(curve), list(curve.values()), color=color, linewidth=0.8, alpha=0.45)
    shared = [step for step in curves[0] if all(step in curve for curve in curves)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All-NaN slice")  # no run has the metric there: a gap in the median, too
        middle = np.nanmedian(np.array([[curve[step] for step in shared] for curve in curves], dtype=float), axis=0)
    ax.plot(shared, middle, color=color, linewidth=2.4, label=label)
    ax.set_xlabel("step")
    ax.set_ylabel(metric.replace("_", " "))
    return ax
