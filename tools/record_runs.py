"""Do the next of the wanted runs (runs/WANTED.toml) that are missing, for a number of minutes. `make runs` calls it.

    python tools/record_runs.py --minutes 60                      # everything that this machine is meant for
    python tools/record_runs.py --minutes 9 --only cifar10-250 --processes 3
    python tools/record_runs.py --list                            # what is done, begun, stopped, missing
    python tools/record_runs.py --only cifar10-40-seed1 --stopped "The card's time was up."
    python tools/record_runs.py --only seed1 --steps 200 --any-device --root ... --recorded rehearsal --unfinished rehearsal/begun

It needs torch, torchvision, numpy and tqdm, no installation and no network; what a data set is read from lies in --root.
A run that is under way lives in runs/unfinished (--unfinished) and is resumed from its checkpoint; once it is finished it
moves to fixmatch_lite/recorded (--recorded). One that nobody can go on with for now is shown as far as it came with
--stopped, which keeps the reason and no weights; it stays wanted, and whoever trains it whole replaces it. --steps is a
rehearsal: every run with its own recipe but so many steps, recorded elsewhere; on a GPU add --compile, since so short a run
does not compile by itself, and the whole one does. The command may be stopped at any moment
and given again, in several processes at once: each run belongs to one process at a time. No file is larger than 16 MiB.
"""

