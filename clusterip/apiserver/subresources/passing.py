"""What every way of passing a request on needs: answers as they come, and connections given away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from aiohttp import web
from multidict import CIMultiDict

from clusterip.apiserver import status
from clusterip.apiserver.backend import Address, BackendError, Connection, Head, Header
from clusterip.apiserver.call import Call
from clusterip.apiserver.relay import relay
from clusterip.apiserver.subresources.proxy import headers


@contextlib.contextmanager
def ended_with_client(call: Call, connection: Connection) -> Iterator[None]:
    """Closes the connection in the end, or as soon as the client leaves: who waits for the other side to
    say something would not notice."""
    running = call.server.metrics.long_running(call.info)
    running.inc()
    call.server.on_lost(call.request, connection.close)
    try:
        yield
    finally:
        running.dec()
        call.server.forget_lost(call.request)
        connection.close()


async def stream(
    call: Call, connection: Connection, head: Head, kept: Sequence[Header]
) -> web.StreamResponse:
    """Answer with what comes, as it comes. If it is cut short, so is what the client gets."""
    request = call.request
    response = web.StreamResponse(status=head.code, reason=head.reason or None, headers=answer_headers(kept))
    await response.prepare(request)
    try:
        async for chunk in connection.body(head, request.method):
            await response.write(chunk)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        if request.transport:
            request.transport.abort()
        raise ConnectionResetError("the answer was cut short") from None
    return response


async def upgrade(call: Call, address: Address, target: str) -> web.StreamResponse:
    """Hand the client's connection over to ``address``, if that agrees to the upgrade.

    A refusal is passed back.

    Raises:
        StatusError: 500, it cannot be reached, or it answers as if nothing had been asked.
    """
    request = call.request
    kept = headers.without_credentials(request.headers.items())
    kept = headers.forwarded_for(kept, request.remote or "")
    if request.method == "POST":
        kept.append(("Content-Length", "0"))
    try:
        connection = await Connection.open(address)
    except BackendError as error:
        raise status.failure(500, "", f"error dialing backend: {error}") from None
    with ended_with_client(call, connection):
        connection.send_head(request.method, target, kept)
        try:
            head = await connection.read_head()
        except BackendError as error:
            raise status.failure(500, "", str(error)) from None
        if head.code == 101:
            call.server.forget_lost(request)
            return await relay(request, head.raw, connection.reader, connection.writer)
        if head.code < 400:
            raise status.failure(500, "", f"invalid upgrade response: status code {head.code}")
        response = await stream(call, connection, head, headers.end_to_end(head.headers))
        response.force_close()
        return response


def answer_headers(kept: Sequence[Header]) -> CIMultiDict[str]:
    """The headers of an answer, the API server's own first."""
    return CIMultiDict([("Cache-Control", "no-cache, private"), *kept])
