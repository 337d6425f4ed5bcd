"""Checkpoints: all that a run needs to go on, as safetensors, and no code."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import distributed
from .checks import plain
from .errors import FixMatchError
from .files import make_folder
from .hints import PathLike
from .tensor_files import SafetensorError, read_tensors, write_tensors
from .version import __version__

if TYPE_CHECKING:
    from .data import SemiSupervisedData
    from .recipes import Recipe
    from .training import Training

FORMAT = 2  # of a checkpoint; another number means another set of tensors


def save_checkpoint(training: "Training", path: PathLike) -> None:
    """Write the state of a `Training` whole or not at all. Every process has to call it; process 0 writes."""
    views = distributed.gathered(training.generators["augment"].get_state().to(training.device)[None])
    # parts of one's own may draw from torch's global generator, as dropout does
    draws = distributed.gathered(torch.get_rng_state().to(training.device)[None]) if training.own else None
    if distributed.rank() > 0:
        return
    tensors = {}
    for room, module in (("model", training.model), ("ema", training.ema_model.module)):
        tensors |= {f"{room}.{k}": v for k, v in module.state_dict().items()}
    for k, parameter in enumerate(_parameters(training)):
        buffer = training.optimizer.state[parameter].get("momentum_buffer")
        if buffer is not None:
            tensors[f"momentum.{k}"] = buffer
    for room, module in (("method", training.method), ("strong", training.batches.strong)):
        tensors |= {f"{room}.{k}": v for k, v in module.state_dict().items()}
    tensors |= {f"batches.{k}": v for k, v in training.batches.state().items()} | {"views": views}
    if draws is not None:
        tensors["draws"] = draws
    state = {
        "format": FORMAT, "version": __version__, "step": training.step, "seconds": training.seconds,
        "recipe": training.recipe.as_dict(), "labeled_hash": training.data.labeled_hash, "own": training.began_with,
        "scaler": training.scaler.state_dict(), "metrics": training.last_metrics, **_of_the_data(training.data),
    }
    write_tensors(path, tensors, state)


def begin_checkpoint(path: PathLike) -> None:
    """Make the folder of a checkpoint to come, and refuse a file that stands in its place and holds something."""
    path = Path(path)
    make_folder(path.parent)
    if path.exists() and path.stat().st_size:
        raise FixMatchError(f"{path} is there already: give resume=True to go on from it, or another file to keep it.")


def save_weights(training: "Training", path: PathLike) -> None:
    """Write the moving average's weights, and what it takes to build the net, as safetensors."""
    state = {"num_classes": training.data.num_classes, "channels": training.data.channels}
    write_tensors(path, training.ema_model.module.state_dict(), state)


def load_weights(net: nn.Module, path: PathLike) -> nn.Module:
    """Read weights into a net: those of `save_weights`, or of a checkpoint (of `fit`) the moving average's.

    Args:
        net: one like that which was trained, for instance a `Training`'s ``model`` or ``models.make_net(recipe, num_classes,
            channels, torch.Generator())``.

    Returns:
        The same net, in evaluation mode.

    Raises:
        FixMatchError: the file is missing or damaged, or of another net. Nothing is changed then.
    """
    tensors, state = read_checkpoint(path)
    tensors = room_of(tensors, "ema") if "format" in state else tensors
    check_weights(net, tensors, f"The file {path}", "give one like that which was trained")
    net.load_state_dict(tensors)
    return net.eval()


def load_checkpoint(training: "Training", path: PathLike) -> None:
    """Bring a fresh `Training` to where the checkpoint left off.

    Raises:
        FixMatchError: the file is missing, damaged, or of another recipe, labeled set, part of your own or start. Nothing
            is changed then.
    """
    tensors, state = read_checkpoint(path)
    if state.get("format") != FORMAT:
        raise FixMatchError(f"{path} is no checkpoint of this version of the module (it says "
                            f"{state.get('version', 'nothing')}); resume with the version that began the run, or start "
                            "it again in another folder.")
    what = f"The checkpoint {path}"
    unlabeled = len(tensors["batches.unlabeled.order"])
    if unlabeled != len(training.data.u):
        raise FixMatchError(f"{what} was trained on {unlabeled} unlabeled images and there are "
                            f"{len(training.data.u)} now; give it the data it was made with.")
    check_belongs(what, state, training.recipe, training.data, training.began_with)
    views, draws = tensors["views"], training.generators["augment"].get_state()
    if views.shape != (distributed.world_size(), len(draws)):
        raise FixMatchError(f"{what} was trained in {len(views)} processes or on another kind of "
                            "device; resume as it began.")
    room = lambda name: room_of(tensors, name)
    modules = {"model": training.model, "ema": training.ema_model.module, "method": training.method,
               "strong": training.batches.strong}
    for name, module in modules.items():  # all before the first is changed
        check_weights(module, room(name), what)
    for name, module in modules.items():
        module.load_state_dict(room(name))
    momentum = room("momentum")
    for k, parameter in enumerate(_parameters(training)):
        if str(k) in momentum:
            buffer = torch.empty_like(parameter)  # the parameter's memory format, on which bitwise equality rests
            training.optimizer.state[parameter]["momentum_buffer"] = buffer.copy_(momentum[str(k)])
    training.batches.load_state(room("batches"))
    training.generators["augment"].set_state(views[distributed.rank()].clone())
    if training.own and "draws" in tensors:
        torch.set_rng_state(tensors["draws"][distributed.rank()].clone())
    if training.scaler.is_enabled():
        training.scaler.load_state_dict(state["scaler"])
    training.step, training.seconds, training.last_metrics = state["step"], state["seconds"], state["metrics"]


