"""The built pages, read as files: whole, linked, described, and loading nothing from elsewhere."""

import json
import os
import re
import zipfile
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

from conftest import ROOT

HTML = ROOT / "_build" / "html"
# Below _static lie files of the theme's own, templates among them, which no page links to.
PAGES = sorted(page for page in HTML.rglob("*.html") if "_static" not in page.parts) or [HTML / "index.html"]
CHAPTERS = [page for page in PAGES if page.parent.name == "notebooks"]
CONTENTS = re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text())
WRITTEN = [page for page in PAGES if page.relative_to(HTML).with_suffix("").as_posix() in CONTENTS]


def name(page):
    return page.relative_to(HTML).as_posix()


_read = {}


def soup(page):
    if page not in _read:
        assert page.is_file(), "the book is not built: run make book"
        _read[page] = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    return _read[page]


def elsewhere(address):
    return bool(urlsplit(address).scheme or address.startswith("//"))


def test_book_is_built_from_these_sources():
    record = ROOT / "_build" / "fingerprints.json"
    assert record.is_file(), "the book is not built: run make book"
    import sys
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import build_book
    finally:
        sys.path.pop(0)
    kept = json.loads(record.read_text())
    assert kept.get("built") is True, "the last build failed"
    assert kept["pages"] == build_book.fingerprint(build_book.PAGES), "pages changed since: run make book"
    assert kept["code"] == build_book.fingerprint(build_book.CODE), "the module changed since: run make book"


def test_pages_are_those_of_the_contents_and_no_others():
    assert sorted(CONTENTS) == sorted(page.relative_to(HTML).with_suffix("").as_posix() for page in WRITTEN)
    others = {name(page) for page in PAGES} - {name(page) for page in WRITTEN}
    made_by_sphinx = {"index.html", "genindex.html", "search.html", "py-modindex.html"}
    sheets = {f"book/handouts/session-{k}.html" for k in range(1, 5)}
    assert {page for page in others if not page.startswith("_modules/")} <= made_by_sphinx | sheets


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_nothing_is_loaded_from_elsewhere(page):
    loads = [tag.get("src") for tag in soup(page).find_all(["script", "img", "iframe", "source", "audio", "video", "embed"])]
    loads += [tag.get("href") for tag in soup(page).find_all("link")
              if not set(tag.get("rel", [])) & {"canonical", "next", "prev", "author", "index", "search", "license"}]
    for address in filter(None, loads):
        if address.startswith("data:"):
            continue
        assert not elsewhere(address), address
        assert (page.parent / unquote(urlsplit(address).path)).is_file(), address
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"thebe|require(js|\.js)|unpkg\.com|jsdelivr|cdnjs|embed-amd", text, re.I)


def loaded(css):
    """The addresses that a style sheet loads."""
    return re.findall(r"""url\(\s*['"]?([^'")]+)""", css) + re.findall(r"""@import\s*['"]([^'"]+)""", css)


def test_every_way_of_loading_is_seen():
    css = """@import "//a.org/1.css"; @import 'https://a.org/2.css' print; @import url(https://a.org/3.css);
             @import url("https://a.org/4.css"); p {background: url( 'https://a.org/5.png')}"""
    assert sorted(re.search(r"\d", address)[0] for address in loaded(css)) == list("12345") and all(map(elsewhere, loaded(css)))


def test_style_sheets_load_nothing_from_elsewhere():
    for sheet in HTML.rglob("*.css"):
        for address in loaded(sheet.read_text(encoding="utf-8")):
            if not address.startswith(("data:", "#")):
                assert not elsewhere(address), f"{sheet.name}: {address}"
                if sheet.name == "fixmatch.css":
                    assert (sheet.parent / address).is_file(), address


