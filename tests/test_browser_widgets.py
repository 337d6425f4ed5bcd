"""The widgets in the built pages: every control is moved by mouse, keyboard or finger, and the picture must follow."""

import re
from pathlib import Path

import pytest

from browser_kit import HTML, WITH_WIDGETS, chromium, visit  # noqa: F401 (fixtures)
from fixmatch_lite import widgets
from test_widgets import draw_a_finger

pytestmark = pytest.mark.browser


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


# The key that moves each kind of control; sliders have tests of their own, and so has the button that copies a link.
KEYS = {"input[type=radio], input[type=checkbox]": "Space", "select": "ArrowDown", "input[type=number]": "ArrowUp",
        "button:not(.fm-foot button)": "Enter", "summary": "Enter"}
# Who need not change anything else: a guess is only marked until it is kept.
ONLY_MARKED = ".fm-guess input[type=radio]"
# Who cannot be moved here: a list of one, and what only a narrow screen shows.
NOT_HERE = "select:not(:has(option + option)), .fm-tabs button"
HELPERS = r"""() => {
  const of = (figure) => (figure.fmMoved ||= { moved: new Set(), offered: new Set() });
  const name = (c) => [c.tagName, c.name, c.ariaLabel || (c.labels?.[0] || c).textContent].join();
  // The controls a reader can reach and that were not moved yet, nor another that was rebuilt in their place.
  window.fmLeft = (figure, selector) => [...figure.querySelectorAll(selector)].filter((c) =>
    c.tabIndex >= 0 && !of(figure).moved.has(c) && !of(figure).moved.has(name(c)));
  // What has just appeared comes first: it may not stay.
  window.fmNext = (figure, selector, not) => {
    const { moved, offered } = of(figure),
      free = fmLeft(figure, selector).filter((c) => c.checkVisibility() && !c.disabled && !c.matches(not)),
      next = free.find((c) => !offered.has(c)) || free[0];
    free.forEach((c) => offered.add(c));
    if (next) moved.add(next).add(name(next));
    return next;
  };
  // All of a widget but the control that is moved, and but ids, which are new at each drawing.
  const seen = (figure, but) => figure.innerHTML.replace(but.outerHTML, "").replace(/fm-c\d+| open=""/g, "") +
    [...figure.querySelectorAll("canvas")].map((c) => c.toDataURL());
  window.fmLook = async (figure, but) => {
    // What trains does so in slices of 25 ms with less than 10 between them: wait until two timers are not held up.
    for (let k = 0, took = Infinity; took > 40 && k < 600; k++) {
      const begun = performance.now();
      for (const wait of [10, 10]) await new Promise((done) => setTimeout(done, wait));
      took = performance.now() - begun;
    }
    const before = seen(figure, but);
    window.fmChanged = () => seen(figure, but) !== before;
  };
}"""


@pytest.mark.parametrize("name", WITH_WIDGETS)
def test_every_control_of_a_widget_works_by_keyboard(visit, name):
    from playwright.sync_api import TimeoutError

    page = visit(name)
    page.evaluate(HELPERS)
    for figure in _figures(page):
        handle, of = figure.element_handle(), figure.get_attribute("id")
        for selector, key in KEYS.items():
            while control := page.evaluate_handle("a => fmNext(...a)", [handle, selector, NOT_HERE]).as_element():
                control.focus()
                page.evaluate("a => fmLook(...a)", [handle, control])
                keys = [key, "ArrowUp"]
                if selector == "select" and control.evaluate("c => c.selectedIndex === c.length - 1"):
                    keys.reverse()
                page.keyboard.press(keys[0])
                if control.evaluate("(c, only) => c.matches(only)", ONLY_MARKED):
                    assert control.is_checked()
                    continue
                try:
                    page.wait_for_function("fmChanged()", timeout=10_000, polling=50)
                except TimeoutError:
                    pytest.fail(f"changes nothing in {of}: {control.evaluate('c => c.outerHTML')}")
                if selector == "select":  # back, since what is chosen may leave the other controls nothing to do
                    page.keyboard.press(keys[1])
                elif control.inner_text().startswith("Stop"):  # twenty draws take long
                    page.keyboard.press(key)
        left = page.evaluate("([f, all, not]) => fmLeft(f, all).filter(c => !c.matches(not)).map(c => c.outerHTML)",
                             [handle, ", ".join(KEYS), NOT_HERE])
        assert not left, f"never to be moved in {of}"
        if (copy := figure.locator(".fm-foot button")).count():
            copy.press("Enter")
            assert page.evaluate("location.hash").startswith(f"#{of}?")
    assert page.complaints == []


