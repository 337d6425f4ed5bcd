"""FixMatch Lite: semi-supervised learning, from twenty-five students to CIFAR-10 with 40 labels.

The rooms, in the order a batch walks through them: ``data``, ``augment``, ``batches``, ``models``, ``policies``,
``losses``, ``methods``, ``training``, ``runs``; around them ``comparators``, ``distributed``, ``health``,
``calibration``, ``predicting``, ``plots``, ``widgets``, ``exercises``, ``lab`` and ``cli``.
"""

import importlib
from typing import TYPE_CHECKING

from . import augment, data, losses, models, policies, runs, training
from .augment import Cutout, RandAugment, weak_augment
from .data import SemiSupervisedData, load_data
from .devices import times
from .errors import FixMatchError
from .losses import fixmatch_loss
from .models import WideResNet
from .policies import FixMatch
from .report import report
from .training import Metrics, Recipe, Training, choose_device, fit, recipe
from .version import __version__

if TYPE_CHECKING:
    from . import calibration, cli, exercises, health, lab, plots, predicting, self_training, study_hours, widgets

# Rooms that need pandas, matplotlib or a notebook are opened on first use, so that `import fixmatch_lite`
# costs little more than `import torch`.
_ON_FIRST_USE = ("plots", "widgets", "exercises", "study_hours", "self_training", "lab", "cli", "health",
                 "predicting", "calibration")

__all__ = [
    "Cutout", "FixMatch", "FixMatchError", "Metrics", "RandAugment", "Recipe", "SemiSupervisedData", "Training",
    "WideResNet", "__version__", "augment", "choose_device", "data", "fit", "fixmatch_loss", "load_data", "losses",
    "models", "policies", "recipe", "report", "runs", "times", "training", "weak_augment", *_ON_FIRST_USE,
]


if not TYPE_CHECKING:  # to mypy it would mean that there is an attribute of any name
    def __getattr__(name):
        if name in _ON_FIRST_USE:
            return importlib.import_module(f".{name}", __name__)
        raise AttributeError(f"module 'fixmatch_lite' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