def test_zip_holds_every_page_and_what_it_needs():
    with zipfile.ZipFile(ROOT / "_build" / "fixmatch-lite-book.zip") as packed:
        names = {name.removeprefix("fixmatch-lite-book/"): packed.getinfo(name).file_size for name in packed.namelist()}
    there = {path.relative_to(HTML).as_posix(): path.stat().st_size for path in HTML.rglob("*") if path.is_file()}
    assert names == there and "index.html" in names


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in soup(page).find_all("a", href=True):
        address, fragment = urldefrag(link["href"])
        if elsewhere(address):
            assert urlsplit(address).scheme in ("http", "https"), address
            continue
        target = (page.parent / unquote(urlsplit(address).path)).resolve() if address else page
        assert target.is_file(), link["href"]
        if fragment and target.suffix == ".html":
            ids = soup(target).find(id=unquote(fragment)) or soup(target).find(attrs={"name": unquote(fragment)})
            assert ids, f"{link['href']}: nothing on that page is called so"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_to_the_repository_name_files_that_exist(page):
    config = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]
    slug = config["url"].removeprefix("https://github.com/")
    for link in soup(page).find_all("a", href=True):
        match = re.search(rf"(?:github\.com|research\.google\.com/github)/{slug}/(?:blob|edit|raw|tree)/{config['branch']}/([^?#]+)",
                          link["href"])
        if match:
            assert (ROOT / unquote(match[1])).exists(), link["href"]


@pytest.mark.parametrize("page", CHAPTERS or PAGES, ids=name)
def test_chapter_is_downloaded_and_opened_in_colab_as_it_is_in_the_repository(page):
    repository = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]
    notebook = f"notebooks/{page.stem}.ipynb"
    links = [link["href"] for link in soup(page).select('a[href$=".ipynb"]')]
    downloads = [link for link in links if "/_sources/" in link]
    assert downloads == [f"../_sources/{notebook}"]
    assert (page.parent / downloads[0]).read_bytes() == (ROOT / notebook).read_bytes(), "changed since: run make book"
    colab = [urlsplit(link).path for link in links if urlsplit(link).netloc == "colab.research.google.com"]
    assert colab == [f"/github{urlsplit(repository['url']).path}/blob/{repository['branch']}/{notebook}"]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pictures_are_described(page):
    for image in soup(page).find_all("img"):
        alt = image.get("alt", "").strip()
        assert alt, image.get("src")
        assert not re.search(r"[0-9a-f]{16}|\.(svg|png|jpe?g)$|^_images", alt), f"{alt!r} is a file's name"
    for picture in soup(page).select("svg[role=img]"):
        assert picture.get("aria-label") or picture.find("title"), str(picture)[:200]


@pytest.mark.parametrize("page", WRITTEN or PAGES, ids=name)
def test_headings_stand_in_order(page):
    article = soup(page).find("article")
    levels = [int(tag.name[1]) for tag in article.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:])), levels


@pytest.mark.parametrize("page", WRITTEN or PAGES, ids=name)
def test_a_fold_is_named_by_what_is_seen_on_it(page):
    assert [fold for fold in soup(page).find_all("summary") if fold.get("aria-label") or not fold.get_text(strip=True)] == []


@pytest.mark.parametrize("page", WRITTEN or PAGES, ids=name)
def test_a_number_and_its_percent_sign_stay_on_one_line(page):
    texts = [text for part in soup(page).select("section > p, section > ul > li, figcaption p")
             for text in part.find_all(string=True) if not text.find_parent(["code", "pre", "script", "style"])]
    assert not [text for text in texts if re.search(r"\d %", text)]


@pytest.mark.parametrize("page", WRITTEN or PAGES, ids=name)
def test_page_says_its_language_and_has_our_icon(page):
    assert soup(page).html.get("lang") == "en"
    assert "FixMatch Lite" in soup(page).title.text
    assert soup(page).find("link", rel="icon")["href"].endswith("favicon.svg")


def widgets():
    return [(page, number) for page in PAGES if page.is_file()
            for number in range(len(soup(page).select("figure.fm-widget")))]


