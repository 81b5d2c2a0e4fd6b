"""A real browser: Debian's Chromium without a window, driven by Playwright.

::

    @pytest.fixture(scope="module")
    def browser() -> Iterator[Browser]:
        with running_browser() as browser:
            yield browser
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

SECONDS = 20.0

_CONTRAST = Path(__file__).with_name("contrast.js")


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Skips the test where there is no Chromium."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        # Its sandbox is for users other than root.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(browser: Browser, url: str, *, refusals: bool = False, **context: Any) -> Iterator[Page]:
    """A page in a context of its own. At the end it must have complained of nothing.

    ``refusals``: but of answers 401 and 403, which the browser writes down itself.
    """
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        refused = refusals and message.text.startswith("Failed to load resource") and "40" in message.text
        if message.text.endswith("WebSocket is closed before the connection is established."):
            return  # a view that was left at once
        if message.type in ("error", "warning") and not refused:
            complaints.append(f"{message.type}: {message.text}")

    made = browser.new_context(ignore_https_errors=True, reduced_motion="reduce", **context)
    made.set_default_timeout(SECONDS * 1000)
    try:
        page = made.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        yield page
        assert complaints == [], complaints
    finally:
        made.close()


def too_faint(page: Page) -> list[str]:
    """Texts whose contrast is below WCAG 2.2's level AA (1.4.3): 4.5, or 3 for large ones."""
    found: list[str] = page.evaluate(_CONTRAST.read_text())
    return found
