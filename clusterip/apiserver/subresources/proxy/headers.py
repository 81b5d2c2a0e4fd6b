"""Which headers pass the proxy. As Go's ``httputil.ReverseProxy`` and upstream's filters before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clusterip.apiserver.backend import Header

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_CORS = frozenset(
    (
        "access-control-allow-credentials",
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-allow-origin",
    )
)
_OF_CONTENT = frozenset(("content-type", "content-length"))  # RFC 9110, section 15.4.5
_FOR_THE_API = frozenset(("authorization", "content-length"))
_OF_USERS = ("impersonate-", "x-remote-user", "x-remote-group", "x-remote-uid", "x-remote-extra-")
"""Beginnings of headers that say who somebody is; a server behind the proxy may believe the latter."""

_BEARER = "base64url.bearer.authorization.k8s.io."


def without_credentials(headers: Iterable[Header]) -> list[Header]:
    """A request's headers less those that are for the API server alone: who asks, and for whom.

    ``Content-Length`` goes too: whoever sends a body says so itself.
    """
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower in _FOR_THE_API or lower.startswith(_OF_USERS):
            continue
        if lower == "sec-websocket-protocol" and _BEARER in value:
            protocols = [each.strip() for each in value.split(",")]
            value = ", ".join(each for each in protocols if not each.startswith(_BEARER))
            if not value:
                continue
        kept.append((name, value))
    return kept


def end_to_end(headers: Sequence[Header]) -> list[Header]:
    """The headers that concern more than the one connection they came by."""
    named = {
        token.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for token in value.split(",")
    }
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP | named]


def forwarded_for(headers: Sequence[Header], client: str) -> list[Header]:
    """The headers with the client added to ``X-Forwarded-For``."""
    before = [value for name, value in headers if name.lower() == "x-forwarded-for"]
    kept = [(name, value) for name, value in headers if name.lower() != "x-forwarded-for"]
    return [*kept, ("X-Forwarded-For", ", ".join([*before, client]))]


def of_request(headers: Sequence[Header], client: str, uri: str) -> list[Header]:
    """What goes on of a request's headers, ``Content-Length`` aside."""
    kept = forwarded_for(end_to_end(headers), client)
    kept = [(name, value) for name, value in kept if name.lower() != "x-forwarded-uri"]
    if any(name.lower() == "te" and "trailers" in value.lower() for name, value in headers):
        kept.append(("Te", "trailers"))
    return [*kept, ("X-Forwarded-Uri", uri)]


def of_response(headers: Sequence[Header], code: int) -> list[Header]:
    """What goes back of an answer's headers. Nobody but the API server itself grants cross-origin access."""
    dropped = _CORS | _OF_CONTENT if code == 304 else _CORS
    return [(name, value) for name, value in end_to_end(headers) if name.lower() not in dropped]
