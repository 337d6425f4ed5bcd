"""Downloads against real servers on this machine: cut, slow, wrong, absent, and two at once."""

import contextlib
import errno
import hashlib
import http.server
import os
import random
import shutil
import subprocess
import sys
import threading
import time

import pytest

from fixmatch_lite import download
from fixmatch_lite.download import fetch
from fixmatch_lite.errors import FixMatchError

CONTENT = random.Random(0).randbytes(700_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
NAME = "pictures.tar.gz"


class Mirror:
    """A small web server with one file and, if asked, one bad habit. ``requests`` lists what was asked."""

    def __init__(self, habit="good", content=CONTENT):
        self.requests, mirror = [], self
        self.release = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                mirror.requests.append(self.headers.get("Range"))
                with contextlib.suppress(ConnectionError):
                    mirror.answer(self, habit, content)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/{NAME}"

    def answer(self, handler, habit, content):
        asked = handler.headers.get("Range")
        if habit == "missing":
            return handler.send_error(404)
        if habit == "no continuing" and asked:
            return handler.send_error(416)
        continues = asked and habit not in ("ignores Range", "login page")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if continues else 0
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if habit == "login page":  # 200 and no length, as captive portals do
            handler.end_headers()
            return handler.wfile.write(b"<html>please log in</html>")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        if habit == "cuts":  # a third of the file at a time, then the line goes dead
            handler.wfile.write(content[start : start + 250_000])
            handler.wfile.flush()
            return handler.connection.close()
        if habit == "cuts at once":
            return handler.connection.close()
        if habit in ("stalls", "trickles"):
            handler.wfile.write(content[:100_000])
            while not self.release.wait(0.05):
                if habit == "trickles":
                    handler.wfile.write(b"x")
            return None
        if habit == "slow":
            for first in range(start, len(content), 50_000):
                handler.wfile.write(content[first : first + 50_000])
                time.sleep(0.05)
            return None
        return handler.wfile.write(content[start:])

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = []

    def make(*args, **kwargs):
        made.append(Mirror(*args, **kwargs))
        return made[-1]

    yield make
    for each in made:
        each.close()


def get(root, *mirrors, **more):
    urls = [m if isinstance(m, str) else m.url for m in mirrors]
    return fetch(NAME, urls, MD5, len(CONTENT), root, **{"timeout": 5, "stall": 5, **more})


def visible(root):
    return sorted(p.name for p in root.iterdir() if not p.name.startswith("."))


def test_a_good_mirror_delivers_the_exact_bytes_into_a_new_folder(mirror, tmp_path, capsys):
    path = get(tmp_path / "new" / "data", mirror())
    assert path == tmp_path / "new" / "data" / NAME
    assert path.read_bytes() == CONTENT
    assert visible(path.parent) == [NAME]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 11 and "100 %" in lines[-1]  # no terminal: plain lines, and not many


def test_quiet_is_quiet(mirror, tmp_path, capsys):
    get(tmp_path, mirror("missing"), mirror(), quiet=True)
    out = capsys.readouterr()
    assert out.out == out.err == ""


def test_an_archive_that_is_there_is_used_without_a_single_request(mirror, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    server = mirror()
    assert get(tmp_path, server).read_bytes() == CONTENT
    assert server.requests == []
    assert visible(tmp_path) == [NAME]


def test_a_wrong_file_of_that_name_is_kept_under_another(mirror, tmp_path):
    (tmp_path / NAME).write_bytes(b"my own notes")
    get(tmp_path, mirror())
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert (tmp_path / f"{NAME}.wrong1").read_bytes() == b"my own notes"


def test_a_wrong_file_stays_where_it_is_when_no_mirror_delivers(mirror, tmp_path):
    (tmp_path / NAME).write_bytes(b"my own notes")
    with pytest.raises(FixMatchError):
        get(tmp_path, mirror("missing"))
    assert (tmp_path / NAME).read_bytes() == b"my own notes"


def test_a_cut_download_goes_on_where_it_stopped(mirror, tmp_path):
    server = mirror("cuts")
    assert get(tmp_path, server).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=250000-", "bytes=500000-"]


def test_a_part_of_an_earlier_program_run_is_continued(mirror, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:400_000])
    server = mirror()
    assert get(tmp_path, server).read_bytes() == CONTENT
    assert server.requests == ["bytes=400000-"]
    assert visible(tmp_path) == [NAME]


def test_a_complete_part_needs_no_request(mirror, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    server = mirror()
    assert get(tmp_path, server).read_bytes() == CONTENT
    assert server.requests == []


@pytest.mark.parametrize("habit", ["ignores Range", "no continuing"])
def test_a_server_that_cannot_continue_starts_cleanly_again(mirror, tmp_path, habit):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:400_000])
    assert get(tmp_path, mirror(habit)).read_bytes() == CONTENT


