"""Showing a secret URL to the viewer's browser and to nobody else."""

from __future__ import annotations

import contextlib
import html
import os
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path

_PAGE = '<!doctype html><meta http-equiv="refresh" content="0; url={url}"><a href="{url}">clusterip</a>\n'


@contextlib.contextmanager
def opened(url: str) -> Iterator[bool]:
    """Have the viewer's browser open a URL; whether there is a browser.

    It is given a file that leads there, which only its user can read: a program's arguments are seen by
    everybody on the machine. The file is gone after the context.
    """
    with tempfile.TemporaryDirectory(prefix="clusterip-ui-") as directory:
        page = Path(directory) / "open.html"
        page.write_text(_PAGE.format(url=html.escape(url)))
        yield _has_display() and webbrowser.open(page.as_uri())


def _has_display() -> bool:
    """Whether a browser would have a window: in a terminal alone it would take the terminal over."""
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
