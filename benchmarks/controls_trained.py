"""Controls that train nets: see controls.py, which lists and measures them."""

import dataclasses
import json
import subprocess
import types

import numpy as np
import torch
from pages import DRAWS, ROOT, chapter, control

import fixmatch_lite as fm
from fixmatch_lite.batches import make_strong
from fixmatch_lite.comparators import adversarial, mixing
from fixmatch_lite.methods import Consistency, Supervised
from fixmatch_lite.policies import FixMatch


def train(recipe, data=None, **parts):
    """A `Training` that is over, on one core, and its metrics; without ``data`` the labels are the recipe's draw."""
    torch.set_num_threads(1)
    training = fm.fit(recipe, data or fm.load_data(recipe.dataset, recipe.labels, recipe.label_seed), device="cpu", **parts)
    return training, list(training)


def late(metrics, name="test_accuracy"):
    """The median of the last 20 evaluations, in percent."""
    return 100 * np.median([getattr(m, name) for m in metrics[-20:]])


COPIES = """
const { makePoints, chooseLabeled, Learner } = await import(process.argv[1]);
const knobs = { tau: 0.9, mu: 7, strength: 1, lambda_u: 1 }, found = {};
for (const shape of ["moons", "split"]) found[shape] = [...Array(101).keys()].map((seed) => {
  const points = makePoints(shape, 200, seed), labeled = chooseLabeled(points, 6, seed);
  const own = { x: Float32Array.from(labeled.flatMap((l) => [l.a, l.b])), y: labeled.map((l) => l.y), n: 6 };
  return [["supervised", points], ["fixmatch", own], ["fixmatch", points]].map(([method, pile]) => {
    const learner = new Learner(method, pile, labeled, knobs, seed);
    while (learner.step < 600) learner.train();
    return Object.assign(learner, { points }).judge().accuracy;
  });
});
console.log(JSON.stringify(found));"""


@control("03_assumptions", "Copies of the labeled points alone bring most of the gain and half of the loss",
         "labels alone, copies, FixMatch: two moons {moons} %, groups that mislead {split} %; copies bring {share} % of the changes", 3)
def copies():
    """The playground's FixMatch whose pile is the six labeled points, turned and shifted as ever; medians of 101 draws. Needs node."""
    core = (ROOT / "fixmatch_lite" / "widgets" / "playground_core.mjs").as_uri()
    done = subprocess.run(["node", "--input-type=module", "-e", COPIES, core], capture_output=True, text=True, check=True)
    found = {shape: 100 * np.median(rows, axis=0) for shape, rows in json.loads(done.stdout).items()}
    return {**found, "share": [100 * (own - alone) / (full - alone) for alone, own, full in found.values()]}


class StrongToo:
    """Beside another method: it sees a strong view of each labeled picture, too, as many as weak ones."""

    def loss(self, batch, run):
        strong = make_strong(fm.recipe("digits"))(batch.x, generator=run.generator)
        return super().loss(batch._replace(x=torch.cat([batch.x, strong]), y=batch.y.repeat(2)), run)


class LabeledOnly(StrongToo, Supervised):
    """The labels alone."""


class LabeledToo(StrongToo, Consistency):
    """FixMatch."""


@control("07_augmentation", "Strong views of the 40 labeled digits alone close about three fifths of the gap",
         "labels alone {alone} %, with strong views {strong}, FixMatch {fixmatch}: {share} % of the gap; as they are {as_they_are} %", 2)
def labeled_strong_alone():
    """Right on the test digits changed by the six operations of the table, at levels 5 and 9; the averages, five draws.

    As they are: the median of each of the three on the digits unchanged.
    """
    page, found = chapter("07_augmentation", "change", "right", "data"), []
    operations = ("Rotate", "ShearX", "TranslateX", "Contrast", "Posterize", "Solarize")
    changed = [page.change(name, page.data.x_test, level) for name in operations for level in (5, 9)]
    for seed in DRAWS:
        alone, full = (fm.runs.load(f"{name}-seed{seed}") for name in ("digits-supervised", "digits-grid-tau0.95-mu7"))
        nets = alone.model(), train(alone.recipe, method=LabeledOnly())[0].ema_model, full.model()
        found.append([[100 * np.mean([page.right(net, images) for images in changed]), 100 * page.right(net, page.data.x_test)]
                      for net in nets])
    (alone, strong, full), same = np.transpose(np.array(found)[..., 0]), np.median(found, axis=0)[:, 1]
    return {"alone": alone, "strong": strong, "fixmatch": full, "share": 100 * (strong - alone) / (full - alone), "as_they_are": same}


