"""The exercises' checkers: a right answer passes, a wrong one gets a hint, and nonsense of any kind never raises.

That the worked solutions are right is nbval's part: they are run with the notebooks."""

import csv
import importlib
import inspect
import io
import json
import pkgutil
import re
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LinearRegression

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
            "not a number": float("nan"), "function that gives it": lambda *args, **kwargs: float("nan")}


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


def soft_by_log(weak, strong, tau):
    q, _, mask, _ = parts(weak, strong, tau)
    return (mask * -(q * strong.softmax(1).log()).sum(1)).mean()


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
    "divisor": [8],
    "soft": [soft],
    "gradient": [slope],
}
TEMPTING = {
    "views": [(512, "twice"), (1024, "one view only")],
    "by_hand": [(1.0397, "over the kept"), (2.0794, "the sum"), (0.1733, ">=")],
    "cutout_share": [(1 / 16, "border"), (15 / 64, "share of the rows"), (5.49, "between 0 and 1")],
    "divisor": [(1 / 8, "the other way around"), (1.12, "late step"), (28, "as large is the first")],
    "soft": [(soft_leaking, "flows through q"), (soft_over_kept, "over the kept"), (hard, "hard label"),
             (lambda *views: soft(*views).item(), "as a tensor"), (soft_by_log, "log_softmax"), (lambda w, s, tau: soft(w, s, tau + 1e-6), "exactly tau")],
    "gradient": [(lambda *v: -slope(*v), "sign"), (lambda *v: slope(*v) * len(v[0]), "mean is missing"),
                 (lambda w, s, tau: slope(w, s, 0.0), "not kept"),
                 (lambda w, s, tau: slope(w, s, tau) * len(w) / parts(w, s, tau)[2].sum(), "divides by all"),
                 (lambda *v: slope(*v).sum(1), "one number per logit"), (lambda w, s, tau: slope(w, s, tau + 1e-6), "exactly tau")],
}


# ------------------------------------------------------------------------------------------- chapter 11, answer by answer

def lazy(net, images, clear=True):
    if clear:
        net.zero_grad()
    net(images).sum().backward()
    return [name for name, p in net.named_parameters() if p.grad is None]


RIGHT_5 = {"rate": [0.03 * 0.7730], "seen": [64 * 2**20 / 250, 268_400], "undecayed": [826], "decay": [0.9908],
           "without_gradient": [lazy, lambda *given: set(lazy(*given))], "wrong_kept": ["flip"]}
TEMPTING_5 = {
    "rate": [(0.015, "straight line"), (0.0212, "quarter circle"), (0.773, "the factor")],
    "seen": [(64 * 2**20, "all 250 together"), (7 * 64 * 2**20 / 250, "mu counts"), (64 * 2**20 / 40, "with 40 labels"), (5, "divided by 250")],
    "undecayed": [(77_898 - 826, "the decayed ones"), (1.06, "share"), (5658, "Count in the digits")],
    "decay": [(0.999, "Too slow"), (0.991, "Too slow"), (0.9, "a larger one"), (1.0, "between 0 and 1")],
    "without_gradient": [(lambda *given: [], "with dead parts it misses"),
                         (lambda *given: [*lazy(*given), "stem.weight"], "names stem.weight"),
                         (lambda *given: lazy(*given, clear=False), "clear them first")],
    "wrong_kept": [("leak", "has more"), ("weak_only", "comes next"), ("frozen", "breaks off"), ("nothing", "eleven names")],
}


# ------------------------------------------------------------------------------------------- chapter 2, answer by answer

def gap_by_bin(confidence, right, bins, whole=False, own=False):
    """``own``: a confidence of 1 has a bin of its own."""
    of = np.minimum((confidence * bins).astype(int), bins - (not own)) * (not whole)
    return sum(abs((right - confidence)[of == k].sum()) for k in range(bins + 1)) / len(confidence)


def useless(first):
    q = np.full((500, 10), (1 - first) / 9)
    q[:, 0] = first
    return q


