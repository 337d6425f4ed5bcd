"""Known ways in which a semi-supervised run goes wrong, seen from its metrics while it runs.

Taught in: chapters 13 and 16.
"""

from collections.abc import Sequence

import numpy as np

from .metrics import Metrics
from .recipes import Recipe, options_of

EVALUATIONS = 5       # how long a sign must last before it is one: the first evaluations of every run are odd
LATE = 0.25           # share of the steps before which a net that is sure of nothing is merely young
NOTHING = 0.001       # a mask rate below it trains on next to no pseudo-label
SWALLOWED = 3.0       # times its share of the labeled set that a class may have among the pseudo-labels
STARVED = 0.1         # of its share that a class should have
WRONG = 0.7           # share of the kept pseudo-labels that should be right where that is known
FALL = 0.05           # of pseudo-label accuracy below its best before, that is more than noise
PLATEAU = 0.8         # a mask rate that stays below it to the end leaves pictures out for good
LAGS = 0.1            # of test accuracy that the average may lie below the net
BEGINNING = 0.1       # share of where it started that an average may still hold when the run ends
THRESHOLDED = ("fixmatch", "uda", "flexmatch", "pseudo_label", "self_training", "mistaken")  # methods that ask tau


class Health:
    """Watches a run and says, once each, what looks wrong and what to try.

    Args:
        recipe: of the run.
        labeled_counts: labeled images of each class, or None where nothing should be said about classes.
        class_names: their names.

    Call it with every `Metrics` of the run; it returns a list of sentences, mostly empty. The thresholds are the
    constants of this module; what is measured on test images (the average lagging) leads only to words.
    """

    def __init__(self, recipe: Recipe, labeled_counts: Sequence[int] | np.ndarray | None = None,
                 class_names: Sequence[str] | None = None) -> None:
        self.recipe, self.names, self.seen, self.said = recipe, class_names, [], set()
        total = sum(labeled_counts) if labeled_counts is not None else 0
        self.shares = [count / total for count in labeled_counts] if total else None
        self._unlabeled = unlabeled_classes(() if labeled_counts is None else labeled_counts, class_names)

    def before(self) -> list[str]:
        """What recipe and labels alone tell about the run's end, before the first step: sentences, mostly none. If they are not
        asked for, they come with the first metrics."""
        if self.seen:
            return []
        found = {"unlabeled": self._unlabeled, "average": self._too_short()}
        found = {name: sentence for name, sentence in found.items() if sentence and name not in self.said}
        self.said |= found.keys()  # and the average not once more when it has come true
        return [*found.values()]

    def __call__(self, metrics: Metrics) -> list[str]:
        short = self.before()
        self.seen.append(metrics)
        if len(self.seen) < EVALUATIONS:
            return short
        recent = self.seen[-EVALUATIONS:]
        found = [(name, sentence) for name in ("nothing_kept", "wrong", "falling", "classes", "plateau", "average")
                 if name not in self.said and (sentence := getattr(self, f"_{name}")(recent))]
        self.said |= {name for name, _ in found}
        return [sentence for _, sentence in found]

    def _too_short(self):
        recipe = self.recipe
        forgets = {"ema_decay": 1 - recipe.ema_decay, "bn_momentum": recipe.bn_momentum}  # in a step
        slow = {name: left for name, rate in forgets.items() if (left := (1 - rate) ** recipe.steps) > BEGINNING}
        if not slow:
            return None
        rate = float(f"{min(10 / recipe.steps, 0.5):.2g}")
        better = {"ema_decay": f"{1 - rate:.6g}", "bn_momentum": f"{rate:.6g}"}
        held = {"ema_decay": "the moving average", "bn_momentum": "the batch-norm statistics"}
        parts = " and ".join(f"{left:.0%} of {held[name]}" for name, left in slow.items())
        values = " ".join(f"--set {name}={better[name]}" for name in slow)
        return (f"{recipe.steps:,} steps are few for so long a memory: at the end {parts} will date from before the training, "
                f"and the test accuracy may stay near chance. Try {values}, or more steps.")

    def _progress(self):
        return self.seen[-1].step / self.recipe.steps

    def _nothing_kept(self, recent):
        waits = 0  # steps that have no pseudo-labels by design
        if self.recipe.method == "self_training":
            waits = self.recipe.steps / (options_of("self_training") | self.recipe.options)["rounds"]
        if self._judges(recent) and self._progress() >= LATE and recent[0].step > waits and max(m.mask_rate for m in recent) < NOTHING:
            reason = f"reaches the confidence of {self.recipe.tau}" if self._tau("smaller") else "counts"
            return (f"No unlabeled picture {reason}: so far only the labeled ones train the net. Try "
                    f"{_or(self._tau('smaller'), 'more steps', 'more labels')}, and look at some pictures: do the unlabeled ones "
                    "show the same classes?")

    def _wrong(self, recent):
        rates = [m.pseudo_label_accuracy for m in recent]
        if self._judges(recent) and None not in rates and self._progress() >= LATE and max(rates) < WRONG and \
                min(m.mask_rate for m in recent) > 0.5:
            return (f"Most unlabeled pictures count, and only {rates[-1]:.0%} of their pseudo-labels are right: the "
                    "net is sure of its mistakes. Try " + _or(self._tau("larger"), "a smaller lr", "more labels",
                                                              "labeled pictures that are more typical of their class") + ".")

    def _falling(self, recent):
        rates = [m.pseudo_label_accuracy for m in self.seen if m.pseudo_label_accuracy is not None]
        if self._judges(recent) and len(rates) >= 2 * EVALUATIONS and self._progress() >= LATE:
            early, late = _median(rates[:-EVALUATIONS][-4 * EVALUATIONS:]), _median(rates[-EVALUATIONS:])
            if late < early - FALL:
                return (f"The pseudo-labels get worse: {early:.0%} of those kept were right, now {late:.0%}. The net "
                        f"learns its own mistakes. Try {_or(self._tau('larger'), 'a smaller lambda_u')}, or stop earlier.")

    def _classes(self, recent):
        per_class = [m.mask_rate_per_class for m in recent]
        if self.shares is None or None in per_class or not self._judges(recent):
            return None
        total = sum(m.mask_rate for m in recent)
        if total < 0.3 * EVALUATIONS or self._progress() < LATE:
            return None
        ratios = [sum(rates[k] for rates in per_class) / total / share if share else None
                  for k, share in enumerate(self.shares)]
        name = lambda k: self.names[k] if self.names else f"number {k}"
        known = [k for k, ratio in enumerate(ratios) if ratio is not None]
        most, least = max(known, key=ratios.__getitem__), min(known, key=ratios.__getitem__)
        if ratios[most] > SWALLOWED:
            aligned = "distribution alignment (--alignment) if the classes are equally frequent" if self._may_align() else ""
            return (f"The class {name(most)} swallows others: its share of the pseudo-labels is {ratios[most]:.1f} times its "
                    f"share of the labels. Try {_or(aligned, self._tau('larger'), 'other labeled pictures of it')}.")
        if ratios[least] < STARVED:
            more = ", or distribution alignment (--alignment)" if self._may_align() else ""
            more += ", or the method flexmatch" if self.recipe.method == "fixmatch" else ""
            return (f"The class {name(least)} gets hardly any pseudo-labels. Try more or other labeled pictures of it{more}.")

    def _plateau(self, recent):
        older = self.seen[-4 * EVALUATIONS:-3 * EVALUATIONS]
        if len(older) == EVALUATIONS and self._judges(recent) and self._progress() >= 0.75:
            now, then = _median([m.mask_rate for m in recent]), _median([m.mask_rate for m in older])
            if NOTHING < now < PLATEAU and abs(now - then) < 0.02:
                return (f"The share of unlabeled pictures that count has stopped at {now:.0%}. If some show none of the "
                        f"classes, that is as it should be; otherwise try {_or('more steps', self._tau('smaller'))}.")

    def _average(self, recent):
        if self._progress() >= 0.5 and all(m.test_accuracy < m.test_accuracy_raw - LAGS for m in recent):
            decay = 1 - 10 / self.recipe.steps  # remembers a tenth of the run
            less = f"a smaller ema_decay (--set ema_decay={decay:.6g}), " if 0 < decay < self.recipe.ema_decay else ""
            return (f"The moving average lies far below the net ({recent[-1].test_accuracy:.0%} and "
                    f"{recent[-1].test_accuracy_raw:.0%}): it remembers too long for so short a run. Try {less}a larger "
                    "bn_momentum, or more steps.")

    def _tau(self, wanted):
        """The advice to change tau; nothing where the method does not ask for it."""
        return f"a {wanted} tau" if self.recipe.method in THRESHOLDED else ""

    def _may_align(self):
        """Whether the method could be aligned, and neither is nor aligns by itself."""
        return self.recipe.alignment is None and self.recipe.method in ("fixmatch", "uda")

    @staticmethod
    def _judges(recent):
        return all(m.mask_rate is not None for m in recent)


