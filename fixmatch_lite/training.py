"""The one loop of the project: `fit` walks a batch through every room and yields metrics at each evaluation.

Source: Sohn et al. 2020, Algorithm 1, and the released code. Taught in: chapters 9 and 10.
"""

import logging
import time
from typing import Any

import torch
from torch import nn

from . import distributed
from .augment import to_float
from .batches import Batch, Batches, make_strong
from .captured import CapturedStep, may_capture
from .checkpoints import begin_checkpoint, load_checkpoint, save_checkpoint
from .checks import check_given, check_logits, check_parts, check_torch, check_view, described
from .data import SemiSupervisedData
from .devices import apart, autocast_dtype, choose_device, compiled, is_fast, keep_memory, make_generators
from .errors import FixMatchError
from .health import unlabeled_classes
from .hints import DeviceLike, PathLike
from .losses import check_loss
from .methods import make_method
from .metrics import Metrics, Tally, accuracies, diverged, evaluate
from .models import MovingAverage, batch_statistics, decayed_and_not, frozen, make_net
from .progress import Progress
from .recipes import Recipe, learning_rate, recipe
from .run_files import Run
from .starts import Start, start_of
from .streaming import StreamedBatches

log = logging.getLogger(__name__)

__all__ = ["Metrics", "Recipe", "Training", "autocast_dtype", "choose_device", "evaluate", "fit", "learning_rate",
           "recipe"]


