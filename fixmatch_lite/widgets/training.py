"""Losses under the reader's hands: two moons trained in the browser, FixMatch's loss of one small batch, SimCLR's of one view."""

import math
import random
import re
from collections.abc import Sequence

from numpy.typing import ArrayLike

from ..checks import check_number
from ..errors import FixMatchError
from .base import Widget, escape, finite, quantize, svg
from .stills import Still, share_marks, table

SHAPES = {"moons": "Two moons", "circles": "Two rings", "blobs": "Two clouds", "split": "Groups that mislead"}
_LABEL = r"[AB]-?\d*\.?\d+,-?\d*\.?\d+"


def _point(shape, c, r):
    """A point of class c, 0 or 1, as playground_core.mjs draws it; the random numbers are others."""
    t = math.pi * r.random()
    if shape == "moons":
        a, b = (0.5 - math.cos(t), 0.25 - math.sin(t)) if c else (math.cos(t) - 0.5, math.sin(t) - 0.25)
        return a + r.gauss(0, 0.1), b + r.gauss(0, 0.1)
    if shape == "circles":
        radius = (0.5 if c else 1.25) + r.gauss(0, 0.08)
        return radius * math.cos(2 * t), radius * math.sin(2 * t)
    sign = 1 if c else -1
    if shape == "blobs":
        return 0.75 * sign + r.gauss(0, 0.33), 0.35 * sign + r.gauss(0, 0.33)
    return r.choice((-0.8, 0.8)) + r.gauss(0, 0.24), 0.5 * sign * abs(r.gauss(0, 1))


class Playground(Widget):
    """Three small networks trained in the reader's browser: labels only, pseudo-labels, FixMatch. The first page.

    The labels can be dragged and turned into the other class. All of this is in the address that "Copy link to this state" gives.

    Args:
        shape: ``"moons"``, ``"circles"``, ``"blobs"``, or ``"split"``, where the groups say nothing about the classes.
        labels: labeled points in all, an even number from 2 to 20, half of each class.
        tau: threshold on the weak view's confidence.
        mu: unlabeled points in a batch for each labeled one.
        strength: of the strong augmentation; 1 is what the defaults were measured with.
        lambda_u: weight of the unsupervised term.
        seed: of the points, the labels, the network and all draws. The default shows a run near the medians of seeds
            100 to 129 (labels only 83 %, pseudo-labels 84 %, FixMatch 97 %); its button "20 draws" shows the spread.
        given: your own labels in place of the drawn ones, as a link writes them: class A or B and place, such as
            ``"A0.5,-0.2;B-1,0.4"``, at most 20.
        steps: of training, before it stops by itself.
        network: the one shown where there is no room for three: ``"supervised"``, ``"pseudo-label"``, ``"fixmatch"``.
        draws: whether 20 other draws of points and labels are trained, too, and their accuracies shown.

    Raises:
        FixMatchError: a value out of its range.
    """

    module = "playground"

    def __init__(self, shape: str = "moons", labels: int = 6, tau: float = 0.9, mu: int = 7, strength: float = 1.0,
                 lambda_u: float = 1.0, seed: int = 100, given: str = "", steps: int = 600, network: str = "fixmatch",
                 draws: bool = False) -> None:
        if shape not in SHAPES:
            raise FixMatchError(f"There is no shape {shape!r}; choose one of {', '.join(SHAPES)}.")
        if labels % 2 or not 2 <= labels <= 20:
            raise FixMatchError(f"labels is {labels}; choose an even number from 2 to 20, half for each class.")
        if not 0.5 <= tau <= 1 or not 1 <= mu <= 10 or not 0 <= strength <= 2:
            raise FixMatchError("Choose tau from 0.5 to 1, mu from 1 to 10, and strength from 0 to 2.")
        if not 0 <= lambda_u <= 3 or not 0 <= steps <= 6000:
            raise FixMatchError("Choose lambda_u from 0 to 3, and steps from 0 to 6000.")
        if given and (not re.fullmatch(rf"{_LABEL}(;{_LABEL})*", given) or given.count(";") >= 20):
            raise FixMatchError(f"given is {given!r}; write at most 20 labels as class and place, such as A0.5,-0.2;B-1,0.4.")
        if network not in ("supervised", "pseudo-label", "fixmatch"):
            raise FixMatchError(f"There is no network {network!r}; choose supervised, pseudo-label or fixmatch.")
        super().__init__({"shape": shape, "labels": int(labels), "tau": float(tau), "mu": int(mu), "seed": int(seed),
                          "strength": float(strength), "lambda_u": float(lambda_u), "given": given, "steps": int(steps),
                          "network": network, "draws": bool(draws)}, f"{shape!r}, labels={labels}")

    def fallback(self) -> str:
        # A picture of the problem, not of a result: points of the two classes, some of them labeled.
        r, dots = random.Random(self.state["seed"]), ""
        for i in range(120):
            a, b = _point(self.state["shape"], i % 2, r)
            look = f'r="7" fill="var(--fm-{"labeled" if i % 2 else "wrong"})"' if i < self.state["labels"] else \
                'r="3.5" fill="none" stroke="var(--fm-dropped)"'
            dots += f'<circle cx="{320 + 150 * a:.1f}" cy="{120 - 80 * b:.1f}" {look}/>'
        text = (f"{SHAPES[self.state['shape']]}: points of two classes, {self.state['labels']} of them labeled. With scripts "
                "on, three networks learn here: one from the labels alone, one from its own pseudo-labels, one with FixMatch.")
        return svg(640, 240, dots, text) + f"<p>{escape(text)}</p>"


