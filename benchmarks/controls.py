"""The figures that a page tells and no cell of it prints: each measured again, with the page's own code where it has some.

    python benchmarks/controls.py                          # lists them: name, page, minutes on one core, the sentence
    python benchmarks/controls.py true-labels copies       # measures these two
    python benchmarks/controls.py --all --record           # all, an hour on one core; writes recorded/controls.json

A control is a function of controls_fitted.py, of controls_recorded.py, which reads recorded runs, or of controls_trained.py,
which trains nets. Nets end elsewhere on another processor or in another precision, since rounding has a say (chapter 13). Two
sentences have no control: how much a busy processor slows a cell (*Start here*), and what was read beside benchmarks/step.py
on an H100 (*Methods, data and machines*).
"""

import argparse
import datetime
import json
import os
import platform
import time
import warnings

import numpy as np
import sklearn
import torch
from pages import CONTROLS, ROOT
from threadpoolctl import threadpool_limits

import controls_fitted  # noqa: F401 (puts its own among CONTROLS, as do the next two)
import controls_recorded  # noqa: F401
import controls_trained  # noqa: F401
from fixmatch_lite.devices import autocast_dtype
from fixmatch_lite.files import write_atomically

RECORD = ROOT / "benchmarks" / "recorded" / "controls.json"


def rounded(found):
    """Figures as JSON has them: numbers with at most two decimals, or lists of them."""
    return {name: np.round(np.asarray(value, dtype=float), 2).tolist() for name, value in found.items()}


def told(name, found):
    """The sentence of a control with its figures."""
    numbers = lambda value: ", ".join(f"{v:.3g}" for v in (value if isinstance(value, list) else [value]))
    return CONTROLS[name].told.format(**{key: numbers(value) for key, value in found.items()})


def measured(name):
    """Run one control: its row, and what says on which machine."""
    began = time.perf_counter()
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        found = rounded(CONTROLS[name].measure())
    return {"control": name, "page": CONTROLS[name].page, "date": datetime.date.today().isoformat(),
            "seconds": round(time.perf_counter() - began), "found": found, "device": "cpu", "threads": 1,
            "precision": str(autocast_dtype(torch.device("cpu")) or "float32").removeprefix("torch."), "machine": platform.machine(),
            "python": platform.python_version(), "torch": torch.__version__, "scikit-learn": sklearn.__version__}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help="controls to measure; none: list them all")
    parser.add_argument("--all", action="store_true", help="measure all")
    parser.add_argument("--record", action="store_true", help="put what was found into benchmarks/recorded/controls.json")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in CONTROLS]:
        parser.error(f"there is no control {unknown[0]!r}; without a name they are listed")
    os.environ.pop("FIXMATCH_LITE_FAST", None)  # at the fast speed no number means anything
    if not given.names and not given.all:
        for name, one in CONTROLS.items():
            print(f"{name:<16} {one.page:<42} {one.minutes:>4g} min  {one.quote}")
    for name in CONTROLS if given.all else given.names:
        row = measured(name)
        print(f"{name} ({row['page']}, {row['seconds']} s)\n  page: {CONTROLS[name].quote}\n  here: {told(name, row['found'])}",
              flush=True)
        if given.record:  # after each, since an hour is long
            rows = json.loads(RECORD.read_text())["rows"] if RECORD.exists() else []
            rows = [old for old in rows if old["control"] in CONTROLS and old["control"] != name] + [row]
            rows.sort(key=lambda old: list(CONTROLS).index(old["control"]))
            write_atomically(RECORD, json.dumps({"benchmark": "controls", "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
