"""The built pages in use: a headless Chromium opens each from the disk, with no network, and moves what can be moved."""

import os
import re
import shutil

import pytest

from conftest import ROOT

HTML = ROOT / "_build" / "html"
PAGES = sorted(page.relative_to(HTML).as_posix() for page in HTML.rglob("*.html")
               if not {"_modules", "_static"} & set(page.parts)) or ["index.html"]
WRITTEN = [page for page in PAGES if page.startswith(("book/", "notebooks/"))] or PAGES
WITH_WIDGETS = [page for page in WRITTEN if (HTML / page).is_file()
                and re.search(r'<figure[^>]*class="[^"]*fm-widget', (HTML / page).read_text())] or PAGES[:1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.browser


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


@pytest.fixture()
def visit(chromium):
    """Open a page of the book: a Playwright page whose `.complaints` lists errors and requests for anything elsewhere."""
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


@pytest.mark.parametrize("name", PAGES)
def test_page_is_quiet_asks_nobody_and_sets_its_math(visit, name):
    page = visit(name)
    page.wait_for_load_state("networkidle")
    formulas = page.locator(".math:not(nav *)").count()
    if formulas:
        page.wait_for_function("n => document.querySelectorAll('mjx-container svg').length >= n", arg=formulas)
        assert page.locator("mjx-merror, [data-mml-node=merror]").count() == 0
    assert page.complaints == []
    assert page.evaluate("typeof require") == "undefined"


@pytest.mark.parametrize("name", WRITTEN)
def test_page_does_not_scroll_sideways_on_a_small_phone(visit, name):
    page = visit(name, width=320, height=640)
    page.wait_for_timeout(300)
    wide = page.evaluate("""() => [...document.querySelectorAll('article *')].filter(e => {
        const box = e.getBoundingClientRect();
        if (box.width === 0 || box.right <= innerWidth + 1) return false;
        for (let p = e.parentElement; p && p.tagName !== 'ARTICLE'; p = p.parentElement)
            if (getComputedStyle(p).overflowX !== 'visible') return false;
        return true;
    }).slice(0, 5).map(e => e.outerHTML.slice(0, 160))""")
    assert wide == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 320


@pytest.mark.parametrize("name", WRITTEN)
def test_pictures_are_loaded_and_described(visit, name):
    page = visit(name)
    page.evaluate("document.querySelectorAll('img').forEach(i => { i.loading = 'eager' })")
    page.wait_for_timeout(200)
    images = page.evaluate("[...document.images].map(i => [i.alt, i.naturalWidth, i.src])")
    for alt, width, source in images:
        assert alt.strip() and not re.search(r"[0-9a-f]{16}", alt), source
        assert width > 0, source


def test_contents_open_on_a_phone(visit):
    page = visit("book/index.html", width=390, height=844, has_touch=True, is_mobile=True)
    contents = page.locator("#pst-primary-sidebar, .bd-sidebar-primary").first
    link = page.locator('.bd-sidebar-primary a[href*="04_self_training"], dialog a[href*="04_self_training"]').first
    assert not link.is_visible() or link.bounding_box()["x"] < 0, "closed at first"
    page.locator("button.primary-toggle:visible, label.primary-toggle:visible").first.tap()
    page.wait_for_timeout(600)
    box = link.bounding_box()
    assert box and 0 <= box["x"] and box["x"] + box["width"] <= 390 + 1
    link.tap()
    page.wait_for_url("**/04_self_training.html")
    assert contents.count() and page.complaints == []


def _contrast(page, selector):
    return page.evaluate("""selector => {
        const rgb = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
        const light = c => rgb(c).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
        return Math.min(...[...document.querySelectorAll(selector)].slice(0, 40).map(e => {
            let back = e; while (back && /rgba\\(.*, 0\\)|transparent/.test(getComputedStyle(back).backgroundColor)) back = back.parentElement;
            const [a, b] = [light(getComputedStyle(e).color), light(back ? getComputedStyle(back).backgroundColor : 'rgb(255,255,255)')];
            return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        }));
    }""", selector)


@pytest.mark.parametrize("name", WRITTEN)
def test_text_can_be_read_in_both_themes(visit, name):
    page = visit(name, color_scheme="light")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        if "handouts/" not in name:  # the sheets follow the reader's system, without a button
            page.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)
        _read_in(page, scheme)


TEXTS = ["article p", "article p a", "article h1, article h2", ".bd-sidebar-primary a", "article td, article th",
         "article figcaption", "article pre, article pre span", "article summary", "figure.fm-widget label"]


def _read_in(page, scheme):
    for _ in range(25):  # colors fade from one theme to the other
        faint = {text: ratio for text in TEXTS if page.locator(text).count() and (ratio := _contrast(page, text)) < 4.5}
        if not faint:
            return
        page.wait_for_timeout(200)
    assert not faint, f"in the {scheme} theme"


def test_theme_button_goes_round(visit):
    page = visit("book/index.html", color_scheme="light")
    seen = set()
    for _ in range(3):
        seen.add(page.evaluate("document.documentElement.dataset.theme"))
        page.locator("button.theme-switch-button:visible").first.click()
    assert seen == {"light", "dark"} and page.complaints == []


