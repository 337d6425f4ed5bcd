"""Build the book into _build/html, redoing no more than is needed and leaving nothing stale. `make book` runs it.

Three cases, told apart by fingerprints of the sources kept in _build/fingerprints.json:
nothing changed                     nothing is built
pages, notebooks or settings        pages are built anew; a notebook runs again only if its code changed, and the pages
                                    that read the notebooks run again if one of these did
the module, what is recorded, or    every notebook runs again (the cache's own key is the notebook's code alone)
the installed set

Pages are always built from an empty folder: an incremental build would hide old warnings and keep removed pages.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import figures
import handouts

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
RECORD = BUILD / "fingerprints.json"
ZIP = BUILD / "fixmatch-lite-book.zip"
FIRST_PAGE = BUILD / "html" / "index.html"
CODE = ["fixmatch_lite", "constraints.txt", "pyproject.toml", "benchmarks/recorded", "runs/WANTED.toml",
        "tools/record_runs.py"]
CHAPTERS = ["notebooks"]
PAGES = ["book", *CHAPTERS, "_config.yml", "_toc.yml", "tools/build_book.py", "tools/figures.py",
         "tools/handouts.py"]
READERS = ("book/start.md", "book/exercises.md")  # pages whose code reads the notebooks
BY_PRODUCTS = {"__pycache__", ".ipynb_checkpoints"}


def fingerprint(names) -> str:
    """SHA-256 over the names and bytes of all files at or below ``names``."""
    digest = hashlib.sha256()
    for name in names:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and not BY_PRODUCTS & set(path.parts):
                digest.update(f"{path.relative_to(ROOT).as_posix()}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def clean_profile() -> Path:
    """An IPython profile of the book's own: nobody's startup files change a page, and no kernel warns about its socket."""
    profile = BUILD / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text('c = get_config()\nc.IPKernelApp.log_level = "ERROR"\n')
    return profile.parent


def last_build() -> dict:
    """What was written down of the last build; nothing where that cannot be read, and then everything is built."""
    try:
        return json.loads(RECORD.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write_down(now: dict) -> None:
    """The whole record or none: half of one would tell nothing."""
    part = RECORD.with_suffix(".part")
    part.write_text(json.dumps(now), encoding="utf-8")
    os.replace(part, RECORD)


def build() -> int:
    now = {"code": fingerprint(CODE), "chapters": fingerprint(CHAPTERS), "pages": fingerprint(PAGES), "python": sys.version}
    before = last_build()
    if before == now | {"built": True} and FIRST_PAGE.is_file():
        print("Nothing changed since the last build.")
        return 0
    for stale in ("html", ".doctrees", "jupyter_execute"):
        shutil.rmtree(BUILD / stale, ignore_errors=True)
    if (before.get("code"), before.get("python")) != (now["code"], now["python"]):
        shutil.rmtree(BUILD / ".jupyter_cache", ignore_errors=True)
    elif before.get("chapters") != now["chapters"]:
        forget(READERS)
    BUILD.mkdir(exist_ok=True)
    write_down(now)
    # In the fast speed the numbers mean nothing, and no book shows them.
    env = {name: value for name, value in os.environ.items() if name != "FIXMATCH_LITE_FAST"}
    run = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"  # it has no `python -m`
    status = subprocess.run([sys.executable, "-c", run, "build", str(ROOT), "-W", "-n", "--keep-going"],
                            cwd=ROOT, env=env | {"IPYTHONDIR": str(clean_profile())}).returncode
    if status == 0 and FIRST_PAGE.is_file():
        try:
            handouts.make()
            figures.make()
        except SystemExit as problem:  # a page has not what they are cut out of
            print(problem)
            return 1
        pack()
        write_down(now | {"built": True})
        return 0
    return status or 1


def forget(pages):
    """Let these pages run again: what their code reads has changed."""
    from jupyter_cache import get_cache

    cache = get_cache(BUILD / ".jupyter_cache")
    for record in cache.list_cache_records():
        if record.uri.endswith(pages):
            cache.remove_cache(record.pk)


def pack():
    """The pages as one file, to be read where there is no network: unpack it, open index.html."""
    with zipfile.ZipFile(ZIP, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted((BUILD / "html").rglob("*")):
            if path.is_file():
                packed.write(path, Path(ZIP.stem) / path.relative_to(BUILD / "html"))


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    start = time.perf_counter()
    status = build()
    if status:
        print(f"\nThe book was not built ({time.perf_counter() - start:.0f} s). The first warning or error above says why.")
        return status
    opener = {"darwin": "open", "win32": "start"}.get(sys.platform, "xdg-open")
    print(f"\nThe book is built ({time.perf_counter() - start:.0f} s). Its first page:")
    print(f"  {FIRST_PAGE.as_uri()}")
    print(f"All pages in one file, to hand on: {ZIP.relative_to(ROOT)} ({ZIP.stat().st_size / 1e6:.0f} MB)")
    print("Open that address in a browser (no server, no network needed), or:")
    print(f"  {opener} {FIRST_PAGE.relative_to(ROOT).as_posix()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
