"""Run every chapter as Colab would: alone in an empty folder, beside Colab's versions, the module installed from a wheel.

    python tools/colab_check.py                # makes a virtual environment in a temporary folder; 10 minutes on 2 cores
    python tools/colab_check.py --keep there   # leaves everything in the folder there/colab-check, and uses it again

The versions stand in tools/colab.txt. The set-up cell finds the module and installs nothing; the cells run in the fast
speed. The last lines are pytest's own, and its exit status is this program's.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="a folder outside the repository, for the environment and the notebooks")
    keep = parser.parse_args().keep
    if keep is not None and keep.resolve().is_relative_to(ROOT):
        parser.error(f"{keep} lies in the repository, where a chapter would not be alone; give a folder outside it.")
    with tempfile.TemporaryDirectory() as temporary:
        # A folder of our own in the one that was given: what is replaced there is never anybody else's.
        return check((keep or Path(temporary)).resolve() / "colab-check")


def check(place):
    env, wheels, notebooks = (place / name for name in ("env", "wheels", "notebooks"))
    python = env / "bin" / "python"
    if not python.exists():
        venv.create(env, with_pip=True)
    run = lambda *words, **more: subprocess.run([str(word) for word in words], check=True, **more)
    pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check")
    shutil.rmtree(wheels, ignore_errors=True)
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    for package in ("torch", "torchvision"):  # first and alone, as in the Makefile
        run(*pip, "install", next(pin for pin in pins if pin.startswith(f"{package}==")))
    run(*pip, "install", "--requirement", ROOT / "tools" / "colab.txt")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", wheels, ROOT)
    run(*pip, "install", "--no-deps", "--force-reinstall", *wheels.glob("*.whl"))
    shutil.rmtree(notebooks, ignore_errors=True)
    for chapter in sorted((ROOT / "notebooks").glob("*.ipynb")):
        alone = notebooks / chapter.stem
        alone.mkdir(parents=True)
        shutil.copy(chapter, alone)
    run(python, "-m", "pip", "--disable-pip-version-check", "freeze")  # the versions, for the record
    fast = {**os.environ, "FIXMATCH_LITE_FAST": "1", "OMP_NUM_THREADS": "1", "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": str(ROOT / "tools")}
    return subprocess.run([python, "-m", "pytest", "-p", "second_kernel", "-n", "2", "--dist", "loadfile",
                           "--nbval-lax", "--nbval-current-env", "."], cwd=notebooks, env=fast).returncode


if __name__ == "__main__":
    sys.exit(main())
