"""Writing that never leaves half a file behind, and says in one sentence what went wrong."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import Busy, FixMatchError
from .hints import PathLike

_ADVICE = {
    errno.ENOSPC: ("the disk is full", "free some space and start again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and start again"),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.EACCES: ("permission denied", "choose a folder you may write to"),
    errno.EPERM: ("permission denied", "choose a folder you may write to"),
    errno.ENOTDIR: ("part of the path is a file, not a folder", "choose another folder"),
    errno.EEXIST: ("a file stands in the place of the folder", "choose another folder"),
}


@contextmanager
def plain_errors(path: PathLike) -> Iterator[None]:
    """Turn an `OSError` met while writing ``path`` into a `FixMatchError` that says what to do."""
    try:
        yield
    except OSError as error:
        reason, advice = _ADVICE.get(error.errno, (error.strerror or str(error), "choose another folder"))
        raise FixMatchError(f"Cannot write {path}: {reason} (what was there is unharmed); {advice}.") from error


def make_folder(path: PathLike) -> None:
    with plain_errors(path):
        Path(path).mkdir(parents=True, exist_ok=True)


def write_atomically(path: PathLike, content: str | bytes) -> None:
    """Write bytes or text so that the file is either the old one or the whole new one, never a part of it."""
    path = Path(path)
    content = content.encode() if isinstance(content, str) else content
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with plain_errors(path):
        try:
            with open(part, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def only_one(folder: PathLike, name: str = "lock") -> Iterator[None]:
    """In this context nobody else has the folder, by a file ``name`` in it; the system lets go of it when the process ends,
    however it does. (Windows has no such lock, nor have some network disks: there it is a promise.)

    Raises:
        Busy: somebody else has it.
    """
    if sys.platform == "win32":
        yield
        return
    path = Path(folder) / name
    with _locked(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked(path):
    """The file, open and locked."""
    import fcntl

    while True:
        with plain_errors(path):
            file = open(path, "w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                file.close()
                raise Busy(f"Something else is training in {path.parent}: another process, or in this notebook a loop that was "
                           "left (close() it). Wait for it, or choose another folder.") from None
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()  # whoever had it took the file away meanwhile: it would lock nothing


def append_line(path: PathLike, line: str) -> None:
    """Add a line to a text file and see it to the disk."""
    with plain_errors(path), open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
