"""What do 40 labeled digits give? An SVM and the net on the labels alone, and FixMatch with the unlabeled rest.

    python benchmarks/digits.py --seeds 5

Prints a table and one JSON line. The test part is the fixed 500 images of `load_data`; the recipes are the default ones,
exactly what ``fixmatch-lite train digits`` does. A net is measured after the last step: its moving average, which is the
number to report, and the net itself, which on the labels alone can be the better one.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch  # noqa: E402
from sklearn.svm import SVC  # noqa: E402

import fixmatch_lite as fm  # noqa: E402


def svm(data):
    flat = lambda images: images.flatten(1).numpy() / 255
    score = SVC(kernel="linear").fit(flat(data.x), data.y.numpy()).score(flat(data.x_test), data.y_test.numpy())
    return score, score


def net(data, seed, method):
    recipe = fm.recipe("digits", method=method, seed=seed, label_seed=seed, eval_every=1000)
    last = list(fm.fit(recipe, data))[-1]
    return last.test_accuracy, last.test_accuracy_raw


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    methods = {"SVM": lambda data, seed: svm(data),
               "net, labels alone": lambda data, seed: net(data, seed, "supervised"),
               "FixMatch": lambda data, seed: net(data, seed, "fixmatch")}
    rows = []
    for name, method in methods.items():
        accuracies, began = [], time.perf_counter()
        for seed in seeds:
            accuracies.append(method(fm.load_data("digits", labels=40, seed=seed), seed))
        seconds = (time.perf_counter() - began) / len(seeds)
        for kind, values in zip(("moving average", "the net itself"), zip(*accuracies)):
            rows.append({"method": name, "measured": kind, "median": statistics.median(values), "accuracies": values,
                         "seconds_a_run": seconds})
            print(f"{name:18}  {kind:15}  median {statistics.median(values):.1%}  from {min(values):.1%} to "
                  f"{max(values):.1%}  {seconds:5.1f} s a run", flush=True)
            if name == "SVM":  # it has no moving average
                break
    print(json.dumps({"benchmark": "digits, 40 labels", "threads": torch.get_num_threads(), "rows": rows}))


if __name__ == "__main__":
    main()
