"""Checkers of chapter 18 (Learn first, label later). Every truth is computed here, none is written down."""

import math
import statistics
from functools import lru_cache

import torch
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

from ..comparators.contrastive import standardized
from ..data import load_data
from ..models import WideResNet
from ..runs import load


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def blind(answer):
    """The loss of a net to which all views look alike, with 8 pictures in a step.

    Hint: each view chooses among the 15 others, and all of them are equally likely.
    """
    if _near(answer, math.log(15), 0.01):
        return None
    if _near(answer, math.log(16), 0.01):
        return "A view is not among its own candidates."
    if _near(answer, math.log(8), 0.01) or _near(answer, math.log(7), 0.01):
        return "Each picture has two views: count views, not pictures."
    if _near(answer, 15, 0):
        return "That is the number of candidates. The cross-entropy of a right answer with probability 1 / 15 is a logarithm."
    return "It is the logarithm of the number of candidates."


def found(answer):
    """A function found(first, second): the share of the 2 n views whose most similar other view is their own partner.

    Hint: normalize the rows of torch.cat([first, second]), take all products, put minus infinity on the diagonal, then argmax.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = found."
    for n, noise, seed in ((6, 0.1, 0), (20, 1.0, 1), (20, 3.0, 2), (1, 0.1, 3)):
        generator = torch.Generator().manual_seed(seed)
        first = torch.randn(n, 5, generator=generator) * torch.linspace(0.2, 5, n)[:, None]
        second = first * torch.linspace(4, 0.3, n)[:, None] + noise * torch.randn(n, 5, generator=generator)
        second = -second if n == 1 else second  # one picture: the partner is all there is, however unlike
        result, z = float(answer(first.clone(), second.clone())), torch.cat([first, second])
        unit = z / z.norm(dim=1, keepdim=True)
        share = lambda similar, views: (similar.argmax(dim=1) == torch.arange(2 * n).roll(n))[:views].float().mean().item()
        forbidden = torch.eye(2 * n) * 1e9
        truth = share(unit @ unit.T - forbidden, 2 * n)
        if abs(result - truth) < 1e-4:
            continue
        if result == 0:
            return ("No partner is found. Is every view most similar to itself? Forbid that answer with minus infinity, since a "
                    "cosine may be negative. Or is it the wrong row? The partner of row i is i + n, that of row i + n is i.")
        if abs(result - share(z @ z.T - forbidden, 2 * n)) < 1e-4:
            return "Long rows win there. The cosine divides by the lengths first."
        if abs(result - share(unit @ unit.T - forbidden, n)) < 1e-4:
            return "That counts the first views only. The second views look for their partners, too."
        return f"For {n} pictures it should be {truth:.3f}, and yours is {result:.3f}."
    return None


def cold(answer):
    """What a view gives its partner at T = 0.1: cosine 0.9 with it, 0.5 with each of 446 others.

    Hint: exp(0.9 / T) divided by exp(0.9 / T) + 446 * exp(0.5 / T).
    """
    at = lambda t, others=446: 1 / (1 + others * math.exp((0.5 - 0.9) / t))
    if _near(answer, at(0.1), 0.002):
        return None
    if _near(answer, at(0.5), 0.0003):
        return "That is the probability at T = 0.5."
    if _near(answer, at(0.1, 1), 0.002):
        return "There are 446 others, and each adds its part to the denominator."
    if _near(answer, 100 * at(0.1), 0.2):
        return "As a probability, please: divide by 100."
    return "Put both cosines, divided by T, into a softmax over 447 candidates."


def strangers(answer):
    """How many strangers of its own class a view has, with 512 pictures in a step and a hundred equally frequent classes.

    Hint: the strangers are two views each of 511 other pictures, and a hundredth of these show the class.
    """
    if _near(answer, 2 * 511 / 100, 0.04):
        return None
    if _near(answer, 511 / 100, 0.04):
        return "That is the number of pictures. Each comes with two views."
    if _near(answer, 0.01, 0.001) or _near(answer, 1, 0.001):
        return "That is the share. How many strangers is it?"
    return "A hundredth of the strangers show the view's own class."


def readout(answer):
    """How many of the net's 77,898 numbers get a gradient from the labels.

    Hint: those of the last layer, net.classifier: its weights and its biases.
    """
    layer = WideResNet(10, 1, in_channels=1).classifier
    total = sum(p.numel() for p in layer.parameters())
    if _near(answer, total, 0):
        return None
    if _near(answer, layer.weight.numel(), 0):
        return "Those are the layer's weights. It has a bias for each class, too."
    if _near(answer, 77_898, 0):
        return "The features are handed on without gradient, so nothing below the last layer hears of the labels."
    return "Add up p.numel() over the parameters of the last layer."


@lru_cache(maxsize=None)
def _twenty():
    reached, data = [], load_data("digits", labels=40, seed=0)
    for seed in range(5):
        u, x_test = standardized(load(f"digits-40-simclr-seed{seed}").model(), data.u, data.x_test)
        middles = KMeans(20, n_init=4, random_state=seed).fit(u).transform(u).argmin(axis=0)
        read = LogisticRegression(max_iter=3000).fit(u[middles], data.u_true[middles])
        reached.append(100 * read.score(x_test, data.y_test))
    return statistics.median(reached)


def twenty(answer):
    """The median accuracy in percent over the five nets, with labels for the middles of 20 clusters.

    Hint: read(u, x_test, middles(20, u, seed)) for the features u and x_test of each net.
    """
    if _near(answer, _twenty(), 1.0):
        return None
    if _near(100 * float(answer), _twenty(), 1.0):
        return "In percent, please: multiply by 100."
    return "Cluster the features of each net, not the pixels, read from the 20 middles alone, and take the median of five."
