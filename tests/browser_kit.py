"""A headless Chromium that opens the built pages from the disk, with no network: for the tests of pages and of widgets."""

import os
import re
import shutil
from contextlib import contextmanager

import pytest

from conftest import ROOT

HTML = ROOT / "_build" / "html"
PAGES = sorted(page.relative_to(HTML).as_posix() for page in HTML.rglob("*.html")
               if not {"_modules", "_static"} & set(page.parts)) or ["index.html"]
WRITTEN = [page for page in PAGES if page.startswith(("book/", "notebooks/"))] or PAGES
WITH_WIDGETS = [page for page in WRITTEN if (HTML / page).is_file()
                and re.search(r'<figure[^>]*class="[^"]*fm-widget', (HTML / page).read_text())] or PAGES[:1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        message = "no Chromium here (looked for chromium, chromium-browser, google-chrome)"
        pytest.fail(message) if os.environ.get("FIXMATCH_LITE_NEEDS_BROWSER") else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--disable-gpu", "--disable-background-networking"])
        yield browser
        browser.close()


@contextmanager
def visitor(chromium):
    """A function that opens a page: a Playwright page whose `.complaints` lists errors and requests for anything elsewhere."""
    assert (HTML / "index.html").is_file(), "the book is not built: run make book"
    contexts = []

    def open_page(name, width=1200, height=900, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.set_default_timeout(20_000)

        def on_request(route):
            address = route.request.url
            if address.startswith((HTML.as_uri(), "blob:", "data:")):
                route.continue_()
            else:
                page.complaints.append(f"asked for {address}")
                route.abort()

        context.route("**/*", on_request)
        page.on("pageerror", lambda error: page.complaints.append(f"error: {error}"))
        page.on("console", lambda message: page.complaints.append(f"console: {message.text}")
                if message.type == "error" else None)
        page.on("requestfailed", lambda request: page.complaints.append(f"did not load: {request.url}"))
        page.goto((HTML / name).as_uri(), wait_until="load")
        if name == "index.html":  # it only leads to the first page
            page.wait_for_url("**/book/index.html", wait_until="load")
        if options.get("java_script_enabled", True):
            page.evaluate("() => window.MathJax && MathJax.startup && MathJax.startup.promise.then(() => null)")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture()
def visit(chromium):
    with visitor(chromium) as open_page:
        yield open_page
