"""The seam and the faster ways through the net: which of them changes the mathematics, and how."""

import functools

import pytest
import torch
from torch import nn

import fixmatch_lite as fm
from fixmatch_lite import comparators
from fixmatch_lite.augment import to_float
from fixmatch_lite.methods import Consistency, make_method
from fixmatch_lite.policies import PseudoLabels
from fixmatch_lite.recipes import FORWARDS, options_of


def begin(digits, **changes):
    recipe = fm.recipe("digits", **{"steps": 6, "eval_every": 3, "batch_size": 4, "mu": 3, "precision": "float32",
                                    "tau": 0.25, **changes})
    return fm.fit(recipe, digits, device="cpu")


def one_step(training):
    """The step's batch, and the loss by the method."""
    batch = training.batches.next(training.method.views)
    return batch, training.method.loss(batch, training)


def scaled(images):
    return to_float(images).contiguous(memory_format=torch.channels_last)


def test_T3_separate_forward_by_hand(digits):
    """A pass over the weak views without gradient, then one over labeled and strong ones: two sets of statistics."""
    training, twin = begin(digits, forward="separate"), begin(digits)
    batch, loss = one_step(training)
    weak, strong = batch.u
    with torch.no_grad():
        logits_u_weak = twin.model(scaled(weak))
    logits_x, logits_u_strong = twin.model(scaled(torch.cat([batch.x, strong]))).split([4, 12])
    expected = fm.fixmatch_loss(logits_x, batch.y, logits_u_weak, logits_u_strong, tau=0.25)
    assert 0 < loss.mask.mean() < 1
    torch.testing.assert_close(loss.total, expected.total)
    for (name, mine), its in zip(training.model.named_buffers(), twin.model.buffers()):
        torch.testing.assert_close(mine, its, msg=name)


def test_T3_kept_forward_by_hand(digits):
    """The second pass takes the kept strong views alone, and its mean still runs over all mu * B."""
    training, twin = begin(digits, forward="kept"), begin(digits)
    batch, loss = one_step(training)
    weak, strong = batch.u
    with torch.no_grad():
        q = twin.model(scaled(weak)).softmax(1)
    kept = [k for k in range(12) if q[k].max() >= 0.25]
    assert 0 < len(kept) < 12 and loss.mask.tolist() == [float(k in kept) for k in range(12)]
    logits_x, logits_kept = twin.model(scaled(torch.cat([batch.x, strong[kept]]))).split([4, len(kept)])
    each = torch.nn.functional.cross_entropy(logits_kept, q[kept].argmax(1), reduction="none")
    torch.testing.assert_close(loss.unsupervised, each.sum() / 12)
    torch.testing.assert_close(loss.supervised, torch.nn.functional.cross_entropy(logits_x, batch.y))
    loss.total.backward()
    (torch.nn.functional.cross_entropy(logits_x, batch.y) + each.sum() / 12).backward()
    for (name, mine), its in zip(training.model.named_parameters(), twin.model.parameters()):
        torch.testing.assert_close(mine.grad, its.grad, msg=name)


def test_kept_is_separate_where_everything_is_kept(digits):
    ends = []
    for forward in ("separate", "kept"):
        training = begin(digits, forward=forward, tau=0.0)
        list(training)
        ends.append(training.model.state_dict())
    assert all(torch.equal(ends[0][k], ends[1][k]) for k in ends[0])


def test_kept_with_nothing_kept_trains_on_the_labels(digits):
    training = begin(digits, forward="kept", tau=1.0)
    batch, loss = one_step(training)
    loss.total.backward()
    assert loss.unsupervised == 0 and all(p.grad.isfinite().all() for p in training.model.parameters())


class Soft(nn.Module):
    """A policy of one's own with soft targets, in which nobody thought of the gradient."""

    def forward(self, logits_u_weak, *, ids=None, q_labeled=None, y=None):
        q = logits_u_weak.softmax(1)
        return PseudoLabels(q.max(1)[0], q, q.max(1)[0])


class Constant(Soft):
    def forward(self, logits_u_weak, **known):
        return super().forward(logits_u_weak.detach(), **known)


class Looks(Soft):
    """A policy that judges by an answer of its own net, which nobody froze; it keeps what it was asked."""

    def __init__(self):
        super().__init__()
        self.given, self.own = [], nn.Parameter(torch.ones(10))

    def forward(self, logits_u_weak, *, ids=None, q_labeled=None, y=None):
        self.given.append((logits_u_weak, q_labeled))
        return super().forward(logits_u_weak * self.own)


@pytest.mark.parametrize("forward", FORWARDS)
def test_T5_a_policy_of_ones_own_lets_no_gradient_through(digits, forward):
    """Through what it returns: soft targets teach the strong views and nothing else, whatever the forward pass."""
    ends = []
    for policy in (Soft(), Constant()):
        training = fm.fit(begin(digits).recipe, digits, device="cpu", method=Consistency(policy, forward=forward))
        list(training)
        ends.append(training.model.state_dict())
    assert all(torch.equal(ends[0][k], ends[1][k]) for k in ends[0])


@pytest.mark.parametrize("forward", FORWARDS)
def test_a_policy_is_given_constants_and_what_it_learned_is_one(digits, forward):
    policy = Looks()
    training = fm.fit(begin(digits).recipe, digits, device="cpu", method=Consistency(policy, forward=forward))
    _, loss = one_step(training)
    assert not any(part.requires_grad for part in (*loss[3:], *(part for part in policy.given[0] if part is not None)))
    loss.total.backward()
    assert policy.own.grad is None


