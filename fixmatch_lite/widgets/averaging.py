"""A moving average at work."""

import numpy as np
from numpy.typing import ArrayLike

from ..errors import FixMatchError
from .base import Widget, svg

DECAYS = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999]


class AverageTracker(Widget):
    """A number recorded at every step of a training, and its moving average. Used in chapter 8.

    Args:
        values: ``(steps,)`` floats, at least two.
        name: what the number is.
        decay: where the slider starts (the nearest of `DECAYS`).

    Raises:
        FixMatchError: fewer than two values, or one that is not finite.
    """

    module = "average_tracker"

    def __init__(self, values: ArrayLike, name: str = "a weight", decay: float = 0.9) -> None:
        values = np.asarray(values, dtype=float)
        if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
            raise FixMatchError("Give at least two numbers, one for each step, all finite.")
        super().__init__({"values": values, "name": name, "decays": DECAYS,
                          "decay": min(DECAYS, key=lambda d: abs(d - decay))}, f"steps={len(values)}")

    def follow(self, decay: float) -> np.ndarray:
        """The average after every step, float64 ``(steps,)``; it starts at the first value."""
        average, path = self.state["values"][0], []
        for value in self.state["values"]:
            average = decay * average + (1 - decay) * value
            path.append(average)
        return np.array(path)

    def fallback(self) -> str:
        values, n = np.array(self.state["values"]), len(self.state["values"])
        place = lambda path: "M" + " L".join(f"{20 + 600 * k / (n - 1):.1f} {160 - 140 * (v - values.min()) / (np.ptp(values) or 1):.1f}"
                                             for k, v in enumerate(path))
        text = f"{self.state['name']} over {n} steps (thin), and its moving average of decay {self.state['decay']} (thick)"
        return svg(640, 170, f'<path d="{place(values)}" fill="none" stroke="var(--fm-labeled)"/>'
                             f'<path d="{place(self.follow(self.state["decay"]))}" fill="none" stroke="var(--fm-accuracy)" '
                             'stroke-width="2.5"/>', text) + f"<p>{text}.</p>"
