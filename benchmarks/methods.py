"""Which method makes most of 40 labeled digits? All of the module's, side by side, and FixMatch with other strong views.

    python benchmarks/methods.py --seeds 5
    python benchmarks/methods.py --methods fixmatch flexmatch --seeds 3 --record runs/methods
    python benchmarks/methods.py --methods fixmatch --augments paper usb cutout none
    python benchmarks/methods.py --mu 7

Prints a table and one JSON line. The recipes are the default ones, exactly what ``fixmatch-lite train digits --method …``
does. Every method gets the same labeled images, net and number of steps, since steps are what schedules, ramps and moving
averages are made of. How many unlabeled images a step takes is part of a method as it was published: seven times as many
as labeled ones in UDA, FixMatch and its successors, just as many in the others; ``--mu 7`` gives all the same. The last
column says what a run costs. A run's accuracy is the median of the last 20 evaluations of the moving average on the 500
test images; a method's row tells the median and the range over the label seeds.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch  # noqa: E402

import fixmatch_lite as fm  # noqa: E402
from fixmatch_lite.recipes import AUGMENTATIONS, METHODS  # noqa: E402

ALIGNED = "fixmatch+alignment"
ORDER = ("supervised", "pi_model", "mean_teacher", "pseudo_label", "vat", "mixmatch", "uda", "remixmatch", "fixmatch", ALIGNED,
         "flexmatch", "freematch", "softmatch")  # as they were published
ROWS = (*ORDER, *(name for name in METHODS if name not in ORDER))


def recipe(row, seed, **given):
    """The recipe of a row: a method, ``fixmatch+alignment``, or ``fixmatch, usb`` for another strong view; with what the
    command line gives."""
    method, _, augment = row.partition(", ")
    changes = {"method": method.removesuffix("+alignment"), "seed": seed, "label_seed": seed}
    changes |= {"alignment": True} if method == ALIGNED else {}
    changes |= {"augment": augment} if augment else {}
    return fm.recipe("digits", **changes, **{name: value for name, value in given.items() if value})


def run(folder, recipe):
    """Train into ``folder``, or go on with what is there, or take it as it is where it is finished; its summary."""
    begun = (folder / fm.runs.RECIPE).exists()
    if begun and fm.runs.load(folder).recipe.as_dict() != recipe.as_dict():
        raise fm.FixMatchError(f"{folder} holds a run with another recipe; choose another folder with --record.")
    if not (begun and fm.runs.load(folder).done and (folder / fm.runs.WEIGHTS).exists()):
        data = fm.load_data("digits", recipe.labels, recipe.label_seed)
        for _ in fm.runs.record(folder, recipe, data, resume=begun):
            pass
    return fm.runs.summarize(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="label seeds 0, 1, … (5)")
    parser.add_argument("--methods", nargs="*", default=list(ORDER), choices=ROWS, metavar="METHOD",
                        help=f"of {', '.join(ROWS)} (those published up to 2023)")
    parser.add_argument("--augments", nargs="*", default=[], choices=AUGMENTATIONS, metavar="AUGMENT",
                        help=f"one more row of FixMatch for each: {', '.join(AUGMENTATIONS)} (none)")
    parser.add_argument("--steps", type=int, help="updates in a run (the recipe's 1,000)")
    parser.add_argument("--mu", type=int, help="unlabeled images for every labeled one (each method's own)")
    parser.add_argument("--record", type=Path, metavar="FOLDER",
                        help="keep the runs as FOLDER/METHOD-seedSEED; finished ones are not trained again")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as lost:
        for name in [*given.methods, *(f"fixmatch, {augment}" for augment in given.augments)]:
            place = (given.record or Path(lost)) / name.replace(", ", "-")
            recipes = [recipe(name, seed, steps=given.steps, mu=given.mu) for seed in range(given.seeds)]
            ends = [run(place.with_name(f"{place.name}-seed{r.seed}"), r) for r in recipes]
            accuracies = [end["test_accuracy"] for end in ends]
            rows.append({"method": name, "median": statistics.median(accuracies), "accuracies": accuracies,
                         "steps": recipes[0].steps, "mu": recipes[0].mu, "lr": recipes[0].lr,
                         "seconds_a_run": statistics.median(end["seconds"] for end in ends)})
            print(f"{name:22}  median {rows[-1]['median']:6.1%}  from {min(accuracies):6.1%} to {max(accuracies):6.1%}  "
                  f"{rows[-1]['seconds_a_run']:6.1f} s a run", flush=True)
    print(json.dumps({"benchmark": "methods on digits, 40 labels", "threads": torch.get_num_threads(), "rows": rows}))


if __name__ == "__main__":
    try:
        main()
    except fm.FixMatchError as error:
        sys.exit(str(error))
