"""What ``fixmatch-lite train`` does, in one process or in several that torchrun started."""

import json
import os
import sys

import typer

from . import distributed
from .data import load_data
from .devices import choose_device
from .errors import Diverged, FixMatchError
from .files import write_atomically
from .health import Health, describe_labels
from .places import SOURCE, check_out, default_out, setting
from .recipes import options_of, recipe
from .runs import RECIPE, record, summarize
from .starts import start_of
from .terminal import Table, print_result, speaker, stopped


def recipe_of(dataset, given, settings):
    """The recipe from the options that were given by their own names and the ``--set name=value`` pairs, which may name the
    options of the method too, in any order. Without a label seed the seed is it."""
    told, options = dict(map(setting, settings)), {}  # of one name the last
    for name, why in (("dataset", "it is the first word of the command"), ("options", "give each by its own name")):
        if name in told:
            raise FixMatchError(f"--set cannot change {name}: {why}.")
    if twice := [name for name in told if name in given]:
        raise FixMatchError(f"{twice[0]} is given twice, with --set and with --{twice[0].replace('_', '-')}: leave out one of them.")
    of_the_method = options_of(told.get("method", given.get("method")))
    for name, value in told.items():
        listed = name in ("operations", "decays") and not isinstance(value, tuple)
        (options if name in of_the_method else given)[name] = (value,) if listed else value
    given.setdefault("label_seed", given.get("seed", 0))
    return recipe(dataset, **given, **({"options": options} if options else {}))


def run_training(recipe, out, places, *, labeled, labels, start, device, resume, quiet):
    """Load, train, record and tell.

    Args:
        recipe: of the run.
        out: folder of the run, or None.
        places: ``root``, ``image_size`` and ``labels_from`` of `load_data`.
        labeled: file of indices, or None. labels: as it was given, or None. start: see `fit`.
        device, resume, quiet: as given.
    """
    if distributed.started_by_torchrun():
        if out is None:
            raise FixMatchError("Several processes need one folder: name it with --out.")
        device = distributed.start(device)
        # torchrun starts crashed processes again with the same words: then the run goes on
        resume = resume or (int(os.environ["TORCHELASTIC_RESTART_COUNT"]) > 0 and (out / RECIPE).exists())
    first = distributed.rank() == 0
    say, device = speaker(quiet or not first), choose_device(device)
    if out is not None:
        distributed.agree(lambda: check_out(out, resume))
    start = start_of(start)  # before anything is fetched
    data = load_data(recipe.dataset, recipe.labels, recipe.label_seed, labeled=labeled, split=recipe.split, **places)
    if labeled and labels not in (None, len(data.x)):
        raise FixMatchError(f"{labeled} names {len(data.x)} images and --labels asks for {labels}: leave out --labels.")
    recipe = recipe.changed(labels=len(data.x))
    out = out or default_out(recipe, resume)
    counts = data.y.bincount(minlength=data.num_classes).tolist()
    say(f"{recipe.dataset}: {len(data.x):,} labeled and {len(data.u):,} unlabeled images (the labeled ones among them), "
        f"{len(data.x_test):,} to test, {data.num_classes} classes")
    for sentence in describe_labels(counts, data.class_names):
        say(sentence)
    net = f"WRN-{recipe.depth}-{recipe.width}" if recipe.net == "wide_resnet" else recipe.net
    say(f"{net} on {device}"
        + (f" in {distributed.world_size()} processes" if distributed.world_size() > 1 else "")
        + (f", begun with {start}" if start else "") + f", {recipe.steps:,} steps, into {out}")
    table, health = Table(quiet or not first), Health(recipe, counts, data.class_names)
    for sentence in health.before():
        say(sentence)
    source = {name: str(place.absolute()) if hasattr(place, "absolute") else place for name, place in places.items()}
    progress = "bar" if sys.stderr.isatty() and not quiet else None
    try:
        for metrics in record(out, recipe, data, device=device, resume=resume, progress=progress, start=start):
            if first and not table.begun:  # where `evaluate` finds the images again
                write_atomically(out / SOURCE, json.dumps(source) + "\n")
            table.row(metrics)
            for sentence in health(metrics):
                say(sentence)
    except FixMatchError as error:
        error.alone = not error.agreed and not isinstance(error, Diverged)  # an unreadable picture, say
        raise
    except KeyboardInterrupt:
        if first:
            print("\n" + stopped(out, recipe, sys.argv[1:]), file=sys.stderr)
        raise typer.Exit(130) from None
    if first:
        print_result(summarize(out), out)