import argparse
import contextlib
import itertools
import json
import math
import multiprocessing
import os
import shutil
import signal
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def wanted(path=ROOT / "runs" / "WANTED.toml", steps=None):
    """The list, unrolled: for each run its name, its recipe's values (`steps` replaces theirs), and the table it comes from."""
    names = set()
    try:
        entries = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("wanted", [])
    except tomllib.TOMLDecodeError as error:
        raise SystemExit(f"{path} is no TOML ({error}); mend that line.") from None
    for entry in entries:
        if lacks := {"name", "device", "recipe"} - set(entry):
            raise SystemExit(f"{path}: the run {entry.get('name', 'without a name')} has no {min(lacks)}; add it.")
        over = entry.get("over", {})
        for chosen in itertools.product(*over.values()):
            chosen = dict(zip(over, chosen))
            name, values = entry["name"], dict(entry["recipe"])
            for key, value in chosen.items():
                name = name.replace("{" + key + "}", f"{value:g}" if isinstance(value, (int, float)) else str(value))
                part, _, inner = key.partition(".")
                values[part] = {**values.get(part, {}), inner: value} if inner else value
            values.setdefault("label_seed", values.get("seed", 0))
            if steps is not None:
                values.update(steps=steps, eval_every=max(1, steps // 4))
            if "{" in name or name in names:
                raise SystemExit(f"{path}: the name {name} is not filled in or stands twice.")
            names.add(name)
            yield name, values, entry


def keeps_weights(name, entry):
    """Whether the list wants the weights of the run ``name``, and not only its record."""
    wants = entry.get("weights_for")
    return wants is not None and wants in name


def recipe_of(values):
    import fixmatch_lite as fm

    values = dict(values)
    return fm.recipe(values.pop("dataset"), **values)


def finished(folder):
    """Whether a run is trained to its end, also where it has given up its weights and could not be moved then."""
    if (folder / "weights.safetensors").exists():
        return True
    if not (folder / "recipe.json").exists():
        return False
    import fixmatch_lite as fm

    run = fm.runs.load(folder)
    # Beside a checkpoint a complete log is not the end: the weights are still to be written.
    return bool(run.failed) or run.done and not (folder / "checkpoint.safetensors").exists()


@contextlib.contextmanager
def claim(folder):
    """Whether the run is this process's, to the end of the context. (`runs.record` holds a lock of its own besides.)"""
    from fixmatch_lite.errors import Busy
    from fixmatch_lite.files import make_folder, only_one

    make_folder(folder)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(only_one(folder, "claim"))
            mine = True
        except Busy:
            mine = False
        yield mine


def state(name, options):
    """"done", "begun", "stopped" (recorded as far as it came) or "missing"."""
    recorded = options.recorded / name / "recipe.json"
    stopped = recorded.exists() and "stopped" in json.loads(recorded.read_text(encoding="utf-8"))
    if recorded.exists() and not stopped:
        return "done"
    if (options.unfinished / name / "checkpoint.safetensors").exists():
        return "begun"
    return "stopped" if stopped else "missing"


def stop(name, why, options):
    """Record a begun run as far as it came; what it takes to go on stays where it is."""
    folder, target = options.unfinished / name, options.recorded / name
    with claim(folder) as mine:
        if not mine:
            raise SystemExit(f"{name} is being trained; stop that first.")
        target.mkdir(parents=True, exist_ok=True)
        for file in ("metrics.jsonl", "confidence.jsonl", "recipe.json"):
            shutil.copy(folder / file, target / file)
    describe(target, stopped=why)


def do(name, values, entry, data, options, until):
    """Train one run until it is done or the time is up; True if it is done."""
    import fixmatch_lite as fm
    from fixmatch_lite.errors import Diverged
    from fixmatch_lite.files import plain_errors
    from fixmatch_lite.run_files import remove_left_overs
    from fixmatch_lite.tensor_files import remove_tensors

    folder, recipe = options.unfinished / name, recipe_of(values)
    if not finished(folder):
        if not (folder / "checkpoint.safetensors").exists():  # stopped before its first evaluation: begin again
            (folder / "recipe.json").unlink(missing_ok=True)
        recording = fm.runs.record(folder, recipe, data, device=options.device, resume=True, compile=options.compile)
        try:
            for metrics in recording:
                if time.time() > until and metrics.step < recipe.steps:
                    recording.close()
                    print(f"{name}: step {metrics.step} of {recipe.steps}, to be gone on with", flush=True)
                    return False
        except Diverged as error:  # a result like any other
            describe(folder, failed=str(error))
    keep_weights(folder, keeps_weights(name, entry), recipe, data, options)
    remove_left_overs(folder)
    remove_tensors(folder / "checkpoint.safetensors")
    (folder / "lock").unlink(missing_ok=True)  # of a process that was killed; the claim keeps others out to the end
    with plain_errors(options.recorded / name):
        move(folder, options.recorded / name)
    (options.recorded / name / "claim").unlink(missing_ok=True)
    run = fm.runs.load(options.recorded / name)
    if run.failed:
        print(f"{name}: {run.failed}", flush=True)
        return True
    told = fm.runs.summarize(run)
    print(f"{name}: {told['test_accuracy']:.2%} (last {told['final']:.2%}), {told['seconds'] / 60:.1f} minutes", flush=True)
    return True


def describe(folder, **more):
    """Add to what a run's description says."""
    from fixmatch_lite.files import write_atomically

    described = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    write_atomically(folder / "recipe.json", json.dumps({**described, **more}, indent=1) + "\n")


def move(folder, target):
    """Whole or not at all, also to another disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(folder, target)
    except OSError:  # another disk; or the run stands there already, recorded as far as it had come
        shutil.copytree(folder, copy := target.with_name(f".{target.name}"), dirs_exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(copy, target)
        shutil.rmtree(folder)


def keep_weights(folder, keep, recipe, data, options):
    """Drop the weights, or bring the kernels to half precision if the accuracy stays the same to the third digit."""
    import fixmatch_lite as fm
    from fixmatch_lite.tensor_files import read_tensors, remove_tensors, write_tensors

    path = folder / "weights.safetensors"
    if not keep or not path.exists():
        remove_tensors(path)
        return
    run, device = fm.runs.load(folder), fm.choose_device(options.device)
    tensors, described = read_tensors(path)
    halved = {k: v.half() if v.ndim > 1 and v.dtype.is_floating_point else v for k, v in tensors.items()}
    model = run.model()
    model.load_state_dict(halved)
    on_device, dtype = data.to(device), fm.training.autocast_dtype(device, recipe.precision)
    accuracy = fm.training.evaluate(model.to(device), on_device.x_test, on_device.y_test, dtype=dtype)
    if abs(accuracy - run.metrics[-1].test_accuracy) < 0.0005:
        describe(folder, weights={"kernels": "float16", "test_accuracy": accuracy})
        write_tensors(path, halved, described)
    else:
        describe(folder, weights={"kernels": "float32", "test_accuracy": run.metrics[-1].test_accuracy})


def work(options, until):
    """Do runs, one after another, until the list is done or the time is up; what the user can mend is said in a sentence."""
    from fixmatch_lite.errors import FixMatchError

    try:
        do_all(options, until)
    except FixMatchError as error:
        raise SystemExit(str(error)) from None


def do_all(options, until):
    import torch

    import fixmatch_lite as fm

    if options.threads:
        torch.set_num_threads(options.threads)
    kind, kept, elsewhere = fm.choose_device(options.device).type, (None, None), 0
    for name, values, entry in wanted(options.list_file, options.steps):
        if time.time() > until:
            return
        if options.only not in name or state(name, options) == "done":
            continue
        if entry["device"] != kind and not options.any_device:
            elsewhere += 1
            continue
        if not values["dataset"].startswith("digits") and options.root is None:  # nothing is fetched unasked
            print(f"{name}: left out, since --root does not say where the data of {values['dataset']} lie", flush=True)
            continue
        with claim(options.unfinished / name) as mine:
            if not mine:
                continue
            if state(name, options) == "done":  # another process was just done with it
                shutil.rmtree(options.unfinished / name)
                continue
            recipe = recipe_of(values)
            wants = (recipe.dataset, recipe.labels, recipe.label_seed, recipe.split)
            if kept[0] != wants:
                kept = wants, fm.load_data(*wants[:3], root=options.root, split=recipe.split)
            if not do(name, values, entry, kept[1], options, until):
                return
    if elsewhere:
        print(f"Left out: {elsewhere} meant for another device than {kind}; --any-device does them here.", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing later, stop at the next evaluation")
    parser.add_argument("--only", default="", help="only runs whose name holds this text")
    parser.add_argument("--processes", type=int, default=1, help="runs at the same time")
    parser.add_argument("--threads", type=int, help="CPU threads of each")
    parser.add_argument("--device", help="cuda, mps or cpu; the best there is")
    parser.add_argument("--any-device", action="store_true", help="do runs that are meant for another kind of device too")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--root", help="folder or archive of the data")
    parser.add_argument("--list-file", type=Path, default=ROOT / "runs" / "WANTED.toml")
    parser.add_argument("--recorded", type=Path, default=ROOT / "fixmatch_lite" / "recorded")
    parser.add_argument("--unfinished", type=Path, default=ROOT / "runs" / "unfinished")
    parser.add_argument("--steps", type=int, help="a rehearsal: so many steps of each run, recorded in another --recorded")
    parser.add_argument("--stopped", metavar="WHY", help="train nothing; record the begun runs as far as they came")
    parser.add_argument("--list", action="store_true", help="say what is done, begun and missing, and do nothing")
    options = parser.parse_args()
    theirs = {parser.get_default("recorded").resolve(), parser.get_default("unfinished").resolve()}
    if options.steps is not None and theirs & {options.recorded.resolve(), options.unfinished.resolve()}:
        parser.error("A rehearsal (--steps) is no recorded run: give it folders of its own with --recorded and --unfinished.")
    if options.steps is not None and options.steps < 1:
        parser.error("A rehearsal takes one step at least.")
    if options.stopped == "":
        parser.error("--stopped takes a sentence that says why.")
    if math.isnan(options.minutes) or options.minutes <= 0:
        parser.error(f"--minutes {options.minutes:g} is no time to train in; give more than 0.")
    for name in ("processes", "threads"):
        if (count := getattr(options, name)) is not None and count < 1:
            parser.error(f"--{name} {count} is not possible; give 1 at least.")
    if not options.list_file.is_file():
        parser.error(f"There is no list {options.list_file}.")
    if not any(options.only in name for name, *_ in wanted(options.list_file)):
        parser.error(f"No run of {options.list_file.name} has {options.only!r} in its name; --list tells the names.")
    os.environ.pop("FIXMATCH_LITE_FAST", None)  # what is recorded is trained in full
    if options.list:
        for name, _, entry in wanted(options.list_file):
            if options.only in name:
                print(f"{state(name, options):8}{entry['device']:6}{name}")
        return
    if options.stopped:
        for name, *_ in wanted(options.list_file):
            if options.only in name and state(name, options) == "begun":
                stop(name, options.stopped, options)
                print(f"{name}: recorded as far as it came", flush=True)
        return
    until = time.time() + 60 * options.minutes
    if options.processes == 1:
        return work(options, until)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(options, until)) for _ in range(options.processes)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped; what was begun is kept."))
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:  # also where this process is told to stop: no run goes on alone
        for worker in workers:
            worker.terminate()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("A process ended with an error; what it began is kept, give the command again.")


if __name__ == "__main__":
    main()
