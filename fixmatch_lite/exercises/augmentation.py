"""Checkers of chapter 7 (What may change and what may not?). Every truth is computed here, none is written down."""

from functools import lru_cache

import torch

from .. import runs
from ..augment import PRESETS, apply, to_float
from ..data import load_data


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def views(answer):
    """How many different weak views a picture of 32 pixels can have, with the mirror.

    Hint: 12.5 % of 32 pixels is 4, so a shift is any whole number from -4 to 4, across and down.
    """
    places = 2 * (32 // 8) + 1
    if _near(answer, 2 * places**2, 0):
        return None
    if _near(answer, places**2, 0):
        return "That counts only the shifts. Each can be mirrored, too."
    if _near(answer, 2 * (places - 1) ** 2, 0):
        return "From -4 to 4 there are nine shifts, not eight: 0 is one of them."
    return "Count the shifts across, the shifts down, and the two states of the mirror, and multiply."


@lru_cache(maxsize=None)
def _nets():
    names = {"labels alone": "digits-supervised-seed0", "FixMatch": "digits-grid-tau0.95-mu7-seed0"}
    return {kind: runs.load(name).model() for kind, name in names.items()}


def _test():
    data = load_data("digits", labels=40, seed=0)
    return data.x_test, data.y_test


@torch.no_grad()
def _said(net, images):
    return net(to_float(images)).argmax(dim=1)


def mirror(answer):
    """The digit that FixMatch's net recognizes most often when it is mirrored.

    Hint: said = net(to_float(x_test.flip(3))).argmax(1), then the share of said == digit among the pictures of a digit.
    """
    x_test, y_test = _test()
    said = _said(_nets()["FixMatch"], x_test.flip(3))
    share = [(said[y_test == digit] == digit).float().mean().item() for digit in range(10)]
    truth = max(range(10), key=share.__getitem__)
    if _near(answer, truth, 0):
        return None
    digit = int(answer)
    if 0 <= digit <= 9:
        return f"Of mirrored pictures of {digit} it recognizes {share[digit]:.0%}; for another digit the share is larger."
    return "The answer is a digit, 0 to 9."


def cutout(answer):
    """A function cutout(images, row, column, side) that covers a square around each image's own center with 127.

    Hint: compare torch.arange(H)[None] with row[:, None] - side // 2 and row[:, None] + side // 2; the same for columns.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = cutout."
    g = torch.Generator().manual_seed(0)
    for shape, side in (((6, 3, 12, 9), 4), ((5, 1, 8, 8), 2), ((4, 3, 10, 10), 10)):
        images = torch.randint(0, 256, shape, generator=g, dtype=torch.uint8)
        images[images == 127] = 128
        row, column = (torch.randint(0, n, shape[:1], generator=g) for n in shape[2:])
        row[0], column[0] = 0, shape[3] - 1  # a corner
        truth = images.clone()
        for k in range(shape[0]):
            top, left = int(row[k]) - side // 2, int(column[k]) - side // 2
            truth[k, :, max(0, top):max(0, top + side), max(0, left):max(0, left + side)] = 127
        before = images.clone()
        found = answer(images, row, column, side)
        if not torch.equal(images, before):
            return "The input has changed, and the result is checked against it. Make a new tensor."
        if not isinstance(found, torch.Tensor):
            return f"The result should be a torch tensor; yours is of type {type(found).__name__}."
        if found.shape != images.shape or found.dtype != torch.uint8:
            return f"The result should be uint8 of shape {tuple(images.shape)}; yours is {found.dtype}, {tuple(found.shape)}."
        if not torch.equal(found, truth):
            wrong = (found != truth).flatten(1).any(dim=1)
            where = "at a corner" if wrong[0] and not wrong[1:].any() else f"in {int(wrong.sum())} of {len(wrong)} images"
            return f"The covered square is not right {where}, for images of {shape[2]} by {shape[3]} pixels and a side of {side}."
    return None


def unchanged(answer):
    """The share of strong views that no operation has changed.

    Hint: a drawn operation changes something with probability 1/2 times 13/14.
    """
    truth = (1 - 0.5 * 13 / 14) ** 2
    if _near(answer, truth, 0.005):
        return None
    if _near(answer, 0.25, 0.005):
        return "Almost: an applied operation may also be Identity."
    if _near(answer, 1 - 0.5 * 13 / 14, 0.002):
        return "That is for one operation. There are two, and both must change nothing."
    if _near(answer, 100 * truth, 0.2):
        return "As a share, please, between 0 and 1."
    return "Work out the probability that one operation changes nothing, and square it."


@lru_cache(maxsize=None)
def _accuracy_at_nine():
    x_test, y_test = _test()
    rules, level = PRESETS["fixmatch"], torch.tensor(9.0)
    changed = {name: apply(name, x_test, rules.magnitude(name, level, x_test.shape[-1]), fill=0) for name in rules.operations}
    return {kind: {name: (_said(net, images) == y_test).float().mean().item() for name, images in changed.items()}
            for kind, net in _nets().items()}


def least(answer):
    """The operations at level 9 that leave the two nets their lowest accuracy, as a pair of names.

    Hint: min(rules.operations, key=...) with the accuracy as the key, once for each net.
    """
    if isinstance(answer, str) or len(answer) != 2:
        return "The answer is a pair of names: first for the net trained on the labels alone, then for FixMatch's."
    for name, (kind, found) in zip(answer, _accuracy_at_nine().items()):
        if name not in found:
            return f"{name!r} is none of the fourteen operations; they are in rules.operations."
        if found[name] > min(found.values()):
            return f"For the net {kind!r}, {name} leaves {found[name]:.0%}, and another operation leaves less."
    return None


def forget(answer):
    """After how many updates with probability 0.2 a bin of CTAugment is dropped.

    Hint: after n updates the rate is 0.2 + 0.8 * 0.99**n.
    """
    rate, truth = 1.0, 0
    while (rate + 0.01) / 1.01 >= 0.8:
        rate, truth = 0.99 * rate + 0.01 * 0.2, truth + 1
    if _near(answer, truth, 0):
        return None
    if _near(answer, truth - 1, 0):
        return "One more: after that many updates the quotient is still 0.8 or more."
    return "Start at 1 and repeat rate = 0.99 * rate + 0.01 * 0.2 until (rate + 0.01) / 1.01 is below 0.8; count."
