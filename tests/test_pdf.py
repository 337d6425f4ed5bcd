"""The book as a PDF: a few of its pages printed, joined, numbered and found again, widgets as pictures."""

import importlib.util
import re

import pytest

from browser_kit import CHROMIUM, HTML
from conftest import ROOT
from fixmatch_lite.widgets import style

# Two short ones with a widget, of canvases and of SVG, among others.
PRINTED = [("book/index.html", "FixMatch Lite"), ("notebooks/08_consistency.html", "8. Who teaches whom?"),
           ("book/notation.html", "Notation, names and colors"), (None, "Look it up"),
           ("book/exercises.html", "All exercises")]


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
    assert "book/teachers.html" in files and "book/figures.html" not in files  # whose pictures stand in the chapters
    assert [caption for file, caption in entries if file is None][0] == "What a label is worth"


@pytest.fixture(scope="module")
def printed(tool, tmp_path_factory):
    """([(title, page number)], the PDF as pypdf reads it, the text of each of its pages)"""
    from pypdf import PdfReader

    assert CHROMIUM, "needs a Chromium"
    out = tmp_path_factory.mktemp("pdf") / "book.pdf"
    found, pdf = tool.make(PRINTED, out, CHROMIUM), PdfReader(out)
    return found, pdf, [page.extract_text() for page in pdf.pages]


@pytest.mark.browser
def test_pages_are_joined_numbered_and_listed(printed):
    found, pdf, texts = printed
    titles = [title for title, _ in found]
    assert titles == [item.title for item in pdf.outline] == [title for file, title in PRINTED if file]
    for number, text in enumerate(texts, start=1):
        assert re.search(rf"(^|\n){number}\s*$", text.strip()), text[-60:]
        assert pdf.pages[number - 1].images or len(text.strip()) > 40, f"page {number} is empty"
    for title, number in found:
        assert title in texts[number - 1] and re.search(rf"{re.escape(title)}\s*{number}", texts[0])
        assert pdf.get_destination_page_number(next(item for item in pdf.outline if item.title == title)) == number - 1
    assert "Look it up" in texts[0]
    links = [note.get_object()["/A"]["/URI"] for page in pdf.pages for note in page.get("/Annots", ())
             if "/URI" in note.get_object().get("/A", {})]
    assert all(link.startswith("http") for link in links)


def _lines(page):
    """{color: how many pieces its longest stroked line has} of a page."""
    from pypdf.generic import ContentStream

    longest, color, pieces = {}, None, 0
    for operands, operator in ContentStream(page.get_contents(), page.pdf).operations:
        if operator == b"RG":
            color = "#" + "".join(f"{round(255 * float(share)):02X}" for share in operands)
        elif operator == b"m":
            pieces = 0
        elif operator == b"l":
            pieces += 1
        elif operator == b"S":
            longest[color] = max(longest.get(color, 0), pieces)
    return longest


@pytest.mark.browser
def test_widgets_are_printed_as_pictures(printed):
    found, pdf, texts = printed
    playground = pdf.pages[dict(found)["FixMatch Lite"] - 1]
    colors = [len(picture.image.convert("RGB").getcolors(2**24)) for picture in playground.images]
    assert len(colors) == 3 and min(colors) > 100, "one canvas for each of three networks, and none of them blank"
    tracker = pdf.pages[next(k for k, text in enumerate(texts) if "share of the start left" in text)]
    values = re.search(r'"values":\[([^]]+)\]', (HTML / "notebooks" / "08_consistency.html").read_text())[1].split(",")
    pieces, lines = len(values) - 1, _lines(tracker)
    assert pieces > 100 and [lines.get(style.LIGHT[name]) for name in ("labeled", "accuracy")] == [pieces, pieces]
