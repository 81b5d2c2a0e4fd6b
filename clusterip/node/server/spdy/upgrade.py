"""Switching a connection to SPDY/3.1, with the protocol to be spoken in its streams.

As upstream's ``streaming/pkg/httpstream``: older clients, kubectl before 1.31 among them, speak nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from clusterip.node.server.spdy.session import Session, StreamLink
from clusterip.process.hijack import hijack

_VERSION = "X-Stream-Protocol-Version"
_ACCEPTED = "X-Accepted-Stream-Protocol-Versions"


def wants_spdy(request: web.Request) -> bool:
    """Whether a request asks for SPDY."""
    return request.headers.get("Upgrade", "").lower() == "spdy/3.1"


def negotiate(request: web.Request, known: Sequence[str]) -> str:
    """The first protocol of the client's that is known here.

    Raises:
        HTTPBadRequest: the client names none.
        HTTPForbidden: none of those it names is known.
    """
    given = request.headers.getall(_VERSION, [])
    wanted = [each.strip() for value in given for each in value.split(",") if each.strip()]
    if not wanted:
        raise web.HTTPBadRequest(text=f"unable to upgrade: header {_VERSION} does not exist in request\n")
    for protocol in wanted:
        if protocol in known:
            return protocol
    both = f"client supports [{' '.join(wanted)}], server accepts [{' '.join(known)}]"
    refusal = web.HTTPForbidden(text=f"unable to upgrade: unable to negotiate protocol: {both}\n")
    for protocol in known:
        refusal.headers.add(_ACCEPTED, protocol)
    raise refusal


@contextlib.asynccontextmanager
async def spdy(request: web.Request, protocol: str) -> AsyncIterator[Session]:
    """The session on the request's connection, which is closed at the end.

    Raises:
        ConnectionResetError: the client has left.
    """
    async with hijack(request) as (reader, writer):
        lines = (
            "HTTP/1.1 101 Switching Protocols",
            "Connection: Upgrade",
            "Upgrade: SPDY/3.1",
            f"{_VERSION}: {protocol}",
        )
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        yield Session(StreamLink(reader, writer))
