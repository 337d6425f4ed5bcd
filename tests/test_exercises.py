"""The exercises' checkers: a right answer passes, a wrong one gets a hint, and nonsense of any kind never raises.

That the worked solutions are right is nbval's part: they are run with the notebooks."""

import importlib
import inspect
import json
import pkgutil
import re

import pytest
import torch
import torch.nn.functional as F

import fixmatch_lite as fm
from conftest import ROOT
from fixmatch_lite import exercises

CHECKERS = {}
for info in pkgutil.iter_modules(exercises.__path__):
    module = importlib.import_module(f"{exercises.__name__}.{info.name}")
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and not name.startswith("_"):
            CHECKERS[f"{info.name}.{name}"] = function

NONSENSE = {"None": None, "text": "x", "far off": -1e9, "empty list": [], "function": lambda *args, **kwargs: None,
            "not a number": float("nan")}


def named_in_notebooks():
    """The names that the notebooks' cells check."""
    names = set()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                names |= set(re.findall(r"""exercises\.check\(\s*["']([\w.]+)["']""", "".join(cell["source"])))
    return names


def said(capsys, name, answer=..., **options):
    """What `check` prints; a checker that raises fails the test, since `check` would report it as a wrong kind."""
    capsys.readouterr()
    exercises.check(name, answer, **options)
    return capsys.readouterr().out.strip()


def test_notebooks_and_checkers_name_the_same_exercises():
    named = named_in_notebooks()
    assert named, "no notebook checks anything"
    assert named <= set(CHECKERS), f"no checker: {sorted(named - set(CHECKERS))}"
    chapters = {name.partition(".")[0] for name in named}
    unused = {name for name in CHECKERS if name.partition(".")[0] in chapters} - named
    assert not unused, f"no notebook asks for: {sorted(unused)}"


@pytest.mark.parametrize("name", sorted(CHECKERS))
def test_the_stub_is_not_answered_yet(name, capsys):
    assert said(capsys, name).startswith("Not answered yet")


@pytest.mark.parametrize("name", sorted(CHECKERS))
def test_a_deeper_hint_is_there(name, capsys):
    hint = said(capsys, name, hint=True).partition("Hint:")[2].strip()
    assert len(hint.split()) >= 6 and hint.endswith("."), hint


@pytest.mark.parametrize("kind", sorted(NONSENSE))
@pytest.mark.parametrize("name", sorted(CHECKERS))
def test_nonsense_gets_a_sentence(name, kind, capsys):
    text = said(capsys, name, NONSENSE[kind])
    assert text.startswith("Not yet. ") and "Traceback" not in text, text
    sentence = text.removeprefix("Not yet. ")
    assert len(sentence.split()) >= 4 and sentence[-1] in ".?", text


def test_an_unknown_exercise_is_named():
    with pytest.raises(fm.FixMatchError, match="fixmatch.nothing"):
        exercises.check("fixmatch.nothing", 1)


# ------------------------------------------------------------------------------------------- chapter 9, answer by answer

def parts(weak, strong, tau):
    q = weak.detach().softmax(1)
    return q, q.argmax(1), (q.max(1).values >= tau).float(), strong.log_softmax(1)


def soft(weak, strong, tau):
    q, _, mask, log_p = parts(weak, strong, tau)
    return (mask * -(q * log_p).sum(1)).mean()


def soft_leaking(weak, strong, tau):
    mask = (weak.softmax(1).max(1).values >= tau).float()
    return (mask * -(weak.softmax(1) * strong.log_softmax(1)).sum(1)).mean()


def soft_over_kept(weak, strong, tau):
    q, _, mask, log_p = parts(weak, strong, tau)
    return (mask * -(q * log_p).sum(1)).sum() / mask.sum()


def hard(weak, strong, tau):
    return fm.fixmatch_loss(strong, weak.argmax(1), weak, strong, tau=tau).unsupervised


def slope(weak, strong, tau):
    _, pseudo_label, mask, log_p = parts(weak, strong, tau)
    return mask[:, None] * (log_p.exp() - F.one_hot(pseudo_label, strong.shape[1])) / len(weak)


RIGHT = {
    "views": [960, 960.0],
    "by_hand": [torch.tensor([2.0, 4.0]).log().sum().item() / 4, 0.52],
    "cutout_share": [(15 / 64) ** 2, 0.055],
    "memory": [459],
    "soft": [soft],
    "gradient": [slope],
}
TEMPTING = {
    "views": [(512, "twice"), (1024, "one view only")],
    "by_hand": [(1.0397, "over the kept"), (2.0794, "the sum"), (0.1733, ">=")],
    "cutout_share": [(1 / 16, "border"), (15 / 64, "share of the rows"), (5.49, "between 0 and 1")],
    "memory": [(100, "37%"), (458, "One step too early"), (4603, "first step")],
    "soft": [(soft_leaking, "flows through q"), (soft_over_kept, "over the kept"), (hard, "hard label"),
             (lambda *views: soft(*views).item(), "as a tensor")],
    "gradient": [(lambda *v: -slope(*v), "sign"), (lambda *v: slope(*v) * len(v[0]), "mean is missing"),
                 (lambda w, s, tau: slope(w, s, 0.0), "not kept"),
                 (lambda w, s, tau: slope(w, s, tau) * len(w) / parts(w, s, tau)[2].sum(), "divides by all"),
                 (lambda *v: slope(*v).sum(1), "one number a logit")],
}


def test_every_checker_of_chapter_3_is_tried():
    mine = {name.partition(".")[2] for name in CHECKERS if name.startswith("fixmatch.")}
    assert mine == set(RIGHT["fixmatch"]) == set(TEMPTING["fixmatch"])


# ------------------------------------------------------------------------------------------- chapter 11, answer by answer

def lazy(net, images):
    net(images).sum().backward()
    return [name for name, p in net.named_parameters() if p.grad is None]


RIGHT_5 = {"rate": [0.03 * 0.7730], "seen": [64 * 2**20 / 40, 1.68e6], "undecayed": [5658], "decay": [0.9908],
           "without_gradient": [lazy, lambda *given: set(lazy(*given))]}
TEMPTING_5 = {
    "rate": [(0.015, "straight line"), (0.0212, "full circle"), (0.773, "the factor")],
    "seen": [(64 * 2**20, "all 40 together"), (7 * 64 * 2**20 / 40, "mu counts")],
    "undecayed": [(1_469_642 - 5658, "the decayed ones"), (0.385, "share")],
    "decay": [(0.999, "Too slow"), (0.9, "a larger one"), (1.0, "between 0 and 1")],
    "without_gradient": [(lambda *given: [], "with dead parts it misses"),
                         (lambda *given: [*lazy(*given), "stem.weight"], "names stem.weight")],
}


# ------------------------------------------------------------------------------------------------------------ and asked

RIGHT = {"fixmatch": RIGHT, "recipe": RIGHT_5}
TEMPTING = {"fixmatch": TEMPTING, "recipe": TEMPTING_5}


@pytest.mark.parametrize("name,answer", [(f"{chapter}.{name}", answer) for chapter, given in RIGHT.items()
                                         for name in given for answer in given[name]])
def test_right_answers(name, answer, capsys):
    assert said(capsys, name, answer).startswith("Right")


@pytest.mark.parametrize("name,answer,hint", [(f"{chapter}.{name}", *pair) for chapter, given in TEMPTING.items()
                                              for name in given for pair in given[name]])
def test_tempting_answers_are_told_apart(name, answer, hint, capsys):
    text = said(capsys, name, answer)
    assert text.startswith("Not yet. ") and hint in text, text
