"""What the command line prints: the table of a training run, its result, the list of runs, and one-line errors."""

from __future__ import annotations

import logging
import os
import shlex
import sys


class Table:
    """One line an evaluation, above the progress bar where there is one."""

    def __init__(self, quiet):
        self.quiet, self.begun = quiet, False

    def row(self, m):
        if not self.begun:
            self._write(f"{'step':>9}  {'test acc.':>9}  {'kept':>6}  {'right':>6}  {'loss':>7}  {'images/s':>8}")
            self.begun = True
        self._write(f"{m.step:>9,}  {m.test_accuracy:>9.2%}  {_share(m.mask_rate):>6}  "
                    f"{_share(m.pseudo_label_accuracy):>6}  {m.loss:>7.4f}  {m.images_per_second:>8,.0f}")

    def _write(self, line):
        if not self.quiet:
            from tqdm import tqdm

            tqdm.write(line, file=sys.stderr)


def _share(value):
    return "-" if value is None else f"{value:.1%}"


def speaker(quiet):
    """A function that says things on stderr, each once; lets the module's own remarks through too, unless ``quiet``."""
    log, said = logging.getLogger("fixmatch_lite"), set()
    log.handlers[:] = [logging.StreamHandler(sys.stderr)]
    log.handlers[0].addFilter(lambda record: not ((told := record.getMessage()) in said or said.add(told)))
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    return log.info


def print_result(summary, out):
    """The end of a training run, from `runs.summarize`."""
    count = summary["evaluations"]
    few = " (too few were made to leave out the run's start; a smaller --eval-every makes more)"
    print(f"test accuracy of the moving average at the last step: {summary['final']:.2%}")
    print(f"median of the last {count} evaluation{'s' * (count > 1)}, the number to report: {summary['test_accuracy']:.2%}"
          + (few if summary["early"] or count < 20 else ""))
    print(f"run: {out}")
    print(f"measure it again: fixmatch-lite evaluate {shlex.quote(str(out))}")


def print_accuracies(rows, then=None):
    """A line a class, and one for all: ``rows`` by `predicting.measure_again`, ``then`` the accuracy in the record."""
    line = lambda name, right, count: f"{name:>20}  {f'{right / count:.2%}' if count else '–':>8}  of {count:,}"
    for row in rows:
        print(line(*row))
    right, count = (sum(numbers) for numbers in zip(*(row[1:] for row in rows)))
    same = "" if then is None else " (as recorded)" if abs(right - then * count) < 0.5 else f" (recorded was {then:.2%})"
    print(line("all", right, count) + same)


def print_unread(unread):
    """How many pictures were left out, from ``(path, reason)`` pairs, if any."""
    if unread:
        print(f"Left out, since they cannot be read: {len(unread)}, for example {unread[0][0]} ({unread[0][1]}).",
              file=sys.stderr)


def print_runs(found, rows):
    """A table of runs: ``found`` by `runs.list_runs`, ``rows`` by `runs.compare` for those that have metrics."""
    told = ("name", "step", "done", "test_accuracy", "evaluations", "early", "final", "mask_rate",
            "pseudo_label_accuracy", "seconds")
    differs = [key for key in (rows or [{}])[0] if key not in told]
    table = [["run", *differs, "step", "median", "of last", "final", "seconds"]]
    for row in rows:
        step = f"{row['step']:,}" + ("" if row["done"] else " (unfinished)")
        last = str(row["evaluations"]) + " (start included)" * row["early"]
        table.append([row["name"], *[str(row[key]) for key in differs], step, f"{row['test_accuracy']:.2%}", last,
                      f"{row['final']:.2%}", f"{row['seconds']:.0f}"])
    table += [[run.name, "not evaluated yet"] for run in found if not run.metrics]
    full = [line for line in table if len(line) == len(table[0])]
    widths = [max(len(line[0]) for line in table)]
    widths += [max(len(line[k]) for line in full) for k in range(1, len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def sentence(error):
    """The one line for an error that a user can mend, and the exit code; None for a fault of the program."""
    from .errors import FixMatchError

    if isinstance(error, FixMatchError):
        return f"Error: {error}", 1
    if type(error).__name__ == "NoArgsIsHelpError":  # a command without anything: the help is the answer
        return error.format_message(), 2
    if hasattr(error, "format_message"):  # a wrong option; the class has moved between versions of typer
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "fixmatch-lite"
        told = error.format_message()
        return f"Error: {told}{'' if told.endswith(('.', '?')) else '.'} See {where} --help.", 2
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "Error: Out of memory: choose a smaller --batch-size, --mu or --image-size.", 1
    if isinstance(error, OSError) and error.filename is not None:
        return f"Error: Cannot use {error.filename} ({error.strerror}): check the path and its permissions.", 1
    return None


def stopped(out, recipe, began_as):
    """What to say after Ctrl-C: how far the run is kept, and the command that goes on with it."""
    from . import distributed, runs

    try:
        kept = runs.load(out).metrics[-1].step
    except (ValueError, IndexError):
        kept = 0
    again = [word for word in began_as if word != "--resume"]
    resume = ["--resume"] if (out / runs.RECIPE).exists() else []  # before that there is nothing to go on with
    if not any(word == "--out" or word.startswith("--out=") for word in again):
        again += ["--out", str(out)]
    program, processes = "fixmatch-lite", distributed.world_size()
    if processes > 1:
        program = f"torchrun --nproc-per-node={processes} -m fixmatch_lite"
    command = f"{program} {shlex.join([*again, *resume])}"
    if processes != int(os.environ.get("LOCAL_WORLD_SIZE", processes)):  # on several machines
        command = "the same torchrun command on every machine, with --resume"
    return f"Stopped; the run is kept up to step {kept:,} of {recipe.steps:,}. Go on with: {command}"
