"""Checkers of chapter 17 (Making it fast). Every truth is computed here, none is written down."""

import numpy as np
import torch


def _near(answer, truth, tolerance):
    return abs(float(answer) - truth) <= tolerance


def amdahl(answer):
    """A function amdahl(share, factor): how many times faster the whole becomes.

    Hint: before, the whole takes 1; afterward, (1 - share) + share / factor.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = amdahl."
    for share, factor in ((0.5, 2.0), (0.6, 100.0), (0.0, 7.0), (1.0, 7.0), (0.25, 0.5)):
        truth, found = 1 / (1 - share + share / factor), answer(share, factor)
        if _near(found, truth, 1e-6 * truth):
            continue
        if _near(found, 1 / truth, 1e-6):
            return "That is the new time as a share of the old. Turn it around."
        if share == 0.5 and _near(found, factor, 1e-6):
            return "The whole does not become as fast as its part: the other half takes as long as before."
        return f"For the share {share:g} and the factor {factor:g} it should be {truth:.3f}, and yours is {float(found):.3f}."
    return None


def limit(answer):
    """How much faster a step can become if 79 % of it stays as it is.

    Hint: let the other 21 % take no time at all.
    """
    if _near(answer, 1 / 0.79, 0.006):
        return None
    if _near(answer, 1 / 0.21, 0.05):
        return "That would be the limit if the convolutions vanished. They stay; the rest vanishes."
    if _near(answer, 1.21, 0.002):
        return "Not 1 + 0.21: divide the time before by the time afterward."
    return "The time afterward is 0.79 of the time before, if everything else costs nothing. How many times faster is that?"


def work(answer):
    """A function work(batch_size, mu, kept, forward): passes of a step, forward 1 and backward 2 a view.

    Hint: joint takes 3 for each of batch_size * (1 + 2 * mu) views. The others take 1 for each weak view, and 3 for
    each labeled picture and each strong view that is passed.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = work."
    for size, mu, kept, forward in ((64, 7, 0.9, "joint"), (64, 7, 0.9, "separate"), (10, 4, 0.5, "kept"), (8, 7, 0.0, "kept")):
        u = mu * size
        truth = 3 * (size + 2 * u) if forward == "joint" else u + 3 * (size + (kept * u if forward == "kept" else u))
        found = answer(size, mu, kept, forward)
        if _near(found, truth, 1e-6):
            continue
        if forward == "joint" and _near(found, size * (1 + 2 * mu), 1e-6):
            return "Those are the views. Each passes forward (1) and backward (2)."
        if forward == "separate" and _near(found, 3 * (size + u), 1e-6):
            return 'With "separate" the weak views still pass once, forward.'
        return f'work({size}, {mu}, {kept:g}, "{forward}") should be {truth:g}, and yours is {float(found):g}.'
    return None


def memory(answer):
    """Megabytes that 50,000 pictures of 3 x 32 x 32 bytes take.

    Hint: pictures times colors times height times width, one byte each, divided by a million.
    """
    truth = 50_000 * 3 * 32 * 32 / 1e6
    if _near(answer, truth, 0.5):
        return None
    if _near(answer, 4 * truth, 2):
        return "That is float32: four bytes per number. As uint8 each number takes one."
    if _near(answer, truth / 3, 0.5):
        return "Three colors are stored for each pixel."
    if _near(answer, truth * 1e6, 1e6):
        return "Those are bytes. Divide by a million."
    return "Multiply the number of pictures by the bytes of one (3 x 32 x 32), and divide by a million."


def mean_gradient(answer):
    """A function mean_gradient(gradients, counts): the gradient of the mean loss over all pictures.

    Hint: weight each gradient by its number of pictures, add them up, and divide by the number of all pictures.
    """
    if not callable(answer):
        return "The answer should be the function itself, without parentheses: answer = mean_gradient."
    generator = torch.Generator().manual_seed(0)
    for counts in ((4, 4), (6, 2), (1, 2, 5)):
        gradients = [torch.randn(3, 2, generator=generator) for _ in counts]
        truth = torch.stack([n * g for n, g in zip(counts, gradients)]).sum(dim=0) / sum(counts)
        found = torch.as_tensor(answer([g.clone() for g in gradients], list(counts))).to(truth.dtype)
        if found.shape == truth.shape and torch.allclose(found, truth, atol=1e-5):
            continue
        if found.shape == truth.shape and torch.allclose(found, torch.stack(gradients).mean(dim=0), atol=1e-5):
            return f"With shares of {counts} pictures the plain mean is not enough: a large share counts more."
        if found.shape == truth.shape and torch.allclose(found, truth * sum(counts), atol=1e-4):
            return "That is the sum over all pictures. Divide by their number."
        if found.shape != truth.shape:
            return f"Its shape should be {tuple(truth.shape)}, and yours is {tuple(found.shape)}."
        return f"Not right for shares of {counts} pictures: weight by their numbers, and divide by the number of all pictures."
    return None


def digits(answer):
    """The largest whole k for which 1 + 2**-k is greater than 1 in bfloat16.

    Hint: one = torch.tensor(1.0, dtype=torch.bfloat16), and try k = 1, 2, 3 and so on.
    """
    def last(dtype):
        one = torch.tensor(1.0, dtype=dtype)
        return max(k for k in range(60) if one + 2.0**-k > one)

    for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
        if not _near(answer, last(dtype), 0):
            continue
        return None if dtype == torch.bfloat16 else f"That is the answer for {str(dtype).removeprefix('torch.')}."
    if _near(answer, last(torch.bfloat16) + 1, 0):
        return "1 + 2**-8 lies halfway between two numbers and is rounded to 1."
    if np.isclose(float(answer), 2.0 ** -last(torch.bfloat16)):
        return "That is the step itself. Give the exponent k."
    return "Make a 1 in torch.bfloat16, add 2.0**-k to it for k = 1, 2, 3 and so on, and see when it stops growing."
