"""Where the command line puts a run, and when it refuses to."""

import json
import logging
import shlex
from pathlib import Path

from . import runs
from .errors import FixMatchError
from .labeled import labeled_hash
from .run_files import check_free

log = logging.getLogger("fixmatch_lite")

SOURCE = "source.json"  # beside the run's own files: where the images were


def check_out(out, resume):
    """Refuse a folder in which something would be lost, or in which there is nothing to resume."""
    begun, finished = (out / runs.RECIPE).exists(), (out / runs.WEIGHTS).exists()
    if not begun:
        check_free(out, (SOURCE,))
        if resume:
            raise FixMatchError(f"There is no run in {out} to go on with: check --out, or leave out --resume.")
    elif finished:
        raise FixMatchError(f"{out} holds a finished run: see it with 'fixmatch-lite evaluate "
                            f"{shlex.quote(str(out))}', or choose another folder with --out.")
    elif not resume:
        raise FixMatchError(f"{out} holds an unfinished run: go on with it by adding --resume, or choose another "
                            "folder with --out.")


def source_of(run):
    """Where a `Run` found its images: ``root``, ``image_size`` and ``labels_from``, as far as it was written down."""
    try:
        found = json.loads((run.path / SOURCE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def check_same(run, images, targets, names):
    """Refuse to test a `Run` on other classes or images of another size than those it was trained on; say so where the test
    pictures are others."""
    told = run.provenance
    here, there = list(names), told.get("class_names", list(names))
    if here != there:
        odd = next((f"{a} and {b}" for a, b in zip(here, there) if a != b), f"{len(here)} and {len(there)} in number")
        raise FixMatchError(f"The classes here and those of the run {run.name} differ ({odd}): give --root the data it was "
                            "trained on.")
    here, there = list(images.shape[1:]), told.get("image_shape", list(images.shape[1:]))
    if here != there:
        raise FixMatchError(f"The images here are {here} (channels, height, width) and those of the run {run.name} were "
                            f"{there}: leave out --image-size, or give --root the data it was trained on.")
    if (tested := told.get("test_hash")) and tested != labeled_hash((), (targets, images)):
        # not refused: another version of a JPEG decoder changes bytes, too
        cure = ("give the folder or the file of labels as it was" if run.recipe.dataset == "folder" else "the run's were changed "
                "after fm.load_data; measure it in Python, with fm.training.evaluate(run.model(), images, targets)")
        log.warning("the %s test pictures here are not those that the run %s was tested on, and some may be pictures that it was "
                    "taught: %s", f"{len(images):,}", run.name, cure)


def check_file(path, force):
    """Refuse to write over a file, unless told to."""
    if path.exists() and not force:
        raise FixMatchError(f"{path} already exists: choose another file, or add --force.")
    if not path.absolute().parent.is_dir():
        raise FixMatchError(f"There is no folder {path.parent}: make it first, or choose another file.")


def default_out(recipe, resume):
    """runs/digits-40-seed0; where that is taken, and nothing is to be resumed, runs/digits-40-seed0-2, …"""
    end = "" if recipe.method == "fixmatch" else f"-{recipe.method}"
    first = Path("runs", f"{recipe.dataset}-{recipe.labels}-seed{recipe.seed}{end}")
    out, number = first, 1
    while out.exists() and not resume:
        number += 1
        out = first.with_name(f"{first.name}-{number}")
    check_out(out, resume)
    return out


def setting(text):
    """A field of the recipe or an option of the method, from the ``name=value`` of the command line."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise FixMatchError(f"--set takes name=value, not {text!r}: write for instance --set ema_decay=0.99.")
    if "," in value:
        return name.strip(), tuple(map(_read, value.split(",")))
    return name.strip(), _read(value)


def _read(value):
    """A word as what it looks like: yes or no, nothing, a number, or itself."""
    words = {"true": True, "false": False, "yes": True, "no": False, "none": None}
    for read in (lambda v: words[v.lower()], int, float, str):
        try:
            return read(value.strip())
        except (KeyError, ValueError):
            pass
