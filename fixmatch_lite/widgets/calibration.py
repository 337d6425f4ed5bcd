"""What a stated confidence is worth."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from ..calibration import calibration_error
from ..checks import check_number
from ..errors import FixMatchError
from .base import Widget, escape, finite
from .stills import Still, share_marks, table

TEMPERATURES = [round(10 ** (k / 20), 3) for k in range(-20, 21)]  # a tenth to ten, 1 in the middle


class Reliability(Widget):
    """A reliability diagram whose logits can be divided by a temperature, and what a threshold keeps. Used in chapter 2.

    Args:
        logits: ``{model's name: (N, classes)}``; or one such array.
        y: ``(N,)`` true classes.
        temperature: where the slider starts (the nearest of `TEMPERATURES`).
        tau: threshold on the confidence; a confidence equal to it is kept.
        bins: intervals of confidence, of equal width.

    Raises:
        FixMatchError: lengths that differ, a class without a logit, logits that are not finite, or a threshold or temperature
            that is not possible.
    """

    module = "reliability"

    def __init__(self, logits: ArrayLike | Mapping[str, ArrayLike], y: ArrayLike, temperature: float = 1.0, tau: float = 0.95,
                 bins: int = 10) -> None:
        logits = logits if isinstance(logits, dict) else {"the model": logits}
        check_number("tau", tau, 0, 1)
        y = finite("y", y)
        rows = {name: np.asarray(of_model, dtype=float) for name, of_model in logits.items()}
        if not rows or any(z.ndim != 2 or len(z) != len(y) or not len(y) for z in rows.values()):
            raise FixMatchError(f"There are {len(y)} examples in y; give each model logits of shape ({len(y)}, classes).")
        if min(y) < 0 or max(y) >= min(z.shape[1] for z in rows.values()):
            raise FixMatchError("A class in y has no logit; classes count from 0, and the logits need a column for each.")
        if any(not np.isfinite(z).all() for z in rows.values()) or temperature <= 0:
            raise FixMatchError("Logits must be finite numbers, and the temperature must be greater than 0.")
        # The largest logit becomes 0 (the softmax does not change) and hundredths of a logit are enough.
        shifted = [(np.round(z - z.max(axis=1, keepdims=True), 2) + 0.0).tolist() for z in rows.values()]
        nearest = min(TEMPERATURES, key=lambda t: abs(np.log(t / temperature)))
        super().__init__({"names": list(rows), "logits": shifted, "y": y, "model": 0, "temperature": nearest,
                          "temperatures": TEMPERATURES, "tau": float(tau), "bins": int(bins)},
                         f"n={len(y)}, models={len(rows)}")

    def judge(self, model: int = 0, temperature: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """How sure the model is of each example, and whether it is right: floats and bools ``(N,)``."""
        z = np.array(self.state["logits"][model]) / (temperature or self.state["temperature"])
        q = np.exp(z - z.max(axis=1, keepdims=True))
        return (q / q.sum(axis=1, keepdims=True)).max(axis=1), z.argmax(axis=1) == np.array(self.state["y"])

    def measure(self, model: int = 0, temperature: float | None = None,
                tau: float | None = None) -> tuple[float, float, float, int, int]:
        """Accuracy, mean confidence, expected calibration error (all shares), number kept, and how many of these are wrong."""
        confidence, right = self.judge(model, temperature)
        kept = confidence >= (self.state["tau"] if tau is None else tau)
        return (right.mean(), confidence.mean(), calibration_error(confidence, right, self.state["bins"]),
                int(kept.sum()), int((kept & ~right).sum()))

    def _still(self):
        """The diagram of the model shown first, with a sentence about it."""
        tau, bins, (confidence, right) = self.state["tau"], self.state["bins"], self.judge()
        still = Still((0, 1), (0, 1), {k / 5: f"{k / 5:.1f}" for k in range(6)}, share_marks(0), "confidence stated",
                      "share that is right", height=240)
        still.line([(0, 0), (1, 1)], "edge", dash="2 4")
        still.line([(tau, 0), (tau, 1)], "ink", dash="5 3")
        still.text(tau, 1, f"τ = {tau:g}", dy=-4, anchor="middle")
        bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
        counts = np.bincount(bin_of, minlength=bins)
        for b in np.flatnonzero(counts):
            said, share = confidence[bin_of == b].mean(), right[bin_of == b].mean()
            still.line([(said, said), (said, share)], "wrong", 2)
            still.dot(said, share, 3 + 10 * np.sqrt(counts[b] / counts.max()), "kept" if said >= tau else "dropped")
        accuracy, said, gap, kept, wrong = self.measure()
        text = (f"{self.state['names'][0]}: right {100 * accuracy:.1f} %, mean confidence {100 * said:.1f} %, mean gap "
                f"{100 * gap:.1f} points; a threshold of {tau:g} keeps {kept} of {len(right)}, {wrong} of them wrong.")
        return (still.svg(f"Reliability diagram. {text}") + f"<p>{escape(text)} A larger circle holds more "
                "examples; its stroke leads to the diagonal, where confidence equals accuracy.</p>")

    def fallback(self) -> str:
        rows = [(name, f"{100 * right:.1f} %", f"{100 * said:.1f} %") for name, (right, said, *_) in
                zip(self.state["names"], map(self.measure, range(len(self.state["names"]))))]
        return (f"{self._still()}<p>How often each model is right, and how sure it says it is, on average:</p>"
                + table(["", "right", "mean confidence"], rows))
