"""The widgets in the built pages: every control is moved by mouse and by keyboard, and the picture must follow."""

import re

import pytest

from browser_kit import WITH_WIDGETS, chromium, visit  # noqa: F401 (fixtures)

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
    from playwright.sync_api import expect

    page = visit("book/runs.html")
    page.locator(".fm-all-runs a", has_text=re.compile("^digits-20-pseudo_label-seed0$")).click()
    figure = page.locator("figure.fm-run-explorer")
    for name, shown in (("Data", "digits"), ("Labels", "20"), ("Method", "pseudo_label")):
        # The browser tells the page of its new address a moment after the click.
        expect(figure.get_by_label(name, exact=True)).to_have_value(shown, timeout=20_000)
    assert page.complaints == []
    page.locator(".fm-all-runs a", has_text=re.compile("^digits-grid-tau0.8-mu2-seed0$")).click()
    page.wait_for_url("**/10_two_knobs.html#*")
    knobs = page.locator("figure.fm-two-knobs")
    assert knobs.get_by_label("Threshold").get_attribute("aria-valuetext") == "0.8"
    assert knobs.get_by_label("Unlabeled per labeled").get_attribute("aria-valuetext") == "2"
    assert page.complaints == []
