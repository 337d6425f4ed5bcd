"""One run shared by two processes (gloo, on the CPU): the same gradients, the same end, also after a crash."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import fixmatch_lite as fm
from fixmatch_lite.starts import start_of

ROOT = Path(__file__).resolve().parent.parent


def torchrun(script, *words, processes=2, restarts=0, check=True):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}",
               f"--max-restarts={restarts}", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0",
               str(script), *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done


ONE_STEP = """
import sys, torch, fixmatch_lite as fm
from safetensors.torch import load_file, save_file
from fixmatch_lite import distributed
from fixmatch_lite.batches import Batch

torch.set_num_threads(1)
several = distributed.started_by_torchrun()
device = distributed.start("cpu") if several else "cpu"
given, out, *cases = sys.argv[1:]
data = fm.load_data("digits", labels=40, seed=0)
batch = load_file(given)
x, y, weak, strong, ids = (distributed.share(batch[name]) for name in ("x", "y", "weak", "strong", "ids"))
for case in cases:
    method, forward = case.split("-")
    recipe = fm.recipe("digits", method=method, forward=forward, batch_size=4, mu=3, tau=0.11, precision="float32",
                       steps=4)
    training = fm.fit(recipe, data, device=device)
    training.batches.next = lambda views: Batch(x, y, (weak, strong)[:len(views)], ids if views else None)
    training._train_step()
    shares, steps = training._tally.read(recipe, 1)
    if distributed.rank() == 0:
        tensors = {f"grad.{k}": p.grad for k, p in training.model.named_parameters()}
        tensors |= {f"buffer.{k}": b for k, b in training.model.named_buffers()}
        tensors |= {f"share.{k}": torch.tensor(shares[k]) for k in ("loss", "mask_rate") if shares[k] is not None}
        save_file({k: v.contiguous() for k, v in tensors.items()}, out + "-" + case)
"""
CASES = ("fixmatch-joint", "fixmatch-kept", "supervised-joint")


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory):
    """A folder with what one process and two made of the same batch, for every case."""
    tmp_path, data = tmp_path_factory.mktemp("step"), fm.load_data("digits", labels=40, seed=0)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randperm(len(data.u), generator=generator)[:12]
    save_file({"x": data.x[:4].contiguous(), "y": data.y[:4].contiguous(), "ids": ids, "weak": data.u[ids],
               "strong": fm.RandAugment()(data.u[ids], generator=generator)}, tmp_path / "batch")
    (tmp_path / "step.py").write_text(ONE_STEP)
    subprocess.run([sys.executable, tmp_path / "step.py", tmp_path / "batch", tmp_path / "one", *CASES],
                   capture_output=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    torchrun(tmp_path / "step.py", tmp_path / "batch", tmp_path / "two", *CASES)
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_T36_two_processes_have_the_gradients_of_one(one_and_two, case):
    one, two = (load_file(one_and_two / f"{number}-{case}") for number in ("one", "two"))
    assert one.keys() == two.keys() and any(v.abs().max() > 1e-3 for k, v in one.items() if k.startswith("grad."))
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=2e-5, msg=lambda m: f"{name}: {m}")
    assert ("share.mask_rate" in one) == case.startswith("fixmatch") and one["share.loss"] > 0


WHOLE = """
import os, signal, sys, torch, fixmatch_lite as fm
from fixmatch_lite import distributed

torch.set_num_threads(1)
device = distributed.start("cpu")
data = fm.load_data("digits", labels=40, seed=0)
recipe = fm.recipe("digits", steps=12, eval_every=3, batch_size=4, mu=3, tau=0.5)
again = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
training_ids = []
next_batch = fm.training.Batches.next
def spy(self, views):
    batch = next_batch(self, views)
    training_ids.append(distributed.gathered(batch.ids))
    return batch
fm.training.Batches.next = spy
for metrics in fm.runs.record(sys.argv[1], recipe, data, device=device, resume=again > 0):
    if len(sys.argv) > 2 and not again and metrics.step == 6 and distributed.rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
