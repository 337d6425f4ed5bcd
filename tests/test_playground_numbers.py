"""The playground's training in JavaScript against the same training in torch: parameters, losses, kept and wrong."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from browser_kit import chromium  # noqa: F401 (a fixture)
from fixmatch_lite.widgets import base
from test_widgets import CORE

pytestmark = pytest.mark.browser

METHODS = ("supervised", "pseudo-label", "fixmatch")
STEPS = (0, 1, 5, 20)
# The first is what the widget opens with; in the second every point is kept from the first step on.
SETTINGS = {
    "default": {"shape": "moons", "labels": 6, "seed": 100, "tau": 0.9, "mu": 7, "strength": 1, "lambda_u": 1},
    "other": {"shape": "split", "labels": 10, "seed": 3, "tau": 0.5, "mu": 3, "strength": 1.6, "lambda_u": 2.3},
}
RUN = """({ makePoints, chooseLabeled, Learner, METHODS, DEFAULTS }) => {
  const runs = {}, settings = %s, steps = %s;
  for (const [name, { shape, labels, seed, ...options }] of Object.entries(settings))
    for (const method of METHODS) {
      const points = makePoints(shape, 200, seed), labeled = chooseLabeled(points, labels, seed),
        learner = new Learner(method, points, labeled, options, seed);
      const seen = steps.map((until) => {
        while (learner.step < until) learner.train();
        const { accuracy, kept, wrong } = learner.judge(), losses = [learner.lossSupervised, learner.lossUnsupervised];
        return { p: [...learner.net.p], losses, accuracy, kept, wrong };
      });
      const all = { ...DEFAULTS, ...options };
      runs[`${name} ${method}`] = { x: [...points.x], y: [...points.y], labeled, options: all, seen };
    }
  return { METHODS, runs };
}"""


class Draws:
    """random.mjs in Python: mulberry32 on 32 bits, and normal numbers by Box and Muller."""

    def __init__(self, seed):
        self.a = (seed * 2654435761 + 40503) % 2**32

    def uniform(self):
        a = self.a = (self.a + 0x6D2B79F5) % 2**32
        t = (a ^ (a >> 15)) * (1 | a) % 2**32
        t = (t + (t ^ (t >> 7)) * (61 | t)) % 2**32 ^ t
        return (t ^ (t >> 14)) / 2**32

    def normal(self):
        return math.sqrt(-2 * math.log(1 - self.uniform())) * math.cos(2 * math.pi * self.uniform())

    def normals(self, *shape):
        return torch.tensor([self.normal() for _ in range(math.prod(shape))], dtype=torch.float64).reshape(shape)

    def integer(self, n):
        return math.floor(self.uniform() * n)


class Reference:
    """The same learner in float64, with torch's gradients and torch's SGD."""

    def __init__(self, method, run, seed):
        self.method, self.o = method, run["options"]
        self.x, self.y = torch.tensor(run["x"], dtype=torch.float64).reshape(-1, 2), torch.tensor(run["y"])
        self.labeled = [(torch.tensor([l["a"], l["b"]], dtype=torch.float64), l["y"]) for l in run["labeled"]]
        start, hidden, gain = Draws(seed + 1234), self.o["hidden"], self.o["gain"]
        w1, b1 = gain * start.normals(hidden, 2), gain * start.normals(hidden)
        w2, w3 = start.normals(hidden, hidden) / hidden**0.5, 0.3 * start.normals(2, hidden) / hidden**0.5
        self.p = [p.requires_grad_() for p in (w1, b1, w2, torch.zeros(hidden).double(), w3, torch.zeros(2).double())]
        self.sgd = torch.optim.SGD([{"params": self.p[::2], "weight_decay": self.o["decay"]}, {"params": self.p[1::2]}],
                                   lr=self.o["lr"], momentum=self.o["momentum"], nesterov=True)
        self.draws = Draws(seed + 99)
        self.losses = [0.0, 0.0]

    def logits(self, x):
        w1, b1, w2, b2, w3, b3 = self.p
        return torch.tanh(torch.tanh(x @ w1.T + b1) @ w2.T + b2) @ w3.T + b3

    def weak(self, point):
        return point + self.o["weak"] * self.draws.normals(2)

    def strong(self, point):
        s = self.o["strength"]
        turn, grow = s * self.o["turn"] * self.draws.normal(), 1 + s * self.o["scale"] * self.draws.normal()
        c, d = grow * math.cos(turn), grow * math.sin(turn)
        turned = torch.tensor([[c, -d], [d, c]], dtype=torch.float64) @ point
        return turned + s * self.o["jitter"] * self.draws.normals(2)

    def train(self):
        o, draws, views, targets = self.o, self.draws, [], []
        for _ in range(o["batch"]):
            point, y = self.labeled[draws.integer(len(self.labeled))]
            views.append(self.weak(point))
            targets.append(y)
        loss = supervised = cross_entropy(self.logits(torch.stack(views)), torch.tensor(targets))
        self.losses = [supervised.item(), 0.0]
        if self.method != "supervised":
            n, views, targets = o["mu"] * o["batch"], [], []
            for _ in range(n):
                point = self.x[draws.integer(len(self.x))]
                view = self.weak(point)
                with torch.no_grad():
                    confidence, pseudo_label = self.logits(view).softmax(0).max(0)
                if confidence >= o["tau"]:
                    views.append(self.strong(point) if self.method == "fixmatch" else view)
                    targets.append(pseudo_label)
            if views:
                unsupervised = cross_entropy(self.logits(torch.stack(views)), torch.stack(targets), reduction="sum") / n
                loss = loss + o["lambda_u"] * unsupervised
                self.losses[1] = unsupervised.item()
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()

    @torch.no_grad()
    def judge(self):
        confidence, predicted = self.logits(self.x).softmax(1).max(1)
        kept, right = confidence >= self.o["tau"], predicted == self.y
        return right.sum().item(), kept.sum().item(), (kept & ~right).sum().item()


@pytest.fixture(scope="module")
def in_browser(chromium):
    page = chromium.new_page()
    yield page.evaluate(CORE, [base.bundle("playground_core"), RUN % (SETTINGS, list(STEPS))])
    page.close()


def test_the_methods_are_those_compared(in_browser):
    assert tuple(in_browser["METHODS"]) == METHODS


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("method", METHODS)
def test_training_in_javascript_is_that_of_torch(in_browser, setting, method):
    run = in_browser["runs"][f"{setting} {method}"]
    reference, step, n = Reference(method, run, SETTINGS[setting]["seed"]), 0, len(run["y"])
    for until, seen in zip(STEPS, run["seen"], strict=True):
        while step < until:
            reference.train()
            step += 1
        wanted = torch.cat([p.detach().flatten() for p in reference.p])
        got = torch.tensor(seen["p"], dtype=torch.float64)
        # JavaScript keeps its parameters in float32: each step may round the largest of them by half its last place.
        assert (got - wanted).abs().max() <= (1 + step) * 2**-24 * wanted.abs().max(), f"after {step} steps"
        assert seen["losses"] == pytest.approx(reference.losses, abs=1e-6)
        right, kept, wrong = reference.judge()
        assert (seen["accuracy"], seen["kept"]) == (right / n, kept / n)
        assert seen["wrong"] == (wrong / kept if kept else None)
    assert kept > wrong > 0 and (reference.losses[1] > 0) == (method != "supervised")