@pytest.mark.parametrize("page, number", widgets() or [(PAGES[0], 0)], ids=lambda value: name(value) if isinstance(value, Path) else str(value))
def test_widget_shows_a_picture_and_a_sentence_without_its_script(page, number):
    figure = soup(page).select("figure.fm-widget")[number]
    still = BeautifulSoup(str(figure), "html.parser")
    for script in still.find_all(["script", "style"]):
        script.decompose()
    assert len(still.get_text(" ", strip=True).split()) >= 5
    assert figure.get("id", "").startswith("fm-")
    if not {"fm-guess", "fm-quiz"} & {*figure["class"]}:  # a question is read, not seen
        labels = [picture.get("aria-label", picture.get("alt", "")) for picture in still.select("svg[role=img], img")]
        assert labels and all(label.strip() for label in labels)


def test_first_page_has_its_widget_first():
    article = soup(HTML / "book" / "index.html").find("article")
    first = article.find(["figure", "h2"])
    assert first.name == "figure" and "fm-widget" in first["class"]


def test_every_chapter_has_a_widget():
    assert CHAPTERS
    for page in CHAPTERS:
        assert soup(page).select("figure.fm-widget"), name(page)


@pytest.mark.parametrize("page", CHAPTERS or PAGES, ids=name)
def test_solutions_are_folded(page):
    folded = [summary.get_text(" ", strip=True) for summary in soup(page).select("article details summary")]
    assert sum("Show the solution" in text for text in folded) >= 5
    assert not [d for d in soup(page).select("article details.hide") if d.has_attr("open")]


@pytest.mark.parametrize("page", CHAPTERS or PAGES, ids=name)
def test_every_worked_solution_is_right(page):
    """The page was built by running it: each solution ends with what its checker printed."""
    exercises = [tag for tag in soup(page).select("article h3") if re.match(r"Exercise \d+", tag.get_text(" ", strip=True))]
    said = [output.get_text("\n").strip().splitlines()[-1] for output in soup(page).select("article .cell_output .output.stream")
            if re.search(r"^(Right[.:]|Not yet\.|Not answered yet)", output.get_text(), re.M)]
    assert sum(text.startswith("Right") for text in said) == len(exercises) >= 5
    assert not [text for text in said if text.startswith("Not yet")]


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_lists_and_tables_say_what_they_are(page):
    for item in soup(page).select("[role=list] > *"):
        assert item.get("role") == "listitem" or item.name in ("script", "template"), str(item)[:120]
    assert not [th for th in soup(page).select("article th") if not th.get_text(strip=True)]


def test_every_figure_stands_on_the_page_of_figures():
    page = soup(HTML / "book" / "figures.html")
    there = {(link["href"], link.get_text()) for link in page.select(".fm-plate strong a")}
    captions = " ".join(page.select_one("article").get_text().split())
    wanted, movable = set(), set()
    for path in WRITTEN:
        address = os.path.relpath(path, HTML / "book")
        for figure in soup(path).select("article figure"):
            if caption := figure.select_one(".caption-text"):
                number = figure.select_one(".caption-number").get_text().split()[1]
                wanted.add((f"{address}#{figure['id']}", f"Figure {number}"))
                assert " ".join(caption.get_text().split()) in captions
            elif not {"fm-guess", "fm-quiz"} & set(figure["class"]):
                movable.add(f"{address}#{figure['id']}")
    assert there == wanted and len(wanted) > 40
    assert {link["href"] for link in page.select("article section ul a")} == movable and len(movable) > 10


def test_files_of_the_figures_are_those_of_their_page():
    path = HTML / "book" / "figures.html"
    plates = soup(path).select(".fm-plate")
    with zipfile.ZipFile(path.with_name("figures.zip")) as packed:
        told = packed.read("figures.txt").decode()
        for plate in plates:
            link = plate.select_one("a[download]")
            assert link["href"] == plate.img["src"] and plate.img["alt"] in told
            assert packed.read(link["download"]) == (path.parent / link["href"]).read_bytes()
        assert len(packed.namelist()) == len(plates) + 1 and "CC BY 4.0" in told
    assert path.with_name("figures.zip").name in [link["href"] for link in soup(path).select("article a[href]")]


