"""Links in answers, made to lead through the proxy: ``Location`` and those in HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from clusterip.apiserver.subresources.proxy.paths import escape, join

_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}")


class BadLink(ValueError):
    """A text that is no URL; says why as Go does."""


@dataclass(frozen=True)
class Links:
    """How links are rewritten on one page.

    Attributes:
        prefix: the path that leads through the proxy to the server's root.
        host: the server's own host and port.
        request_host: the host that the client asked, as its ``Host`` header names it.
    """

    prefix: str
    host: str
    request_host: str

    def rewrite(self, text: str) -> str:
        """The link as the client has to follow it.

        Links to other hosts and relative ones stay. Of links to the server itself, however it is named,
        the path remains, under the prefix.

        Raises:
            BadLink: the text is no URL.
        """
        url = _split(text)
        if (url.netloc and url.netloc not in (self.host, self.request_host)) or url.path[:1] != "/":
            return text
        path = unquote(url.path, errors="surrogateescape")
        if path.startswith(self.prefix):
            written = url.path
        else:
            written = escape(join(self.prefix, path) + ("/" if path.endswith("/") else ""))
        return urlunsplit(("", "", written, url.query, url.fragment))


def _split(text: str) -> SplitResult:
    if any(character < " " or character == "\x7f" for character in text):
        raise BadLink(f'parse "{text}": net/url: invalid control character in URL')
    if bad := _BAD_ESCAPE.search(text):
        raise BadLink(f'parse "{text}": invalid URL escape "{bad[0]}"')
    if text.startswith(" "):  # which is part of the path, as Go sees it
        return SplitResult("", "", text, "", "")
    try:
        return urlsplit(text)
    except ValueError:
        escaped = text.replace('"', '\\"')
        raise BadLink(f"parse \"{escaped}\": missing ']' in host") from None
