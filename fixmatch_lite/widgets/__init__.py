"""Figures the reader can move, in a notebook and in the built page, with or without a kernel.

Each shows itself when it is the last expression of a cell. Nothing is fetched from anywhere. Taught in: book/built.md.
"""

from .augmenting import AugmentationBench
from .averaging import AverageTracker
from .base import Widget, bundle
from .budgets import Ratio, StepBudget
from .calibration import Reliability
from .curves import ConfidenceHistory, Threshold, TwoKnobs
from .explorer import RunExplorer
from .questions import Guess, Quiz
from .students import LineFit, SelfTrainingStepper
from .training import Contrast, LossCalculator, Playground

__all__ = ["AugmentationBench", "AverageTracker", "ConfidenceHistory", "Contrast", "Guess", "LineFit", "LossCalculator",
           "Playground", "Quiz", "Ratio", "Reliability", "RunExplorer", "SelfTrainingStepper", "StepBudget",
           "Threshold", "TwoKnobs", "Widget", "bundle"]
