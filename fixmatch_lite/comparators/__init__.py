"""FixMatch's ancestors, rivals and successors, one class each, by the names that a recipe takes.

A method is called as ``Method(recipe, data, **options)`` and has ``views`` and ``loss``, like those in `methods`. Two
attributes say what else a recipe may ask of it: ``forwards``, the ways of the forward pass that it has (all, where it
is a `Consistency`), and ``alignable``, whether ``alignment`` means anything to it. An augmentation is called as
``Augmentation(recipe, **options)``. None is imported before somebody asks for it.
"""

import importlib

METHODS = {
    "pi_model": "consistency:PiModel",
    "mean_teacher": "consistency:MeanTeacher",
    "pseudo_label": "consistency:PseudoLabel",
    "mixmatch": "mixing:MixMatch",
    "remixmatch": "mixing:ReMixMatch",
    "uda": "uda:UDA",
    "flexmatch": "thresholds:FlexMatch",
    "freematch": "thresholds:FreeMatch",
    "softmatch": "thresholds:SoftMatch",
}

AUGMENTATIONS = {"ctaugment": "ctaugment:CTAugment", "autoaugment": "autoaugment:AutoAugment"}


def find(table, name):
    """The class that ``table`` (`METHODS` or `AUGMENTATIONS`) has under ``name``."""
    module, kind = table[name].split(":")
    return getattr(importlib.import_module(f".{module}", __name__), kind)