CONFIDENCE = {
    "softmax": ([0.84, np.exp(3) / np.exp([0, 1, 3]).sum()], [(0.75, "power of each"), (0.9, "largest of them")]),
    "temperature": ([0.64], [(1 / 0.638, "divided by the temperature"), (1.0, "confidence is 0.844"), (-1, "above 0")]),
    "ece": ([gap_by_bin], [(lambda *a: 100 * gap_by_bin(*a), "as a share"), (lambda *a: gap_by_bin(*a, whole=True), "bin by bin"),
                             (lambda c, right, bins: gap_by_bin(c * (c < 1), right * (c < 1), bins), "exactly 1"),
                             (lambda *a: gap_by_bin(*a, own=True), "exactly 1")]),
    "wrong_examples": ([10.8, 11.2], [(0.108, "In points"), (36.0, "T = 1"), (2.0, "the test labels choose"), (20, "training pictures' logits")]),
    "promise": ([], [(2.0, "between 0 and 1"), (1.0, "Of the surest 500"), (0.3, "More or fewer")]),
    "useless": ([useless(0.1001)], [(useless(0.9), "calibration error is"), (useless(0.1)[:9], "shape"), (useless(0.1) * 2, "their sum 1")]),
}

# ------------------------------------------------------------------------------------ chapters 1 and 4, answer by answer

def refit(x, y, u, bonus, lifted=True):
    first = LinearRegression().fit(x, y)
    guessed = first.predict(u) + (bonus if lifted else 0)
    second = LinearRegression().fit(np.concatenate([x, u]), np.concatenate([y, guessed]))
    return second.intercept_, second.coef_


STUDY_HOURS = {
    "longer": ([24.44], [(26.92, "two students"), (9.776, "one hour more"), (29.33, "five labeled"), (5, "Only the slope")]),
    "worst_miss": ([16.93, 17], [(8.82, "mean error"), (11.89, "furthest above"), (-11.89, "furthest above"), (5, "eight test students")]),
    "hours_for_17": ([2.113], [(191.65, "solve for x"), (0.785, "Mind the sign"), (5, "intercept_")]),
    "refit": ([refit, lambda *a: (refit(*a)[0], refit(*a)[1][0])],
              [(3, "without parentheses"), (lambda: 0, "not of the kind"), (lambda *a: (1.0, 2.0, 3.0), "two numbers"), (lambda *a: refit(*a)[::-1], "wrong order"), (lambda *a: refit(*a, lifted=False), "bonus added"),
               (lambda *a: (1.0,), "two numbers"), (lambda *a: (1.0, 2.0), "a different one")]),
    "whom_to_ask": ([[1.5, 2.5, 2.5, 8.9, 9.2]], [([1.5, 2.5], "Five hours"), ([1.5] * 5, "more often"), ([1.5, 2.5, 2.7, 8.9, 9.2], "is possible"), ([1.1, 2.5, 2.5, 8.9, 9.2], "more often"), ([4.5, 5.1, 5.5, 5.9, 6.9], "ruler")]),
    "enough_labels": ([9], [(7, "is still above"), (8, "is still above"), (99, "from 3 to 17"), (10, "so with fewer labels"), (2, "from 3 to 17"), (9.5, "whole number")]),
}


def keep(q, tau, equal=True):
    return (q.max(axis=1) >= tau) if equal else (q.max(axis=1) > tau), q.argmax(axis=1)


SELF_TRAINING = {
    "boundary": ([3.509], [(3.25, "halfway"), (-3.509, "The sign"), (5, "split(seed=1"), (9.0, "split(seed=1")]),
    "keep": ([keep], [(1, "without parentheses"), (lambda q: q, "not of the kind"), (lambda *a: keep(*a)[::-1], "The mask comes first"),
                      (lambda q, tau: (keep(q, tau)[0], q.argmin(axis=1)), "number of the column"),
                      (lambda *a: keep(*a, equal=False), ">="), (lambda q, tau: (keep(q, tau)[0] * 1, keep(q, tau)[1]), "boolean"),
                      (lambda q, tau: (keep(q, tau)[0], 0 * keep(q, tau)[1]), "number of the column"), (lambda q, tau: (q >= tau, q), "one entry"),
                      (lambda q, tau: (~keep(q, tau)[0], keep(q, tau)[1]), "largest probability of each row")]),
    "last_tau": ([0.8726], [(0.95, "nobody is kept"), (0.8, "still be larger"), (0.5, "still be larger")]),
    "inside": ([4], [(8, "outside the street"), (5, "between -1 and +1"), (12, "wrong pseudo-labels")]),
    "unseen_grade": ([0.25], [(0.75, "does not occur"), (2, "does not occur"), (0.5, "which of the three"), (4, "which of the three")]),
    "surer_teacher": ([4.2], [(0.042, "In points"), (4.6, "with C = 10"), (9, "it is less"), (1, "it is more"), (-4, "it is more")]),
}

# -------------------------------------------------------------------------------- chapters 3, 5 and 6, answer by answer

