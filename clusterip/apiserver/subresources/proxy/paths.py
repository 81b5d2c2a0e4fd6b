"""Paths as Go joins and writes them, because that is how proxied servers get to see them."""

from __future__ import annotations

import posixpath
from urllib.parse import quote

_PLAIN = "$&+,/:;=@-_.~"
"""What Go's ``net/url`` leaves as it is in a path, beside letters and digits."""


def clean(path: str) -> str:
    """The path without ``//``, ``.`` and ``..`` but with its last slash (``JoinPreservingTrailingSlash``)."""
    if not path:
        return ""
    cleaned = join(path)
    return cleaned if cleaned.endswith("/") or not path.endswith("/") else cleaned + "/"


def join(*parts: str) -> str:
    """Go's ``path.Join``: cleaned, without a trailing slash; nothing if all parts are empty."""
    joined = "/".join(part for part in parts if part)
    if not joined:
        return ""
    normal = posixpath.normpath(joined)
    return normal[1:] if normal.startswith("//") else normal


def escape(path: str) -> str:
    """The path as it is written in a request line."""
    return quote(path, safe=_PLAIN, errors="surrogateescape")
