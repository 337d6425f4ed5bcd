"""What images, shares and data must be, said in a sentence before something is computed from what they are not."""

import math
import numbers

import torch
from torch import nn

from .errors import FixMatchError
from .pixels import as_uint8


def plain(value):
    """A value as a run's files hold it: Python's numbers and words in place of NumPy's, torch's and pandas', tuples in place of lists
    and arrays, and a dictionary of one's own. What is none of these stays."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, tuple) and {*map(type, value)} <= {int, str}:
        return value  # a million indices, say
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value


def check_images(images, part=""):
    """Refuse what is no uint8 batch ``(N, C, H, W)`` of one or three channels: floats would come out black, or be scaled twice.
    ``part``: of what, " of x"."""
    must = f"Images{part} must be uint8 (N, C, H, W)"
    if not isinstance(images, torch.Tensor):
        raise FixMatchError(f"{must}, a torch tensor; {_told(images)}. torch.from_numpy makes one of an array.")
    shape = images.shape
    if images.dtype == torch.uint8 and len(shape) == 3:
        cure = "images[None] makes a batch of one picture" if shape[0] in (1, 3) else "images[:, None] makes a batch of gray pictures"
        raise FixMatchError(f"{must}, a batch; {_told(images)}. {cure}.")
    if images.dtype != torch.uint8:
        raise FixMatchError(f"{must}, 0 to 255; {_told(images)}{as_uint8(images)}.")
    if len(shape) != 4:
        raise FixMatchError(f"{must}, four dimensions; {_told(images)}. images.reshape brings them there.")
    if shape[1] not in (1, 3):
        cure = "images.permute(0, 3, 1, 2) brings them there" if shape[-1] in (1, 3) else "images[:, :3] drops a fourth"
        raise FixMatchError(f"{must}, one or three channels first; {_told(images)}. {cure}.")


def check_view(view, images):
    """The strong view of ``images`` that a part of one's own made; refused where it is another kind of batch than they are."""
    if not isinstance(view, torch.Tensor) or view.dtype != torch.uint8 or view.shape != images.shape:
        raise FixMatchError(f"A strong view must be uint8 {tuple(images.shape)}, like the weak view it is made from; {_told(view)}.")
    return view


def check_generator(generator):
    """A source of random draws; refused where it is none, a seed for instance."""
    if not isinstance(generator, torch.Generator):
        raise FixMatchError("generator must be a torch.Generator, for instance torch.Generator().manual_seed(0); "
                            f"{_told(generator)}.")
    return generator


def check_number(name, value, low, high, what="", whole=False):
    """Refuse a number outside [``low``, ``high``], and on request one that is not ``whole``; ``what`` ends the sentence."""
    kind = numbers.Integral if whole else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        limits = f", at least {low}" if high == math.inf else f" between {low} and {high}"
        raise FixMatchError(f"{name} = {value!r} is not possible; {name} must be a {'whole ' if whole else ''}number"
                            f"{limits}{what}.")


def check_knob(name, value, high=math.inf, what=""):
    """As `check_number` from 0 on, but a tensor passes: asking for its value would wait for the device."""
    if not isinstance(value, torch.Tensor):
        check_number(name, value, 0, high, what)


def check_tau(tau):
    """Refuse a threshold that is no probability; a little above 1 it is one that keeps nothing."""
    check_knob("tau", tau, 2, ", a probability (0.95 is 95 %, above 1 keeps nothing)")


def check_callable(name, part, call):
    """Refuse a part of one's own that cannot be called, or is a class in place of what it makes; ``call`` says how it is called."""
    if not callable(part) or isinstance(part, type):
        raise FixMatchError(f"{name} must be callable as {call}; {_told(part)}.")


def completed(data):
    """What `SemiSupervisedData` lacks, and its names, indices and ``flip`` as plain values, which JSON can hold: a dictionary."""
    found = {"class_names": data.class_names, "labeled_indices": data.labeled_indices, "flip": data.flip}
    count = lambda images: len(images) if getattr(images, "shape", ()) else 0  # `check_data` refuses what is no batch
    if data.u_true is None:
        found["u_true"] = torch.full((count(data.u),), -1)
    if data.labeled_indices is None:
        found["labeled_indices"] = range(count(data.x))
    if data.class_names is None:
        last = max(int(y.max()) if isinstance(y, torch.Tensor) and y.numel() else 0 for y in (data.y, data.y_test))
        found["class_names"] = map(str, range(last + 1))
    for name in ("class_names", "labeled_indices"):
        value = found[name]
        if not hasattr(value, "__iter__"):
            raise FixMatchError(f"{name} must be a list, one for each {'class' if name == 'class_names' else 'image of x'}; "
                                f"{_told(value)}.")
        found[name] = plain(value if hasattr(value, "tolist") else tuple(value))
    found["flip"] = bool(data.flip) if plain(data.flip) in (0, 1) else data.flip
    return found


def check_data(data):
    """Refuse `SemiSupervisedData` whose parts do not fit one another."""
    for part, images, targets in (("x", data.x, data.y), ("u", data.u, data.u_true), ("x_test", data.x_test, data.y_test)):
        check_truth(images, targets, part)
        if images.shape[1:] != data.x.shape[1:]:
            raise FixMatchError(f"The images of {part} are {tuple(images.shape[1:])} and those of x {tuple(data.x.shape[1:])}; "
                                "all must have the same shape (C, H, W).")
    for part, targets in (("y", data.y), ("y_test", data.y_test)):
        if not targets.is_meta and (targets.min() < 0 or targets.max() >= data.num_classes):
            raise FixMatchError(f"{part} holds classes from {targets.min().item()} to {targets.max().item()}; they must lie "
                                f"between 0 and {data.num_classes - 1}.")
    if len(data.labeled_indices) != len(data.x) or {*map(type, data.labeled_indices)} != {int}:
        raise FixMatchError(f"labeled_indices must be {len(data.x)} whole numbers, one for each image of x (range(len(x)) will do); "
                            f"these are {len(data.labeled_indices)} and begin with {data.labeled_indices[:3]}.")
    if not isinstance(data.flip, bool):
        raise FixMatchError(f"flip = {data.flip!r} is not possible; flip must be True or False: whether a mirrored picture keeps its "
                            "class.")


