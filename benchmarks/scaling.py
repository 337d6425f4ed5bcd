"""How do time and memory of a step grow? Against batch size, mu, image side, unlabeled images, and processes.

    python benchmarks/scaling.py                     # five minutes on two cores
    python benchmarks/scaling.py --out benchmarks/recorded/scaling.json

Wide ResNet-28-2, joint forward, from a step of 8 labeled and 7 x 8 unlabeled images of 32 x 32 pixels, one quantity
changed at a time, each measured in a process of its own: seconds a step (median of the steps after the first two), and
the most memory the process held beside what torch takes before anything is loaded. On CUDA the sensible start is a
step of 64: --batch-size 64.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch  # noqa: E402
from common import peak_gigabytes  # noqa: E402

import fixmatch_lite as fm  # noqa: E402
from fixmatch_lite import distributed  # noqa: E402
from fixmatch_lite.data import SemiSupervisedData  # noqa: E402

CHANGED = {
    "batch_size": (2, 4, 8, 16, 32),
    "mu": (1, 2, 4, 7, 14),
    "side": (16, 24, 32, 48, 64, 96),
    "unlabeled": (1_000, 10_000, 100_000, 1_000_000),
    "processes": (1, 2),
}


def noise(count, side):
    """Images of noise, one tensor that is filled in place: a million of them exist once."""
    images = torch.empty(count, 3, side, side, dtype=torch.uint8)
    for part in images.split(100_000):
        part.random_(0, 256)
    return images


def measure(device, batch_size, mu, side, unlabeled, steps):
    """Seconds a step and gigabytes, in this process."""
    name = distributed.start(device) if distributed.started_by_torchrun() else device
    device = fm.choose_device(name)
    before, images = peak_gigabytes(device), noise(unlabeled, side)
    targets = torch.arange(unlabeled) % 10
    data = SemiSupervisedData("noise", images[:40], targets[:40], images, targets, images[:10], targets[:10],
                              tuple("0123456789"), tuple(range(40)))
    training = fm.fit(fm.recipe("cifar10", labels=40, batch_size=batch_size, mu=mu), data, device=device)
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    times = []
    for _ in range(steps + 2):
        began = time.perf_counter()
        training._train_step()
        wait()
        times.append(time.perf_counter() - began)
    return {"seconds_a_step": statistics.median(times[2:]), "memory_gb": peak_gigabytes(device) - before,
            "data_gb": images.numel() / 1e9}


def in_processes(count, options, **values):
    """Measure in one process, or in several that share the step and this machine's cores."""
    start = ["-m", "torch.distributed.run", f"--nproc-per-node={count}", "--rdzv-backend=c10d",
             "--rdzv-endpoint=localhost:0"] if count > 1 else []
    command = [sys.executable, *start, __file__, "--measure", json.dumps(values), "--steps", str(options.steps)]
    command += ["--device", options.device] if options.device else []
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE if count > 1 else None, text=True,
                          check=True)
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--only", choices=CHANGED, help="one quantity")
    parser.add_argument("--out", type=Path, help="write the JSON line there too")
    parser.add_argument("--measure", help="measure these values in this process, and print only the numbers")
    options = parser.parse_args()
    if options.measure:
        values = measure(options.device, steps=options.steps, **json.loads(options.measure))
        if distributed.rank() == 0:
            print(json.dumps(values))
        return
    device = fm.choose_device(options.device)
    start = {"batch_size": options.batch_size, "mu": 7, "side": 32, "unlabeled": 10_000}
    rows = []
    print(f"a step on {device} ({torch.get_num_threads()} threads), from {start}")
    for name, values in CHANGED.items():
        for value in values if options.only in (None, name) else ():
            processes = value if name == "processes" else 1
            changed = start | ({} if name == "processes" else {name: value})
            rows.append({"changed": name, "value": value, **in_processes(processes, options, **changed)})
            row = rows[-1]
            print(f"{name:>10} {value:>9,}  {row['seconds_a_step']:8.3f} s  {row['memory_gb']:6.2f} GB "
                  f"(images {row['data_gb']:.2f})", flush=True)
    line = json.dumps({"benchmark": "scaling", "device": str(device), "threads": torch.get_num_threads(),
                       "torch": torch.__version__, "start": start, "rows": rows})
    print(line)
    if options.out:
        options.out.parent.mkdir(exist_ok=True)
        options.out.write_text(line + "\n")


if __name__ == "__main__":
    main()
