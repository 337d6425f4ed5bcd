"""What stands where no script runs: a small plot whose marks are placed by their data, and a table of the numbers.

A plot is drawn narrow: its text shrinks with it, and has to be legible on a phone.
"""

import html
import math
from collections.abc import Iterable, Sequence

from .base import escape, svg

WIDTH, WIDEST = 250, 320  # in units of the picture, and in pixels of the screen


def share_marks(low: float) -> dict[float, str]:
    """Marks of an axis of shares from ``low`` to 1, at most five, as ``{place: text}``."""
    gap = next((g for g in (0.1, 0.2, 0.25) if (1 - low) / g <= 4.5), 0.5)
    return {1 - k * gap: f"{1 - k * gap:.0%}".replace("%", " %") for k in range(int((1 - low) / gap + 1e-9) + 1)}


def step_marks(end: float) -> dict[float, str]:
    """Marks of an axis from 0 to ``end``: both ends and the middle."""
    return {step: f"{step:,.0f}" for step in (0, end / 2, end)}


def floor_under(shares: Iterable[float]) -> float:
    """Where an axis of shares may begin: a tenth that is a little below the least of them."""
    return max(0, math.floor(10 * min(shares) - 0.5) / 10)


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts, the first of each row its name; where the screen is too narrow it scrolls by itself."""
    row = lambda name, cells, tag: (f"<tr><th>{escape(name)}</th>"
                                    + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>")
    return ('<div class="fm-scroll fm-still" tabindex="0" role="region" aria-label="The numbers"><table><thead>'
            f"{row(head[0], head[1:], 'th')}</thead><tbody>{''.join(row(name, cells, 'td') for name, *cells in rows)}"
            "</tbody></table></div>")


class Still:
    """A plot with gentle grid lines. Its methods add marks, whose places are in units of the data; bars and dots of
    what is dropped are hollow.

    Args:
        x, y: ``(low, high)``, the ranges shown.
        x_marks, y_marks: ``{place: text}``.
        x_name, y_name: of the axes.
        height: in units of which the width has 250.
    """

    def __init__(self, x: tuple[float, float], y: tuple[float, float], x_marks: dict[float, str], y_marks: dict[float, str],
                 x_name: str, y_name: str, height: float = 200) -> None:
        self.x, self.y, self.height = x, y, height
        self.left, self.right, self.top, self.bottom = 44, WIDTH - 16, 26, height - 40
        self.parts = []
        for place, text in y_marks.items():
            self.line([(x[0], place), (x[1], place)], "line", 1)
            self.text(x[0], place, text, dx=-6, dy=4, anchor="end", kind="muted")
        self.line([(x[0], y[0]), (x[1], y[0])], "edge", 1)
        for place, text in x_marks.items():
            self.text(place, y[0], text, dy=17, anchor="middle", kind="muted")
        self.text(sum(x) / 2, y[0], x_name, dy=34, anchor="middle")
        self.parts.append(f'<text x="0" y="12">{html.escape(y_name)}</text>')

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place in the picture of a place in the data."""
        (x0, x1), (y0, y1) = self.x, self.y
        return (self.left + (self.right - self.left) * (x - x0) / (x1 - x0),
                self.bottom - (self.bottom - self.top) * (y - y0) / (y1 - y0))

    def line(self, points: Iterable[tuple[float, float | None]], color: str, width: float = 1.5, dash: str | None = None) -> None:
        """A line through ``(x, y)``, broken where y is None, cut off at the lower edge of the picture."""
        low, path, before = self.y[0], "", None
        step = lambda pen, x, y: pen + "{:.1f} {:.1f}".format(*self.at(x, y))
        for x, y in points:
            if y is not None and before and (y < low) != (before[1] < low):
                share = (low - before[1]) / (y - before[1])
                path += step("L" if y < low else "M", before[0] + share * (x - before[0]), low)
            if y is not None and y >= low:
                path += step("L" if before else "M", x, y)
            before = None if y is None else (x, y)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<path d="{path}" fill="none" stroke="var(--fm-{color})" stroke-width="{width}"{dashes}/>')

    def bar(self, x: Sequence[float], y: Sequence[float], color: str) -> None:
        """A bar over ``x = (left, right)`` that reaches from ``y[0]`` to ``y[1]``."""
        (left, bottom), (right, top) = self.at(x[0], y[0]), self.at(x[1], y[1])
        self.parts.append(f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" '
                          f"{self._paint(color)}/>")

    def dot(self, x: float, y: float, radius: float, color: str) -> None:
        """A circle around a place; its radius is in units of the picture."""
        cx, cy = self.at(x, y)
        self.parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="{radius:.1f}" {self._paint(color)}/>')

    @staticmethod
    def _paint(color):
        return f'fill="{"none" if color == "dropped" else f"var(--fm-{color})"}" stroke="var(--fm-{color})"'

    def text(self, x: float, y: float, text: str, dx: float = 0, dy: float = 0, anchor: str = "start", kind: str = "halo") -> None:
        """Words at a place, moved by ``(dx, dy)`` in units of the picture."""
        px, py = self.at(x, y)
        self.parts.append(f'<text x="{px + dx:.1f}" y="{py + dy:.1f}" text-anchor="{anchor}" class="fm-{kind}">'
                          f"{html.escape(text)}</text>")

    def svg(self, label: str) -> str:
        """The picture as HTML; ``label`` says what it shows, with its numbers."""
        return svg(WIDTH, self.height, "".join(self.parts), label, WIDEST)
