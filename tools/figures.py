"""All files of the built page of every figure in one zip beside it, with a list of their captions. `make book` runs it."""

import argparse
import zipfile
from pathlib import Path

from bs4 import BeautifulSoup

PAGE = Path(__file__).resolve().parent.parent / "_build" / "html" / "book" / "figures.html"
CREDIT = "Figures of FixMatch Lite, licensed under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/).\n"


def make():
    """Write ``figures.zip``; returns the names of the figures in it."""
    told = {}
    with zipfile.ZipFile(PAGE.with_name("figures.zip"), "w", zipfile.ZIP_DEFLATED) as packed:
        for plate in BeautifulSoup(PAGE.read_text(encoding="utf-8"), "html.parser").select(".fm-plate"):
            link = plate.select_one("a[download]").extract()
            packed.write(PAGE.parent / link["href"], link["download"])
            told[link["download"]] = f"{plate.p.get_text().strip()}\n{plate.img['alt']}\n"
        packed.writestr("figures.txt", "\n".join([CREDIT, *(f"{name}\n{text}" for name, text in told.items())]))
    return list(told)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(*make(), sep="\n")
