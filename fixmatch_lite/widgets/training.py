"""FixMatch under the reader's hands: two moons trained in the browser, and the loss of one small batch."""

import math
import random
import re

from ..errors import FixMatchError
from .base import Widget, escape, quantize, svg

SHAPES = ("moons", "circles", "blobs", "split")
_LABEL = r"[AB]-?\d*\.?\d+,-?\d*\.?\d+"


class Playground(Widget):
    """Three small networks trained in the reader's browser: labels only, pseudo-labels, FixMatch. The first page.

    The labels can be dragged and turned into the other class. All of it is in the address that "Copy link" gives.

    Args:
        shape: ``"moons"``, ``"circles"``, ``"blobs"``, or ``"split"``, where the groups say nothing of the classes.
        labels: labeled points in all, an even number from 2 to 20, half of each class.
        tau: threshold on the weak view's confidence.
        mu: unlabeled points in a batch for each labeled one.
        strength: of the strong augmentation; 1 is what the defaults were measured with.
        lambda_u: weight of the unsupervised term.
        seed: of the points, the labels, the network and all draws. The default shows a run near the medians of seeds
            100 to 129 (labels only 83 %, pseudo-labels 84 %, FixMatch 97 %); its button "20 draws" shows the spread.
        given: labels of one's own in place of the drawn ones, as a link writes them: class A or B and place, such as
            ``"A0.5,-0.2;B-1,0.4"``, at most 20.
        steps: of training, before it stops by itself.

    Raises:
        FixMatchError: a value out of its range.
    """

    module = "playground"

    def __init__(self, shape="moons", labels=6, tau=0.9, mu=7, strength=1.0, lambda_u=1.0, seed=100, given="", steps=600):
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
        super().__init__({"shape": shape, "labels": int(labels), "tau": float(tau), "mu": int(mu), "seed": int(seed),
                          "strength": float(strength), "lambda_u": float(lambda_u),
                          "given": given, "steps": int(steps)}, f"{shape!r}, labels={labels}")

    def fallback(self):
        # A picture of the problem, not of a result: points of two moons, six of them labeled.
        r, dots = random.Random(self.state["seed"]), ""
        for i in range(120):
            t, c = math.pi * r.random(), i % 2
            a = 0.5 - math.cos(t) if c else math.cos(t) - 0.5
            b = 0.25 - math.sin(t) if c else math.sin(t) - 0.25
            x, y = 320 + 150 * (a + r.gauss(0, 0.08)), 120 - 80 * (b + r.gauss(0, 0.08))
            known = i < 6
            look = f'r="7" fill="var(--fm-{"labeled" if c else "wrong"})"' if known else \
                'r="3.5" fill="none" stroke="var(--fm-dropped)"'
            dots += f'<circle cx="{x:.1f}" cy="{y:.1f}" {look}/>'
        text = ("Two moons of points, six of them labeled. With scripts on, three networks learn here: from the "
                "labels alone, from their own pseudo-labels, and with FixMatch.")
        return svg(640, 240, dots, text) + f"<p>{escape(text)}</p>"


class LossCalculator(Widget):
    """The FixMatch loss of a batch small enough to see, its logits open to change. Chapter 9.

    Args:
        tau, lambda_u: the threshold and the weight of the unsupervised term.
        logits_x, y: ``(B, classes)`` and ``(B,)``.
        logits_u_weak, logits_u_strong: ``(mu * B, classes)`` each.
        class_names: one a class.

    Raises:
        FixMatchError: shapes that do not fit together, or a label that is no class.
    """

    module = "loss_calculator"

    def __init__(self, tau=0.95, lambda_u=1.0, logits_x=None, y=None, logits_u_weak=None, logits_u_strong=None,
                 class_names=("cat", "dog", "fox")):
        logits_x = quantize([[2.0, 0.5, -1.0]] if logits_x is None else logits_x)
        y = quantize([0] if y is None else y)
        # Surely right, surely another class, unsure, and exactly the case where the two views disagree.
        weak = quantize([[5.0, 1.0, 0.0], [-1.0, 4.5, 0.5], [1.0, 0.8, 0.2], [0.0, 0.5, 6.0]]
                        if logits_u_weak is None else logits_u_weak)
        strong = quantize([[3.0, 1.5, 0.0], [0.5, 2.0, 1.0], [0.2, 1.0, 0.5], [2.0, 0.0, 1.0]]
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

    def fallback(self):
        rows = "".join(f"<tr><td>{k + 1}</td><td>{', '.join(f'{v:g}' for v in weak)}</td>"
                       f"<td>{', '.join(f'{v:g}' for v in strong)}</td></tr>"
                       for k, (weak, strong) in enumerate(zip(self.state["weak"], self.state["strong"])))
        return ("<p>The FixMatch loss of a small batch; with scripts on, every logit can be changed.</p><table><thead>"
                f"<tr><th>u</th><th>logits, weak view</th><th>strong view</th></tr></thead><tbody>{rows}</tbody></table>")
