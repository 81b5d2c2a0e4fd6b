"""The page's files, and the headers without which no answer of them may leave."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PREFIX = "/ui/"
"""Where the page is."""

_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""The Content-Security-Policy: nothing from elsewhere, nothing inline, no text that becomes HTML."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",  # a new version shows at once; what has not changed is answered with 304
}


@dataclass(frozen=True)
class Asset:
    """A file of the page. ``tag`` is its ETag."""

    body: bytes
    content_type: str
    tag: str


@dataclass(frozen=True)
class Answer:
    """What to answer: a code, headers, and a body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


def answer(method: str, path: str, if_none_match: str = "") -> Answer:
    """The answer to a request for a ``path`` at or under ``/ui``."""
    if method not in ("GET", "HEAD"):
        return Answer(405, {**HEADERS, "Allow": "GET, HEAD"}, b"405 method not allowed\n")
    if path == PREFIX.rstrip("/"):
        return Answer(301, {**HEADERS, "Location": PREFIX})
    asset = _assets().get(path.removeprefix(PREFIX) or "index.html")
    if asset is None:
        return Answer(404, {**HEADERS, "Content-Type": "text/plain; charset=utf-8"}, b"404 page not found\n")
    headers = {**HEADERS, "ETag": asset.tag}
    if asset.tag in (each.strip() for each in if_none_match.split(",")):
        return Answer(304, headers)
    return Answer(200, {**headers, "Content-Type": asset.content_type}, asset.body)


def is_ours(path: str) -> bool:
    """Whether a path is the page's."""
    return path.startswith(PREFIX) or path == PREFIX.rstrip("/")


@cache
def _assets() -> Mapping[str, Asset]:
    """All files by their path under ``/ui/``, read at the first request: few and small."""
    found = {}
    for path in sorted(_STATIC.rglob("*")):
        content_type = _TYPES.get(path.suffix)
        if content_type is not None and path.is_file():
            body = path.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            found[path.relative_to(_STATIC).as_posix()] = Asset(body, content_type, tag)
    return found