class LossCalculator(Widget):
    """The FixMatch loss and its gradient for a batch small enough to see whole; every logit can be changed. Chapter 9.

    Args:
        tau, lambda_u: the threshold and the weight of the unsupervised term.
        logits_x, y: ``(B, classes)`` and ``(B,)``.
        logits_u_weak, logits_u_strong: ``(mu * B, classes)`` each.
        class_names: one for each class.

    Raises:
        FixMatchError: shapes that do not fit together, a label that is no class, or a tau outside 0 to 1.
    """

    module = "loss_calculator"

    def __init__(self, tau: float = 0.95, lambda_u: float = 1.0, logits_x: ArrayLike | None = None, y: ArrayLike | None = None,
                 logits_u_weak: ArrayLike | None = None, logits_u_strong: ArrayLike | None = None,
                 class_names: Sequence[str] = ("cat", "dog", "fox")) -> None:
        check_number("tau", tau, 0, 1)
        logits_x = finite("logits_x", [[2.0, 0.5, -1.0]] if logits_x is None else logits_x)
        y = quantize([0] if y is None else y)
        # Surely right, surely another class, unsure, and exactly the case where the two views disagree.
        weak = finite("logits_u_weak", [[5.0, 1.0, 0.0], [-1.0, 4.5, 0.5], [1.0, 0.8, 0.2], [0.0, 0.5, 6.0]]
                        if logits_u_weak is None else logits_u_weak)
        strong = finite("logits_u_strong", [[3.0, 1.5, 0.0], [0.5, 2.0, 1.0], [0.2, 1.0, 0.5], [2.0, 0.0, 1.0]]
                          if logits_u_strong is None else logits_u_strong)
        classes = len(class_names)
        if not weak or len(weak) != len(strong) or len(logits_x) != len(y) or any(
                len(row) != classes for row in logits_x + weak + strong):
            raise FixMatchError(f"Give logits with one column for each of the {classes} classes, as many weak views as "
                                "strong ones, and one label for each labeled example.")
        if any(not 0 <= label < classes for label in y):
            raise FixMatchError(f"A label is a class number from 0 to {classes - 1}; change y.")
        super().__init__({"tau": float(tau), "lambda_u": float(lambda_u), "logits_x": logits_x, "y": y, "weak": weak,
                          "strong": strong, "classNames": list(class_names)},
                         f"B={len(y)}, unlabeled={len(weak)}, classes={classes}, tau={tau}")

    def _still(self):
        """The weak views' class probabilities and the threshold, with a sentence about them."""
        tau, names, weak, told, kept = self.state["tau"], self.state["classNames"], self.state["weak"], [], 0
        still = Still((0, len(weak)), (0, 1), {k + 0.5: str(k + 1) for k in range(len(weak))}, share_marks(0),
                      "unlabeled example u", f"probability of {', '.join(names)}")
        for k, logits in enumerate(weak):
            powers = [math.exp(z - max(logits)) for z in logits]
            q = [power / sum(powers) for power in powers]
            best, on = q.index(max(q)), max(q) >= tau
            kept += on
            for c, share in enumerate(q):
                place = [k + 0.1 + 0.8 * (c + side) / len(q) for side in (0.1, 0.9)]
                still.bar(place, (0, share), "kept" if on and c == best else "dropped")
            told.append(f"{k + 1} {names[best]} {100 * max(q):.0f} %")
        still.line([(0, tau), (len(weak), tau)], "ink", dash="5 3")
        text = (f"Most likely class in the weak view of each unlabeled example: {', '.join(told)}. The threshold of "
                f"{tau:g} (dashed) keeps {kept} of {len(weak)}.")
        return still.svg(text) + f"<p>{escape(text)}</p>"

    def fallback(self) -> str:
        texts = lambda views: [", ".join(f"{v:g}" for v in logits) for logits in self.state[views]]
        rows = [(k, *pair) for k, pair in enumerate(zip(texts("weak"), texts("strong")), 1)]
        text = "The FixMatch loss of a small batch; with scripts on, every logit can be changed."
        return f"{self._still()}<p>{text}</p>" + table(["u", "logits, weak view", "strong view"], rows)