def room_of(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """Of a checkpoint's tensors those of one part ("model", "ema", "momentum", ...), by the names that they have in it."""
    return {k[len(name) + 1:]: v for k, v in tensors.items() if k.startswith(name + ".")}


def check_weights(module: nn.Module, tensors: dict[str, torch.Tensor], what: str,
                  cure: str = "give the one that was trained") -> None:
    """Refuse tensors that are those of another net, method or strong view.

    Args:
        what: begins the sentence, "The checkpoint a/b". cure: ends it.
    """
    there, here = ({k: tuple(v.shape) for k, v in state.items()} for state in (tensors, module.state_dict()))
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise FixMatchError(f"{what} is of another {type(module).__name__} than this one ({name} is {there.get(name, 'missing')} "
                                f"there and {here.get(name, 'missing')} here); {cure}.")


def check_belongs(what: str, written: dict[str, Any], recipe: "Recipe", data: "SemiSupervisedData", own: dict[str, str]) -> None:
    """Raise a FixMatchError where ``written`` (its "recipe", "labeled_hash" and "own") is of another recipe, labeled set,
    part of one's own or start.

    Args:
        what: begins the sentence, "The checkpoint a/b".
        own: see `checks.described`.
    """
    if (began := written.get("own", {})) != own:
        told = lambda parts: ", ".join(parts.values()) or "nothing but its recipe"
        raise FixMatchError(f"{what} was begun with {told(began)}, not with {told(own)}; give what it was begun with, or start "
                            "a new run in another folder.")
    mine, its = recipe.as_dict(), written["recipe"]
    different = [k for k in mine if k != "eval_every" and plain(mine[k]) != plain(its.get(k))]
    if different:
        told = ", ".join(f"{k} ({its.get(k)} there, {mine[k]} here)" for k in different)
        raise FixMatchError(f"{what} is of another recipe: {told}; resume with the values it was made with, or start "
                            "a new run in another folder.")
    if written["labeled_hash"] != data.labeled_hash:
        raise FixMatchError(f"{what} was trained on another labeled set ({written['labeled_hash']} there, "
                            f"{data.labeled_hash} here); give the same label seed or file of indices, and of your own "
                            "pictures the same files, labels and image size.")
    told = {"test_hash": "test pictures", "unlabeled_hash": "unlabeled pictures", "class_names": "names of the classes",
            "flip": "answer to whether a mirrored picture keeps its class"}
    for name, here in _of_the_data(data).items():  # an older version has not written them all
        if name in written and plain(written[name]) != plain(here):
            raise FixMatchError(f"{what} was trained with other {told[name]} than these: give those it was begun with, or start a new "
                                "run in another folder.")


def _of_the_data(data):
    """What else of the data a run must go on with, in words and values."""
    return {"test_hash": data.test_hash, "unlabeled_hash": data.unlabeled_hash, "class_names": list(data.class_names), "flip": data.flip}


def read_checkpoint(path: PathLike) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors and the description in a checkpoint or weights file.

    Raises:
        FixMatchError: the file is missing, cut short, or not one of ours.
    """
    try:
        return read_tensors(path)
    except FileNotFoundError:
        raise FixMatchError(f"There is no file {path}; check the path, or train without resuming.") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise FixMatchError(f"{path} cannot be read ({error}); it is cut short or not a file of this module, so take "
                            "another copy of it or start the run again in another folder.") from None


def _parameters(training):
    return [p for group in training.optimizer.param_groups for p in group["params"]]
