"""What a type hint calls a path and a device, in every module alike."""

import os

import torch

PathLike = str | os.PathLike[str]
DeviceLike = str | torch.device | None  # None takes the best there is, see `devices.choose_device`