def agree(x, y, itself=False):
    distance = np.linalg.norm(x[:, None] - x, axis=-1)
    if not itself:
        np.fill_diagonal(distance, np.inf)
    return np.mean(y[distance.argmin(axis=1)] == y)


ASSUMPTIONS = {
    "weight": ([0.731], [(0.269, "left heap"), (0.8808, "halved")]),
    "quiet_points": ([81.1], [(0.811, "In percent"), (66, "weight=0.05"), (85, "seeds 0 to 49")]),
    "smoothness": ([agree], [(lambda x, y: agree(x, y, itself=True), "found itself"), (lambda x, y: 0.2, "should be")]),
    "two_labels": ([97.0], [(0.97, "In percent"), (80, "average the scores")]),
    "ten_middles": ([79.2], [(0.792, "In percent"), (83, "first number")]),
    "strangers": ([98.4], [(0.984, "In percent"), (92, "median over five draws")]),
}


def surest(q, k, order=-1, cut=True):
    kept = [np.flatnonzero(q.argmax(1) == c) for c in range(q.shape[1])]
    return np.sort(np.concatenate([own[np.argsort(order * q[own].max(1))][:k if cut else None] for own in kept]))


def surest_of_all(q, k):
    """As many of all examples together as there are k of each class, or all that there are."""
    return np.sort(np.argsort(-q.max(1))[:len(surest(q, k))])


def surest_places(q, k):
    return np.sort(np.concatenate([np.argsort(-q[q.argmax(1) == c].max(1))[:k] for c in range(q.shape[1])]))


TEACHER = {
    "gap": ([20.1], [(0.201, "In points"), (-20.1, "other way around"), (5, "last pair")]),
    "forgotten": ([8], [(0, "it recognizes"), (11, "0 to 9")]),
    "surest": ([surest], [(lambda q, k: surest(q, k, order=1), "falling confidence"), (lambda q, k: surest(q, k, cut=False), "should keep"),
                          (lambda q, k: surest(q, k)[::-1], "now sort"), (surest_of_all, "over all classes"),
                          (lambda q, k: np.unique([i for c in range(q.shape[1]) for i in np.argsort(-(q.max(1) * (q.argmax(1) == c)))[:k]]), "it should keep"),
                          (surest_places, "within a class")]),
    "validation_size": ([900], [(9, "it is squared"), (100, "solve for n")]),
    "winner": ([98.6], [(0.986, "In percent"), (90, "each of them"), (95, "take the largest")]),
    "fair_twenty": ([11.0], [(0.11, "In points"), (-20, "median of after minus before")]),
}


