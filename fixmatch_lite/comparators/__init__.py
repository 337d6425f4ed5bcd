"""FixMatch's ancestors, rivals and successors, one class each, by the names that a recipe takes.

A method is called as ``Method(recipe, data, **options)`` and has ``views`` and ``loss``, like those in `methods`; an
augmentation is called as ``Augmentation(recipe, **options)``. None is imported before somebody asks for it.
"""

import importlib

METHODS = {}

AUGMENTATIONS = {"ctaugment": "ctaugment:CTAugment", "autoaugment": "autoaugment:AutoAugment"}


def find(table, name):
    """The class that ``table`` (`METHODS` or `AUGMENTATIONS`) has under ``name``."""
    module, kind = table[name].split(":")
    return getattr(importlib.import_module(f".{module}", __name__), kind)
