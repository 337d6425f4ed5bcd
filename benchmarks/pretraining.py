"""What a start that was learned without labels is worth: chapter 18's comparisons, of which only the ends are kept.

    python benchmarks/pretraining.py --processes 2
    python benchmarks/pretraining.py --only "learned first"

Trains in float32 for each of five seeds, and writes a row of fixmatch_lite/recorded/pretraining.csv for each run. "learned
first": FixMatch with 10 and 40 labels from the weights of the recorded run ``digits-40-simclr-seed…``, its last layer drawn anew;
the same at the paper's learning rate, which is lower, and from a net drawn anew ("from nothing") with twice the steps. "chosen":
with the labels of ten pictures, the middles of ten clusters of that net's features ("by pixels": of ten clusters of the pixels);
from that net, from nothing, and the labels alone. "weak views", "mirrored views": SimCLR with other views. The figure is the
median of the last 20 evaluations of the moving average; for SimCLR it is logistic regression on the features, trained on the
same draw of the labels. Rows that are there are not made again.
"""

import argparse
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import torch  # noqa: E402
from common import fill_table  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

import fixmatch_lite as fm  # noqa: E402
from fixmatch_lite.comparators.contrastive import standardized  # noqa: E402

SEEDS, PROBED = range(5), (10, 20, 40, 100, 200)
VIEWS = {"weak views": {"augment": "none"}, "mirrored views": {"flip": True}}
STARTS = {"learned first": {}, "learned first, rate 0.03": {"lr": 0.03}, "from nothing, twice the steps": {"steps": 2000},
          "chosen, learned first": {}, "chosen, from nothing": {}, "chosen, from nothing, twice the steps": {"steps": 2000},
          "chosen by pixels, from nothing": {},
          "chosen, labels alone": {"method": "supervised"}}
FIELDS = ("what", "labels", "seed", "accuracy")


def fixmatch(what, labels, seed):
    """FixMatch, from a net that has seen no class or from nothing, on labels drawn or chosen."""
    net = fm.runs.load(f"digits-40-simclr-seed{seed}").model()
    data = fm.load_data("digits", labels, seed)
    if what.startswith("chosen"):
        u = data.u.flatten(1).numpy() / 255 if "by pixels" in what else standardized(net, data.u)[0]
        middles = KMeans(labels, n_init=4, random_state=seed).fit(u).transform(u).argmin(axis=0)
        data = fm.load_data("digits", labeled=middles.tolist())
    torch.manual_seed(seed)
    net.classifier.reset_parameters()
    recipe = fm.recipe("digits", labels=labels, seed=seed, label_seed=seed, precision="float32", **STARTS[what])
    late = list(fm.fit(recipe, data, net=net if "learned first" in what else None))[-20:]
    return [{"what": what, "labels": labels, "seed": seed, "accuracy": statistics.median(m.test_accuracy for m in late)}]


def simclr(what, _, seed):
    """SimCLR with other views, and what the features are worth to the labels."""
    recipe = fm.recipe("digits", method="simclr", seed=seed, label_seed=seed, precision="float32", **VIEWS[what])
    training = fm.fit(recipe, fm.load_data("digits", 40, seed))
    for _ in training:
        pass
    u, x_test = standardized(training.ema_model, training.data.u, training.data.x_test)
    rows = []
    for labels in PROBED:
        data = fm.load_data("digits", labels, seed)
        read = LogisticRegression(max_iter=3000).fit(u[list(data.labeled_indices)], data.y)
        rows.append({"what": what, "labels": labels, "seed": seed, "accuracy": read.score(x_test, data.y_test)})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=[*STARTS, *VIEWS])
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "fixmatch_lite" / "recorded" / "pretraining.csv")
    given = parser.parse_args()
    wanted = [(fixmatch, what, n, seed) for what in STARTS for n in ((10,) if "chosen" in what else (10, 40)) for seed in SEEDS]
    wanted += [(simclr, what, PROBED[0], seed) for what in VIEWS for seed in SEEDS]
    fill_table(given.out, FIELDS, [job for job in wanted if given.only in (None, job[1])], given.processes)


if __name__ == "__main__":
    main()
