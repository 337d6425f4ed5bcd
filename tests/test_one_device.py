"""A step stays on its device and never waits for it, shown where there is no GPU: on torch's device "meta", whose tensors
have shapes and no values. Whoever asks for a value there, or for a shape that depends on one, gets an error."""

import contextlib
import gc
import weakref

import pytest
import torch
from test_comparators import CASES, short
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import fixmatch_lite as fm
from fixmatch_lite.augment import PRESETS
from fixmatch_lite.batches import make_strong
from fixmatch_lite.captured import CapturedStep
from fixmatch_lite.comparators import AUGMENTATIONS
from fixmatch_lite.comparators.resampling import _table
from fixmatch_lite.methods import Supervised

# "kept" forwards the images that count and no others, so it has to ask which those are.
QUICK = [{"method": "fixmatch"}, {"method": "supervised"}, *(case for case in CASES if case.get("forward") != "kept"),
         *({"augment": name} for name in (*AUGMENTATIONS, *PRESETS, "cutout", "none"))]


class OneDevice(TorchDispatchMode):
    """Refuses every operation between a tensor of the device and one of the host, copies included. Single numbers may
    come from the host: they travel with the call."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor) and leaf.ndim]
        devices = {tensor.device.type for tensor in tensors}
        assert len(devices) <= 1, f"{func} joins {' and '.join(sorted(devices))}"
        return out


class NothingBrought(TorchFunctionMode):
    """Refuses tensors made of numbers of the host, which have to travel."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        assert func not in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor), "a tensor made of the host's numbers"
        return func(*args, **(kwargs or {}))


class Generator(torch.Generator):
    """One that lives on the device, as a GPU's does."""

    device = torch.device("meta")


@pytest.fixture()
def step(digits, monkeypatch):
    """Takes a recipe's changes and does a step, after a first one, which may fill caches."""
    monkeypatch.setattr(torch, "autocast", lambda *args, **more: contextlib.nullcontext())  # "meta" has none
    monkeypatch.setattr(torch, "_sample_dirichlet", lambda alpha, generator: torch.empty_like(alpha))  # nor this
    make = fm.training.make_generators
    monkeypatch.setattr(fm.training, "make_generators", lambda *args: make(*args) | {"augment": Generator()})

    def step(own=None, **changes):
        training = fm.fit(short(depth=10, width=1, **changes), digits, device="meta", method=own)
        training._train_step()
        training.batches.ahead(1, training.method.views)  # which images: the host chooses, for many steps at once
        with OneDevice(), NothingBrought():
            training._train_step()

    return step


@pytest.mark.parametrize("changes", QUICK, ids=lambda case: "-".join(str(v) for v in case.values()))
def test_a_step_stays_on_its_device_and_asks_it_nothing(step, changes):
    step(**changes)


@pytest.mark.parametrize("slip", [lambda total: total.item(), lambda total: total if total > 0 else 0.0,
                                  lambda total: total.cpu(), lambda total: total * torch.ones(1),
                                  lambda total: total.new_tensor([1.0, 2.0]), lambda total: total[None].nonzero()],
                         ids=["asks a value", "asks whether", "goes", "meets", "brings", "asks how many"])
def test_this_test_sees(step, slip):
    class Slipping(Supervised):
        slips = 0

        def loss(self, batch, run):
            self.slips += 1
            if self.slips == 2:
                slip(super().loss(batch, run).total)
            return super().loss(batch, run)

    with pytest.raises((AssertionError, RuntimeError)):
        step(own=Slipping())


# What a recorded CUDA graph needs of the host --------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["fixmatch", "autoaugment", "ctaugment"])
def test_tables_stay_where_a_graph_reads_them(name):
    operations = make_strong(fm.recipe("cifar10", augment=name)).operations

    def use(side):
        images = torch.zeros(2, 3, side, side, dtype=torch.uint8)
        operations(images, generator=torch.Generator().manual_seed(0))
        return _table(side, images.device)[0]

    table = weakref.ref(use(8))
    tables = [weakref.ref(table) for made in getattr(operations, "_made", {}).values()
              for table in (made if isinstance(made, tuple) else (made,))]
    tables.append(table)
    for side in range(9, 18):
        use(side)
    gc.collect()  # a table that was given up may wait for it
    assert len(tables) == {"fixmatch": 3, "autoaugment": 2, "ctaugment": 1}[name] and all(table() is not None for table in tables)


def test_a_recorded_training_that_is_done_leaves_the_device(digits, monkeypatch):
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    training = fm.fit(short(depth=10, width=1), digits, device="cpu")
    training._captured = CapturedStep(training)
    gone = weakref.ref(training)
    gc.disable()
    try:
        del training
        assert gone() is None
    finally:
        gc.enable()
