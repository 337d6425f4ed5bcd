"""What a trained net is for: labels for pictures that have none, its accuracy on others, and a file that other programs
can run.

Taught in: chapter 16.
"""

import difflib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from .augment import to_float
from .checks import check_images
from .data import load_data
from .devices import apart, autocast_dtype, choose_device
from .errors import FixMatchError
from .files import write_atomically
from .folders import images_under, load_test, tell_ignored
from .hints import DeviceLike, PathLike
from .labels_file import one_form, write_labels
from .metrics import at_once, evaluate
from .names import DATASETS
from .pictures import read_pictures
from .places import check_same, source_of
from .run_files import Run, run_of

BATCH = 256


class Classifier(nn.Module):
    """uint8 images ``(N, C, H, W)`` to class probabilities, float32 ``(N, classes)``: scaling, net and softmax. Images of another
    shape than ``shape``, ``(C, H, W)`` or None, are refused."""

    def __init__(self, model: nn.Module, shape: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.model, self.shape = model, shape

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        check_images(images)
        if self.shape is not None and images.shape[1:] != self.shape:
            raise FixMatchError(f"The net was trained on images {self.shape} and these are {tuple(images.shape[1:])} (channels, "
                                "height, width): bring them to the same shape.")
        return self.model(to_float(images)).softmax(-1)


def classifier(run: Run | PathLike) -> tuple[Classifier, tuple[int, ...], tuple[str, ...]]:
    """The `Classifier` of a run (a `Run`, its folder, or its name), its image shape ``(C, H, W)`` and class names. It is to be
    used and not trained: its weights ask for no gradient.

    Raises:
        FixMatchError: the run has no weights, or was recorded before shape and names were.
    """
    run = run_of(run)
    shape, names = _shape_and_names(run)
    return Classifier(run.model(), shape).eval().requires_grad_(False), shape, names


def _shape_and_names(run):
    shape, names = run.provenance.get("image_shape"), run.provenance.get("class_names")
    if shape is None or names is None:
        raise FixMatchError(f"The run {run.name} does not say what its images and classes were: it is of an older "
                            "version, train it again.")
    return tuple(shape), tuple(names)


def label_pictures(run: Run | PathLike, root: PathLike, *, device: DeviceLike = None) -> Iterator[tuple]:
    """The classes that a run's moving average gives to the pictures in a folder, read a few at a time.

    Args:
        run: a `Run`, its folder, or its name; for one that is not finished the last checkpoint counts.
        root: a folder; pictures at any depth.
        device: see `choose_device`.

    Yields:
        ``(path relative to root, class name, confidence)`` in the order of the paths; class and confidence are None,
        and a fourth entry says why, where a picture cannot be read.

    Raises:
        FixMatchError: the run cannot be used, or the folder has no pictures.
    """
    for path, kind, sure, _, *reason in _judged(run, root, device):
        yield path, kind, sure, *reason


@torch.no_grad()
def _judged(run, root, device):
    """What `label_pictures` yields, with the probabilities of all classes in fourth place, ``(classes,)``."""
    run = run_of(run)
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
    for first in range(0, len(paths), count := at_once(shape, BATCH)):
        some = paths[first:first + count]
        images, reasons = read_pictures(some, shape, fit)
        with apart(device):
            q = net(images.to(device)).cpu()
        for path, reason, kind, row in zip(some, reasons, q.argmax(1).tolist(), q):
            relative = path.relative_to(root).as_posix()
            yield (relative, names[kind], row[kind].item(), row) if reason is None else (relative, None, None, None, reason)


def label_folder(run: Run | PathLike, root: PathLike, csv_file: PathLike, *, probabilities: bool = False,
                 device: DeviceLike = None) -> tuple[int, list[tuple[str, str]]]:
    """Write what `label_pictures` says to a CSV file, whole or not at all, in the format of
    `labels_file.read_labels`. Before anyone trains on it, somebody should correct it and take the test pictures out.

    Args:
        run, root, device: as in `label_pictures`.
        csv_file: its columns are path, class and confidence.
        probabilities: whether a column ``p(class)`` follows for each class of the run.

    Returns:
        How many pictures have a class, and ``(path, reason)`` of those that cannot be read and are left out.
    """
    run = run_of(run)
    names, rows, unread = _shape_and_names(run)[1], [], []
    for path, kind, sure, row, *reason in _judged(run, root, device):
        if reason:
            unread.append((path, *reason))
        elif not _is_text(path):
            unread.append((path.encode(errors="backslashreplace").decode(), "its name is not UTF-8 text; rename it"))
        else:
            rows.append((path, kind, *(f"{number:.4f}" for number in [sure, *(row if probabilities else ())])))
    write_labels(csv_file, rows, [f"p({name})" for name in names] if probabilities else ())
    return len(rows), unread


def _is_text(path):
    try:
        return bool(path.encode())
    except UnicodeEncodeError:  # a name that the disk holds in another encoding
        return False


def measure_again(run: Run | PathLike, *, root: PathLike | None = None, image_size: int | Sequence[int] | None = None,
                  labels_from: PathLike | None = None, device: DeviceLike = None) -> list[tuple[str, int, int]]:
    """How many of its own test images a run's moving average gets right, in the precision that it was trained in.

    Args:
        run: as in `label_pictures`.
        root, image_size, labels_from: as in `load_data`; None takes what the command line trained the run with, and for your own
            pictures the size to which they were brought.
        device: see `choose_device`.

    Returns:
        A list of ``(class name, right, all)``.

    Raises:
        FixMatchError: the run has no weights, the data are not there, or have other classes or images of another size. Where
            the test pictures are others than the run's, the logger ``fixmatch_lite`` says so.
    """
    run = run_of(run)
    name, device, found = run.recipe.dataset, choose_device(device), source_of(run)
    if name not in DATASETS:
        raise FixMatchError(f"The run {run.name} was trained on data of somebody's own, {name}, which have no files here: measure it with "
                            "--test FOLDER on other pictures, or in Python with fm.training.evaluate(run.model(), images, targets).")
    if name in ("folder", "imagenet") and "image_shape" in run.provenance:
        found = {"image_size": tuple(run.provenance["image_shape"][1:]), **{k: v for k, v in found.items() if v is not None}}
    model, dtype = run.model().to(device), autocast_dtype(device, run.recipe.precision)
    root, labels_from = root or found.get("root"), labels_from or found.get("labels_from")
    image_size = found.get("image_size") if image_size is None else image_size
    if name == "folder" and image_size is not None:
        images, targets, names = load_test(root, image_size, labels_from)
        if run.provenance.get("image_shape", [1])[0] == 3:  # the others are not all gray
            images = images.expand(-1, 3, -1, -1)
    else:
        data = load_data(name, None, root=root, labels_from=labels_from, image_size=image_size)
        images, targets, names = data.x_test, data.y_test, data.class_names
    check_same(run, images, targets, names)
    images, targets, rows = images.to(device), targets.to(device), []
    for number, kind in enumerate(names):
        here = targets == number
        count = int(here.sum())
        rows.append((kind, round(count * evaluate(model, images[here], targets[here], dtype=dtype)) if count else 0, count))
    return rows


def measure_folder(run: Run | PathLike, root: PathLike, *,
                   device: DeviceLike = None) -> tuple[list[tuple[str, int, int]], list[tuple[str, str]]]:
    """How many pictures of a folder ``root/<class>/…`` a run's moving average gets right, in float32.

    Args:
        run, device: as in `label_pictures`.
        root: its folders are named like classes of the run; some may be missing.

    Returns:
        A list of ``(class name, right, all)``, and ``(path, reason)`` of those that cannot be read and are left out.

    Raises:
        FixMatchError: as in `label_pictures`; or a picture lies in no folder, or in one that is no class; or none can be read.
    """
    run = run_of(run)
    root, names = Path(root), tuple(map(one_form, _shape_and_names(run)[1]))
    for path in images_under(root, []):
        kind, *rest = map(one_form, path.relative_to(root).parts)
        if not rest:
            raise FixMatchError(f"{path} is in no class folder: give a folder with a subfolder for each class.")
        if kind not in names:
            near = difflib.get_close_matches(kind, names, n=1)
            raise FixMatchError(f"{root / kind} is not a class of the run {run.name}"
                                + (f"; did you mean {near[0]}?" if near else f": its classes are {', '.join(names[:10])}"
                                   + (" and so on." if len(names) > 10 else ".")))
    counts, unread = {name: [0, 0] for name in names}, []
    for path, said, _, *reason in label_pictures(run, root, device=device):
        if reason:
            unread.append((path, *reason))
        else:
            kind = one_form(path.split("/")[0])
            counts[kind][0] += one_form(said) == kind
            counts[kind][1] += 1
    if not any(count for _, count in counts.values()):
        raise FixMatchError(f"None of the pictures in {root} can be read ({unread[0][1]}): give another folder.")
    return [(name, *count) for name, count in counts.items()], unread


def export_onnx(run: Run | PathLike, path: PathLike) -> None:
    """Write the classifier of a run (a `Run`, its folder, or its name) as an ONNX file.

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
    run = run_of(run)
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
