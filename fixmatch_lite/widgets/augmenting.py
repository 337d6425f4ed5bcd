"""An image, the operations, and what the models say of each."""

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence

import torch
from numpy.typing import ArrayLike
from PIL import Image

from ..augment import PRESETS, Cutout, to_float
from ..errors import FixMatchError
from ..operations import apply
from .base import Widget, escape
from .stills import table

UNITS = {"Rotate": "degrees", "ShearX": "slope", "ShearY": "slope", "TranslateX": "pixels", "TranslateY": "pixels",
         "Posterize": "bits kept", "Solarize": "and above inverted", "Brightness": "times", "Color": "times",
         "Contrast": "times", "Sharpness": "times"}
# What the strong view never does, and why: it does change the class of many pictures.
LIES = {"Mirror": lambda images: images.flip(3), "Upside down": lambda images: images.flip(2),
        "Quarter turn": lambda images: torch.rot90(images, 1, (2, 3)), "Half turn": lambda images: torch.rot90(images, 2, (2, 3))}


def _text(numbers):
    """uint8 numbers as short as a page can hold them."""
    return base64.b64encode(bytes(numbers.flatten().tolist())).decode()


class AugmentationBench(Widget):
    """One picture under one operation at one level, and what models answer. Used in chapter 7.

    Args:
        images: uint8 ``(N, C, H, W)``, ``C`` 1 or 3, small, since all their changed forms go into the page.
        y: ``(N,)`` their classes.
        models: ``{name: a function from float32 (N, C, H, W) in [-1, 1] to logits (N, classes)}``.
        class_names: one for each class; the class numbers if None.
        preset: whose magnitudes are used, by name, as in `RandAugment`.
        fill: gray level of uncovered pixels; None takes the preset's.
        operation, level: where the controls start.

    Raises:
        FixMatchError: no model, or more pictures than a page can carry.
    """

    module = "augmentation_bench"

    def __init__(self, images: torch.Tensor, y: ArrayLike, models: Mapping[str, Callable[[torch.Tensor], torch.Tensor]],
                 class_names: Sequence[str] | None = None, preset: str = "fixmatch", fill: int | None = None,
                 operation: str = "Rotate", level: int = 5) -> None:
        if not models or len(images) != len(y):
            raise FixMatchError("Give at least one model, and one class for each image.")
        rules = PRESETS[preset]
        fill, side = rules.fill if fill is None else fill, images.shape[-1]
        levels = torch.tensor([*(rules.levels or range(1, 10))], dtype=torch.float32)
        magnitudes, changed = {}, {}
        for name in rules.operations:
            amounts = rules.magnitude(name, levels, side) if name in UNITS else torch.zeros(1)
            magnitudes[name] = [round(v, 2) for v in amounts.tolist()] if name in UNITS else [None]
            changed[name] = [apply(name, images, amount, fill=fill) for amount in amounts]
        magnitudes["Cutout"], changed["Cutout"] = [None], [Cutout(fill=fill)(images, generator=torch.Generator().manual_seed(0))]
        for name, change in LIES.items():
            magnitudes[name], changed[name] = [None], [change(images)]
        answers = {name: [self._ask(models, view) for view in views] for name, views in changed.items()}
        classes = answers["Identity"][0].shape[-1] - 1
        pictures = [{"y": int(y[k]), "changed": {name: [
            [_text(view[k].permute(1, 2, 0)), *map(_text, q[:, k])]  # pixels, then each model's shares
            for view, q in zip(changed[name], answers[name])] for name in changed}} for k in range(len(images))]
        super().__init__({
            "pictures": pictures, "models": list(models), "magnitudes": magnitudes, "units": UNITS, "levels": len(levels),
            "operations": sorted(set(changed) - {*LIES, "Identity"}) + [*LIES],
            "classes": [str(c) for c in (class_names or range(classes))], "shape": {"side": side, "channels": images.shape[1]},
            "picture": 0, "operation": operation, "level": int(level)}, f"pictures={len(images)}, models={len(models)}")

    @staticmethod
    @torch.no_grad()
    def _ask(models, images):
        """Class probabilities in whole percent, and the most probable class, uint8 ``(models, N, classes + 1)``."""
        q = torch.stack([model(to_float(images)).softmax(dim=1) for model in models.values()])
        return torch.cat([(100 * q).round(), q.argmax(dim=2, keepdim=True)], dim=2).to(torch.uint8)

    def answer(self, picture: int, operation: str, level: int = 1) -> list[tuple[int, int]]:
        """What each model answers: a list of (class, confidence in percent)."""
        views = self.state["pictures"][picture]["changed"][operation]
        rows = [base64.b64decode(q) for q in views[min(level, len(views)) - 1][1:]]
        return [(row[-1], row[row[-1]]) for row in rows]

    def picture(self, picture: int, operation: str, level: int = 1) -> Image.Image:
        """What the operation makes of a picture, as a Pillow image."""
        views, shape = self.state["pictures"][picture]["changed"][operation], self.state["shape"]
        pixels = base64.b64decode(views[min(level, len(views)) - 1][0])
        return Image.frombytes("L" if shape["channels"] == 1 else "RGB", 2 * (shape["side"],), pixels)

    def fallback(self) -> str:
        classes, models, pictures, rows = self.state["classes"], self.state["models"], "", []
        truth = classes[self.state["pictures"][0]["y"]]
        for operation in ["Identity", *self.state["operations"]]:
            self.picture(0, operation, 5).save(file := io.BytesIO(), "PNG")
            said = [f"{classes[c]} ({share} %)" for c, share in self.answer(0, operation, 5)]
            label = f"{truth} after {operation}: " + ", ".join(f"{name} says {a}" for name, a in zip(models, said))
            pictures += (f'<span><img src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}" '
                         f'alt="{html.escape(label)}">{operation}</span>')
            rows.append((operation, *said))
        return (f"<p>A picture of {escape(truth)} as it is and after each operation, at the middle level:</p>"
                f'<div class="fm-sheet">{pictures}</div>' + table(["", *(f"{name} says" for name in models)], rows))
