"""The book as a PDF: two of its pages printed, joined, numbered and found again."""

import importlib.util
import re

import pytest

from browser_kit import CHROMIUM
from conftest import ROOT


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("make_pdf", ROOT / "tools" / "make_pdf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_contents_name_every_page_in_its_order(tool):
    entries = tool.contents_of((ROOT / "_toc.yml").read_text())
    files = [file for file, _ in entries if file]
    assert files[0] == "book/index.html" and len(files) == len(set(files))
    assert {f"notebooks/{path.stem}.html" for path in (ROOT / "notebooks").glob("*.ipynb")} <= set(files)
    assert [caption for file, caption in entries if file is None][0] == "What a label is worth"


@pytest.mark.browser
def test_pages_are_joined_numbered_and_listed(tool, tmp_path):
    from pypdf import PdfReader

    assert CHROMIUM, "needs a Chromium"
    out = tmp_path / "book.pdf"
    found = tool.make([("book/notation.html", ""), (None, "Look it up"), ("book/exercises.html", "")], out, CHROMIUM)
    pdf = PdfReader(out)
    texts = [page.extract_text() for page in pdf.pages]
    assert [title for title, _ in found] == [item.title for item in pdf.outline] == ["Notation, names and colors", "All exercises"]
    for number, text in enumerate(texts, start=1):
        assert re.search(rf"(^|\n){number}\s*$", text.strip()), text[-60:]
    for title, number in found:
        assert title in texts[number - 1] and re.search(rf"{title}\s*{number}", texts[0])
        assert pdf.get_destination_page_number(next(item for item in pdf.outline if item.title == title)) == number - 1
    assert "Look it up" in texts[0]
    links = [note.get_object()["/A"]["/URI"] for page in pdf.pages for note in page.get("/Annots", ())
             if "/URI" in note.get_object().get("/A", {})]
    assert all(link.startswith("http") for link in links)