def _state(figure):
    """What a reader sees of a widget: its numbers, and its pictures with their descriptions."""
    return figure.evaluate("""f => ({
        numbers: [...f.querySelectorAll('output')].map(o => o.textContent).join(' | '),
        pictures: [...f.querySelectorAll('[role=img]')].map(p => (p.getAttribute('aria-label') || '')
            + (p.tagName === 'CANVAS' ? p.toDataURL().length + p.toDataURL().slice(-200) : p.innerHTML)).join(' | '),
        text: f.innerText })""")


def _figures(page):
    page.wait_for_timeout(300)
    figures = page.locator("figure.fm-widget")
    return [figures.nth(i) for i in range(figures.count())]


@pytest.mark.parametrize("name", WITH_WIDGETS)
def test_sliders_answer_to_the_keyboard(visit, name):
    page = visit(name)
    for figure in _figures(page):
        sliders = figure.locator("input[type=range]")
        for i in range(sliders.count()):
            slider = sliders.nth(i)
            if not slider.is_visible() or slider.is_disabled():
                continue
            slider.focus()
            before = _state(figure)
            page.keyboard.press("ArrowRight")
            page.keyboard.press("ArrowRight")
            after = _state(figure)
            if after["numbers"] == before["numbers"]:  # it stood at its end
                page.keyboard.press("ArrowLeft")
                page.keyboard.press("ArrowLeft")
                after = _state(figure)
            assert after["numbers"] != before["numbers"], f"slider {i + 1} of {figure.get_attribute('id')}"
            assert slider.get_attribute("data-lm-suppress-shortcuts") == "true"
    assert page.complaints == []


@pytest.mark.parametrize("name", WITH_WIDGETS)
def test_sliders_answer_to_the_mouse_and_the_picture_follows(visit, name):
    page = visit(name)
    for figure in _figures(page):
        sliders = figure.locator("input[type=range]")
        pictures = set()
        for i in range(sliders.count()):
            slider = sliders.nth(i)
            if not slider.is_visible() or slider.is_disabled():
                continue
            slider.scroll_into_view_if_needed()
            numbers = set()
            for share in (0.1, 0.5, 0.9):
                box = slider.bounding_box()
                page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
                state = _state(figure)
                numbers.add(state["numbers"])
                pictures.add(state["pictures"])
            assert len(numbers) > 1, f"slider {i + 1} of {figure.get_attribute('id')}"
        if pictures and pictures != {""}:  # a question asked with a slider has no picture
            assert len(pictures) > 1, f"the picture of {figure.get_attribute('id')} never changes"
    assert page.complaints == []


@pytest.mark.parametrize("name", WITH_WIDGETS)
def test_every_button_and_choice_of_a_widget_works_by_keyboard(visit, name):
    page = visit(name)
    for figure in _figures(page):
        # Sliders have tests of their own; a figure without any control only shows something, a stored guess for instance
        before, changed = _state(figure), figure.locator("input[type=range]").count() > 0
        changed = changed or figure.locator("input, select, button, summary, [tabindex]").count() == 0
        for selector, key in [("input[type=radio], input[type=checkbox]", "Space"), ("button", "Enter"), ("summary", "Enter")]:
            controls = figure.locator(selector)
            for i in range(controls.count()):
                control = controls.nth(i)
                if control.is_visible() and control.is_enabled():
                    control.focus()
                    page.keyboard.press(key)
                    page.wait_for_timeout(60)
                    changed = changed or _state(figure) != before
        assert changed, f"nothing in {figure.get_attribute('id')} does anything"
    assert page.complaints == []


@pytest.mark.parametrize("name", WITH_WIDGETS)
def test_pictures_of_widgets_state_their_numbers(visit, name):
    page = visit(name)
    for figure in _figures(page):
        for label in figure.locator("[role=img]").evaluate_all("all => all.map(p => p.getAttribute('aria-label') || '')"):
            assert re.search(r"\d", label), f"{figure.get_attribute('id')}: {label!r}"
        if figure.locator("[role=img]").count():
            if figure.locator("details[open]").count() == 0:
                figure.locator("summary").first.focus()
                page.keyboard.press("Enter")
            figure.locator("details[open] table").first.wait_for(state="visible")
        for control in figure.locator("input:not([type=hidden]), select").all():
            named = control.evaluate("c => (c.labels && c.labels.length && c.labels[0].innerText.trim()) || c.ariaLabel || ''")
            assert named, f"{figure.get_attribute('id')}: an input without a label"


@pytest.mark.parametrize("name", WITH_WIDGETS)
def test_page_without_scripts_still_shows_its_widgets(visit, name):
    page = visit(name, java_script_enabled=False)
    for figure in page.locator("figure.fm-widget").all():
        assert len(figure.inner_text().split()) >= 5


def test_a_recorded_run_leads_to_its_curves(visit):
    page = visit("book/runs.html")
    page.locator(".fm-all-runs a", has_text=re.compile("^digits-20-pseudo_label-seed0$")).click()
    figure = page.locator("figure.fm-run-explorer")
    shown = [figure.get_by_label(name, exact=True).input_value() for name in ("Data", "Labels", "Method")]
    assert shown == ["digits", "20", "pseudo_label"] and page.complaints == []
    page.locator(".fm-all-runs a", has_text=re.compile("^digits-grid-tau0.8-mu2-seed0$")).click()
    page.wait_for_url("**/10_two_knobs.html#*")
    knobs = page.locator("figure.fm-two-knobs")
    assert knobs.get_by_label("Threshold").get_attribute("aria-valuetext") == "0.8"
    assert knobs.get_by_label("Unlabeled per labeled").get_attribute("aria-valuetext") == "2"
    assert page.complaints == []