def sharper(q, T):
    log_q = np.log(np.clip(q, 1e-300, None)) / T
    powers = np.exp(log_q - log_q.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@np.errstate(invalid="ignore")
def sharper_without_logarithms(q, T):
    return q ** (1 / T) / (q ** (1 / T)).sum(axis=1, keepdims=True)


TARGETS = {
    "push": ([-0.665], [(0.665, "The sign"), (1 - 0.2447, "second logit"), (0.1, "0 minus that")]),
    "others": ([0.665], [(-0.665, "The sign"), (0, "sum to 0")]),
    "sharpened": ([sharper], [(lambda q, T: sharper(q, 1 / T), "power T"), (lambda q, T: q ** (1 / T), "sum to 1"),
                               (sharper_without_logarithms, "not finite")]),
    "entropy_peak": ([0.824], [(0.176, "downward"), (0.6, "elsewhere it is larger"), (2, "above one half")]),
    "largest": ([2 / 3, 0.667], [(0.5, "two classes"), (0.05, "with the threshold"), (1 / 3, "answer of the model"), (-2 / 3, "the size alone"),
                                 (0.2, "most unsure answer")]),
    "softer": ([82.1], [(0.821, "In percent"), (75, "take the mean")]),
}

# --------------------------------------------------------------------------- chapters 7, 8 and 12 to 18, answer by answer

def cover(images, row, column, side, clip=True):
    images = images.clone()
    for k in range(len(images)):
        top, left = int(row[k]) - side // 2, int(column[k]) - side // 2
        if clip:
            images[k, :, max(0, top):max(0, top + side), max(0, left):max(0, left + side)] = 127
        else:
            images[k, :, max(0, top):max(0, top) + side, max(0, left):max(0, left) + side] = 127
    return images


def spoil(images, *rest):
    images.fill_(127)
    return images


AUGMENTATION = {
    "views": ([162], [(81, "mirrored, too"), (128, "nine shifts"), (3, "multiply")]),
    "mirror": ([0], [(3, "another digit"), (12, "0 to 9")]),
    "cutout": ([cover], [(lambda *a: cover(*a, clip=False), "not right"), (spoil, "input has changed"), (lambda i, *a: i.float(), "uint8")]),
    "unchanged": ([0.287, 0.29], [(0.25, "Identity"), (0.5357, "one operation"), (28.7, "As a share")]),
    "least": ([("TranslateY", "Solarize")], [("Rotate", "pair"), (("Turn", "Solarize"), "none of the fourteen"), (("Rotate", "Solarize"), "leaves less")]),
    "forget": ([29], [(28, "One more"), (5, "count")]),
}


def follow(values, decay, start, swap=False):
    averages = []
    for value in values:
        start = (1 - decay) * start + decay * value if swap else decay * start + (1 - decay) * value
        averages.append(start)
    return averages


CONSISTENCY = {
    "distance": ([0.04], [(0.08, "sum over the classes"), (0.2, "squared"), (1, "0.2")]),
    "half_life": ([69], [(68, "whole number"), (50, "straight line"), (5, "multiplies the share")]),
    "moving_average": ([follow], [(lambda *a: follow(*a)[1:], "one average for each value"), (lambda *a: follow(*a, swap=True), "1 - decay to the new"),
                                  (lambda values, decay, start: [follow([v], decay, start)[0] for v in values], "the one before it")]),
    "slope": ([0.0909], [(0.1817, "mean over the two"), (0.4621, "chain rule"), (-0.0909, "sign"), (3, "chain rule")]),
    "sharpen": ([0.7826], [(0.36, "divide by the sum"), (0.4727, "power T"), (0.6, "Raise each")]),
    "steadiest": ([], [("FixMatch", "points apart"), ("SVM", "nine names")]),
}


TWO_KNOBS = {
    "images": ([2**20 * 960], [(960, "one step"), (2**20 * 512, "passes twice"), (5, "multiply by steps")]),
    "summary": ([lambda a: np.median(a[-20:])], [(max, "best evaluation"), (lambda a: np.mean(a[-20:]), "the mean"), (np.median, "last 20 only"),
                                                 (lambda a: np.median(a[-20:]) if len(a) > 7 else 0, "of 7 numbers")]),
    "wrong_a_step": ([142], [(142 / 224, "a share"), (224 - 142, "right ones"), (5, "metrics[0]")]),
    "wait": ([140], [(40, "tau = 0.5"), (0.514, "At which step"), (200, "even earlier"), (100, "fewer than half")]),
    "certain": ([17, 19], [(16, "still tells"), (25, "a smaller lead")]),
    "flattery": ([1.11], [(0.0111, "In points"), (-1.11, "never below"), (5, "Average over all")]),
}


def shares(q, p_model, p_data, tiny=1e-6, norm=True):
    q = q * (tiny + p_data) / (tiny + p_model)
    return q / q.sum(axis=1, keepdims=True) if norm else q


RESULTS = {
    "pictures": ([375], [(3.75, "in points"), (-375, "The sign"), (1, "10,000 pictures")]),
    "stl": ([3.86], [(-3.86, "The size is right"), (1.73, "number of folds"), (2.81, "in points"), (9, "root of")]),
    "aligned": ([shares], [(lambda *a: shares(*a, tiny=0), "infinities"), (lambda *a: shares(*a, norm=False), "sum to 1"),
                           (lambda q, m, d: shares(q, d, m), "must become smaller"), (lambda q, m, d: shares(q, m, 1 + 0 * d), "by p_data"),
                           (lambda q, m, d: shares(q * (m > 0), m, d), "lifted most"),
                           (lambda q, m, d: shares(q * d / (1e-6 + d), m, d), "p_data too")]),
    "flattery": ([], [(50, "median of the last 20")]),
    "relative": ([8.58], [(0.0858, "In percent"), (2.68, "percentage points"), (9.39, "UDA's error, not"), (50, "Divide 2.68")]),
    "folds": ([16], [(15, "round up"), (4, "one standard error"), (100, "solve for n")]),
}

def few(predicted, low, whole=False):
    return sum(count < low * sum(predicted) / (1 if whole else len(predicted)) for count in predicted)


DRAWS = {
    "spread": ([18.6], [(16.6, "n in the denominator"), (44.4, "best to worst"), (0.186, "In points"), (3, "five numbers")]),
    "best_seed": ([27], [(0, "another one"), (500, "0 to 99")]),
    "collapsed": ([few], [(lambda *a: few(*a, whole=True), "sum of all"), (lambda *a: 0, "it should be"),
                          (lambda p, low: sum(count < low * max(p) for count in p), "largest class"),
                          (lambda p, low: sum(count <= low * np.mean(p) for count in p), "it should be 0, and yours is 1")]),
    "wrong_winner": ([0.407], [(0.369, "Both vary"), (0.593, "A comes out"), (0.1, "below 0"), (40.7, "divide by 100")]),
    "classes_seen": ([6.51], [(3.49, "How many are there"), (0.651, "for one digit"), (9, "missed")]),
    "twenty_middles": ([87.9], [(0.879, "In percent"), (76, "five random states")]),
}

def lower(sigma, N, tau, warm_up=True):
    beta = sigma / (max(sigma.max(), N - sigma.sum()) if warm_up else sigma.max().clamp(min=1))
    return tau * beta / (2 - beta)


SUCCESSORS = {
    "threshold": ([0.3167, 0.32], [(0.475, "2 - beta"), (0.9, "Put beta")]),
    "thresholds": ([lower], [(lambda *a: lower(*a, warm_up=False), "larger of two"), (lambda s, n, tau: 0 * s, "they should be"),
                             (lambda s, n, tau: s / s.max(), "divided by zero"), (lambda s, n, tau: s[:1], "one threshold per class")]),
    "weight": ([0.000335, 0.0003], [(0.1353, "this one is narrower"), (0.5, "The exponent")]),
    "adaptive": ([0.5438, 0.54], [(0.507, "not from 0"), (0.8, "on its way"), (0.2, "a hundred times")]),
    "forced": ([400], [(800, "each mistake twice"), (0, "at most 100")]),
    "half_way": ([82.0], [(0.82, "In percent"), (74, "half the true share")]),
}


def leaks(train, test, shape=True):
    key = lambda picture: (picture.shape if shape else None, picture.tobytes())
    seen = {key(picture) for picture in train}
    return sum(key(picture) in seen for picture in test)


def rows(labels, order=sorted, quote=True):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("path", "class"), *order(labels.items())])
    return text.getvalue().splitlines() if quote else [f"{path},{name}" for path, name in [("path", "class"), *order(labels.items())]]