def _with_a_slider():
    """(page, class) for each kind of widget that has a slider: the first page that shows one."""
    html, found = {name: (HTML / name).read_text() for name in WITH_WIDGETS if (HTML / name).is_file()}, []
    for module in Path(widgets.__file__).parent.glob("*.mjs"):
        if module.stem != "kit" and re.search(r"\bslider\(", module.read_text()):
            kind = "fm-" + module.stem.replace("_", "-")
            mark = f'class="fm-widget {kind}"'
            if kind == "fm-guess":  # of a number, not a choice
                mark += r'(?:(?!</figure>).)*"low":[-\d]'
            shown = (name for name in html if re.search(mark, html[name], re.S))
            found.append((next(shown, WITH_WIDGETS[0]), kind))
    return sorted(found)


@pytest.mark.parametrize("name, kind", _with_a_slider())
def test_a_finger_moves_the_first_slider_and_the_results(visit, name, kind):
    page = visit(name, width=390, height=844, is_mobile=True, has_touch=True)
    page.evaluate(HELPERS)
    figure = page.locator(f"figure.{kind}:has(input[type=range])").first
    slider = figure.locator("input[type=range]").first
    share = lambda: slider.evaluate("s => (s.value - s.min) / (s.max - s.min)")
    slider.evaluate("s => s.scrollIntoView({ block: 'center' })")
    page.evaluate("a => fmLook(...a)", [figure.element_handle(), slider.locator("xpath=..").element_handle()])
    before, box = slider.locator("xpath=../output").inner_text(), slider.bounding_box()
    start, end = (0.2, 0.8) if share() < 0.5 else (0.8, 0.2)
    draw_a_finger(page, *((box["x"] + x * box["width"], box["y"] + box["height"] / 2) for x in (start, end)))
    step = slider.evaluate("s => s.step / (s.max - s.min)")
    assert share() == pytest.approx(end, abs=0.05 + step / 2)
    assert slider.locator("xpath=../output").inner_text() != before
    if kind == "fm-guess":  # has no result before it is kept
        figure.get_by_role("button", name="Keep my guess").tap()
    page.wait_for_function("fmChanged()", timeout=20_000, polling=50)
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
        if not re.search("fm-(guess|quiz)", figure.get_attribute("class")):
            seen = figure.locator("svg[role=img], img").evaluate_all(
                "all => all.map(p => p.checkVisibility() && p.clientWidth > 0 && (p.ariaLabel || p.alt || '').trim())")
            assert seen and all(seen), figure.get_attribute("id")


def test_a_recorded_run_leads_to_its_curves(visit):
    from playwright.sync_api import expect

    page = visit("book/runs.html")
    page.locator(".fm-all-runs a", has_text=re.compile("^digits-20-pseudo_label-seed0$")).click()
    figure = page.locator("figure.fm-run-explorer")
    for name, shown in (("Data", "digits"), ("Labels", "20"), ("Method", "pseudo_label")):
        # The browser tells the page of its new address a moment after the click.
        expect(figure.get_by_label(name, exact=True)).to_have_value(shown, timeout=20_000)
    expect(figure.get_by_label("Read out")).to_have_value("digits-20-pseudo_label-seed0")
    assert "pseudo_label, seed 0, step" in figure.locator(".fm-read").inner_text()
    assert page.complaints == []
    page.locator(".fm-all-runs a", has_text=re.compile("^digits-grid-tau0.8-mu2-seed0$")).click()
    page.wait_for_url("**/10_two_knobs.html#*")
    knobs = page.locator("figure.fm-two-knobs")
    assert knobs.get_by_label("Threshold").get_attribute("aria-valuetext") == "0.8"
    assert knobs.get_by_label("Unlabeled per labeled").get_attribute("aria-valuetext") == "2"
    assert page.complaints == []
