"""Comparators in two processes (gloo, on the CPU): the gradients and the memory of one process."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

import fixmatch_lite as fm
from test_distributed import ROOT, torchrun

CASES = {
    "pi_model": {}, "mean_teacher": {}, "pseudo_label": {"tau": 0.2}, "mixmatch": {}, "remixmatch": {},
    "vat": {"options": {"ramp": 0.0}},
    "uda": {"tau": 0.2, "alignment": True, "options": {"tsa": "linear"}}, "flexmatch": {"tau": 0.2},
    "freematch": {"options": {"decay": 0.5, "lambda_f": 0.5}}, "softmatch": {"options": {"decay": 0.5}}, "simclr": {},
    "freematch, kept": {"options": {"decay": 0.5, "lambda_f": 0.5}, "forward": "kept"}}
MIXING = ("mixmatch", "remixmatch")  # each process draws its own partners, so one process cannot do the same

STEPS = """
import json, sys, torch, fixmatch_lite as fm
from safetensors.torch import load_file, save_file
from fixmatch_lite import distributed
from fixmatch_lite.batches import Batch
from fixmatch_lite.comparators import adversarial

torch.set_num_threads(1)
adversarial.TRIAL = 1.0  # a trial as short as VAT's own turns its direction by the rounding, here by more than any tolerance
several = distributed.started_by_torchrun()
device = distributed.start("cpu") if several else "cpu"
torch.randn = lambda shape, **given: torch.linspace(-1, 1, 64).view(1, 8, 8).expand(shape)  # VAT's draws, alike everywhere
cases, given, out = json.loads(sys.argv[1]), load_file(sys.argv[2]), sys.argv[3]
data, kept = fm.load_data("digits", labels=40, seed=0), {}
for name, changes in cases.items():
    recipe = fm.recipe("digits", **{"method": name.split(",")[0], "batch_size": 8, "mu": 3, "precision": "float32",
                                    "steps": 4, **changes})
    training = fm.fit(recipe, data, device=device)
    for step in range(2):
        x, y, ids, *views = (distributed.share(given[f"{part}{step}"]) for part in ("x", "y", "ids", "v", "w", "z"))
        training.batches.next = lambda wanted: Batch(x, y, tuple(views[:len(wanted)]), ids)
        training._train_step()
    kept |= {f"{name}.grad.{k}": p.grad for k, p in training.model.named_parameters()}
    kept |= {f"{name}.method.{k}": v for k, v in training.method.state_dict().items()}
    kept |= {f"{name}.model.{k}": v for k, v in training.model.state_dict().items()}
save_file({k: v.contiguous() for k, v in kept.items()}, f"{out}{distributed.rank()}")
"""


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """What one process has after two steps of every case, and what each of two has."""
    folder, generator = tmp_path_factory.mktemp("shared"), torch.Generator().manual_seed(0)
    data, given = fm.load_data("digits", labels=40, seed=0), {}
    for step in range(2):
        ids = torch.randperm(len(data.u), generator=generator)[:24]
        labeled = torch.randperm(40, generator=generator)[:8]
        given |= {f"x{step}": data.x[labeled], f"y{step}": data.y[labeled], f"ids{step}": ids, f"v{step}": data.u[ids],
                  f"w{step}": fm.RandAugment()(data.u[ids], generator=generator),
                  f"z{step}": fm.weak_augment(data.u[ids], generator=generator, flip=False)}
    save_file(given, folder / "batches")
    (folder / "steps.py").write_text(STEPS)
    words = json.dumps(CASES), folder / "batches"
    subprocess.run([sys.executable, folder / "steps.py", *words, folder / "one"], check=True,
                   env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    torchrun(folder / "steps.py", *words, folder / "two")
    return [load_file(folder / name) for name in ("one0", "two0", "two1")]


@pytest.mark.parametrize("name", CASES)
def test_T36_two_processes_do_what_one_does(ends, name):
    one, first, second = ({k: v for k, v in end.items() if k.startswith(f"{name}.")} for end in ends)
    assert first.keys() == second.keys() and not [k for k in first if not torch.equal(first[k], second[k])]
    assert any(v.abs().max() > 1e-3 for k, v in first.items() if ".grad." in k)
    if name not in MIXING:
        for k in one:
            torch.testing.assert_close(first[k], one[k], rtol=2e-3, atol=1e-4, msg=lambda m: f"{k}: {m}")


PROBES = """
import math, sys, torch
from types import SimpleNamespace
from fixmatch_lite import distributed
from fixmatch_lite.comparators.ctaugment import CTAugment

torch.set_num_threads(1)
distributed.start("cpu")
strong, blind = CTAugment(), lambda images: torch.tensor([[0.0, 200.0]]).expand(len(images), 2)
images, y = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
run = SimpleNamespace(generator=torch.Generator().manual_seed(distributed.rank()), teacher=blind)
strong.learn(run, SimpleNamespace(x=images, y=y))
both = distributed.gathered(strong.rates[None])
assert torch.equal(both[0], both[1])
used = (strong.rates[strong.rates > 0].double().log().sum() / math.log(0.99)).item()
assert abs(used - 2 * 2 * 8) < 0.01, used  # two operations an image, two parameters each, eight images in all
"""


def test_ctaugment_learns_from_the_probes_of_all_processes(tmp_path):
    (tmp_path / "probes.py").write_text(PROBES)
    torchrun(tmp_path / "probes.py")
