"""Controls that only read recorded runs, a second each: see controls.py, which lists and measures them."""

import statistics

import numpy as np
from pages import DRAWS, chapter, control
from scipy.stats import f as f_distribution

import fixmatch_lite as fm
from fixmatch_lite.comparators.mistakes import ended


def reached(prefix):
    return [100 * fm.runs.summarize(f"{prefix}-seed{seed}")["test_accuracy"] for seed in DRAWS]


def crossed():
    """FixMatch's 25 runs with ten labels: a row for each draw."""
    names = lambda draw: (f"digits-10-fixmatch-seed{draw}", *(f"digits-crossed-labels{draw}-seed{seed}" for seed in range(5, 9)))
    return [[fm.runs.load(name) for name in names(draw)] for draw in DRAWS]


def lost(mistake, tested="average"):
    right = ended()
    return {pair: 100 * (getattr(right[pair], tested) - getattr(end, tested)) for pair, end in ended(mistake).items()}


def false_labels(m):
    """Of all pictures of a batch: kept as each class, and falsely."""
    kept = np.array(m.mask_rate_per_class)
    return kept, kept * (1 - np.array([right or 0 for right in m.pseudo_label_accuracy_per_class]))


@control("05_teacher", "And on three of the four other draws it is far ahead of both, one run each",
         "ahead of the better of the two by {ahead} points; ends at {ends} %", 0.1)
def ten_labels():
    """FixMatch with ten labels against self-training and Pseudo-Label, by draw."""
    ends, older = reached("digits-10-fixmatch"), [reached(f"digits-10-{name}") for name in ("self_training", "pseudo_label")]
    return {"ahead": np.subtract(ends, np.max(older, axis=0)), "ends": ends}


@control("10_two_knobs", "(At $\\mu = 1$, $\\tau = 0$ loses to 0.8 on every draw.)", "{ahead} points", 0.1)
def zero_at_one():
    """tau 0 minus tau 0.8, at mu 1."""
    return {"ahead": np.subtract(reached("digits-grid-tau0-mu1"), reached("digits-grid-tau0.8-mu1"))}


@control("11_recipe", "With these the average loses in twenty, nineteen and sixteen of the twenty pairs", "loses in {pairs}", 0.1)
def views_lose():
    """No strong view, mirrored digits, one draw for all: pairs of twenty in which the average loses."""
    return {"pairs": [sum(points > 1e-6 for points in lost(name).values()) for name in ("weak_only", "flip", "one_draw")]}


@control("11_recipe", "But in three pairs, on three draws, it costs the average 16.5 to 20.3 points, and the net less: 11, 4 and 2",
         "average {average} points, net {net}, on draws {draws}; of draw 4's kept in the first hundred steps {wrong} % wrong", 0.1)
def unit_trap():
    """The mean over the kept pictures: the pairs in which the average loses more than ten points."""
    average, net = lost("kept_mean"), lost("kept_mean", "net")
    pairs = sorted(pair for pair in average if average[pair] > 10)
    early = [m for m in fm.runs.load("digits-mistake-kept_mean-seed4").metrics if m.step <= 100]
    wrong = sum(m.mask_rate * (1 - m.pseudo_label_accuracy) for m in early) / sum(m.mask_rate for m in early)
    return {"average": [average[pair] for pair in pairs], "net": [net[pair] for pair in pairs],
            "draws": [draw for draw, _ in pairs], "wrong": 100 * wrong}


@control("11_recipe", "*no strong view* costs the moving average 8.6 points in the five recorded pairs, 6.1 in the others",
         "{five} points in five, {others} in the others", 0.1)
def few_pairs():
    """Median points lost, in the pairs recorded whole and in those of which only the end was kept."""
    points = lost("weak_only")
    return {"five": statistics.median(points[draw, draw] for draw in DRAWS),
            "others": statistics.median(points[pair] for pair in points if pair[0] != pair[1])}


@control("12_results", "By the net, FixMatch leads over any number of last evaluations. By the average, the labels alone lead over "
         "the last 20, FixMatch over the last ten.",
         "net at least {net} points, average {average_20} over the last 20, {average_10} over ten", 0.1)
def two_rulers():
    """CIFAR-10 (JPEG), 4,000 labels: FixMatch's median minus that of the labels alone."""
    ours, alone = (fm.runs.load(f"cifar10-4000-cpu-{name}seed1").metrics for name in ("", "supervised-"))
    ahead = lambda tested, last: 100 * (statistics.median(getattr(m, tested) for m in ours[-last:])
                                        - statistics.median(getattr(m, tested) for m in alone[-last:]))
    return {"net": min(ahead("test_accuracy_raw", last) for last in range(1, len(ours) + 1)),
            "average_20": ahead("test_accuracy", 20), "average_10": ahead("test_accuracy", 10)}


@control("13_draws", "comes in 16 of the 25 runs, even in the best: with one label per class it tells little. (In eight of the "
         "other nine the warning is that a class *swallows others*; all eight end below 80 %.)",
         "hardly any in {hardly} of 25, in the best {best}; swallows in {swallows} others, which end at {most} % at most", 0.1)
def alarms():
    said, ends = [], []
    for run in sum(crossed(), []):
        health = fm.health.Health(run.recipe, labeled_counts=[1] * 10)
        said.append(" ".join(warning for metrics in run.metrics for warning in health(metrics)))
        ends.append(100 * fm.runs.summarize(run)["test_accuracy"])
    hardly = ["gets hardly any" in text for text in said]
    swallows = ["swallows others" in text and not few for text, few in zip(said, hardly)]
    return {"hardly": sum(hardly), "best": float(hardly[int(np.argmax(ends))]), "swallows": sum(swallows),
            "most": max(end for end, one in zip(ends, swallows) if one)}


