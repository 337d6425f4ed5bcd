"""What a trained net is for: labels for pictures that have none, and a file that other programs can run.

Taught in: chapter 16.
"""

import json
import warnings
from pathlib import Path

import torch
from torch import nn

from .augment import to_float
from .devices import choose_device
from .errors import FixMatchError
from .files import write_atomically
from .folders import images_under, tell_ignored
from .labels_file import write_labels
from .pictures import read_pictures

BATCH = 256


class Classifier(nn.Module):
    """uint8 images ``(N, C, H, W)`` to class probabilities, float32 ``(N, classes)``: scaling, net and softmax."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(to_float(images)).softmax(-1)


def classifier(run):
    """The classifier of a finished run, its image shape ``(C, H, W)`` and class names.

    Raises:
        FixMatchError: the run is not finished, has no weights, or was recorded before these were.
    """
    shape, names = run.provenance.get("image_shape"), run.provenance.get("class_names")
    if shape is None or names is None:
        raise FixMatchError(f"The run {run.name} does not say what its images and classes were: it is of an older "
                            "version, train it again.")
    return Classifier(run.model()).eval(), tuple(shape), tuple(names)


@torch.no_grad()
def label_pictures(run, root, *, device=None):
    """The classes that a run's moving average gives to the pictures in a folder, read a few at a time.

    Args:
        run: a finished `Run`.
        root: a folder; pictures at any depth.
        device: see `choose_device`.

    Yields:
        ``(path relative to root, class name, confidence)`` in the order of the paths; class and confidence are None,
        and a fourth entry says why, where a picture cannot be read.

    Raises:
        FixMatchError: the run cannot be used, or the folder has no pictures.
    """
    net, shape, names = classifier(run)
    root, device = Path(root), choose_device(device)
    if not root.is_dir():
        raise FixMatchError(f"There is no folder {root}: give the folder that holds the pictures.")
    paths = sorted(images_under(root, ignored := []))
    tell_ignored(ignored)
    if not paths:
        raise FixMatchError(f"{root} holds no pictures: give another folder.")
    net, fit = net.to(device), None
    if run.recipe.dataset == "imagenet":  # judged as they are evaluated
        from .streaming import middle as fit
    for first in range(0, len(paths), BATCH):
        some = paths[first:first + BATCH]
        images, reasons = read_pictures(some, shape, fit)
        confidence, classes = net(images.to(device)).max(1)
        for path, reason, kind, sure in zip(some, reasons, classes.tolist(), confidence.tolist()):
            relative = path.relative_to(root).as_posix()
            yield (relative, names[kind], sure) if reason is None else (relative, None, None, reason)


def label_folder(run, root, csv_file, *, device=None):
    """Write what `label_pictures` says to a CSV file, whole or not at all, in the format of
    `labels_file.read_labels`. Before it is trained on, somebody corrects it and takes the test pictures out.

    Returns:
        How many pictures have a class, and ``(path, reason)`` of those that cannot be read and are left out.
    """
    rows, unread = [], []
    for path, kind, confidence, *reason in label_pictures(run, root, device=device):
        if reason:
            unread.append((path, *reason))
        else:
            rows.append((path, kind, f"{confidence:.4f}"))
    write_labels(csv_file, rows)
    return len(rows), unread


def export_onnx(run, path):
    """Write a run's classifier as an ONNX file.

    It takes ``images``, uint8 ``(N, C, H, W)`` with any N, and gives ``probabilities``, float32 ``(N, classes)``; the
    class names are in its metadata as JSON under ``class_names``. onnxruntime gives the same answers to rounding.

    Raises:
        FixMatchError: the run cannot be used, or the packages onnx and onnxscript are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch needs it
    except ImportError as error:
        raise FixMatchError(f"Exporting needs the package {error.name}: pip install onnx onnxscript.") from None
    net, shape, names = classifier(run)
    example = torch.zeros(2, *shape, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's exporter calls what torch itself has deprecated
        program = torch.onnx.export(net, (example,), input_names=["images"], output_names=["probabilities"],
                                    dynamic_shapes=({0: torch.export.Dim("images")},), dynamo=True, verbose=False)
    model = program.model_proto
    onnx.helper.set_model_props(model, {"class_names": json.dumps(names), "run": run.name})
    onnx.checker.check_model(model)
    write_atomically(path, model.SerializeToString())