def places_among_the_wrong(q, y, k):
    return np.argsort(-q[np.flatnonzero(q.argmax(axis=1) != y)].max(axis=1))[:k]


def surest_mistakes(q, y, k, wrong_only=True, sign=-1):
    wrong = np.flatnonzero(q.argmax(axis=1) != y) if wrong_only else np.arange(len(y))
    return wrong[np.argsort(sign * q[wrong].max(axis=1), kind="stable")][:k]


OWN = {
    "leaks": ([leaks], [(lambda a, b: 0, "it should be"), (lambda a, b: sum(p.shape == q.shape and (p == q).all() for p in a for q in b), "should be 2"), (lambda *a: leaks(*a, shape=False), "different shapes"), (3, "without parentheses")]),
    "perfect": ([92.87], [(0.9287, "multiply by 100"), (100, "upper limit"), (97, "50 right of 50")]),
    "enough": ([400], [(200, "not enough"), (1000, "not the smallest"), (0, "steps of 50")]),
    "rows": ([rows], [(lambda labels: rows(labels)[1:], "first line"), (lambda labels: rows(labels)[:2], "a line for each"),
                      (lambda labels: rows(labels, order=list), "order them"), (lambda labels: rows(labels, quote=False), "let csv write it")]),
    "surest_mistakes": ([surest_mistakes], [(lambda *a: surest_mistakes(*a, wrong_only=False), "right answers"),
                                            (lambda q, y, k: surest_mistakes(q, y, k)[:1], "there should be"),
                                            (lambda q, y, k: surest_mistakes(q, y, k)[::-1], "wrong order: put"),
                                            (lambda *a: surest_mistakes(*a, sign=1), "not the surest"),
                                            (places_among_the_wrong, "places among")]),
    "width": ([0.574], [(1.742, "Turn it around"), (0.3333, "square root"), (2, "each one's width")]),
}


def class_by_class(said, true, classes=None):
    return np.mean([np.mean(said[true == c] == c) for c in (np.unique(true) if classes is None else range(classes))])


def em(q, p, rounds=50, correct=True, norm=True):
    s = p
    for _ in range(rounds):
        corrected = q * s / (p if correct else 1)
        s = (corrected / (corrected.sum(axis=1, keepdims=True) if norm else 1)).mean(axis=0)
    return s


