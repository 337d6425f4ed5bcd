"""What several benchmarks need."""

import csv
import io
import resource
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch

from fixmatch_lite.files import write_atomically


def peak_gigabytes(device):
    """The most memory this process has held so far: of tensors on CUDA, of everything elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    try:  # Linux; getrusage would start from what the parent process held
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024 / 1e9
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def fill_table(path, fields, jobs, processes, order=None):
    """Do the jobs whose rows a table does not have yet, each on one thread, and write the table anew after every one.

    Args:
        path: a CSV file, made if it is not there.
        fields: its columns; by the first three, a word and two whole numbers, its rows are told apart and sorted.
        jobs: ``(make, word, number, number)``; ``make`` takes the three and gives a list of rows.
        processes: how many jobs at once.
        order: of the words; None sorts them.

    A job that fails costs its own rows only; the first such error is raised when all others are done.
    """
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []
    key = lambda row: (row[fields[0]], int(row[fields[1]]), int(row[fields[2]]))
    place = lambda row: (order.index(row[fields[0]]) if order else row[fields[0]], *key(row)[1:])
    there, failed = set(map(key, rows)), []
    with ProcessPoolExecutor(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for done in as_completed([pool.submit(*job) for job in jobs if job[1:] not in there]):
            if done.exception() is not None:
                failed.append(done.exception())
                continue
            made = [{k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()} for row in done.result()]
            print(*(" ".join(map(str, row.values())) for row in made), sep="\n", flush=True)
            rows = sorted(rows + made, key=place)
            writer = csv.DictWriter(text := io.StringIO(), fields, lineterminator="\n")
            writer.writeheader(), writer.writerows(rows)
            write_atomically(path, text.getvalue())  # these rows took hours: a full disk or Ctrl-C costs none of them
    if failed:
        raise failed[0]
