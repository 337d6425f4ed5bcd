"""How many frames a second does the playground show on a phone?

    python benchmarks/frames.py                # needs Chromium; a minute

A page of 390 x 844 CSS pixels at two device pixels each, drawn in software as no phone does, and a processor that
Chromium slows down 1, 2, 4 and 6 times. Frames are counted from the second after the start of a training to the third,
in the built first page where there is one, since a long page costs more to lay out, else in a page of the widget alone.
"""

import shutil
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from playwright.sync_api import sync_playwright  # noqa: E402

import fixmatch_lite as fm  # noqa: E402

COUNT = """() => new Promise((done) => {
  const begun = performance.now();
  let frames = 0;
  const frame = (now) => {
    if (now > begun + 1000) frames++;
    now > begun + 3000 ? done(frames / 2) : requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""


def main():
    page_file = ROOT / "_build/html/book/index.html"
    if not page_file.exists():
        page_file = ROOT / "_build/playground.html"
        page_file.parent.mkdir(exist_ok=True)
        page_file.write_text('<!doctype html><meta charset="utf-8">' + fm.widgets.Playground().to_html(), encoding="utf-8")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for slower in (1, 2, 4, 6):
            rates = []
            for _ in range(3):
                context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True,
                                              device_scale_factor=2)
                page = context.new_page()
                page.goto(page_file.as_uri())
                page.locator("figure canvas:visible").first.scroll_into_view_if_needed()
                context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
                page.get_by_role("button", name="Start again").first.click()
                rates.append(page.evaluate(COUNT))
                context.close()
            print(f"processor slowed {slower} times: {statistics.median(rates):.0f} frames a second "
                  f"(all: {', '.join(f'{rate:.0f}' for rate in rates)})", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
