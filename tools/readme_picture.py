"""Take the README's picture: a page of the built book in headless Chromium.

    python tools/readme_picture.py       after `make book`; writes docs/book.png

Needs Chromium or Chrome on the PATH.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tools.check_book import find_chromium  # noqa: E402

PAGE = ROOT / "_build" / "html" / "book" / "1-vae" / "elbo.html"
PICTURE = ROOT / "docs" / "book.png"


def main() -> None:
    browser = find_chromium()
    if browser is None or not PAGE.exists():
        sys.exit("needs Chromium or Chrome on the PATH, and the book: run `make book` first")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1180, "height": 760}, device_scale_factor=1)
        page.goto(PAGE.as_uri())
        page.wait_for_timeout(2000)  # for the formulas
        figure = page.locator("#fig-elbo-gap")
        figure.scroll_into_view_if_needed()
        page.evaluate("window.scrollBy(0, document.querySelector('#fig-elbo-gap').getBoundingClientRect().top - 150)")
        page.wait_for_timeout(500)
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=PICTURE)
        chromium.close()


if __name__ == "__main__":
    main()
