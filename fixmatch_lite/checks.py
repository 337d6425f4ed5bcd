"""What images, shares and data must be, said in a sentence before something is computed from what they are not."""

import numbers

import numpy as np
import torch
from torch import nn

from .errors import FixMatchError


def check_images(images):
    """Refuse what is no uint8 batch ``(N, C, H, W)``: floats would come out black, or be scaled twice."""
    if not isinstance(images, torch.Tensor):
        raise FixMatchError(f"Images must be uint8 (N, C, H, W), a torch tensor; these are of the type {type(images).__name__}. "
                            "torch.from_numpy makes one of an array.")
    if images.dtype == torch.uint8 and images.ndim == 3:
        raise FixMatchError(f"Images must be uint8 (N, C, H, W), a batch; this is {tuple(images.shape)}. images[None] makes a batch "
                            "of one picture.")
    if images.dtype == torch.uint8 and images.shape[1] not in (1, 3) and images.shape[-1] in (1, 3):
        raise FixMatchError(f"Images must be uint8 (N, C, H, W), with the channels first; these are {tuple(images.shape)}. "
                            "images.permute(0, 3, 1, 2) brings them there.")
    if images.dtype != torch.uint8 or images.ndim != 4:
        kind = str(images.dtype).removeprefix("torch.")
        raise FixMatchError(f"Images must be uint8 (N, C, H, W), 0 to 255; these are {kind} {tuple(images.shape)}. Bring them "
                            "to that, for instance by (255 * images).round().to(torch.uint8).")


def check_number(name, value, low, high, what="", whole=False):
    """Refuse a number outside [``low``, ``high``], and on request one that is not ``whole``; ``what`` ends the sentence."""
    kind = numbers.Integral if whole else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        raise FixMatchError(f"{name} = {value!r} is not possible; {name} must be a {'whole ' if whole else ''}number between "
                            f"{low} and {high}{what}.")


def check_data(data):
    """Refuse `SemiSupervisedData` whose parts do not fit one another."""
    for part, images, targets in (("x", data.x, data.y), ("u", data.u, data.u_true), ("x_test", data.x_test, data.y_test)):
        for value, wrong in ((images, isinstance(images, np.ndarray)), (targets, not isinstance(targets, torch.Tensor))):
            if wrong:
                raise FixMatchError(f"{part} and its classes must be torch tensors, and one is of the type {type(value).__name__}. "
                                    "torch.from_numpy makes one of an array.")
        if len(images.shape) == 4 and images.shape[1] not in (1, 3):
            raise FixMatchError(f"The images of {part} are {tuple(images.shape)}; their channels must come first, 1 or 3 of them: "
                                "(N, C, H, W). images.permute(0, 3, 1, 2) brings them there, images[:, :3] drops a fourth.")
        if isinstance(images, torch.Tensor):
            check_images(images)
        if not len(images):
            raise FixMatchError(f"{part} holds no image; it must hold one at least.")
        if targets.dtype != torch.int64 or targets.shape != (len(images),):
            raise FixMatchError(f"{part} holds {len(images):,} images, and its classes are {str(targets.dtype).removeprefix('torch.')} "
                                f"{tuple(targets.shape)}; they must be int64 ({len(images)},).")
        if images.shape[1:] != data.x.shape[1:]:
            raise FixMatchError(f"The images of {part} are {tuple(images.shape[1:])} and those of x {tuple(data.x.shape[1:])}; "
                                "all must have one shape (C, H, W).")
    for part, targets in (("y", data.y), ("y_test", data.y_test)):
        if not targets.is_meta and (targets.min() < 0 or targets.max() >= data.num_classes):
            raise FixMatchError(f"{part} holds classes from {targets.min().item()} to {targets.max().item()}; they must lie "
                                f"between 0 and {data.num_classes - 1}.")


def check_parts(net, method, strong):
    """Refuse a net, a method or a strong view of one's own (None: there is none) without what `Training` asks of it."""
    for name, part, asked, wanted in (
            ("net", net, (), "a torch module, from images scaled to [-1, 1] to logits"),
            ("method", method, ("views", "loss"), "a torch module with views and loss, for instance methods.Consistency(policy)"),
            ("strong", strong, ("operations", "cutout", "learn"),
             "operations and a cutout, for instance batches.Strong(fm.RandAugment(), fm.Cutout(0.5))")):
        if part is not None and not (isinstance(part, nn.Module) and all(hasattr(part, a) for a in asked)):
            raise FixMatchError(f"{name} must be {wanted}; this is of the type {type(part).__name__}.")
        strange = [k for k, v in part.state_dict().items() if not isinstance(v, torch.Tensor)] if part is not None else []
        if strange:
            raise FixMatchError(f"A checkpoint holds tensors alone, and {name} has {strange[0]} in its state; put it into a buffer.")
    if method is not None and not (isinstance(method.views, (tuple, list)) and all(view in ("weak", "strong") for view in method.views)):
        raise FixMatchError(f"A method's views must be a tuple of 'weak' and 'strong', one for each view of an unlabeled image; these are "
                            f"{method.views!r}.")


def check_logits(logits, count, classes):
    """Refuse what a net says of ``count`` images if it is not a number for each of the ``classes``."""
    if logits.shape != (count, classes):
        raise FixMatchError(f"The net must give logits ({count}, {classes}), one for each image and class; these are "
                            f"{tuple(logits.shape)}.")


def check_judged(pseudo):
    """Refuse `policies.PseudoLabels` whose weights or confidences are not one float an image: they would be broadcast."""
    for name, value in (("weight", pseudo.weight), ("confidence", pseudo.confidence)):
        if value.shape != pseudo.target.shape[:1] or not value.is_floating_point():
            raise FixMatchError(f"A policy's {name} must be float ({len(pseudo.target)},), one number for each target; this is "
                                f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}.")


def described(own, start=None):
    """What a training has besides its recipe and data, in words: parts of one's own (a dictionary, None: there is none), the
    class of each, and of a method and a strong view the plain values that they were made with, too; and its `starts.Start`."""
    told = {name: f"{type(part).__module__}.{_in_words(part, values=name != 'net')}" for name, part in own.items() if part is not None}
    return told if start is None else {**told, "start": str(start)}


def _in_words(part, values=True, deep=3):
    if hasattr(part, "__qualname__"):  # a function or a class
        return part.__qualname__
    told = []
    for name, value in (*getattr(part, "__dict__", {}).items(), *getattr(part, "_modules", {}).items()) if values and deep else ():
        if name.startswith("_") or name == "training":
            continue
        if _is_plain(value):
            told.append(f"{name}={value!r}")
        elif callable(value):  # a policy in a method, RandAugment in a strong view
            told.append(f"{name}={_in_words(value, not type(value).__module__.startswith('torch.'), deep - 1)}")
    return type(part).__qualname__ + (f"({', '.join(told)})" if told else "")


def _is_plain(value):
    return (value is None or isinstance(value, (numbers.Number, str))
            or isinstance(value, (tuple, list)) and all(map(_is_plain, value)))