@control("07_augmentation", "Over all test digits: hardly", "mirrored, upside down, turned by a quarter and by a half: labels alone "
         "{alone} %, FixMatch {fixmatch}", 0.1)
def never_used():
    """The chapter's two nets on the four changes that no view makes, each draw 0."""
    page = chapter("07_augmentation", "nets", "right", "data")
    x = page.data.x_test
    changed = x.flip(-1), x.flip(-2), x.rot90(1, (-2, -1)), x.rot90(2, (-2, -1))
    return {name: [100 * page.right(net, images) for images in changed] for name, net in zip(("alone", "fixmatch"), page.nets.values())}


class PlainTeacher(Consistency):
    """FixMatch whose teacher looks at the pictures as they are."""

    def __init__(self, policy, data):
        super().__init__(policy)
        self.plain = data.u

    def loss(self, batch, run):
        return super().loss(batch._replace(u=(self.plain[batch.ids], batch.u[1])), run)


@control("07_augmentation", "On digits the picture as it is would teach about as well: median of five draws 96.2 %, with the weak view 96.4", "plain {plain} %, median {median}; weak {weak}, median {median_weak}", 4)
def plain_teacher():
    """FixMatch on 40 labels with a teacher that sees no weak view: the averages, last 20 evaluations."""
    runs = [fm.runs.load(f"digits-grid-tau0.95-mu7-seed{seed}") for seed in DRAWS]
    data = fm.load_data("digits", 40, 0)
    found = [late(train(run.recipe, method=PlainTeacher(FixMatch(run.recipe.tau), data))[1]) for run in runs]
    weak = [late(run.metrics) for run in runs]
    return {"plain": found, "weak": weak, "median": np.median(found), "median_weak": np.median(weak)}


@control("08_consistency", "the average of decay 0.99 reached 91 % in one run; the network fell by five points", "tested with the network's statistics, momentum 0.1: {short} %, 0.01: {long}; median of the network {network}", 1)
def same_memory():
    """The loop with either batch-norm momentum: decays 0.9, 0.99 and 0.999, the last ten measurements' medians."""
    wide, found = fm.WideResNet, {}
    try:
        for name, momentum in (("short", 0.1), ("long", 0.01)):
            fm.WideResNet = lambda *sizes, **more: wide(*sizes, **{**more, "bn_momentum": momentum})
            found[name] = np.median(chapter("08_consistency", "table", "net", "averages", "optimizer").table[-10:], axis=0).tolist()
    finally:
        fm.WideResNet = wide
    return {"network": [100 * found[name].pop(0) for name in found], **{name: [100 * value for value in row] for name, row in found.items()}}


@control("09_fixmatch_in_twelve_lines", "Strong views of the 40 *labeled* pictures, added here, leave the median at 93 %",
         "{labeled_too} %, median {median}; without {without}, median {median_without}", 6)
def labeled_strong():
    """Weak view matched to weak view, with strong views of the labeled pictures: the net itself, last 20 evaluations."""
    runs = [fm.runs.load(f"digits-mistake-weak_only-seed{seed}") for seed in DRAWS]
    found = [late(train(run.recipe, method=LabeledToo(FixMatch(run.recipe.tau)))[1], "test_accuracy_raw") for run in runs]
    without = [late(run.metrics, "test_accuracy_raw") for run in runs]
    return {"labeled_too": found, "without": without, "median": np.median(found), "median_without": np.median(without)}


@control("09_fixmatch_in_twelve_lines", "On other draws both keep out more than half",
         "of the mistakes 0.99 keeps out {high} %, 0.95 {low} %; of right answers, 0.99 as many times as 0.95: {times}", 4)
