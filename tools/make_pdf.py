"""The whole book as one PDF: contents, page numbers, bookmarks, and every widget as the picture it opens with.

    python tools/make_pdf.py            # after `make book`; needs Chromium; `make pdf` does both

Each built page is printed by a headless Chromium in its light colors, with the worked solutions unfolded. Pages are
counted first, so that the contents can name them; numbers are then laid over the joined sheets.
"""

import argparse
import html
import io
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
OUT = ROOT / "_build" / "fixmatch-lite-book.pdf"
REPEATS = {"book/figures"}  # pages of pictures that others have printed
SHEET = {"format": "A4", "scale": 0.8, "margin": {"top": "18mm", "bottom": "20mm", "left": "18mm", "right": "18mm"}}
# No furniture of the site, no link to a file of the machine that printed it, solutions open, no figure cut in two.
PREPARE = """() => {
  for (const node of document.querySelectorAll(
    "#jb-print-toc, .bd-header-article, .prev-next-footer, .bd-footer-content, .bd-sidebar-secondary, .skip-link, " +
    ".headerlink, .toctree-wrapper")) node.remove();
  for (const link of document.querySelectorAll("a[href]"))
    if (!/^https?:/.test(link.getAttribute("href"))) link.removeAttribute("href");
  for (const details of document.querySelectorAll("details"))
    if (/solution/i.test(details.querySelector("summary")?.textContent || "")) details.open = true;
  const style = document.createElement("style");
  style.textContent = "figure, .cell_input, .cell_output, .highlight, pre, tr {break-inside: avoid} h1, h2, h3 {break-after: avoid}" +
    "* {animation: none !important; transition: none !important}";
  document.head.append(style);
}"""


def contents_of(toc: str):
    """The pages to print in their order: (file below _build/html, or None for the caption of a part, caption)."""
    entries = []
    for line in toc.splitlines():
        if match := re.match(r"\s*(?:root:|- file:)\s*(\S+)", line):
            if match[1] not in REPEATS:
                entries.append((f"{match[1]}.html", ""))
        elif match := re.match(r"\s*- caption:\s*(.+)", line):
            entries.append((None, match[1]))
    return entries


def sheet_of_contents(rows):
    """HTML of the contents: ``rows`` are (title, number or None)."""
    lines = "".join(f"<tr><th colspan=2>{html.escape(title)}</th></tr>" if number is None else
                    f"<tr><td>{html.escape(title)}</td><td>{number}</td></tr>" for title, number in rows)
    return ("<style>body{font-family:sans-serif}table{width:100%;border-collapse:collapse}th{text-align:left;padding-top:1em}"
            f"td{{padding:.15em 0}}td+td{{text-align:right}}</style><h1>FixMatch Lite</h1><h2>Contents</h2><table>{lines}</table>")


def sheet_of_numbers(count):
    """HTML of ``count`` sheets with nothing on them but their numbers."""
    each = "".join(f'<div style="height:297mm;page-break-after:always;position:relative"><p style="position:absolute;'
                   f'bottom:8mm;width:100%;text-align:center;font:9pt sans-serif">{k}</p></div>' for k in range(1, count + 1))
    return f"<style>@page{{size:A4;margin:0}}body{{margin:0}}</style>{each}"


def make(entries, out, chromium):
    """Print ``entries`` (see `contents_of`) into the file ``out``; returns [(title, page number)]."""
    from playwright.sync_api import sync_playwright
    from pypdf import PdfReader, PdfWriter

    read = lambda data: PdfReader(io.BytesIO(data))
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--disable-gpu", "--disable-background-networking"])
        page = browser.new_page(viewport={"width": 800, "height": 1100}, color_scheme="light", reduced_motion="reduce")

        def printed(content):
            page.set_content(content)
            return read(page.pdf(print_background=True, **SHEET))

        parts = []
        for file, caption in entries:
            if file is None:
                parts.append((caption, None))
                continue
            page.goto((HTML / file).as_uri())
            page.wait_for_function("() => !document.querySelector('mjx-assistive-mml') || window.MathJax?.startup?.promise")
            page.wait_for_timeout(700)  # widgets draw at the width they find
            # With reduced motion the playground trains first and draws then.
            page.wait_for_function("() => !document.querySelector('[aria-busy=true]')", timeout=120_000)
            title = page.locator("article h1").first.inner_text().strip().rstrip("#").strip()
            page.evaluate(PREPARE)
            parts.append((title, read(page.pdf(print_background=True, **SHEET))))

        first = 1 + len(printed(sheet_of_contents([(t, None if p is None else 0) for t, p in parts])).pages)
        rows = []
        for title, part in parts:
            rows.append((title, None if part is None else first))
            first += 0 if part is None else len(part.pages)
        writer = PdfWriter()
        writer.append(printed(sheet_of_contents(rows)), import_outline=False)
        for title, part in parts:
            if part is not None:
                writer.append(part, outline_item=title, import_outline=False)
        page.set_content(sheet_of_numbers(len(writer.pages)))
        for sheet, number in zip(writer.pages, read(page.pdf(prefer_css_page_size=True)).pages):
            sheet.merge_page(number)
        browser.close()
    writer.add_metadata({"/Title": "FixMatch Lite", "/Subject": "A book on semi-supervised learning"})
    writer.compress_identical_objects()
    writer.write(out)
    return [row for row in rows if row[1] is not None]


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        print("The PDF is printed by Chromium, and there is none. On Debian and Ubuntu: apt install chromium")
        return 1
    if not (HTML / "index.html").is_file():
        print("There is no built book yet: make book")
        return 1
    found = make(contents_of((ROOT / "_toc.yml").read_text(encoding="utf-8")), OUT, chromium)
    print(f"{OUT.relative_to(ROOT)}: {len(found)} chapters and pages, {OUT.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
