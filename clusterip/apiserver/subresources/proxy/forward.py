"""Passing a request on and its answer back, as both come: nothing but HTML is held back.

As upstream's ``UpgradeAwareHandler`` (``apimachinery/pkg/util/proxy/upgradeaware.go``).
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.backend import Address, BackendError, Connection, Head, Header
from clusterip.apiserver.call import Call
from clusterip.apiserver.subresources.passing import answer_headers, ended_with_client, stream
from clusterip.apiserver.subresources.proxy import headers
from clusterip.apiserver.subresources.proxy.html import rewrite_body
from clusterip.apiserver.subresources.proxy.links import BadLink, Links
from clusterip.apiserver.subresources.proxy.paths import escape, join
from clusterip.apiserver.subresources.proxy.target import Target

_SENDS_LENGTH = ("POST", "PUT", "PATCH")


async def forward(call: Call, target: Target, path: str) -> web.StreamResponse:
    """Pass a request on to ``path`` (not escaped) of ``target``.

    Raises:
        StatusError: 503, it cannot be reached; 500, what it answers cannot be passed back.
    """
    request = call.request
    asked = call.info.path
    prefix = _prefix(asked, path)
    links = Links(prefix, target.host, request.headers.get("Host", ""))
    uri = join(prefix, escape(path or "/")) + ("/" if path.endswith("/") or not path else "")
    sent = headers.without_credentials(request.headers.items())
    sent = headers.of_request(sent, request.remote or "", uri)
    sent += _framing(request)
    _, mark, query = request.raw_path.partition("?")
    connection = await _open(target.address)
    with ended_with_client(call, connection):
        connection.send_head(request.method, escape(path or "/") + mark + query, sent)
        async with _uploading(request, connection):
            head = await _final_head(request, connection)
            return await _answer(call, connection, head, links)


def _prefix(asked: str, path: str) -> str:
    """The part of the path that is the proxy's own."""
    suffix = path if path.endswith("/") or not asked.endswith("/") else path + "/"
    return asked.removesuffix(suffix)


async def _open(address: Address) -> Connection:
    try:
        return await Connection.open(address)
    except BackendError as error:
        raise _unreachable(error) from None


def _unreachable(error: Exception) -> status.StatusError:
    return status.unavailable(f"error trying to reach service: {error}")


def _framing(request: web.BaseRequest) -> list[Header]:
    """How the request says where its body ends."""
    if request.content_length is not None:
        if request.content_length or request.method in _SENDS_LENGTH:
            return [("Content-Length", str(request.content_length))]
    elif request.can_read_body:
        return [("Transfer-Encoding", "chunked")]
    elif request.method in _SENDS_LENGTH:
        return [("Content-Length", "0")]
    return []


@contextlib.asynccontextmanager
async def _uploading(request: web.BaseRequest, connection: Connection) -> AsyncIterator[None]:
    """Sends the request's body, until the answer is complete: then nobody wants the rest."""
    if not request.can_read_body:
        yield
        return
    task = asyncio.create_task(_upload(request, connection))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _upload(request: web.BaseRequest, connection: Connection) -> None:
    writer = connection.writer
    chunked = request.content_length is None
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        async for data in request.content.iter_any():
            if not data:
                continue
            writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    except OSError:
        return  # it may have answered before; if it has not, the reading side finds out
    except (web.RequestPayloadError, web.PayloadAccessError):
        connection.close()  # broken off in the middle: the other side must not take that for the end


async def _final_head(request: web.BaseRequest, connection: Connection) -> Head:
    while True:
        try:
            head = await connection.read_head()
        except BackendError as error:
            raise _unreachable(error) from None
        if head.code >= 200:
            return head
        if head.code == 101:
            raise status.failure(500, "", "the backend switched protocols though nobody asked it to")
        if head.code != 100 and request.transport:  # 100 was for this side; others, like 103, go on
            request.transport.write(head.raw)


async def _answer(call: Call, connection: Connection, head: Head, links: Links) -> web.StreamResponse:
    kept = headers.of_response(head.headers, head.code)
    if location := head.get("location"):
        try:
            rewritten = links.rewrite(location)
        except BadLink as error:
            raise status.internal(f"error trying to parse Location header: {error}") from None
        kept = [(name, rewritten if name.lower() == "location" else value) for name, value in kept]
    elif head.get("content-type").partition(";")[0].strip() == "text/html":
        return await _page(call, connection, head, kept, links)
    return await stream(call, connection, head, kept)


async def _page(
    call: Call, connection: Connection, head: Head, kept: Sequence[Header], links: Links
) -> web.StreamResponse:
    """A page with its links rewritten, which can only be done to the whole."""
    kept = [(name, value) for name, value in kept if name.lower() != "content-length"]
    if call.request.method == "HEAD":
        return await stream(call, connection, head, kept)
    try:
        body = b"".join([chunk async for chunk in connection.body(head, call.request.method)])
        # In a thread, as a long page takes a while.
        changed = await asyncio.to_thread(rewrite_body, body, head.get("content-encoding"), links.rewrite)
    except (OSError, EOFError, zlib.error, asyncio.IncompleteReadError) as error:
        raise _unreachable(error) from None
    response = web.Response(status=head.code, reason=head.reason or None, headers=answer_headers(kept))
    response.body = body if changed is None else changed
    return response
