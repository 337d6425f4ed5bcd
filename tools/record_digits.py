"""Record the digits runs that chapter 4 and the README show: tau by mu, several label seeds each, and the baseline.

    python tools/record_digits.py fixmatch_lite/recorded --seeds 3 --minutes 60

Every run becomes a folder, ``digits-grid-tau0.95-mu7-seed0`` and so on. Finished runs are left alone and unfinished
ones are resumed, so the command may be stopped at any moment and given again. Only the recipe and the metrics are kept
unless ``--weights`` is given.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import fixmatch_lite as fm  # noqa: E402

TAUS, MUS = (0.95, 0.0, 0.8, 0.5, 0.99), (7, 1, 4, 2)


def wanted(seeds):
    """Names and recipes, seed by seed, so that a first seed is complete before a second begins."""
    for seed in range(seeds):
        base = {"label_seed": seed, "seed": seed}
        yield f"digits-supervised-seed{seed}", fm.recipe("digits", method="supervised", **base)
        for tau, mu in itertools.product(TAUS, MUS):
            yield f"digits-grid-tau{tau:g}-mu{mu}-seed{seed}", fm.recipe("digits", tau=tau, mu=mu, **base)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no new run after this long")
    parser.add_argument("--only", default="", help="only runs whose name holds this text")
    parser.add_argument("--share", default="1/1", help="2/3: the second of three processes that share the work")
    parser.add_argument("--weights", action="store_true", help="keep the weights too")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.share.split("/"))
    began = time.monotonic()
    mine = [run for run in wanted(arguments.seeds) if arguments.only in run[0]][part - 1::parts]
    for name, recipe in mine:
        folder = arguments.folder / name
        if (folder / "recipe.json").exists() and fm.runs.load(folder).done:
            continue
        if time.monotonic() - began > 60 * arguments.minutes:
            print("time is up; give the command again to go on")
            break
        data = fm.load_data("digits", labels=recipe.labels, seed=recipe.label_seed)
        for _ in fm.runs.record(folder, recipe, data, resume=True):
            pass
        if not arguments.weights:
            (folder / "weights.safetensors").unlink(missing_ok=True)
        for left_over in folder.glob("*.part"):
            left_over.unlink()
        told = fm.runs.summarize(folder)
        print(f"{name}: {told['test_accuracy']:.1%} (last: {told['final']:.1%}), {told['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
