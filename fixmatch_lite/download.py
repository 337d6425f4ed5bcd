"""Bring a large file to this machine once, whole, and byte for byte the right one.

The archive of CIFAR-10 is 170 MB, its home has served
50 to 85 kB/s since June 2026, and a lecture room shares one line. So a file that is already
there is used, several mirrors are tried in turn, a broken download goes on where it stopped,
and nothing gets its final name before its checksum has been seen.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .errors import FixMatchError
from .files import make_folder, plain_errors
from .hints import PathLike

CHUNK = 1 << 16
TRIES = 3  # per mirror, and only while it still brings new bytes


class RemoteFile(NamedTuple):
    """A file that is the same everywhere. `fetch` takes it as ``fetch(*file, root)``."""

    filename: str  #: str: its name.
    urls: tuple    #: tuple of str: addresses of byte-identical copies, in the order in which they are tried.
    md5: str       #: str: its MD5 as 32 hex digits.
    size: int      #: int: its length in bytes.


class _MirrorFailed(Exception):
    """One address did not deliver; its text says why. ``again``: the same address may go on."""

    def __init__(self, reason: str, again: bool = False):
        super().__init__(reason)
        self.again = again


def file_md5(path: PathLike) -> str:
    """MD5 of a file as 32 hex digits. A checksum against damage, not against an attacker."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def fetch(filename: str, urls: Sequence[str], md5: str, size: int, root: PathLike, *, timeout: float = 30.0, stall: float = 30.0,
          quiet: bool = False) -> Path:
    """Path of ``root/filename``, downloaded first if it is not there yet.

    Args:
        filename: name of the file inside ``root``.
        urls: addresses of byte-identical copies, tried in this order.
        md5: its MD5 as 32 hex digits. size: its length in bytes.
        root: folder, made if missing.
        timeout: seconds to wait for a connection.
        stall: a mirror that sends less than one chunk (64 kB) in this many seconds is left
            for the next one.
        quiet: no progress on stderr.

    A file in ``root`` with the right checksum is returned without any request. One with a wrong
    checksum is kept beside the new one under another name.

    Raises:
        FixMatchError: no mirror delivered, or the folder cannot be written.
    """
    root = Path(root)
    target = root / filename
    if _is_good(target, md5, size):
        return target
    make_folder(root)
    # filelock, because torch itself depends on it: nothing new is installed, and the lock is
    # given back by the operating system even if the process that holds it is killed.
    import filelock

    lock = filelock.FileLock(root / f".{filename}.lock")
    with contextlib.ExitStack() as held, plain_errors(root):
        try:
            held.enter_context(lock.acquire(timeout=0))
        except filelock.Timeout:
            _say(f"Another process is fetching {filename}; waiting for it.", quiet)
            held.enter_context(lock.acquire())
        if not _is_good(target, md5, size):  # the process we waited for may have brought it
            part = root / f"{filename}.part"
            _download(part, filename, urls, md5, size, timeout, stall, quiet)
            _keep_aside(target)
            os.replace(part, target)
    return target