class Contrast(Widget):
    """The loss of one view in SimCLR, by the cosines of its partner and of two groups of strangers. Used in chapter 18.

    Args:
        partner, own, others: the view's cosines with its partner, each stranger of its own class, and each other stranger.
        T: the temperature.
        counts: how many strangers there are of its own class, and how many others.

    Raises:
        FixMatchError: a cosine outside [-1, 1], a temperature outside [0.05, 1], or a count below 1.
    """

    module = "contrast"

    def __init__(self, partner: float = 0.6, own: float = 0.4, others: float = 0.1, T: float = 0.5,
                 counts: Sequence[int] = (45, 401)) -> None:
        if any(not -1 <= cosine <= 1 for cosine in (partner, own, others)) or not 0.05 <= T <= 1 or min(counts) < 1:
            raise FixMatchError("Give cosines from -1 to 1, T from 0.05 to 1, and at least one stranger in each group.")
        super().__init__({"partner": float(partner), "own": float(own), "others": float(others), "T": float(T),
                          "counts": [int(count) for count in counts]}, f"T={T}")

    def shares(self) -> tuple[float, list[float]]:
        """The loss, and what the softmax gives to the partner, to all strangers of its class, and to all others."""
        state = self.state
        e = [count * math.exp(state[name] / state["T"]) for name, count in zip(("partner", "own", "others"), (1, *state["counts"]))]
        return -math.log(e[0] / sum(e)), [part / sum(e) for part in e]

    def fallback(self) -> str:
        loss, shares = self.shares()
        own, others = self.state["counts"]
        names = ("its partner", f"{own} strangers of its own class", f"{others} strangers of other classes")
        text = "What the softmax gives to " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in zip(names, shares))
        bars = "".join(f'<rect x="10" y="{10 + 30 * k}" width="{620 * share:.1f}" height="20" fill="var(--fm-{kind})"/>'
                       for k, (share, kind) in enumerate(zip(shares, ("kept", "wrong", "dropped"))))
        return svg(640, 100, bars, text) + f"<p>{text}. The loss is {loss:.2f}.</p>"
