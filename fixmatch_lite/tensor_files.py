"""Tensors in files: safetensors, and nothing that could run code.

Where the package safetensors is missing, as in a bare image of a GPU machine, the same format is written and read here:
eight bytes say how long the header is, the header says in JSON where each tensor lies, then come the tensors. A file
over a limit is cut into parts, since many places take no large files. Source: the description of the format in the
documentation of safetensors.
"""

import glob
import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from .files import write_atomically
from .hints import PathLike

try:
    from safetensors import SafetensorError
    from safetensors.torch import load as _load
    from safetensors.torch import save as _save
except ImportError:
    SafetensorError = ValueError
    _load = _save = None

LIMIT = 15 * 2**20  # bytes of tensors in one file
_KEY = "fixmatch_lite"
_NAMES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
          "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}


def write_tensors(path: PathLike, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
    """Write tensors by name and a description that JSON can hold; the file is the old one or the whole new one.

    Tensors beyond `LIMIT` go to files beside it, named after it; ``path`` itself is written last and says which they
    are, so that at any moment it and its parts belong together.
    """
    path, groups = Path(path), _groups(tensors)
    parts = {}
    for group in groups[1:]:
        content = _packed(group, {})
        name = f"{path.name}.{hashlib.sha256(content).hexdigest()[:12]}"
        write_atomically(path.with_name(name), content)
        parts[name] = len(content)
    write_atomically(path, _packed(groups[0], {**state, "parts": parts}))
    for old in parts_of(path):
        if old.name not in parts:
            old.unlink()


def parts_of(path: Path) -> list[Path]:
    """The files beside ``path`` that hold the rest of it."""
    return [p for p in path.parent.glob(f"{glob.escape(path.name)}.????????????") if not p.name.endswith(".part")]


def remove_tensors(path: Path) -> None:
    """Delete a file of `write_tensors` and its parts."""
    for file in (path, *parts_of(path)):
        file.unlink(missing_ok=True)


def read_tensors(path: PathLike) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """What `write_tensors` was given: tensors and description.

    Raises:
        OSError: a file is not there or cannot be read.
        ValueError, SafetensorError: it is cut short, or not one of ours.
    """
    path, was = Path(path), None
    while (main := path.read_bytes()) != was:  # a run that goes on may write it anew meanwhile, and its parts
        (tensors, state), missing = _unpacked(main), None
        for name, size in state.pop("parts", {}).items():
            part = path.with_name(name)
            content = part.read_bytes() if part.exists() else b""
            if len(content) != size:
                missing, was = name, main
                break
            tensors |= _unpacked(content)[0]
        if missing is None:
            return tensors, state
    raise ValueError(f"its part {missing} is missing or cut short")


def _groups(tensors):
    groups, size = [{}], 0
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous().clone()
        if groups[-1] and size + tensor.nbytes > LIMIT:
            groups.append({})
            size = 0
        groups[-1][name] = tensor
        size += tensor.nbytes
    return groups


def _packed(tensors, state):
    metadata = {_KEY: json.dumps(state)}
    if _save is not None:
        return _save(tensors, metadata=metadata)
    codes = {dtype: name for name, dtype in _NAMES.items()}
    # Widest numbers first, so that each begins at a multiple of its size.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header, content = {"__metadata__": metadata}, []
    position = 0
    for name in order:
        tensor = tensors[name]
        header[name] = {"dtype": codes[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [position, position + tensor.nbytes]}
        content.append(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        position += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *content])


def _unpacked(content):
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8:8 + length]) if 0 < length <= len(content) - 8 else None
    if not isinstance(header, dict) or _KEY not in header.get("__metadata__", {}):
        raise ValueError("no description of this module is in it")
    state = json.loads(header.pop("__metadata__")[_KEY])
    if _load is not None:
        return _load(content), state
    if max((entry["data_offsets"][1] for entry in header.values()), default=0) != len(content) - 8 - length:
        raise ValueError("its length is not the one it states")
    tensors = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        raw = torch.frombuffer(bytearray(content[start:end]), dtype=torch.uint8) if end > start else torch.empty(
            0, dtype=torch.uint8)
        tensors[name] = raw.view(_NAMES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, state