def test_counting_keeps_no_graph_of_the_steps(digits):
    class Careless(Consistency):
        def loss(self, batch, run):
            loss = super().loss(batch, run)
            return loss._replace(mask=loss.mask + 0 * loss.total)

    training = fm.fit(begin(digits).recipe, digits, device="cpu", method=Careless(Soft()))
    training._train_step()
    assert not training._tally._sums.requires_grad


@pytest.mark.parametrize("forward", ["joint", "separate"])
def test_T35_compiled_net_is_the_net(digits, forward):
    """One graph a shape and gradient mode, no break in it, and the answers of the net as it is; in float32, to rounding."""
    torch._dynamo.reset()
    ends = []
    for compile in (False, True):
        recipe = fm.recipe("digits", steps=3, eval_every=3, batch_size=4, mu=3, tau=0.25, precision="float32",
                           forward=forward)
        training = fm.fit(recipe, digits, device="cpu", compile=compile)
        list(training)
        ends.append(training.model.state_dict())
    for name in ends[0]:
        torch.testing.assert_close(ends[1][name], ends[0][name], rtol=1e-3, atol=1e-4, msg=name)
    counted = torch._dynamo.utils.counters
    assert not counted["graph_break"] and counted["stats"]["unique_graphs"] <= 3


@pytest.fixture
def traced(monkeypatch):
    """`torch.compile` as far as its graphs: it traces, counts shapes and refuses as always, and generates no code."""
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))


def test_compiling_bears_shapes_that_change_within_a_run_and_between_runs(digits, traced):
    """The limit of torch is eight shapes; with ``forward="kept"`` nearly every step has another."""
    training, sizes = begin(digits, forward="kept", steps=14), set()
    training = fm.fit(training.recipe, digits, device="cpu", compile=True)
    work = training.method.loss
    training.method.loss = lambda batch, run: sizes.add(work(batch, run).mask.sum().item()) or work(batch, run)
    list(training)
    assert len(sizes) > 5 and torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 6  # not one for each size
    for mu in range(1, 12):
        next(fm.fit(begin(digits, mu=mu, steps=1).recipe, digits, device="cpu", compile=True))


def test_a_net_of_ones_own_may_be_one_that_does_not_compile_as_a_whole(digits, traced):
    class Asking(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(64, 10)

        def forward(self, images):
            return self.last(images.flatten(1) if images.sum() > 0 else images.reshape(len(images), -1))

    next(fm.fit(begin(digits).recipe, digits, device="cpu", net=Asking(), compile=True))


def test_what_is_compiled_unasked(monkeypatch):
    """On CUDA what is ours and has one shape; never what several processes share, since SyncBatchNorm is not traced."""
    from fixmatch_lite import devices, distributed

    monkeypatch.setattr(torch, "compile", lambda model, **how: "compiled")
    model, cuda = nn.Linear(1, 1), torch.device("cuda")
    monkeypatch.setattr(devices, "has_triton", lambda: True)
    assert devices.compiled(model, cuda, 2000) == devices.compiled(model, cuda, 1, True, fixed=False) == "compiled"
    assert devices.compiled(model, cuda, 1999) is devices.compiled(model, cuda, 2000, fixed=False) is model
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    assert devices.compiled(model, cuda, 2000) is devices.compiled(model, cuda, 2000, True) is model


def test_without_a_compiler_the_net_runs_as_it_is_and_says_so(digits, monkeypatch, capsys):
    from fixmatch_lite import devices

    monkeypatch.setattr(devices.shutil, "which", lambda name: None)
    model = torch.nn.Linear(1, 1)
    assert devices.compiled(model, torch.device("cpu"), 10**6, True) is model
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "no C++ compiler" in told
    assert devices.compiled(model, torch.device("cpu"), 10**6) is model and not capsys.readouterr().err
    monkeypatch.setattr(devices.shutil, "which", lambda name: name)
    monkeypatch.setattr(devices, "has_triton", lambda: False)
    monkeypatch.setattr(torch, "compile", lambda model, **options: "compiled")
    assert devices.compiled(model, torch.device("cuda"), 10**6, True) is model and "no Triton" in capsys.readouterr().err
    assert devices.compiled(model, torch.device("cpu"), 10**6, True) == "compiled"


def test_every_method_has_a_name_and_says_which_options_it_has(digits):
    for name in comparators.METHODS:
        recipe = fm.recipe("digits", method=name)
        method = make_method(recipe, digits)
        assert isinstance(method, torch.nn.Module) and set(method.views) <= {"weak", "strong"}, name
        assert isinstance(options_of(name), dict)
    with pytest.raises(fm.FixMatchError, match="fixmatch has no option 'temperature'; it has none"):
        fm.recipe("digits", options={"temperature": 0.5})


def test_moving_average_as_teacher_forgets_what_it_saw(digits):
    """With ``train`` the teacher normalizes by the batch at hand, and no running statistic moves."""
    training = begin(digits)
    next(training)
    before = {k: v.clone() for k, v in training.ema_model.state_dict().items()}
    images = digits.u[:16]
    by_batch, by_running = training.teacher(images, train=True), training.teacher(images)
    assert not torch.allclose(by_batch, by_running)
    assert all(torch.equal(v, before[k]) for k, v in training.ema_model.state_dict().items())
    fresh = fm.WideResNet(10, 1, 10, 1, bn_momentum=0.1).train()
    fresh.load_state_dict(training.ema_model.module.state_dict())
    torch.testing.assert_close(by_batch, fresh(scaled(images)).detach(), rtol=1e-4, atol=1e-5)
    assert not by_batch.requires_grad and training.model.training