first = [step for step in training_ids[:10]]
assert all(len(step) == 12 == len(step.unique()) for step in first), "the processes drew the same images"
"""


def test_T36_crashed_worker_is_restarted_and_the_run_ends_as_if_nothing_had_happened(tmp_path):
    (tmp_path / "run.py").write_text(WHOLE)
    torchrun(tmp_path / "run.py", tmp_path / "whole")
    torchrun(tmp_path / "run.py", tmp_path / "killed", "kill", restarts=1)
    whole, killed = (fm.runs.load(tmp_path / name) for name in ("whole", "killed"))
    assert [m.step for m in whole.metrics] == [m.step for m in killed.metrics] == [3, 6, 9, 12]
    first, second = whole.model().state_dict(), killed.model().state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert whole.provenance["processes"] == 2


def test_checkpoint_of_two_processes_is_refused_by_one(tmp_path):
    data = fm.load_data("digits", labels=40, seed=0)
    recipe = fm.recipe("digits", steps=6, eval_every=3, batch_size=4, mu=1)
    path = tmp_path / "checkpoint.safetensors"
    next(fm.fit(recipe, data, checkpoint=path))
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors, metadata = {k: file.get_tensor(k) for k in file.keys()}, file.metadata()
    tensors["views"] = tensors["views"].repeat(2, 1)
    save_file(tensors, path, metadata)
    with pytest.raises(fm.FixMatchError, match="trained in 2 processes"):
        fm.fit(recipe, data, checkpoint=path, resume=True)


def test_what_processes_agree_on_is_done_once_and_errors_reach_all():
    from fixmatch_lite import distributed

    assert distributed.agree(lambda: 7) == 7
    assert distributed.share(list(range(5))) == list(range(5))

    def refuse():
        raise fm.FixMatchError("no")

    with pytest.raises(fm.FixMatchError, match="no"):
        distributed.agree(refuse)


OWN = """
import torch, fixmatch_lite as fm
from torch import nn
from fixmatch_lite import distributed
from fixmatch_lite.methods import Supervised

class Scaled(Supervised):
    def __init__(self):
        super().__init__()
        self.register_buffer("number", torch.rand(1))

torch.set_num_threads(1)
device = distributed.start("cpu")
torch.manual_seed(distributed.rank())  # as if each had drawn its own
net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).to(memory_format=torch.channels_last)
training = fm.fit(fm.recipe("digits", steps=4, eval_every=4, batch_size=4, mu=1), fm.load_data("digits", labels=40),
                  device=device, net=net, method=Scaled())
next(training)
for part in (training.model, training.ema_model, training.method):
    for name, tensor in part.state_dict().items():
        both = distributed.gathered(tensor.float().flatten()[None])
        assert torch.equal(both[0], both[1]), name
"""


def test_parts_of_ones_own_begin_alike_in_every_process(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    torchrun(tmp_path / "own.py")


def test_command_line_runs_under_torchrun(tmp_path):
    """Plain torchrun, no launcher of our own: one folder, one writer, the result said once."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d",
               "--rdzv-endpoint=localhost:0", "-m", "fixmatch_lite", "train", "digits", "--steps", "4", "--eval-every",
               "2", "--batch-size", "4", "--mu", "1", "--device", "cpu", "--method", "freematch", "--start-from", "digits-40-simclr-seed0"]
    done = subprocess.run([*command, "--out", tmp_path / "run"], env=environment, capture_output=True, text=True,
                          timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("number to report") == 1 and "on cpu in 2 processes" in done.stderr
    run = fm.runs.load(tmp_path / "run")
    assert len(run.metrics) == 2 and run.own == {"start": str(start_of("digits-40-simclr-seed0"))}
    again = subprocess.run([*command, "--out", tmp_path / "run"], env=environment, capture_output=True, text=True,
                           timeout=240, cwd=tmp_path)
    assert again.returncode != 0 and again.stderr.count("holds a finished run") == 1