def em_again(q, p, rounds=50):
    """Corrects what was corrected already."""
    s = p
    for _ in range(rounds):
        q = q * s / p
        q = q / q.sum(axis=1, keepdims=True)
        s = q.mean(axis=0)
    return s


def auroc(score, foreign, tie=0.5):
    difference = score[foreign][:, None] - score[~foreign]
    return np.mean((difference > 0) + tie * (difference == 0))


PILE = {
    "gap": ([4.72], [(500, "For each pile"), (7.92, "there with the equal one"), (-4.72, "The sign"), (0.0472, "multiply by 100")]),
    "balanced": ([class_by_class], [(lambda s, t: np.mean(s == t), "plain accuracy"), (lambda s, t: 0.1, "it should be"),
                                    (lambda *a: class_by_class(*a, classes=4), "do not occur"), (0.5, "without parentheses")]),
    "shares": ([em], [(lambda q, p, rounds: q.mean(axis=0), "as it is"), (lambda q, p, rounds: em(q, p * 0 + 1 / len(p), rounds), "shares in training"),
                      (lambda *a: em(*a, norm=False), "sum to one"), (lambda *a: em(*a)[:2], "one for each class"),
                      (lambda q, p, rounds: em(q, p, rounds + 1), "after the first round"), (em_again, "Right for one round")]),
    "auroc": ([auroc], [(lambda s, f: 1 - auroc(s, f), "other way around"), (lambda *a: auroc(*a, tie=0), "one half"), (lambda s, f: 0.2, "every stranger")]),
    "gate": ([0.27], [(27, "As a share"), (0.37, "including the strangers"), (0.5, "among those that passed"), (0.9, "How many pass")]),
    "quarter": ([], [(0.5, "Take the fifth")]),
}


def passes(batch_size, mu, kept, forward, weak=True, backward=True):
    u = mu * batch_size
    if forward == "joint":
        return (3 if backward else 1) * (batch_size + 2 * u)
    return u * weak + 3 * (batch_size + (kept * u if forward == "kept" else u))


def mean_gradient(gradients, counts):
    return sum(n * gradient for n, gradient in zip(counts, gradients)) / sum(counts)


FAST = {
    "amdahl": ([lambda s, f: 1 / (1 - s + s / f)], [(lambda s, f: 1 - s + s / f, "Turn it around"), (lambda s, f: f, "as fast as its part"),
                                                    (lambda s, f: 1 + s * (f - 1), "it should be")]),
    "limit": ([1.266], [(4.76, "They stay"), (1.21, "divide the time"), (2, "How many times")]),
    "work": ([passes], [(lambda *a: passes(*a, backward=False), "Those are the views"), (lambda *a: passes(*a, weak=False), "still pass once"),
                        (lambda b, mu, kept, f: passes(b, mu, 1, f), "should be")]),
    "memory": ([153.6], [(614.4, "four bytes"), (51.2, "Three colors"), (153.6e6, "Those are bytes"), (1, "Multiply")]),
    "mean_gradient": ([mean_gradient], [(lambda g, n: sum(g) / len(g), "plain mean"), (lambda g, n: mean_gradient(g, n) * sum(n), "sum over all"),
                                        (lambda g, n: g[0], "by their numbers"), (lambda g, n: g[0][0], "shape should be")]),
    "digits": ([7], [(8, "halfway"), (2.0**-7, "exponent"), (23, "float32"), (10, "float16"), (3, "stops growing")]),
}

def found(first, second, unit=True, itself=False, views=None, diagonal=-torch.inf, partner=True):
    z = torch.cat([first, second])
    z = torch.nn.functional.normalize(z, dim=1) if unit else z
    s = (z @ z.T) if itself else (z @ z.T).fill_diagonal_(diagonal)
    return (s.argmax(dim=1) == torch.arange(len(z)).roll(len(first) * partner))[:views and len(first)].float().mean()


CONTRASTIVE = {
    "blind": ([2.708, 2.71], [(2.7726, "its own candidates"), (2.079, "two views"), (15, "a logarithm"), (1, "the number of candidates")]),
    "found": ([found], [(lambda a, b: found(a, b, itself=True), "most similar to itself"), (lambda a, b: found(a, b, unit=False), "Long rows"),
                        (lambda a, b: found(a, b, views=1), "first views only"), (lambda a, b: 1.0, "it should be"), (0.5, "without parentheses")]),
    "cold": ([0.109], [(0.00497, "at T = 0.5"), (0.982, "446 others"), (10.9, "As a probability"), (0.5, "softmax over 447")]),
    "strangers": ([10.22, 10.2], [(5.11, "Each comes with two"), (0.01, "That is the share"), (200, "A hundredth")]),
    "readout": ([650], [(640, "a bias for each"), (77_898, "without gradient"), (10, "Add up")]),
    "twenty": ([94.4], [(0.944, "In percent"), (81.8, "not the pixels"), (89.4, "20 middles")]),
}

