"""The one loop of the project: `fit` walks a batch through every room and yields metrics at each evaluation.

Source: Sohn et al. 2020, Algorithm 1, and the released code. Taught in: chapters 3 and 4.
"""

import math
import time
from dataclasses import asdict, dataclass

import torch

from .augment import Cutout, RandAugment, to_float, weak_augment
from .checkpoints import load_checkpoint, save_checkpoint
from .data import SemiSupervisedData, ShuffledIndices
from .devices import autocast_dtype, choose_device
from .errors import FixMatchError
from .losses import semi_supervised_loss
from .models import WideResNet, decayed_and_not, moving_average
from .policies import FixMatch
from .progress import Progress
from .recipes import Recipe, recipe

__all__ = ["Metrics", "Recipe", "Training", "autocast_dtype", "choose_device", "evaluate", "fit", "learning_rate",
           "recipe"]


@dataclass(frozen=True)
class Metrics:
    """What one evaluation saw. Losses, mask rate and pseudo-label accuracy are means over the steps since the last
    evaluation; shares lie in [0, 1]. A number that does not exist (nothing kept, no truth known) is None."""

    step: int
    loss: float
    loss_supervised: float
    loss_unsupervised: float
    test_accuracy: float            # of the moving average: the number to report
    test_accuracy_raw: float        # of the net being trained
    mask_rate: float | None         # share of the unlabeled batch that was kept
    pseudo_label_accuracy: float | None  # share of the kept pseudo-labels that are right
    mask_rate_per_class: tuple | None    # the mask rate, split by pseudo-label
    pseudo_label_accuracy_per_class: tuple | None  # of the images kept under each pseudo-label
    lr: float
    images_per_second: float        # all views counted, evaluation left out
    seconds: float                  # since the run began, evaluation and earlier parts of a resumed run included

    def as_dict(self):
        return asdict(self)


def learning_rate(recipe, step):
    """lr * cos(7 pi step / (16 steps)): from ``lr`` down to 0.195 of it; ``step`` counts from 0."""
    return recipe.lr * math.cos(7 * math.pi * step / (16 * recipe.steps))


@torch.no_grad()
def evaluate(model, images, targets, *, dtype=None, batch_size=1024):
    """Accuracy of ``model`` on uint8 images, in evaluation mode; the model's mode is put back afterwards."""
    was_training = model.training
    model.eval()
    right = torch.zeros((), device=images.device)
    for part, truth in zip(images.split(batch_size), targets.split(batch_size)):
        with torch.autocast(images.device.type, dtype=dtype, enabled=dtype is not None):
            right += (model(to_float(part)).argmax(1) == truth).sum()
    model.train(was_training)
    return right.item() / len(targets)