class Training:
    """A training run as an iterator of `Metrics`; `fit` makes one.

    ``model`` is the net being trained, ``ema_model`` its moving average, ``step`` the updates done so far. To a method
    it offers `forward`, `teacher`, `strong`, `progress` and `generator`.
    """

    def __init__(self, recipe: Recipe, data: SemiSupervisedData, *, device: DeviceLike = None, checkpoint: PathLike | None = None,
                 resume: bool = False, progress: str | None = None, compile: bool | None = None, net: nn.Module | None = None,
                 method: nn.Module | None = None, strong: nn.Module | None = None,
                 start: Start | Run | PathLike | None = None) -> None:
        distributed.check_started()
        check_given(recipe, data)
        check_parts(net, method, strong)
        check_torch()
        self.recipe, self.device = recipe, choose_device(device)
        self.own = {name: part for name, part in dict(net=net, method=method, strong=strong).items() if part is not None}
        if start is not None and net is not None:
            raise FixMatchError("A start is for the net that the recipe names; give your own net with its weights, and leave start out.")
        start = start_of(start)
        self.began_with, self.asked_progress = described(self.own, start), False
        self.dtype = autocast_dtype(self.device, recipe.precision)
        if self.device.type == "cpu":
            keep_memory()
        self.data = data.to(self.device)
        self.checkpoint = checkpoint
        self.generators = make_generators(recipe.seed, self.device, distributed.rank())
        kind = Batches if isinstance(data.u, torch.Tensor) else StreamedBatches
        self.batches = kind(recipe, self.data, (make_strong(recipe) if strong is None else strong).to(self.device), self.generators)
        self._channels_last = self.device.type != "mps"
        model = make_net(recipe, data.num_classes, data.channels, self.generators["weights"]) if net is None else net
        if start is not None:
            start.give(model)
        model = distributed.synchronized(distributed.same(model.to(self.device)), self.device)
        self.model = model.to(memory_format=torch.channels_last) if self._channels_last else model
        self._frozen = frozen(self.model)
        self._train_mode()
        self.ema_model = MovingAverage(self.model, recipe.ema_decay)
        self.method = distributed.same((make_method(recipe, data) if method is None else method).to(self.device))
        if net is not None and method is None and getattr(self.method, "asks_features", False):
            raise FixMatchError(f"{recipe.method} asks a net for its features, too, which a net of your own does not give; leave "
                                "net out, or take another method.")
        decayed, plain = decayed_and_not(self.model, self.method)
        net = {*map(id, self.model.parameters())}  # which a method may hold
        self._of_the_method = [parameter for parameter in (*decayed, *plain) if id(parameter) not in net]
        self.optimizer = torch.optim.SGD(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=self.device.type == "cuda")
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        if self.scaler.is_enabled():  # a first step that overflows is skipped, and torch's own buffers would begin with any memory
            for parameter in (*decayed, *plain):
                self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        self.step, self.seconds, self.last_metrics = 0, 0.0, None
        if resume and checkpoint is None:
            raise FixMatchError("Resuming needs a checkpoint: give checkpoint=, the file of the run that stopped.")
        if resume:
            load_checkpoint(self, checkpoint)
        elif checkpoint is not None:
            distributed.agree(lambda: begin_checkpoint(checkpoint))  # said now, and not at the first evaluation
        missing = unlabeled_classes(data.y.bincount(minlength=data.num_classes).tolist(), data.class_names)
        if missing and distributed.rank() == 0:
            log.warning("%s", missing)
        fixed = not self.own and recipe.forward != "kept"
        quick = compiled(self.model, self.device, recipe.steps - self.step, compile, fixed)
        self._net = distributed.parallel(quick, self.device)
        self._captured = CapturedStep(self) if may_capture(self, recipe.steps - self.step, compile) else None
        self.bar = Progress(recipe.steps, self.step, progress if distributed.rank() == 0 else None)
        self._tally = Tally(data.num_classes, self.device)

    # ------------------------------------------------------------------------------------------------ iteration

    def __iter__(self) -> "Training":
        return self

    def __next__(self) -> Metrics:
        if self.step >= self.recipe.steps:
            self.bar.close()
            raise StopIteration
        with apart(self.device):
            return self._until_evaluated()

    def _until_evaluated(self):
        began = time.perf_counter()
        every = self.recipe.eval_every
        until = min(self.recipe.steps, (self.step // every + 1) * every)
        self._train_mode()  # somebody may have predicted with the net
        while self.step < until:
            self.batches.ahead(1 if is_fast() else until - self.step, self.method.views)
            self._train_step()
            self.bar.step()
            if is_fast():
                self.step = until
        shares, steps = self._tally.read(self.recipe, self.step)  # the one place where the host waits for the device
        self._tally.clear()
        if not torch.stack([part.isfinite().all() for part in self.model.parameters()]).all():
            raise diverged("weights", self.recipe, self.step)  # by the last update, after its loss was counted
        metrics = self._evaluate(shares, steps, time.perf_counter() - began, began)
        self.last_metrics = metrics.as_dict()
        if self.checkpoint is not None:
            save_checkpoint(self, self.checkpoint)  # process 0 writes
        self.bar.evaluated(metrics)
        return metrics

    def _train_mode(self):
        self.model.train()
        for module in self._frozen:
            module.training = False

    def _train_step(self):
        """One update; the host chooses the images and the learning rate, and waits for nothing."""
        rate = learning_rate(self.recipe, self.step)
        if self._captured is not None:
            self._captured(*self.batches.choose(self.method.views), rate)
        else:
            self.update(self.batches.next(self.method.views), rate)
        self.step += 1

    def update(self, batch: Batch, rate: float | torch.Tensor) -> None:
        """Loss of a `Batch`, gradient, optimizer step, moving average: what the device does for one step.

        ``rate`` is the learning rate: a number, or on CUDA a tensor that holds it.
        """
        loss = self.method.loss(batch, self)
        check_loss(loss, 0 if batch.ids is None else len(batch.ids))
        self._tally.add(loss, None if batch.ids is None else self.data.u_true[batch.ids])
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss.total).backward()
        for parameter in self._of_the_method:  # those of the net are averaged on the way
            distributed.mean_(parameter.grad)
        self.scaler.step(self.optimizer)  # in float16 an overflowing step is skipped; it still counts as a step
        self.scaler.update()
        self.ema_model.update_parameters(self.model)
        self.batches.strong.learn(self, batch)

    # -------------------------------------------------------------------------------------------- what methods use

    @property
    def progress(self) -> float:
        """Share of the steps that are done, in [0, 1). A step that asks for it is not recorded (`captured`), since the number
        would stay what it was."""
        self.asked_progress = True
        return self.step / self.recipe.steps

    @property
    def generator(self) -> torch.Generator:
        """Source of a method's own draws; on the training device."""
        return self.generators["augment"]

    def strong(self, images: torch.Tensor) -> torch.Tensor:
        """A strong view of weakly changed images, both uint8, beyond those that a batch has of the unlabeled ones."""
        return check_view(self.batches.strong(images, generator=self.generator), images)

    def forward(self, images: torch.Tensor, with_features: bool = False) -> Any:
        """The net in training mode: uint8 images, or floats scaled to [-1, 1], to float32 logits ``(n, classes)``,
        on request with the features before the last layer."""
        return self._apply(self._net, images, with_features)

    @torch.no_grad()
    def teacher(self, images: torch.Tensor, train: bool = False) -> torch.Tensor:
        """Logits of the moving average. With ``train`` its batch norm uses the batch's own statistics, as the net's
        does in training, and remembers nothing of it; without, the running ones."""
        with batch_statistics(self.ema_model, train):
            return self._apply(self.ema_model, images)

    def _apply(self, model, images, with_features=False):
        inputs = to_float(images) if images.dtype == torch.uint8 else images
        if self._channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            out = model(inputs, with_features=True) if with_features else model(inputs)
        check_logits(out[0] if with_features else out, len(images), self.data.num_classes)
        return tuple(part.float() for part in out) if with_features else out.float()

    # ------------------------------------------------------------------------------------------------ measuring

    def _evaluate(self, shares, steps, trained, began):
        recipe, data = self.recipe, self.data
        views = recipe.batch_size * (1 + recipe.mu * len(self.method.views))
        accuracy, raw = accuracies((self.ema_model, self.model), data.x_test, data.y_test, dtype=self.dtype)
        self.seconds += time.perf_counter() - began
        return Metrics(
            step=self.step, **shares, test_accuracy=accuracy, test_accuracy_raw=raw,
            lr=learning_rate(recipe, self.step - 1), images_per_second=views * steps / trained, seconds=self.seconds)


def fit(recipe: Recipe, data: SemiSupervisedData, *, device: DeviceLike = None, checkpoint: PathLike | None = None,
        resume: bool = False, progress: str | None = None, compile: bool | None = None, net: nn.Module | None = None,
        method: nn.Module | None = None, strong: nn.Module | None = None, start: Start | Run | PathLike | None = None) -> Training:
    """Train by ``recipe`` on ``data``: an iterator that yields `Metrics` at every evaluation.

    Nothing is trained until the first value is asked for, and breaking off the loop stops the training. After an
    error or Ctrl-C inside a step, go on from a checkpoint: iterating on would leave out that step's batch.

    Args:
        recipe: see `recipe`.
        data: see `load_data`.
        device: "cuda", "mps", "cpu"; None takes the best there is.
        checkpoint: a file, rewritten whole at every evaluation; None writes nothing. One that exists is refused without ``resume``.
        resume: go on from ``checkpoint``. On the CPU the weights at the end are bit for bit those of a run that was
            never interrupted. With parts of your own it also sets torch's global generator to where it stood, since dropout draws
            from it; otherwise training neither reads nor changes that.
        progress: "auto" (a bar in a terminal or notebook, lines in a log), "bar", "lines" or None.
        compile: whether `torch.compile` makes the net faster first, and on CUDA the whole step becomes one graph; None
            decides both by device and number of steps, see `devices.compiled` and `captured.may_capture`, and does neither
            to parts of your own. A step that became a graph runs no Python: with True, let your parts draw from
            ``generator`` on the device, and change what they remember in place.
        net: your own in place of the recipe's: a module from float32 ``(N, C, H, W)``, scaled to [-1, 1], in channels-last
            memory (``flatten`` and not ``view`` them), to logits ``(N, classes)``. All of it trains, in whatever mode it comes,
            except what is frozen: a module in evaluation mode in which no parameter has ``requires_grad``.
        method: your own, see `methods`, for instance ``Consistency(policy)``. strong: your own, see `batches.Strong`.
            (CONTRIBUTING.md has a small one of each.) A checkpoint holds the state of all three; to resume, give them again, made
            as they were. What the recipe says about them is ignored, its seed included: ``torch.manual_seed`` decides a net's first
            weights. No part is copied: the same object in a second run would go on from where the first left it.
        start: a run whose features the recipe's net begins with, its last layer drawn anew: a folder, the name of a run that
            comes with the module, or a `runs.Run`. For instance one of "simclr" on the same pictures. To resume, give it again.

    Returns:
        A `Training`, whose ``model`` and ``ema_model`` may be used at any time.

    Raises:
        FixMatchError: recipe and data do not fit, the checkpoint exists, is damaged or not of this recipe and data, the start
            is of another net or given beside a net of your own, the device is not there, or loss or weights stop being finite.
    """
    return Training(recipe, data, device=device, checkpoint=checkpoint, resume=resume, progress=progress,
                    compile=compile, net=net, method=method, strong=strong, start=start)
