"""What do the mistakes of chapter 11 cost with other seeds? More pairs than the recorded five: the wrong run and its right twin.

    python benchmarks/mistakes.py --seeds 5 6 7 --processes 2

Trains each mistake's recorded recipe on each of the five draws of 40 labels with other seeds for the weights and the order,
in the precision of the right runs on the same draws with the same seeds, which are recorded (``digits-crossed-40-fixmatch-…``).
Of a run two figures are kept, a row of fixmatch_lite/recorded/mistakes.csv: the medians of the last 20 evaluations of the
moving average and of the net itself on the 500 test images. Rows that are there are not made again. Left out: "frozen",
whose runs break off.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from common import fill_table  # noqa: E402

import fixmatch_lite as fm  # noqa: E402
from fixmatch_lite.comparators.mistakes import MISTAKES, End, end_of  # noqa: E402

DRAWS = range(5)
COSTS = [name for name in MISTAKES if name != "frozen"]  # which breaks off


def ends_of(mistake, draw, seed):
    """Train one run; its row."""
    twin = fm.runs.load(f"digits-crossed-40-fixmatch-labels{draw}-seed{seed}")
    recipe = fm.runs.load(f"digits-mistake-{mistake}-seed{draw}").recipe
    recipe = recipe.changed(label_seed=draw, seed=seed, precision=twin.provenance["precision"])
    end = end_of(list(fm.fit(recipe, fm.load_data(recipe.dataset, recipe.labels, draw))))
    return [{"mistake": mistake, "label_seed": draw, "seed": seed, **end._asdict()}]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mistakes", nargs="*", default=COSTS, choices=COSTS, metavar="MISTAKE", help=f"of {', '.join(COSTS)}")
    parser.add_argument("--seeds", nargs="*", type=int, default=[5, 6, 7], choices=range(5, 9), help="(5 6 7)")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "fixmatch_lite" / "recorded" / "mistakes.csv")
    given = parser.parse_args()
    jobs = [(ends_of, name, draw, seed) for seed in given.seeds for name in given.mistakes for draw in DRAWS]
    fill_table(given.out, ("mistake", "label_seed", "seed", *End._fields), jobs, given.processes, list(MISTAKES))


if __name__ == "__main__":
    main()
