"""Take the README's two pictures of the built book again: python tools/readme_pictures.py (needs a Chromium)."""

import argparse
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
PICTURES = ROOT / "book" / "images"


def save(page, name, **options):
    path = PICTURES / name
    page.screenshot(path=path, **options)
    Image.open(path).convert("RGB").save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} kB")


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not chromium or not (HTML / "index.html").is_file():
        print("This needs a Chromium, and the built book: run make book first.")
        return 1
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--disable-gpu", "--disable-background-networking"])
        page = browser.new_page(viewport={"width": 1240, "height": 800}, color_scheme="light")
        page.goto((HTML / "book" / "index.html").as_uri())
        page.wait_for_timeout(12_000)  # the three networks have trained by then
        save(page, "readme-book.png")
        page.goto((HTML / "notebooks" / "04_self_training.html").as_uri())
        widget = page.locator("figure.fm-widget:has(input[type=range])").first
        widget.scroll_into_view_if_needed()
        page.wait_for_timeout(1_500)
        box = widget.bounding_box()
        page.set_viewport_size({"width": 1240, "height": int(box["height"]) + 200})
        widget.scroll_into_view_if_needed()
        widget.get_by_role("button", name="Next round").click()
        page.mouse.move(0, 0)
        box = widget.bounding_box()
        save(page, "readme-widget.png", clip={k: box[k] for k in ("x", "y", "width", "height")})
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