def kept_out():
    """FixMatch's net on the unlabeled pictures, five draws: the shares of its mistakes and right answers below two thresholds."""
    found = {"high": [], "low": [], "times": []}
    for seed in DRAWS:
        training = train(fm.recipe("digits", seed=seed, label_seed=seed))[0]
        with torch.no_grad():
            confidence, said = training.model.eval()(fm.augment.to_float(training.data.u)).softmax(1).max(1)
        right = said == training.data.u_true
        below = {tau: confidence < tau for tau in (0.95, 0.99)}
        for name, tau in (("high", 0.99), ("low", 0.95)):
            found[name].append(100 * below[tau][~right].float().mean().item())
        found["times"].append((below[0.99] & right).sum().item() / (below[0.95] & right).sum().item())
    return found


@control("10_two_knobs", "$\\mu = 7$ with 200 steps ends up to four points behind $\\mu = 1$ with 1,000; on the fifth, two ahead",
         "net {net} points behind, average {average}", 4)
def fair_race():
    """Each with a schedule of its own that ends with the budget; the last evaluation."""
    changes, ends = ({"mu": 7, "steps": 200, "ema_decay": 0.95}, {"mu": 1}), []
    for seed in DRAWS:
        last = [train(fm.recipe("digits", seed=seed, label_seed=seed, eval_every=10, **more))[1][-1] for more in changes]
        ends.append([[100 * m.test_accuracy_raw, 100 * m.test_accuracy] for m in last])
    behind = np.array(ends)[:, 1] - np.array(ends)[:, 0]
    return {"net": behind[:, 0], "average": behind[:, 1]}


class Unlabeled(Consistency):
    """FixMatch that hears of no label after step 20."""

    def loss(self, batch, run):
        loss = super().loss(batch, run)
        return loss if run.step < 20 else loss._replace(total=loss.total - loss.supervised)


@control("10_two_knobs", "without them after step 20, none of five runs recovered", "{net} % at the end", 6)
def without_labels():
    """tau = 0, and the supervised loss left out from step 20 on: the net itself, last 20 evaluations."""
    recipes = [fm.runs.load(f"digits-grid-tau0-mu7-seed{seed}").recipe for seed in DRAWS]
    return {"net": [late(train(r, method=Unlabeled(FixMatch(0.0)))[1], "test_accuracy_raw") for r in recipes]}


@control("11_recipe", "they reached 95 % with batch-norm statistics of their own",
         "net {net} %, average {average}, with its own statistics {own}", 1)
def own_statistics():
    """The slow average of draw 0 trained again, then given statistics of the unlabeled pictures, as chapter 9 does."""
    training, metrics = train(fm.runs.load("digits-mistake-slow_average-seed0").recipe)
    views = fm.augment.to_float(fm.weak_augment(training.data.u, generator=torch.Generator().manual_seed(0), flip=False))
    torch.optim.swa_utils.update_bn([views], training.ema_model)
    own = fm.training.evaluate(training.ema_model, training.data.x_test, training.data.y_test)
    return {"net": 100 * metrics[-1].test_accuracy_raw, "average": 100 * metrics[-1].test_accuracy, "own": 100 * own}


@control("13_draws", "in float32 none by over 1.5",
         "{as_it_is} %, written in another way {rewritten}", 5)
def rounding():
    """MixMatch's five runs, and again with the sharpened guess divided by its largest first: the same but for rounding."""
    plain = mixing.sharpen
    ways, ends = (plain, lambda q, temperature: plain(q / q.amax(-1, keepdim=True), temperature)), []
    try:
        for mixing.sharpen in ways:
            ends.append([late(train(fm.runs.load(f"digits-40-mixmatch-seed{seed}").recipe)[1]) for seed in DRAWS])
    finally:
        mixing.sharpen = plain
    return {"as_it_is": ends[0], "rewritten": ends[1]}