@control("13_draws", "(The best run lost one digit, this one five; in another, two starved digits came back.)",
         "best and worst lost {lost}; of draw 4's starved at step 200, {back} came back; the worst took {taken} % or more of its "
         "lost digits' pictures for three others", 0.1)
def starved_digits():
    """Digits with less than a fifth of their share of the answers, by the counts of the first five runs."""
    moments = [run[0].confidence for run in crossed()]
    few = lambda moment: np.array(moment["predicted"]) < 0.2 * sum(moment["predicted"]) / 10
    ends = reached("digits-10-fixmatch")
    best, worst = moments[int(np.argmax(ends))][-1], moments[int(np.argmin(ends))][-1]
    true = np.bincount(fm.load_data("digits", labels=10, seed=0).u_true, minlength=10)
    said, right = np.array(worst["predicted"]), np.array(worst["predicted_right"])
    three, gone = np.argsort(-said)[:3], few(worst)
    others = (true - right)[~gone].sum()  # at most so many of the three's false answers are not of lost digits
    taken = ((said - right)[three].sum() - others) / (true - right)[gone].sum()
    second = next(moment for moment in moments[4] if moment["step"] == 200)
    return {"lost": [few(best).sum(), gone.sum()], "back": (few(second) & ~few(moments[4][-1])).sum(), "taken": 100 * taken}


@control("13_draws", "anything from a quarter to nine tenths would fit", "{interval} %", 0.1)
def share_fits():
    """95 % limits of the labels' share, as the ratio of the mean squares of five by five runs has them."""
    runs = np.array([[100 * fm.runs.summarize(run)["test_accuracy"] for run in row] for row in crossed()])
    ratio = 5 * runs.mean(axis=1).var(ddof=1) / runs.var(axis=1, ddof=1).mean()
    limits = [ratio / f_distribution.ppf(q, 4, 20) for q in (0.975, 0.025)]
    return {"interval": [100 * (limit - 1) / (limit + 4) for limit in limits]}


@control("14_successors", "draw by draw, two of the three gain half a point to a point and SoftMatch nothing",
         "medians {medians} points", 0.1)
def ends_by_draw():
    """FlexMatch, FreeMatch and SoftMatch minus FixMatch."""
    names, plain = ("flexmatch", "freematch", "softmatch"), reached("digits-grid-tau0.95-mu7")
    return {"medians": [np.median(np.subtract(reached(f"digits-40-{name}"), plain)) for name in names]}


@control("15_pile", "at the end a tenth of the kept pictures were called 5 to 9 (without alignment 8 %), not half",
         "aligned {aligned} %, without {without}; of these false {false} % and {false_without}", 0.1)
def rare_ones():
    """Over the last 20 evaluations of the unequal pile: medians of the draws, and the false share on each."""
    found = {}
    for name, called, false in (("aligned", "aligned", "false"), ("fixmatch", "without", "false_without")):
        sums = [np.sum([false_labels(m) for m in fm.runs.load(f"digits-unequal-{name}-seed{draw}").metrics[-20:]], axis=0)
                for draw in DRAWS]
        found[called] = 100 * np.median([kept[5:].sum() / kept.sum() for kept, _ in sums])
        found[false] = [100 * wrong[5:].sum() / kept[5:].sum() for kept, wrong in sums]
    return found


@control("15_pile", "on each of the five draws they gather in one or two",
         "{two} % in two classes; kept at step 400 and later {kept} % or more", 0.1)
def gathered():
    """FixMatch's false pseudo-labels at the end, nearly all of strangers: the share of the two commonest classes."""
    runs = [fm.runs.load(f"digits-foreign-fixmatch-seed{draw}").metrics for draw in DRAWS]
    wrong = [np.sort(false_labels(metrics[-1])[1]) for metrics in runs]
    later = [false_labels(m)[1].sum() / (646 / 1297) for metrics in runs for m in metrics if m.step >= 400]
    return {"two": [100 * one[-2:].sum() / one.sum() for one in wrong], "kept": 100 * min(later)}


@control("18_learn_first", "it is better on two draws and worse on three, at either rate",
         "ahead by {recipe} points, at rate 0.03 by {paper}", 0.1)
def from_the_same_net():
    """FixMatch from a net that learned first minus the readout of that net, ten labels, draw by draw."""
    page = chapter("18_learn_first", "end", "reached")
    return {name: np.subtract(page.end(what, 10), page.reached["learned", 10])
            for name, what in (("recipe", "learned first"), ("paper", "learned first, rate 0.03"))}


@control("book/engine.md", "with `separate`, two of the five label draws end several points below the same draws with `joint`; "
         "with `kept` none does", "separate {separate} points, kept {kept}", 0.1)
def other_ways():
    """`separate` and `kept` minus `joint`, draw by draw."""
    plain = reached("digits-grid-tau0.95-mu7")
    return {way: np.subtract(reached(f"digits-forward-{way}"), plain) for way in ("separate", "kept")}


@control("book/runs.md", "it is below the labels alone in two medians (and in four means, not shown)",
         "in {medians} medians, {means} means", 0.1)
def below_alone():
    """Self-training against the labels alone, with 10, 20, 40, 100 and 200 labels."""
    pairs = [(reached(f"digits-{n}-self_training"), reached("digits-supervised" if n == 40 else f"digits-{n}-supervised"))
             for n in (10, 20, 40, 100, 200)]
    return {name: sum(of(one) < of(other) - 1e-6 for one, other in pairs)
            for name, of in (("medians", statistics.median), ("means", statistics.fmean))}
