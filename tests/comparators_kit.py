"""What the tests of the comparators share: a tiny net without batch norm in a training's place, and NumPy's sums."""

import numpy as np
import torch

import fixmatch_lite as fm
from fixmatch_lite.batches import Batch
from fixmatch_lite.methods import make_method

CLASSES, SIDE, WIDTH = 3, 4, 1


def tiny_data(size=20, labels=6, classes=CLASSES, channels=1, height=SIDE, width=SIDE, seed=0):
    """Random images; the first ``labels`` are labeled, every class among them."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randint(256, (n, channels, height, width), generator=generator, dtype=torch.uint8)
    u, targets = draw(size), torch.arange(size) % classes
    return fm.SemiSupervisedData("digits", u[:labels], targets[:labels], u, targets, draw(6), torch.arange(6) % classes,
                                 tuple("abcdefgh"[:classes]), tuple(range(labels)), flip=False)


class Run:
    """Stands in for a `Training`: features = image @ W, logits = features @ V + b, in float32, and the same with other
    numbers for the teacher. It keeps what it was asked."""

    def __init__(self, recipe, data, progress=0.5, seed=0, scale=1.0):
        self.recipe, self.progress, self.generator = recipe, progress, torch.Generator().manual_seed(seed)
        random = np.random.RandomState(seed)
        pixels, features = data.x[0].numel(), 64 * recipe.width
        make = lambda: [random.randn(pixels, features) / pixels**0.5 / 2,
                        scale * random.randn(features, data.num_classes) / 2, random.randn(data.num_classes) / 4]
        self.mine, self.teachers = ([a.astype(np.float32) for a in make()] for _ in range(2))
        self.model = torch.nn.Module()
        self.model.weights = torch.nn.ParameterList([torch.nn.Parameter(torch.from_numpy(a)) for a in self.mine])
        self.seen, self.outputs, self.taught = [], [], []

    @staticmethod
    def apply(weights, images, with_features):
        images = images / 127.5 - 1 if images.dtype == torch.uint8 else images
        features = images.flatten(1) @ weights[0]
        logits = features @ weights[1] + weights[2]
        return (logits, features) if with_features else logits

    def forward(self, images, with_features=False):
        out = self.apply(self.model.weights, images, with_features)
        logits = out[0] if with_features else out
        if logits.requires_grad:
            logits.retain_grad()
        self.seen.append(images), self.outputs.append(logits)
        return out

    @staticmethod
    def strong(images):
        return 255 - images

    @torch.no_grad()
    def teacher(self, images, train=False):
        self.taught.append((images, train))
        return self.apply([torch.from_numpy(a) for a in self.teachers], images, False)

    # the same in NumPy, double precision

    def numpy_features(self, images, weights=None):
        images = np.asarray(images)
        images = images / 127.5 - 1 if images.dtype == np.uint8 else images
        return images.reshape(len(images), -1).astype(float) @ (weights or self.mine)[0].astype(float)

    def numpy_logits(self, images, weights=None):
        weights = weights or self.mine
        return self.numpy_features(images, weights) @ weights[1].astype(float) + weights[2].astype(float)


def made(method, data, progress=0.5, scale=1.0, **changes):
    """A method and the run that it works in."""
    recipe = fm.recipe("digits", **{"method": method, "labels": None, "width": WIDTH, **changes})
    return make_method(recipe, data), Run(recipe, data, progress, scale=scale)


def batch_of(data, views, labeled=4, unlabeled=8, seed=1):
    """A batch with random views; the ids are drawn with repetition."""
    random = np.random.RandomState(seed)
    index, ids = (torch.from_numpy(random.randint(n, size=k))
                  for n, k in ((len(data.x), labeled), (len(data.u), unlabeled)))
    view = lambda: torch.from_numpy(random.randint(256, size=(unlabeled, *data.u.shape[1:])).astype(np.uint8))
    return Batch(data.x[index], data.y[index], tuple(view() for _ in views), ids)


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def cross_entropies(target, z):
    """One an image, for integer or soft targets, from the definition."""
    target = np.eye(z.shape[1])[np.asarray(target)] if np.ndim(target) == 1 else target
    return -(target * np.log(softmax(z))).sum(1)