# ------------------------------------------------------------------------------------------------------------ and asked

RIGHT = {"fixmatch": RIGHT, "recipe": RIGHT_5}
TEMPTING = {"fixmatch": TEMPTING, "recipe": TEMPTING_5}
for chapter, given in {"study_hours": STUDY_HOURS, "self_training": SELF_TRAINING, "confidence": CONFIDENCE,
                       "assumptions": ASSUMPTIONS, "teacher": TEACHER, "targets": TARGETS,
                       "augmentation": AUGMENTATION, "consistency": CONSISTENCY, "two_knobs": TWO_KNOBS, "results": RESULTS,
                       "draws": DRAWS, "successors": SUCCESSORS, "pile": PILE, "own": OWN, "fast": FAST, "contrastive": CONTRASTIVE}.items():
    RIGHT[chapter] = {name: right for name, (right, _) in given.items()}
    TEMPTING[chapter] = {name: tempting for name, (_, tempting) in given.items()}


# Right by another way or in another dtype, and mistakes that are easily told the wrong thing: (right ones, tempting ones).

def q_of(logits):
    e = np.exp(np.asarray(logits, dtype=np.float64))
    return e / e.sum(axis=1, keepdims=True)


def gradient_in_numpy(weak, strong, tau):
    q = q_of(weak)
    mask = q.max(axis=1) >= tau
    return (q_of(strong) - np.eye(q.shape[1])[q.argmax(axis=1)]) * mask[:, None] / len(q)


def soft_in_float64(weak, strong, tau, target=True):
    q = weak.detach().double().softmax(1)
    p = (strong if target else strong.detach()).double().log_softmax(1)
    return ((q.max(1).values >= tau) * -(q * p).sum(1)).mean()


def smoothness_in_torch(x, y):
    distance = torch.cdist(torch.tensor(x), torch.tensor(x)).fill_diagonal_(torch.inf)
    y = torch.tensor(y)
    return (y[distance.argmin(dim=1)] == y).float().mean()


def thresholds_in_numpy(sigma, n, tau):
    sigma = np.array(sigma.tolist())
    beta = sigma / max(sigma.max(), n - sigma.sum())
    return tau * beta / (2 - beta)


def aligned_within(q, p_model, p_data):
    corrected = (q * p_data + 1e-6) / (p_model + 1e-6)
    return corrected / corrected.sum(axis=1, keepdims=True)


def s_to_one(q, p, rounds):
    s = p
    for _ in range(rounds):
        s = (q * s / p).mean(axis=0)
        s = s / s.sum()
    return s


