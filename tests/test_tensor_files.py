"""Files of tensors: the same answers with and without the package safetensors, and never half a file."""

import pytest
import torch

from fixmatch_lite import tensor_files
from fixmatch_lite.tensor_files import parts_of, read_tensors, remove_tensors, write_tensors

TENSORS = {"kernel": torch.randn(3, 4), "count": torch.arange(5), "none": torch.empty(0, 3), "one": torch.tensor(7),
           "half": torch.randn(7).half(), "brain": torch.randn(2).bfloat16(), "bytes": torch.arange(9, dtype=torch.uint8),
           "mask": torch.tensor([True, False]), "double": torch.randn(2, dtype=torch.float64)}


@pytest.fixture(params=["with", "without"])
def package(request, monkeypatch):
    if request.param == "without":
        monkeypatch.setattr(tensor_files, "_save", None)
        monkeypatch.setattr(tensor_files, "_load", None)


def same(found):
    return found.keys() == TENSORS.keys() and all(
        torch.equal(found[k], v) and found[k].dtype == v.dtype and found[k].shape == v.shape for k, v in TENSORS.items())


def test_what_is_written_is_read(package, tmp_path):
    write_tensors(tmp_path / "a", TENSORS, {"step": 3})
    tensors, state = read_tensors(tmp_path / "a")
    assert same(tensors) and state == {"step": 3}


@pytest.mark.parametrize("mine", ["_save", "_load"])
def test_each_side_reads_the_other(mine, monkeypatch, tmp_path):
    monkeypatch.setattr(tensor_files, mine, None)
    write_tensors(tmp_path / "a", TENSORS, {"step": 3})
    assert same(read_tensors(tmp_path / "a")[0])


def test_without_the_package_the_file_is_safetensors(monkeypatch, tmp_path):
    from safetensors.torch import load_file

    monkeypatch.setattr(tensor_files, "_save", None)
    write_tensors(tmp_path / "a", TENSORS, {})
    assert same(load_file(tmp_path / "a"))


def test_no_file_is_larger_than_the_limit_and_old_parts_go(package, tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_files, "LIMIT", 40)
    path = tmp_path / "a"
    write_tensors(path, TENSORS, {"step": 1})
    first = {p.name for p in parts_of(path)}
    assert len(first) > 2 and same(read_tensors(path)[0]) and read_tensors(path)[1] == {"step": 1}
    changed = {k: v if k == "kernel" else torch.zeros_like(v) for k, v in TENSORS.items()}
    write_tensors(path, changed, {"step": 2})
    assert read_tensors(path)[1] == {"step": 2} and torch.equal(read_tensors(path)[0]["double"], changed["double"])
    assert len(parts_of(path)) == len(first) and {p.name for p in parts_of(path)} != first
    remove_tensors(path)
    assert not list(tmp_path.iterdir())


def test_a_kill_between_parts_leaves_the_old_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_files, "LIMIT", 40)
    path = tmp_path / "a"
    write_tensors(path, TENSORS, {"step": 1})
    original = tensor_files.write_atomically

    def dies(where, content):
        if where == path:
            raise KeyboardInterrupt
        original(where, content)

    monkeypatch.setattr(tensor_files, "write_atomically", dies)
    with pytest.raises(KeyboardInterrupt):
        write_tensors(path, {k: torch.zeros_like(v) for k, v in TENSORS.items()}, {"step": 2})
    assert same(read_tensors(path)[0]) and read_tensors(path)[1] == {"step": 1}


def test_what_is_cut_short_is_refused(package, tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_tensors(path, TENSORS, {})
    content = path.read_bytes()
    for length in (0, 7, 40, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises((ValueError, tensor_files.SafetensorError)):
            read_tensors(path)
    monkeypatch.setattr(tensor_files, "LIMIT", 40)
    write_tensors(path, TENSORS, {})
    parts_of(path)[0].unlink()
    with pytest.raises(ValueError, match="missing or cut short"):
        read_tensors(path)