class Training:
    """A training run as an iterator of `Metrics`; `fit` makes one.

    ``model`` is the net being trained, ``ema_model`` its moving average, ``step`` the updates done so far.
    """

    def __init__(self, recipe, data: SemiSupervisedData, *, device=None, checkpoint=None, resume=False,
                 progress=None):
        if recipe.labels is not None and recipe.labels != len(data.x):
            raise FixMatchError(f"The recipe asks for {recipe.labels} labels and the data hold {len(data.x)}; load "
                                "the data with the same number.")
        self.recipe, self.device = recipe, choose_device(device)
        self.dtype = autocast_dtype(self.device, recipe.precision)
        self.data = data.to(self.device)
        self.checkpoint = checkpoint
        # Draws come from generators on the CPU, so that every device sees the same batches and the same views.
        seeds = [torch.Generator().manual_seed(4 * recipe.seed + k) for k in range(4)]
        self.generators = dict(zip(("weights", "labeled", "unlabeled", "augment"), seeds))
        self.labeled = ShuffledIndices(len(data.x), self.generators["labeled"])
        self.unlabeled = ShuffledIndices(len(data.u), self.generators["unlabeled"])
        self._channels_last = self.device.type != "mps"
        model = WideResNet(recipe.depth, recipe.width, data.num_classes, data.channels,
                           bn_momentum=recipe.bn_momentum, generator=self.generators["weights"]).to(self.device)
        self.model = model.to(memory_format=torch.channels_last) if self._channels_last else model
        self.ema_model = moving_average(self.model, recipe.ema_decay)
        decayed, plain = decayed_and_not(self.model)
        self.optimizer = torch.optim.SGD(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.policy = FixMatch(recipe.tau)
        self.rand_augment = RandAugment(recipe.augment, probability=recipe.probability, fill=recipe.fill,
                                        operations=recipe.operations)
        self.cutout = Cutout(recipe.cutout, fill=self.rand_augment.fill)
        self.flip = data.flip if recipe.flip is None else recipe.flip
        self.step, self.seconds, self.last_metrics = 0, 0.0, None
        if resume:
            load_checkpoint(self, checkpoint)
        self.progress = Progress(recipe.steps, self.step, progress)
        self._start_interval()

    # ------------------------------------------------------------------------------------------------ iteration

    def __iter__(self):
        return self

    def __next__(self):
        if self.step >= self.recipe.steps:
            self.progress.close()
            raise StopIteration
        began = time.perf_counter()
        every = self.recipe.eval_every
        until = min(self.recipe.steps, (self.step // every + 1) * every)
        while self.step < until:
            self._train_step()
            self.progress.step()
        sums = self._sums.tolist()  # the one place where the host waits for the device
        trained = time.perf_counter() - began
        self._stop_if_not_finite(sums)
        metrics = self._evaluate(sums, trained, began)
        self.last_metrics = metrics.as_dict()
        if self.checkpoint is not None:
            save_checkpoint(self, self.checkpoint)
        self._start_interval()
        self.progress.evaluated(metrics)
        return metrics

    def _train_step(self):
        """One update: views, one joint forward, loss, step, moving average. Nothing here waits for the device."""
        recipe, data = self.recipe, self.data
        index = self._to_device(self.labeled.next(recipe.batch_size))
        views, y = [self._weak(data.x[index])], data.y[index]
        if recipe.method != "supervised":
            ids = self._to_device(self.unlabeled.next(recipe.mu * recipe.batch_size))
            u = data.u[ids]
            strong = self.rand_augment(self._weak(u), generator=self.generators["augment"])
            views += [self._weak(u), self.cutout(strong, generator=self.generators["augment"])]
        logits = self._forward(torch.cat(views)).float()
        if recipe.method == "supervised":
            total = supervised = torch.nn.functional.cross_entropy(logits, y)
            self._sums[:3] += torch.stack([torch.ones_like(total), total, supervised]).detach()
        else:
            logits_x, logits_u_weak, logits_u_strong = logits.split([len(y), len(ids), len(ids)])
            pseudo = self.policy(logits_u_weak, ids=ids, q_labeled=logits_x.detach().softmax(-1))
            loss = semi_supervised_loss(logits_x, y, logits_u_strong, pseudo, recipe.lambda_u)
            total = loss.total
            self._count(loss, data.u_true[ids])
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(recipe, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        self.scaler.step(self.optimizer)  # in float16 an overflowing step is skipped; it still counts as a step
        self.scaler.update()
        self.ema_model.update_parameters(self.model)
        self.step += 1

    def _to_device(self, index):
        return index.to(self.device, non_blocking=True)

    def _weak(self, images):
        return weak_augment(images, generator=self.generators["augment"], flip=self.flip, pad=self.recipe.pad)

    def _forward(self, images):
        inputs = to_float(images)
        if self._channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            return self.model(inputs)

    # ------------------------------------------------------------------------------------------------ measuring

    def _start_interval(self):
        """Sums since the last evaluation, kept on the device: steps, three losses, then per class: kept, kept with
        known truth, kept and right."""
        self._sums = torch.zeros(4 + 3 * self.data.num_classes, device=self.device)

    def _count(self, loss, truth):
        losses = torch.stack([torch.ones_like(loss.total), loss.total, loss.supervised, loss.unsupervised]).detach()
        self._sums[:4] += losses
        classes = loss.pseudo_label if loss.pseudo_label.ndim == 1 else loss.pseudo_label.argmax(1)
        known = loss.mask * (truth >= 0)
        per_class = self._sums[4:].view(3, -1)
        per_class.index_add_(1, classes, torch.stack([loss.mask, known, known * (classes == truth)]))

    def _stop_if_not_finite(self, sums):
        if not all(math.isfinite(value) for value in sums[:4]):
            raise FixMatchError(
                f"The loss stopped being finite before step {self.step}; try a smaller lr (it is {self.recipe.lr}), "
                "precision='float32', or look for broken images. The last checkpoint, if any, is from before that.")

    def _evaluate(self, sums, trained, began):
        recipe, data = self.recipe, self.data
        steps, loss, supervised, unsupervised = sums[:4]
        views = recipe.batch_size * (1 if recipe.method == "supervised" else 1 + 2 * recipe.mu)
        accuracy = evaluate(self.ema_model, data.x_test, data.y_test, dtype=self.dtype)
        raw = evaluate(self.model, data.x_test, data.y_test, dtype=self.dtype)
        self.seconds += time.perf_counter() - began
        judged = self._judged(sums[4:], steps * recipe.mu * recipe.batch_size)
        return Metrics(
            step=self.step, loss=loss / steps, loss_supervised=supervised / steps,
            loss_unsupervised=unsupervised / steps, test_accuracy=accuracy, test_accuracy_raw=raw, **judged,
            lr=learning_rate(recipe, self.step - 1), images_per_second=views * steps / trained, seconds=self.seconds)

    def _judged(self, sums, unlabeled):
        """Mask rate and pseudo-label accuracy from the per-class sums; all None where nothing is judged."""
        if self.recipe.method == "supervised":
            return dict.fromkeys(("mask_rate", "pseudo_label_accuracy", "mask_rate_per_class",
                                  "pseudo_label_accuracy_per_class"))
        classes = self.data.num_classes
        kept, known, right = (sums[k * classes:(k + 1) * classes] for k in range(3))
        share = lambda part, whole: part / whole if whole else None
        return {
            "mask_rate": sum(kept) / unlabeled,
            "pseudo_label_accuracy": share(sum(right), sum(known)),
            "mask_rate_per_class": tuple(k / unlabeled for k in kept),
            "pseudo_label_accuracy_per_class": tuple(share(r, k) for r, k in zip(right, known)),
        }


def fit(recipe, data, *, device=None, checkpoint=None, resume=False, progress=None):
    """Train by ``recipe`` on ``data``: an iterator that yields `Metrics` at every evaluation.

    Nothing is trained until the first value is asked for, and breaking off the loop stops the training.

    Args:
        recipe: see `recipe`.
        data: see `load_data`.
        device: "cuda", "mps", "cpu"; None takes the best there is.
        checkpoint: a file, rewritten whole at every evaluation; None writes nothing.
        resume: go on from ``checkpoint``. On the CPU the weights at the end are bit for bit those of a run that was
            never interrupted.
        progress: "auto" (a bar in a terminal or notebook, lines in a log), "bar", "lines" or None.

    Returns:
        A `Training`, whose ``model`` and ``ema_model`` may be used at any time.

    Raises:
        FixMatchError: recipe and data do not fit, the checkpoint is not of this recipe and data or is damaged, the
            device is not there, or the loss stops being finite.
    """
    return Training(recipe, data, device=device, checkpoint=checkpoint, resume=resume, progress=progress)