def square_in_numpy(images, row, column, side):
    out = images.numpy().copy()
    for image, r, c in zip(out, row.tolist(), column.tolist()):
        image[:, max(0, r - side // 2):r + side // 2, max(0, c - side // 2):c + side // 2] = 127
    return out


def by_hand(labels):
    quoted = lambda name: f'"{name}"' if "," in name else name
    return ["path,class", *(f"{path},{quoted(name)}" for path, name in sorted(labels.items()))]


for name, (right, tempting) in {
    "two_knobs.summary": ([lambda a: torch.tensor(a[-20:]).quantile(0.5)], [(lambda a: a[-1], "last evaluation alone")]),
    "assumptions.smoothness": ([smoothness_in_torch], []),
    "fixmatch.gradient": ([gradient_in_numpy], []),
    "fixmatch.soft": ([soft_in_float64], [(lambda *a: soft_in_float64(*a, target=False), "no gradient reaches the strong logits")]),
    "successors.thresholds": ([thresholds_in_numpy], []),
    "fast.mean_gradient": ([lambda g, n: np.average(np.stack(g), axis=0, weights=n)], []),
    "teacher.validation_size": ([900, 901], [(898, "solve for n"), (902, "solve for n")]),
    "contrastive.found": ([], [(lambda a, b: found(a, b, diagonal=0.0), "may be negative"),
                                       (lambda a, b: found(a, b, partner=False), "The partner of row i is i + n")]),
    "pile.shares": ([], [(s_to_one, "not s at the end")]),
    "pile.auroc": ([], [(lambda *a: auroc(*a, tie=1), "one half")]),
    "results.aligned": ([], [(aligned_within, "not to the product")]),
    "augmentation.cutout": ([], [(square_in_numpy, "should be a torch tensor")]),
    "own.enough": ([], [(380, "89.98%: not enough")]),
    "own.rows": ([], [(lambda labels: [*rows(labels), ""], "The last line is empty"), (by_hand, "or a quotation mark")]),
}.items():
    chapter, exercise = name.split(".")
    RIGHT[chapter][exercise] = [*RIGHT[chapter][exercise], *right]
    TEMPTING[chapter][exercise] = [*TEMPTING[chapter][exercise], *tempting]


def test_a_function_that_stops_is_told_apart_from_an_answer_of_another_kind(capsys):
    def stops(q, tau):
        return q.max(axis=1) >= tou  # noqa: F821

    text = said(capsys, "self_training.keep", stops)
    assert text == "Not yet. Your function stopped with NameError: name 'tou' is not defined. Call it with a small example of your own."
    assert "not of the kind" in said(capsys, "self_training.keep", lambda q, tau: None)
    assert "not of the kind" in said(capsys, "fixmatch.views", lambda: 3)


@pytest.mark.parametrize("chapter", sorted(TEMPTING))
def test_every_checker_of_a_chapter_is_tried(chapter):
    mine = {name.partition(".")[2] for name in CHECKERS if name.startswith(f"{chapter}.")}
    assert mine == set(RIGHT[chapter]) == set(TEMPTING[chapter])


@pytest.mark.parametrize("name,answer", [(f"{chapter}.{name}", answer) for chapter, given in RIGHT.items()
                                         for name in given for answer in given[name]])
def test_right_answers(name, answer, capsys):
    assert said(capsys, name, answer).startswith("Right")


@pytest.mark.parametrize("name,answer,hint", [(f"{chapter}.{name}", *pair) for chapter, given in TEMPTING.items()
                                              for name in given for pair in given[name]])
def test_tempting_answers_are_told_apart(name, answer, hint, capsys):
    text = said(capsys, name, answer)
    assert text.startswith("Not yet. ") and hint in text, text


class Anything:
    """A chapter whose one exercise finds every answer right."""

    @staticmethod
    def asked(answer):
        return None


@pytest.mark.parametrize("answer,printed", [
    (0.64431, "0.6443"), (-0.6652, "-0.6652"), (np.exp(-8), "0.0003355"), (1234.56, "1235"), (268_435.456, "268,435"),
    (960.0, "960"), (2**30, "1,073,741,824"), (np.int64(4), "4"), (np.float32(0.25), "0.25"), (torch.tensor(2.5), "2.5"),
    (np.array([0.25]), "0.25"), (True, "True"), (np.bool_(True), "True"), ("flip", "flip"), (("TranslateY", "Solarize"), "TranslateY, Solarize"),
    ([1.5, np.float64(2), 3.14159], "1.5, 2, 3.142"), (list(range(10)), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
    (list(range(11)), None), ([], None), ([[1]], None), ([1, None], None), (np.zeros(3), None), (torch.zeros(3), None), (len, None), ({"a"}, None)])
def test_a_right_answer_is_printed_if_it_is_short(monkeypatch, capsys, answer, printed):
    monkeypatch.setitem(sys.modules, f"{exercises.__name__}.anything", Anything)
    assert said(capsys, "anything.asked", answer) == (f"Right: {printed}." if printed else "Right.")


# The quizzes -------------------------------------------------------------------------------------------------------

QUESTIONS = [item for path in sorted((ROOT / "fixmatch_lite" / "exercises").glob("*.json")) for item in json.loads(path.read_text("utf-8"))]


def test_right_option_stands_anywhere():
    places = [[option["right"] for option in item["options"]].index(True) for item in QUESTIONS]
    assert len(places) > 60
    assert all(0.2 < places.count(place) / len(places) < 0.45 for place in range(3))


def test_right_option_is_not_known_by_its_length():
    longest = [max(item["options"], key=lambda option: len(option["text"]))["right"] for item in QUESTIONS]
    assert sum(longest) / len(longest) < 0.45  # a third by chance


def test_options_of_a_question_differ():
    for item in QUESTIONS:
        texts = [option["text"] for option in item["options"]]
        assert len(set(texts)) == len(texts) >= 3, item["question"]