# The teachers' sheets ----------------------------------------------------------------------------------------------

IN_CLASS = {1: ("02", "03"), 2: ("05", "06"), 3: ("08", "09"), 4: ("13", "11")}


def sheet_and_chapters(session):
    page = soup(HTML / "book" / "handouts" / f"session-{session}.html")
    return page, [soup(next(path for path in CHAPTERS if path.name.startswith(number))) for number in IN_CLASS[session]]


@pytest.mark.parametrize("session", IN_CLASS)
def test_sheet_asks_all_that_its_chapters_ask(session):
    sheet, chapters = sheet_and_chapters(session)
    asked, answered = sheet.get_text().split("What the figures show")
    for chapter in chapters:
        assert chapter.select_one("#guess-first > p").get_text() in asked
        tasks = chapter.select("section#exercises > section")
        assert len(tasks) >= 5 and all(task.p.get_text() in asked for task in tasks)
        questions = chapter.select("figure.fm-quiz > p:not(.fm-title)")
        assert len(questions) >= 4 and all(question.get_text() in asked for question in questions)
        for point in chapter.select("section#key-points li"):
            assert point.get_text() in answered and point.get_text() not in asked
        for caption in chapter.select("figcaption .caption-text"):
            assert caption.get_text().strip() in answered and caption.get_text().strip() not in asked
        printed = [output.get_text().split("\n") for output in chapter.select("section#exercises .tag_solution .output.stream")]
        assert len(printed) == len(tasks)
        for lines in printed:
            told = "; ".join(filter(None, (" ".join(line.split()) for line in lines)))
            assert told in answered and (told == "Right." or told not in asked), told


def test_the_guess_has_its_picture_on_page_one():
    sheet, (_, chapter) = sheet_and_chapters(1)
    (picture,) = chapter.select("section#guess-first figure.align-default img")
    (shown,) = [image for image in sheet.select("img") if image["alt"] == picture["alt"]]
    assert shown.find_next("h2").get_text() == "What do you see?"


@pytest.mark.parametrize("session", IN_CLASS)
def test_sheet_gives_no_answer_before_its_last_page(session):
    sheet, chapters = sheet_and_chapters(session)
    assert not sheet.select("pre, details, button, input, .fm-widget")
    asked = sheet.get_text().split("What the figures show")[0]
    for chapter in chapters:
        reasons = [li.get_text()[1:].strip() for li in chapter.select("figure.fm-quiz details li")]
        assert len(reasons) >= 12 and not any(reason in asked for reason in reasons)
        assert len(chapter.select("figure.align-default")) <= len(sheet.select("img")), "a figure is missing"
    letters = [p.get_text()[16:-1] for p in sheet.find_all("p") if p.get_text().startswith("Check yourself: ")]
    for chapter, given in zip(chapters, letters, strict=True):
        right = ["abcdef"[[li.get_text()[0] for li in reasons.select("li")].index("✓")] for reasons in chapter.select("figure.fm-quiz details")]
        assert given == ", ".join(f"{k} {letter}" for k, letter in enumerate(right, 1))


@pytest.mark.parametrize("session", IN_CLASS)
def test_sheet_finds_its_pictures_style_and_formulas(session):
    path = HTML / "book" / "handouts" / f"session-{session}.html"
    sheet = soup(path)
    files = [tag.get("src") or tag.get("href") for tag in sheet.select("img, script[src], link")]
    assert len(files) > 4 and all((path.parent / unquote(urlsplit(file).path)).is_file() for file in files)
    assert all(image["alt"].strip() for image in sheet.select("img"))
    assert any("mathjax" in file for file in files)
    assert f"handouts/{path.name}" in [link["href"] for link in soup(HTML / "book" / "teachers.html").select("a[href]")]
