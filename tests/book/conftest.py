"""The built book and a browser, each made once for the tests that ask for them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.check_book import find_chromium

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = find_chromium()
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built book, brought up to date with the sources (seconds if nothing has changed)."""
    command = [sys.executable, str(ROOT / "tools" / "build_book.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, f"the book does not build:\n{(done.stdout + done.stderr)[-4000:]}"
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium: install it (Debian: apt install chromium) to run the browser tests")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


class Reader:
    """A browser window on the book: keeps what went wrong, and lets nothing out of this machine."""

    def __init__(self, browser, site: Path, **settings):
        self.site = site
        self.wrong: list[str] = []
        self.context = browser.new_context(**settings)
        self.context.set_default_timeout(10_000)
        self.context.route("**/*", self._gate)
        self.page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.wrong.append(f"script error: {error}"))
        self.page.on("requestfailed", self._failed)

    def _gate(self, route):
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            self.wrong.append(f"asked for {route.request.url}")
            route.abort()

    def _failed(self, request):
        if request.failure != "csp":  # a script, in a window where scripts are switched off
            self.wrong.append(f"failed request: {request.url}")

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.wrong.append(f"console {message.type}: {message.text}")

    def open(self, name: str, fragment: str = ""):
        """Open a page by its name in `_toc.yml`."""
        self.page.goto((self.site / f"{name}.html").as_uri() + fragment)
        return self.page


@pytest.fixture
def reader(browser, site):
    """Make a window: ``reader(width=390, theme="dark")``. What went wrong in any of them fails the test."""
    windows = []

    def make(width: int = 1280, height: int = 900, theme: str = "light", **settings) -> Reader:
        if width < 500:
            settings = {"has_touch": True, "is_mobile": True, **settings}
        settings.setdefault("reduced_motion", "reduce")
        windows.append(
            Reader(browser, site, viewport={"width": width, "height": height}, color_scheme=theme, **settings)
        )
        return windows[-1]

    yield make
    wrong = [what for window in windows for what in window.wrong]
    for window in windows:
        window.context.close()
    assert not wrong, wrong