def test_a_rotten_part_is_thrown_away_and_the_same_mirror_asked_again(mirror, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(b"?" * 400_000)
    server = mirror()
    assert get(tmp_path, server).read_bytes() == CONTENT
    assert server.requests == ["bytes=400000-", None]


def test_a_mirror_with_a_file_of_another_size_does_not_touch_the_part(mirror, tmp_path):
    part = tmp_path / f"{NAME}.part"
    part.write_bytes(CONTENT[:400_000])
    with pytest.raises(FixMatchError, match="another size"):
        get(tmp_path, mirror(content=CONTENT + b"more"))
    assert part.read_bytes() == CONTENT[:400_000]
    with pytest.raises(FixMatchError, match="offers an unknown number of bytes"):
        get(tmp_path, mirror("login page"))
    assert part.read_bytes() == CONTENT[:400_000]


def test_wrong_bytes_are_deleted_and_the_next_mirror_delivers(mirror, tmp_path):
    bad = mirror(content=CONTENT[:-1] + b"?")
    good = mirror()
    assert get(tmp_path, bad, good).read_bytes() == CONTENT
    assert bad.requests == [None] and good.requests == [None]  # nothing of the bad file is continued


def test_a_missing_file_sends_us_to_the_next_mirror(mirror, tmp_path):
    first, second = mirror("missing"), mirror()
    assert get(tmp_path, first, second).read_bytes() == CONTENT
    assert len(first.requests) == 1


@pytest.mark.parametrize("habit", ["stalls", "trickles"])
def test_a_mirror_that_falls_silent_is_left_and_its_good_part_continued(mirror, tmp_path, habit):
    slow, good = mirror(habit), mirror()
    begin = time.monotonic()
    assert get(tmp_path, slow, good, stall=0.6).read_bytes() == CONTENT
    assert time.monotonic() - begin < 5
    assert good.requests[0].startswith("bytes=100")


def test_a_mirror_that_cuts_at_once_is_not_asked_for_ever(mirror, tmp_path):
    server = mirror("cuts at once")
    with pytest.raises(FixMatchError):
        get(tmp_path, server)
    assert len(server.requests) == 1


def test_all_failing_names_every_address_and_reason_and_what_to_do(mirror, tmp_path):
    missing, wrong = mirror("missing"), mirror(content=CONTENT[::-1])
    with pytest.raises(FixMatchError) as caught:
        get(tmp_path, missing, wrong, "http://127.0.0.1:9/nobody-here", "nonsense")
    text = str(caught.value)
    assert f"{missing.url} (answered 404 Not Found)" in text
    assert f"{wrong.url} (sent other bytes than expected (wrong checksum))" in text
    assert "127.0.0.1:9/nobody-here (" in text and "nonsense (" in text
    assert text.endswith(f"put {NAME} by hand into {tmp_path}.")
    assert "\n" not in text
    assert visible(tmp_path) == []  # the wrong bytes are gone


PROGRAM = """
import sys
from fixmatch_lite.download import fetch
print(fetch(sys.argv[1], [sys.argv[2]], sys.argv[3], int(sys.argv[4]), sys.argv[5]).stat().st_size)
"""


def test_two_processes_at_once_share_one_download(mirror, tmp_path):
    server = mirror("slow")
    command = [sys.executable, "-c", PROGRAM, NAME, server.url, MD5, str(len(CONTENT)), str(tmp_path)]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], answers
    assert [out.strip() for out, _ in answers] == [str(len(CONTENT))] * 2
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert server.requests == [None]  # the second process waited and found the file
    assert visible(tmp_path) == [NAME]


def test_a_killed_process_leaves_neither_a_lock_nor_a_half_file_of_the_final_name(mirror, tmp_path):
    server = mirror("stalls")
    command = [sys.executable, "-c", PROGRAM, NAME, server.url, MD5, str(len(CONTENT)), str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (server.requests and (tmp_path / f"{NAME}.part").exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not (tmp_path / NAME).exists()
    assert get(tmp_path, mirror()).read_bytes() == CONTENT


def test_a_folder_that_is_a_file_is_named(mirror, tmp_path):
    (tmp_path / "data").write_text("not a folder")
    for root in (tmp_path / "data", tmp_path / "data" / "deeper"):
        with pytest.raises(FixMatchError, match="choose another folder"):
            get(root, mirror())
    assert (tmp_path / "data").read_text() == "not a folder"


def test_a_disk_too_small_is_seen_before_anything_is_asked(mirror, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    server = mirror()
    with pytest.raises(FixMatchError, match="free some space"):
        get(tmp_path, server)
    assert server.requests == []


@pytest.mark.parametrize("code, words", [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"),
                                         (errno.EACCES, "permission denied")])
def test_a_disk_that_refuses_is_not_blamed_on_the_mirror(mirror, tmp_path, monkeypatch, code, words):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(download.os, "fsync", refuse)
    first, second = mirror(), mirror()
    with pytest.raises(FixMatchError, match=words):
        get(tmp_path, first, second)
    assert second.requests == []  # the next mirror would meet the same disk
    assert not (tmp_path / NAME).exists()


def test_the_addresses_of_every_data_set_are_complete():
    from fixmatch_lite.data import DATASETS, remote_files

    fetched = {name: remote_files(name) for name in DATASETS}
    assert [name for name, files in fetched.items() if not files] == ["digits", "digits-unequal", "digits-home", "digits-foreign", "imagenet", "folder"]
    for file in (file for files in fetched.values() for file in files):
        assert len(set(file.urls)) == len(file.urls) >= 1
        assert all(url.startswith("http") and file.filename in url for url in file.urls)
        assert len(file.md5) == 32 and int(file.md5, 16) and file.size > 60_000_000
    assert fetched["cifar10"][0].size == 170_498_071 and len(fetched["cifar10"][0].urls) >= 2