def _is_good(path: Path, md5: str, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size and file_md5(path) == md5


def _keep_aside(target: Path) -> None:
    """A file of that name that is not the archive is somebody's file: rename, never delete."""
    if target.exists():
        number = 1
        while (aside := target.with_name(f"{target.name}.wrong{number}")).exists():
            number += 1
        os.replace(target, aside)


def _download(part, filename, urls, md5, size, timeout, stall, quiet) -> None:
    """Leave the right bytes in ``part`` or raise. Whatever is already in it is continued."""
    failures = []
    if part.exists() and part.stat().st_size >= size and not _is_good(part, md5, size):
        part.unlink()  # as long as the file or longer, and still wrong: nothing to continue
    free = shutil.disk_usage(part.parent).free
    missing = size - _length(part)
    if free < missing:
        raise FixMatchError(
            f"{part.parent} has {megabytes(free)} free and {filename} needs {megabytes(missing)} more: "
            "free some space or choose another folder."
        )
    for url in urls:
        for _ in range(TRIES):
            if _is_good(part, md5, size):
                return
            before = _length(part)
            try:
                _continue(part, url, size, timeout, stall, quiet)
                if _is_good(part, md5, size):
                    return
                part.unlink()
                # With bytes of an earlier mirror in front, this one may be innocent: once more.
                raise _MirrorFailed("sent other bytes than expected (wrong checksum)", again=before > 0)
            except _MirrorFailed as failure:
                reason = str(failure)
                if not failure.again:
                    break
        failures.append(f"{url} ({reason})")
        _say(f"{url}: {reason}.", quiet)
    raise FixMatchError(
        f"Could not download {filename}; tried {'; '.join(failures)}. Check the connection and run the same "
        f"command again (what has arrived is kept), or put {filename} by hand into {part.parent.absolute()}."
    )


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _continue(part, url, size, timeout, stall, quiet) -> None:
    """Append to ``part`` from ``url`` until it holds ``size`` bytes."""
    have = _length(part)
    headers = {"User-Agent": "fixmatch-lite", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # it cannot continue there: from the start, then
            part.unlink()
            raise _MirrorFailed("refused to continue the download", again=True) from None
        raise _MirrorFailed(f"answered {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _MirrorFailed(_network_reason(error, timeout)) from None
    with response:
        start = _start_of(response, have, size)
        # the timeout of the connection was for the answer; from here on silence counts
        _set_stall(response, stall)
        with open(part, "ab" if start else "wb") as file, _Progress(part.stem, start, size, quiet) as progress:
            done, mark, mark_time = start, start, time.monotonic()
            while done < size:
                try:
                    chunk = response.read1(min(CHUNK, size - done))
                except (OSError, http.client.HTTPException) as error:
                    silent = isinstance(error, TimeoutError)
                    raise _MirrorFailed(_network_reason(error, stall), again=done > start and not silent) from None
                if not chunk:
                    reason = f"stopped after {megabytes(done)} of {megabytes(size)}"
                    raise _MirrorFailed(reason, again=done > start)
                file.write(chunk)
                done += len(chunk)
                progress.update(len(chunk))
                if time.monotonic() - mark_time > stall:
                    if done - mark < CHUNK and done < size:
                        raise _MirrorFailed(f"sent only {done - mark:,} bytes in {stall:g} s")
                    mark, mark_time = done, time.monotonic()
            file.flush()
            os.fsync(file.fileno())


def _start_of(response, have: int, size: int) -> int:
    """Byte at which the answer begins: ``have`` if the server continues, 0 if it starts again."""
    if response.status == 206:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        span, _, total = rest.partition("/")
        if unit == "bytes" and span.split("-")[0] == str(have) and total == str(size):
            return have
        raise _MirrorFailed("continues a file of another size")
    announced = response.headers.get("Content-Length", "an unknown number of")
    # a login page or an error page in disguise must not cost the part that we have
    if announced != str(size):
        raise _MirrorFailed(f"offers {announced} bytes instead of {size}")
    return 0


def _set_stall(response, stall: float) -> None:
    with contextlib.suppress(AttributeError):
        response.fp.raw._sock.settimeout(stall)


def _network_reason(error: Exception, seconds: float) -> str:
    error = getattr(error, "reason", error)
    if isinstance(error, TimeoutError):
        return f"silent for {seconds:g} s"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _say(line: str, quiet: bool) -> None:
    if not quiet:
        print(line, file=sys.stderr, flush=True)


class _Progress:
    """A bar in a terminal; in a log file one plain line every tenth of the way."""

    def __init__(self, name: str, start: int, size: int, quiet: bool):
        self.name, self.done, self.size, self.quiet = name, start, size, quiet
        self.bar, self.tenth = None, 10 * start // size
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=size, initial=start, unit="B", unit_scale=True, desc=name, file=sys.stderr)
        elif start:
            _say(f"{name}: going on after {megabytes(start)} of {megabytes(size)}", quiet)

    def update(self, count: int) -> None:
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
        elif (tenth := 10 * self.done // self.size) > self.tenth:
            self.tenth = tenth
            _say(f"{self.name}: {megabytes(self.done)} of {megabytes(self.size)} ({10 * tenth} %)", self.quiet)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()