@control("13_draws", "random draws ended between 43 and 77 %", "{first} and {second} %", 3)
def short_schedule():
    """Ten labels drawn, 200 steps, each draw trained with two seeds: the net itself, at the end."""
    recipe = fm.recipe("digits", labels=10, steps=200)
    end = lambda draw, seed: 100 * train(recipe.changed(label_seed=draw, seed=seed))[1][-1].test_accuracy_raw
    return {name: [end(draw, seed) for draw in DRAWS] for name, seed in (("first", 0), ("second", 1))}


@control("15_pile", "trained by FixMatch without strangers, reached 0.99 on two draws", "AUROC {auroc}", 2)
def home_net():
    """FixMatch trained on the pile from home, draws 0 and 1; the confidence of its average orders the pile with strangers."""
    page, found = chapter("15_pile", "pile", "answers", "roc_auc_score"), []
    for seed in (0, 1):
        data, _, _, _, foreign, rest = page.pile(seed)
        net = train(fm.runs.load(f"digits-home-fixmatch-seed{seed}").recipe)[0].ema_model
        q = page.answers(types.SimpleNamespace(model=lambda: net), data.u[rest])
        found.append(page.roc_auc_score(foreign, -q.max(dim=1).values.numpy()))
    return {"auroc": found}


@control("15_pile", "FixMatch, which they had not, loses up to three points on four draws if it gets only the nearer half; FlexMatch gains up "
         "to three on four", "FixMatch {fixmatch} %, FlexMatch {flexmatch}; on the whole pile {fixmatch_all} and {flexmatch_all}", 7)
def cleaned_pile():
    """Both methods on the nearer half of the pile with strangers, and the labeled pictures: the averages, last 20 evaluations."""
    page, found = chapter("15_pile", "pile", "nearest"), {"fixmatch": [], "flexmatch": [], "fixmatch_all": [], "flexmatch_all": []}
    for seed in DRAWS:
        data, x, _, u, _, rest = page.pile(seed)
        near = page.nearest(x, u)
        kept = np.sort(np.concatenate([rest[near <= np.median(near)], data.labeled_indices]))
        half = dataclasses.replace(data, u=data.u[kept], u_true=data.u_true[kept],
                                   labeled_indices=tuple(np.searchsorted(kept, data.labeled_indices).tolist()))
        for method in ("fixmatch", "flexmatch"):
            run = fm.runs.load(f"digits-foreign-{method}-seed{seed}")
            found[method].append(late(train(run.recipe, half)[1]))
            found[f"{method}_all"].append(late(run.metrics))
    return found


@control("18_learn_first", "in 200 steps to 4.3, with strong views to 5.1", "weak views {weak}, strong {strong}", 1)
def weak_views():
    """SimCLR's loss on draw 0, trained for 200 steps: the mean over the last 20."""
    recipes = [fm.recipe("digits", method="simclr", labels=40, steps=200, **views) for views in ({"augment": "none"}, {})]
    return dict(zip(("weak", "strong"), (train(recipe)[1][-1].loss_unsupervised for recipe in recipes)))


@control("book/field.md", "With random changes of the same length, and all else the same, the median is 88.6 %; with the second term "
         "alone 87.9 %, with the first alone 94.0 %",
         "at random: {random} %, second term alone {second}, first alone {first}; twice as long {twice}, four times {four_times}", 15)
def random_changes():
    """VAT with changes drawn at random, once, twice and four times as long, and with one of its two terms; medians of five draws."""
    plain = adversarial.worst_change
    at_random = lambda times: lambda net, images, epsilon, generator: adversarial.of_length(
        torch.randn(images.shape, generator=generator), times * epsilon)
    ways = {"random": (at_random(1), {}), "twice": (at_random(2), {}), "four_times": (at_random(4), {}),
            "second": (plain, {"lambda_u": 0.0}), "first": (plain, {"options": {"entropy": 0.0}})}
    found = {}
    try:
        for name, (adversarial.worst_change, changes) in ways.items():
            recipes = [fm.runs.load(f"digits-40-vat-seed{seed}").recipe.changed(**changes) for seed in DRAWS]
            found[name] = np.median([late(train(recipe)[1]) for recipe in recipes])
    finally:
        adversarial.worst_change = plain
    return found
