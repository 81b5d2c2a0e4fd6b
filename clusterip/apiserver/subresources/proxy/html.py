"""Rewriting the links in HTML, as upstream's ``rewriteHTML`` does with Go's tokenizer.

Start tags are written anew, in lower case and with their attributes quoted; all the rest stays as it is.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from html import unescape
from html.entities import html5

from clusterip.apiserver.subresources.proxy.links import BadLink

_LINKS: dict[str, tuple[str, ...]] = {
    "a": ("href",),
    "applet": ("codebase",),
    "area": ("href",),
    "audio": ("src",),
    "base": ("href",),
    "blockquote": ("cite",),
    "body": ("background",),
    "button": ("formaction",),
    "command": ("icon",),
    "del": ("cite",),
    "embed": ("src",),
    "form": ("action",),
    "frame": ("longdesc", "src"),
    "head": ("profile",),
    "html": ("manifest",),
    "iframe": ("longdesc", "src"),
    "img": ("longdesc", "src", "usemap"),
    "input": ("src", "usemap", "formaction"),
    "ins": ("cite",),
    "link": ("href",),
    "object": ("classid", "codebase", "data", "usemap"),
    "q": ("cite",),
    "script": ("src",),
    "source": ("src",),
    "video": ("poster", "src"),
}
_RAW_TEXT = frozenset(
    ("iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea", "title", "xmp")
)
"""Elements whose content is text, whatever it looks like, up to their end tag."""

_MARKUP = re.compile(r"<(?:([a-zA-Z])|(!--)|([!?/]))")
_TAG_NAME = re.compile(r"[^\s/>]+")
_ATTRIBUTE = re.compile(
    r"""[\s/]*([^\s/>=][^\s/>=]*|=[^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)|(?=>)))?"""
)
_REFERENCE = re.compile(r"&(?:#(?:[0-9]+|[xX][0-9a-fA-F]+);?|([a-zA-Z][a-zA-Z0-9]*;?))")
_ESCAPES = str.maketrans({"&": "&amp;", "'": "&#39;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "\r": "&#13;"})

Rewrite = Callable[[str], str]


def rewrite_body(body: bytes, encoding: str, rewrite: Rewrite) -> bytes | None:
    """A page with its links rewritten; None if its content encoding is not one that is understood.

    Raises:
        OSError, zlib.error, EOFError: it is not encoded as it says.
    """
    match encoding:
        case "":
            return _rewrite_text(body, rewrite)
        case "gzip":
            return gzip.compress(_rewrite_text(gzip.decompress(body), rewrite))
        case "deflate":
            plain = zlib.decompressobj(-zlib.MAX_WBITS)
            text = plain.decompress(body) + plain.flush()
            packing = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
            return packing.compress(_rewrite_text(text, rewrite)) + packing.flush()
    return None


def _rewrite_text(body: bytes, rewrite: Rewrite) -> bytes:
    text = body.decode("utf-8", "surrogateescape")
    return "".join(rewrite_html(text, rewrite)).encode("utf-8", "surrogateescape")


def rewrite_html(text: str, rewrite: Rewrite) -> Iterator[str]:
    """The pieces of a page with its links rewritten."""
    position = 0
    while match := _MARKUP.search(text, position):
        yield text[position : match.start()]
        if match[1]:
            written, position, name = _start_tag(text, match.start(), rewrite)
            yield written
            if name in _RAW_TEXT:
                end = _end_of_raw_text(text, position, name)
                yield text[position:end]
                position = end
            continue
        # A comment may end as soon as it has begun: <!--> and <!---> are whole ones.
        end = text.find("-->", match.start() + 2) + 3 if match[2] else text.find(">", match.end()) + 1
        if match[2] and text.startswith(">", match.end()):
            end = match.end() + 1
        if end < 3:
            end = len(text)
        yield text[match.start() : end]
        position = end
    yield text[position:]


def _start_tag(text: str, start: int, rewrite: Rewrite) -> tuple[str, int, str]:
    """The tag as it is to be written, where it ends and its name; cut off if the page ends in it."""
    match = _TAG_NAME.match(text, start + 1)
    assert match
    name = match[0].lower()
    position = match.end()
    attributes: dict[str, str] = {}
    while found := _ATTRIBUTE.match(text, position):
        position = found.end()
        value = found[2] if found[2] is not None else found[3] if found[3] is not None else found[4]
        attributes.setdefault(found[1].lower(), _unescape(value or ""))
    end = text.find(">", position)
    if end < 0:
        return "", len(text), ""
    closed = end > position and text[end - 1] == "/"
    for key in _LINKS.get(name, ()):
        if key in attributes:
            try:
                attributes[key] = rewrite(attributes[key])
            except BadLink:
                continue  # a page is shown with whatever it holds
    shown = "".join(f' {key}="{value.translate(_ESCAPES)}"' for key, value in attributes.items())
    return f"<{name}{shown}{'/' if closed else ''}>", end + 1, name


def _end_of_raw_text(text: str, start: int, name: str) -> int:
    if name == "plaintext":
        return len(text)
    match = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(text, start)
    return match.start() if match else len(text)


def _unescape(value: str) -> str:
    """An attribute's value. In it, ``&copy=`` is no character reference, as it may be part of a link."""
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    if "&" not in value:
        return value

    def plain(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return unescape(match[0])
        if name.endswith(";"):
            return unescape(match[0]) if name in html5 else match[0]
        follows = value[match.end() : match.end() + 1]
        return unescape(match[0]) if name in html5 and follows != "=" else match[0]

    return _REFERENCE.sub(plain, value)
