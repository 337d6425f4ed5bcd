"""The hints of the public functions: none is missing, and mypy finds the mistakes of somebody who builds on the module."""

import importlib
import inspect
import re
import subprocess
import sys

import pytest

from conftest import ROOT

WITHOUT = {"cli"}  # commands, which nobody calls in Python
RIGHT = """
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

import fixmatch_lite as fm
from fixmatch_lite.batches import Batch, Strong
from fixmatch_lite.comparators.alignment import aligned
from fixmatch_lite.losses import Loss, fixmatch_loss
from fixmatch_lite.methods import Consistency
from fixmatch_lite.policies import PseudoLabels


class Soft(nn.Module):
    def forward(self, logits_u_weak: torch.Tensor, *, ids: torch.Tensor | None = None, q_labeled: torch.Tensor | None = None,
                y: torch.Tensor | None = None) -> PseudoLabels:
        q = logits_u_weak.softmax(1)
        confidence = q.max(1).values
        return PseudoLabels(confidence, q, confidence)


class Mine(nn.Module):
    views = ("weak",)

    def loss(self, batch: Batch, run: fm.Training) -> Loss:
        logits = run.forward(batch.x)
        supervised = nn.functional.cross_entropy(logits, batch.y)
        return Loss(supervised, supervised, supervised.detach(), None, None, None)


data: fm.SemiSupervisedData = fm.load_data("digits", labels=40, seed=0, labeled=[1, 2, 3])
recipe: fm.Recipe = fm.recipe("digits", tau=0.9).changed(mu=2)
accuracy: list[float] = [metrics.test_accuracy for metrics in fm.fit(recipe, data, device=torch.device("cpu"), method=Mine())]
training = fm.fit(recipe, data, checkpoint="here.safetensors", resume=True, start="digits-40-simclr-seed0",
                  strong=Strong(fm.RandAugment("paper"), fm.Cutout(0.25, fill=0)))
for metrics in fm.runs.record("runs/mine", recipe, data, method=Consistency(Soft(), lambda_u=0.5)):
    kept: float | None = metrics.mask_rate
run: fm.runs.Run = fm.runs.load("digits-40-vat-seed0")
median: float = fm.runs.summarize(run)["test_accuracy"]
names: list[str] = fm.runs.table(prefix="digits")["name"].tolist()
net: nn.Module = run.model().eval()
images: torch.Tensor = fm.weak_augment(data.x, generator=torch.Generator().manual_seed(0), flip=False)
total: torch.Tensor = fixmatch_loss(net(fm.augment.to_float(images)), data.y, net(images), net(images), tau=0.8).total
error: float = fm.calibration.calibration_error(np.array([0.5, 1.0]), [True, False])
policy: Callable[..., PseudoLabels] = aligned(fm.FixMatch(0.95), recipe, data)
said: list[str] = fm.health.Health(recipe).before()
axes = fm.plots.plot_curves([run.metrics], metric="mask_rate")
axes.set_ylim(0, 1)
fm.widgets.Threshold([0.5, 0.9], correct=[True, False]).to_html().strip()
"""
WRONG = """
import torch

import fixmatch_lite as fm

data = fm.load_data(40)
data = fm.load_data("digits", label=40)
recipe = fm.recipe(10)
fm.fit(data, recipe)
fm.fit(recipe, data, device=0.5)
fm.fit(recipe, data, method=lambda batch, run: None)
for metrics in fm.fit(recipe, data):
    print(metrics.accuracy)
recipe.number_of_steps
for recorded in fm.runs.record("runs/mine", recipe, data):
    print(recorded.accuracy)
fm.runs.load(3)
fm.runs.load("a").tau
fm.Cutout("half")
fm.RandAugment(preset=3)
fm.weak_augment([1, 2])
fm.FixMatch(tau="high")
fm.losses.fixmatch_loss(torch.zeros(1), torch.zeros(1), tau=0.5)
fm.nothing_of_the_kind.at_all
""".rstrip()


def public():
    """Every public function and method of the modules that the reference lists, by name."""
    for module in re.findall(r"automodule:: fixmatch_lite\.([\w.]+)", (ROOT / "book" / "api.md").read_text()):
        module = module if module not in WITHOUT else "errors"
        room = importlib.import_module(f"fixmatch_lite.{module}")
        for name, thing in vars(room).items():
            home = getattr(thing, "__module__", None) or ""
            if name.startswith("_") or not f"{home}.".startswith(f"{room.__name__}."):  # a package hands out what its files hold
                continue
            if inspect.isfunction(thing):
                yield f"{module}.{name}", thing
            elif inspect.isclass(thing):
                for part, inner in vars(thing).items():
                    inner = inner.fget if isinstance(inner, property) else getattr(inner, "func", getattr(inner, "__func__", inner))
                    written = inspect.isfunction(inner) and inner.__qualname__ == f"{name}.{part}"
                    if written and (not part.startswith("_") or part in ("__init__", "__call__")) and inner.__module__ == home:
                        if part != "__init__" or "__dataclass_fields__" not in vars(thing):
                            yield f"{module}.{name}.{part}", inner


def test_every_public_function_says_what_it_takes_and_gives():
    found = dict(public())
    assert {"runs.record", "training.Training.forward", "run_files.Run.name", "data.SemiSupervisedData.test_hash",
            "comparators.thresholds.FreeMatch.__init__", "models.batch_statistics", "widgets.Threshold.__init__"} <= found.keys()
    assert len(found) > 250
    bare = {}
    for name, function in found.items():
        signature = inspect.signature(inspect.unwrap(function))
        lacking = [p.name for k, p in enumerate(signature.parameters.values())
                   if p.annotation is p.empty and not (k == 0 and p.name in ("self", "cls"))]
        lacking += ["return"] if signature.return_annotation is signature.empty else []
        if lacking:
            bare[name] = lacking
    assert not bare


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What mypy says of the module and of two programs that use it, line by line."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("types")
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text(WRONG)
    (folder / "user.ini").write_text("[mypy]\nignore_missing_imports = True\nfollow_imports = silent\ndisallow_untyped_calls = True\n"
                                     "disallow_untyped_defs = True\n")

    def say(*arguments):
        done = subprocess.run([sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", "--cache-dir",
                               folder / "cache", *arguments], cwd=ROOT, capture_output=True, text=True)
        assert not done.stderr, done.stderr
        return done.stdout.splitlines()

    programs = say("--config-file", folder / "user.ini", folder / "right.py", folder / "wrong.py")
    return {"module": say("--config-file", "pyproject.toml", "fixmatch_lite"),
            **{name: [line for line in programs if f"{name}.py:" in line] for name in ("right", "wrong")}}


def test_hints_agree_with_what_the_functions_return(told):
    assert not told["module"]


def test_program_that_is_right_passes(told):
    assert not told["right"]


def test_each_mistake_in_a_program_is_found(told):
    found = {int(number) for line in told["wrong"] for number in re.findall(r"wrong\.py:(\d+): error", line)}
    lines = WRONG.split("\n")
    wanted = {k for k, line in enumerate(lines, 1) if line and not line.startswith(("import", "for "))}
    assert found == wanted, [lines[k - 1] for k in sorted(wanted ^ found)]
