"""torchvision, imported so that it works beside any build of torch.

torchvision's published wheel is built for CUDA. Beside a torch without CUDA its import stops at two operators that it
expects to be declared; declaring their signatures is enough, and nothing here ever calls them.
"""

import sys
from types import ModuleType

import torch

_SCHEMAS = {"nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"}
_SCHEMAS["qnms"] = _SCHEMAS["nms"]


def torchvision() -> ModuleType:
    """The module `torchvision`."""
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]  # what the import left half done
        for name, schema in _SCHEMAS.items():
            torch.library.define(f"torchvision::{name}", schema)
        import torchvision
    return torchvision