def _median(values):
    return sorted(values)[len(values) // 2]


def _or(*ways):
    """What there is of some ways out, in words."""
    ways = [way for way in ways if way]
    return ways[0] if len(ways) == 1 else f"{', '.join(ways[:-1])}{',' * (len(ways) > 2)} or {ways[-1]}"


def unlabeled_classes(counts: Sequence[int] | np.ndarray, names: Sequence[str] | None = None) -> str | None:
    """What to know of classes without a single labeled picture, in a sentence; None where every class has one. ``counts`` and
    ``names`` as in `Health`."""
    missing = [names[k] if names is not None else f"number {k}" for k, count in enumerate(counts) if not count]
    if missing:
        others = f" nor of {len(missing) - 1} other class{'es' * (len(missing) > 2)}" if len(missing) > 1 else ""
        return f"No labeled picture of {missing[0]}{others}: the net can never predict {'them' if others else 'it'}."
    return None


def describe_labels(counts: Sequence[int], names: Sequence[str]) -> list[str]:
    """What to know about a labeled set before a run: its classes, how even they are, and where it is thin.

    Args:
        counts: labeled images of each class.
        names: the classes.

    Returns:
        Sentences, one or two.
    """
    least, most = min(counts), max(counts)
    told = [f"{name} {count}" for name, count in zip(names, counts)]
    listed = ", ".join(told if len(told) <= 12 else [*told[:6], "…", *told[-2:]])
    said = [f"labels: {most} of each class" if least == most else f"labels: {listed}"
            + (f" (the largest class has {most / least:.1f} times as many as the smallest)" if least else "")]
    if least == 0:
        said.append(unlabeled_classes(counts, names))
    elif least == 1:
        said.append(f"Only one labeled picture of {names[counts.index(1)]}: if it is not typical, the class is lost.")
    elif most > 10 * least:
        said.append(f"The classes are uneven: {names[counts.index(least)]} may be swallowed by "
                    f"{names[counts.index(most)]}; watch the test accuracy class by class with evaluate.")
    return said
