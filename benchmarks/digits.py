"""What do 40 labeled digits give? An SVM and the net on the labels alone, and FixMatch with the unlabeled rest.

    python benchmarks/digits.py --seeds 5

Prints a table and one JSON line. The test part is the fixed 500 images of `load_data`; accuracy of a net is that of the
moving average after the last step, with the default recipe, exactly what ``fixmatch-lite train digits`` does.
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
    return SVC(kernel="linear").fit(flat(data.x), data.y.numpy()).score(flat(data.x_test), data.y_test.numpy())


def net(data, seed, method):
    recipe = fm.recipe("digits", method=method, seed=seed, label_seed=seed, eval_every=1000)
    return list(fm.fit(recipe, data))[-1].test_accuracy


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
        rows.append({"method": name, "median": statistics.median(accuracies), "accuracies": accuracies,
                     "seconds_a_run": (time.perf_counter() - began) / len(seeds)})
        row = rows[-1]
        print(f"{name:18}  median {row['median']:.1%}  from {min(accuracies):.1%} to {max(accuracies):.1%}  "
              f"{row['seconds_a_run']:5.1f} s a run", flush=True)
    print(json.dumps({"benchmark": "digits, 40 labels", "threads": torch.get_num_threads(), "rows": rows}))


if __name__ == "__main__":
    main()
