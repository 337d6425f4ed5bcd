"""FixMatch's ancestors, rivals and successors, one class each, by the names that a recipe takes.

A method is called as ``Method(recipe, data, **options)`` and has ``views`` and ``loss``, like those in `methods`. Two
attributes say what else a recipe may ask of it: ``forwards``, the ways of the forward pass that it has (all, where it
is a `Consistency`), and ``alignable``, whether ``alignment`` means anything to it. An augmentation is called as
``Augmentation(recipe, **options)``. None is imported before somebody asks for it.
"""

import importlib
import math
from typing import Any

METHODS = {
    "pi_model": "consistency:PiModel",
    "mean_teacher": "consistency:MeanTeacher",
    "pseudo_label": "consistency:PseudoLabel",
    "vat": "adversarial:VAT",
    "mixmatch": "mixing:MixMatch",
    "remixmatch": "mixing:ReMixMatch",
    "uda": "uda:UDA",
    "flexmatch": "thresholds:FlexMatch",
    "freematch": "thresholds:FreeMatch",
    "softmatch": "thresholds:SoftMatch",
    "self_training": "self_training:SelfTraining",
    "simclr": "contrastive:SimCLR",
    "mistaken": "mistakes:Mistaken",  # FixMatch with one thing wrong, to be compared with
}


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_one_of = lambda *names: (f"one of {', '.join(names)}", lambda v: v in names)

# What the methods' options must be; None is possible where it is the default.
OPTIONS = {
    **dict.fromkeys(("views", "rounds"), ("a whole number, at least 1", lambda v: isinstance(v, int)
                                          and not isinstance(v, bool) and v >= 1)),
    "mistake": _one_of("leak", "kept_mean", "apart", "frozen"),
    "ramp": ("a share of the steps, in [0, 1]", lambda v: is_number(v) and 0 <= v <= 1),
    "decay": ("a number in [0, 1]", lambda v: is_number(v) and 0 <= v <= 1),
    "clip": ("a probability above 0", lambda v: is_number(v) and 0 < v <= 1),
    "tsa": _one_of("none", "linear", "exp", "log"),
    "warm_up": ("True or False", lambda v: isinstance(v, bool)),
    **dict.fromkeys(("temperature", "alpha", "epsilon"), ("a number above 0", lambda v: is_number(v) and v > 0)),
    **dict.fromkeys(("lambda_1", "lambda_r", "lambda_f", "entropy"), ("a number, at least 0", lambda v: is_number(v) and v >= 0)),
}

AUGMENTATIONS = {"ctaugment": "ctaugment:CTAugment", "autoaugment": "autoaugment:AutoAugment",
                 "one_draw": "mistakes:OneDraw"}


def find(table: dict[str, str], name: str) -> Any:
    """The class that ``table`` (`METHODS` or `AUGMENTATIONS`) has under ``name``."""
    module, kind = table[name].split(":")
    return getattr(importlib.import_module(f".{module}", __name__), kind)
