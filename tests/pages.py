"""Pages in a real browser: what one writes on the console, what it asks for, how it looks at a width and in dark."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PHONE, DESKTOP = 390, 1280
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@dataclass
class Opened:
    """A page that is open, and what it did so far.

    Attributes:
        page: Playwright's.
        messages: what stands on the console.
        errors: exceptions that no script caught.
        requests: addresses it asked for, itself and `data:` left out.
        dialogs: texts of the dialogs that it opened; each is dismissed.
    """

    page: Any
    messages: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def require_inert(self) -> None:
        """Assert that it said, asked and opened nothing."""
        assert (self.messages, self.errors, self.requests, self.dialogs) == ([], [], [], [])

    def require_no_sideways_scroll(self) -> None:
        """Assert that the page is no wider than the window."""
        assert self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0

    def contrast(self, selector: str) -> float:
        """Return the contrast of an element's text with what is behind it, from 1 to 21 (WCAG 2.2)."""
        return float(self.page.locator(selector).first.evaluate(_CONTRAST))


class Browser:
    """Chromium, to open pages of this machine in."""

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium

    @contextlib.contextmanager
    def open(self, path: Path, *, width: int = DESKTOP, height: int = 900, dark: bool = False) -> Iterator[Opened]:
        """Open a file.

        Args:
            path: an HTML file.
            width: of the window, in CSS pixels.
            height: of the window.
            dark: whether the user prefers dark colours.
        """
        context = self._chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        try:
            page, address = context.new_page(), path.resolve().as_uri()
            opened = Opened(page)
            page.on("console", lambda message: opened.messages.append(message.text))
            page.on("pageerror", lambda error: opened.errors.append(str(error)))
            page.on("dialog", lambda dialog: (opened.dialogs.append(dialog.message), dialog.dismiss()))
            page.on(
                "request",
                lambda request: (
                    None
                    if request.url.split("#")[0] == address or request.url.startswith("data:")
                    else opened.requests.append(request.url)
                ),
            )
            page.goto(address, wait_until="load")
            yield opened
        finally:
            context.close()


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium; skip the test where there is none.

    As a fixture of a test module:

        @pytest.fixture(scope="module")
        def chromium():
            with browser() as started:
                yield started
    """
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("there is no chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(_FLAGS))
        try:
            yield Browser(chromium)
        finally:
            chromium.close()


_CONTRAST = """element => {
  const parse = text => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  let behind = element, ground = [255, 255, 255, 1];
  while (behind) {
    const found = parse(getComputedStyle(behind).backgroundColor);
    if (found[3] === 1) { ground = found; break; }
    behind = behind.parentElement;
  }
  const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""
