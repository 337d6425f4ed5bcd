"""The built pages in use: each is opened on a desk and on a phone, and must be quiet, complete and legible."""

import re

import pytest

from browser_kit import PAGES, WRITTEN, chromium, visit, visitor  # noqa: F401 (fixtures)

pytestmark = pytest.mark.browser


# Opening a page takes longest, so what changes nothing in it shares one: the tests of a page follow each other.
@pytest.fixture(scope="module")
def desk(chromium, request):
    with visitor(chromium) as open_page:
        yield open_page(request.param, color_scheme="light")


@pytest.fixture(scope="module")
def phone(chromium, request):
    with visitor(chromium) as open_page:
        yield open_page(request.param, width=320, height=640)


@pytest.mark.parametrize("desk", PAGES, indirect=True)
def test_page_is_quiet_asks_nobody_and_sets_its_math(desk):
    page = desk
    page.wait_for_load_state("networkidle")
    formulas = page.locator(".math:not(nav *)").count()
    if formulas:
        page.wait_for_function("n => document.querySelectorAll('mjx-container svg').length >= n", arg=formulas)
        assert page.locator("mjx-merror, [data-mml-node=merror]").count() == 0
    assert page.complaints == []
    assert page.evaluate("typeof require") == "undefined"


@pytest.mark.parametrize("desk", WRITTEN, indirect=True)
def test_formulas_are_read_and_are_no_stops_of_the_tab_key(desk):
    assert desk.locator("mjx-container[tabindex]").count() == 0
    assert desk.locator("mjx-container mjx-assistive-mml").count() == desk.locator("mjx-container").count()


@pytest.mark.parametrize("desk", WRITTEN, indirect=True)
def test_nothing_moves_for_who_asked_for_less_motion(desk):
    moving = desk.evaluate("""() => [...document.querySelectorAll('*')].filter(e => {
        const style = getComputedStyle(e);
        return [style.transitionDuration, style.animationDuration].some(d => d.split(',').some(s => parseFloat(s) > 0));
    }).slice(0, 5).map(e => e.outerHTML.slice(0, 160))""")
    assert moving == []


@pytest.mark.parametrize("phone", WRITTEN, indirect=True)
def test_page_does_not_scroll_sideways_on_a_small_phone(phone):
    phone.wait_for_timeout(300)
    wide = phone.evaluate("""() => [...document.querySelectorAll('article *')].filter(e => {
        const box = e.getBoundingClientRect();
        if (box.width === 0 || box.right <= innerWidth + 1) return false;
        for (let p = e.parentElement; p && p.tagName !== 'ARTICLE'; p = p.parentElement)
            if (getComputedStyle(p).overflowX !== 'visible') return false;
        return true;
    }).slice(0, 5).map(e => e.outerHTML.slice(0, 160))""")
    assert wide == []
    assert phone.evaluate("document.scrollingElement.scrollWidth") <= 320


@pytest.mark.parametrize("phone", WRITTEN, indirect=True)
def test_pictures_are_loaded_and_described(phone):
    phone.evaluate("document.querySelectorAll('img').forEach(i => { i.loading = 'eager' })")
    phone.wait_for_timeout(200)
    images = phone.evaluate("[...document.images].map(i => [i.alt, i.naturalWidth, i.src])")
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


def test_closed_contents_are_no_stops_of_the_tab_key(visit):
    page = visit("notebooks/01_study_hours.html", width=640, height=700)
    contents = page.locator(".bd-sidebar-secondary .section-nav").first
    assert contents.evaluate("e => getComputedStyle(e).visibility") == "hidden"


def test_the_focus_is_seen_and_stays_where_a_key_was_pressed(visit):
    page = visit("notebooks/01_study_hours.html")
    for name in ("Download this page", "Source repositories", "Color mode"):
        button = page.get_by_role("button", name=name).first
        page.keyboard.press("Tab")  # by key, so that the focus is shown
        button.focus()
        assert button.evaluate("e => getComputedStyle(e).outlineStyle") == "solid", name
    button.press("Enter")
    assert button.evaluate("e => e === document.activeElement") and "Color mode: " in page.locator("body > [role=status]").inner_text()
    copy = page.locator(".copybtn").first
    copy.press("Enter")
    assert copy.evaluate("e => e === document.activeElement") and page.locator("body > [role=status]").inner_text() == "Copied"


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


@pytest.mark.parametrize("desk", WRITTEN, indirect=True)
def test_text_can_be_read_in_both_themes(desk):
    page = desk
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        if "handouts/" not in page.url:  # the sheets follow the reader's system, without a button
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