def check_truth(images, targets, part=None):
    """Refuse images (a tensor, or `streaming.Pictures`) and classes of which each is not one of the other; ``part``: their name."""
    of = f" of {part}" if part else ""
    if not hasattr(images, "decoded"):
        check_images(images, of)
    check_classes(targets, len(images), of, exact=bool(part))
    if not len(images):
        raise FixMatchError(f"There is no image{of}; there must be at least one.")


def check_classes(targets, count, of="", exact=True):
    """Refuse what is not a class for each of ``count`` images; ``exact``: in int64, and ``of`` what, " of x"."""
    if not isinstance(targets, torch.Tensor) or targets.shape != (count,) or exact and targets.dtype != torch.int64:
        raise FixMatchError(f"The classes{of} must be int64 ({count},), a torch tensor, one for each image; {_told(targets)}.")


def check_given(recipe, data):
    """Refuse what is no recipe and data, or a recipe of another number of labels."""
    if not hasattr(recipe, "as_dict") or not hasattr(data, "u_true"):
        raise FixMatchError("Training takes a recipe and then the data, as fm.recipe and fm.load_data make them; these are of the types "
                            f"{type(recipe).__name__} and {type(data).__name__}.")
    if recipe.labels is not None and recipe.labels != len(data.x):
        raise FixMatchError(f"The recipe asks for {recipe.labels} labels and the data hold {len(data.x)}; load "
                            "the data with the same number.")


def check_told(recipe, data):
    """Refuse a recipe that says of the data what is not true: whoever repeats the run by it would load others.

    Raises:
        FixMatchError: it names another data set, or another draw of the labels.
    """
    told = {"dataset": data.name, **dict(zip(("label_seed", "split"), data.drawn or ()))}
    different = {name: value for name, value in told.items() if getattr(recipe, name) != value}
    if different:
        name, value = next(iter(different.items()))
        right = ", ".join(f"{k}={v!r}" for k, v in different.items())
        raise FixMatchError(f"The recipe says {name}={getattr(recipe, name)!r}, but the data have {name}={value!r}. "
                            f"Record with recipe.changed({right}), or load other data.")


def check_torch():
    """Refuse to begin where torch, as somebody set it, would make tensors that no training can use."""
    if torch.is_inference_mode_enabled():
        raise FixMatchError("What is made under torch.inference_mode() can never learn: train outside of it.")
    if (dtype := torch.get_default_dtype()) != torch.float32:
        raise FixMatchError(f"Torch makes its tensors in {str(dtype).removeprefix('torch.')} now, and training is done in float32: call "
                            "torch.set_default_dtype(torch.float32) first.")


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
            raise FixMatchError(f"A checkpoint holds only tensors, and {name} has {strange[0]} in its state; put it into a buffer.")
    if net is not None and {parameter.dtype for parameter in net.parameters()} == {torch.float64}:
        raise FixMatchError("The net is in float64, and the images that it gets are in float32: give net.float().")
    if method is not None and not (isinstance(method.views, (tuple, list)) and all(view in ("weak", "strong") for view in method.views)):
        raise FixMatchError(f"A method's views must be a tuple of 'weak' and 'strong', one for each view of an unlabeled image; these are "
                            f"{method.views!r}.")


def check_logits(logits, count, classes, must="The net must give logits"):
    """Refuse what a net says of ``count`` images if it is not a number for each of the ``classes``."""
    if not isinstance(logits, torch.Tensor) or logits.shape != (count, classes) or not logits.is_floating_point():
        raise FixMatchError(f"{must} ({count}, {classes}), one for each image and class; {_told(logits)}.")


def check_judged(pseudo, classes):
    """`policies.PseudoLabels`; refused where weights or confidences are not one float an image, which would be broadcast, and where
    the target is neither a class nor a share of each of the ``classes``."""
    if not all(hasattr(pseudo, name) for name in ("weight", "target", "confidence")):
        raise FixMatchError(f"A policy must answer with policies.PseudoLabels(weight, target, confidence); {_told(pseudo)}.")
    target = pseudo.target
    if not isinstance(target, torch.Tensor) or not (
            target.ndim == 1 and target.dtype == torch.int64 or target.shape[1:] == (classes,) and target.is_floating_point()):
        raise FixMatchError(f"A policy's target must be int64 (n,) classes or float (n, {classes}) probabilities; {_told(target)}.")
    for name in ("weight", "confidence"):
        check_each(f"A policy's {name}", getattr(pseudo, name), len(target))
    return pseudo


def check_each(name, value, count=None):
    """Refuse what is not a float for each of ``count`` images, or without ``count`` one float."""
    shape, what = ((), "one number alone") if count is None else ((count,), "one number for each image")
    if not isinstance(value, torch.Tensor) or value.shape != shape or not value.is_floating_point():
        raise FixMatchError(f"{name} must be float {shape}, {what}; {_told(value)}.")


def _told(value):
    """What somebody gave instead, in words."""
    if isinstance(value, torch.Tensor):
        return f"this is {str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return f"this is of the type {type(value).__name__}"


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
