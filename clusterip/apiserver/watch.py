"""The watch verb: a stream of events that ends when time is up, the client leaves or falls behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from aiohttp import HttpVersion11, web
from multidict import CIMultiDict

from clusterip.apiserver import status
from clusterip.apiserver.call import Call, header_of
from clusterip.apiserver.encoding import encoder_for
from clusterip.apiserver.list_options import check_watch_options, integer
from clusterip.apiserver.listing import parse_version
from clusterip.apiserver.negotiation import YAML
from clusterip.apiserver.router import is_true
from clusterip.apiserver.selection import selection_of
from clusterip.apiserver.watching import Watcher
from clusterip.objects.codec import encode
from clusterip.objects.registry import Resource

SLOW_BYTES = 16 * 1024 * 1024
"""How much may wait to be sent to a watcher before it is dropped. It comes back where it was."""


_LONGEST = 366 * 24 * 3600
"""Seconds; a longer watch is cut to a year, as timers go no further than that."""


class Stream:
    """The body of a watch's response: chunks written straight to the connection.

    An event is encoded once, and writing it costs no task switch for any of its watchers.
    """

    __slots__ = ("_count", "_transport", "ended")

    def __init__(
        self, transport: asyncio.WriteTransport, count: Callable[[list[bytes]], None] = lambda _frames: None
    ) -> None:
        self._transport = transport
        self._count = count
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, frames: list[bytes]) -> None:
        transport = self._transport
        if transport.is_closing():
            self.end()
            return
        self._count(frames)
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        if transport.get_write_buffer_size() > SLOW_BYTES:
            transport.abort()
            self.end()

    def end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def watch(call: Call, resource: Resource[Any]) -> web.StreamResponse:
    query, form = call.info.query, call.form
    if call.request.version < HttpVersion11:
        raise status.bad_request("a watch needs HTTP/1.1")
    check_watch_options(query)
    selection = selection_of(call.info)
    bookmarks = is_true(query, "allowWatchBookmarks")
    version = query.get("resourceVersion", "")
    after = parse_version(version)
    initial = _wants_initial_events(call)
    timeout = _timeout(call)
    encoder = encoder_for(resource, form)
    response = web.StreamResponse(
        headers=CIMultiDict(
            {
                "Content-Type": (
                    "application/yaml;stream=watch" if form.media_type == YAML else "application/json"
                ),
                "Cache-Control": "no-cache, private",
            }
        )
    )
    for warning in call.told:
        response.headers.add("Warning", header_of(warning))
    cache = call.server.cache
    if version in ("", "0") or initial:
        if version == "":
            await cache.current()
        else:
            await cache.reach(after)
    transport = call.request.transport
    if transport is None:
        raise ConnectionResetError("the client has left")
    stream = Stream(transport, call.server.metrics.watch_events(resource))
    watcher = Watcher(selection, encoder, stream.send, stream.end, bookmarks=bookmarks)
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    call.server.on_lost(call.request, stream.end)
    watching = call.server.metrics.long_running(call.info)
    watching.inc()
    try:
        await _begin(call, resource, watcher, after, initial, version)
        async with asyncio.timeout(timeout):
            await stream.ended
    except TimeoutError:
        pass  # as asked for
    except status.StatusError as error:
        error.status.kind = error.status.kind or "Status"
        stream.send([b'{"type":"ERROR","object":%b}\n' % encode(error.status)])
    finally:
        watching.dec()
        cache.unwatch(resource, watcher)
        watcher.closed = True
        call.server.forget_lost(call.request)
    return response


async def _begin(
    call: Call, resource: Resource[Any], watcher: Watcher, after: int, initial: bool | None, version: str
) -> None:
    """Send what the watcher is to start with, and let it be told of the rest.

    There is no await between reading the state and registering, so nothing comes in between.
    """
    cache = call.server.cache
    if initial or (initial is None and version in ("", "0")):
        of = cache.of(resource)
        selection = watcher.selection
        entries = [e for e in of.entries(selection.namespace) if selection.matches_content(e)]
        revision = cache.revision
        watcher.start(entries, revision)
        if initial and watcher.bookmarks:
            watcher.bookmark(revision, initial_events_end=True)
        of.watchers.add(watcher)
        return
    if initial is False and version in ("", "0"):
        after = cache.revision
    await cache.watch(resource, watcher, after)


def _wants_initial_events(call: Call) -> bool | None:
    """The ``sendInitialEvents`` parameter; None if it is not given."""
    query = call.info.query
    if "sendInitialEvents" not in query:
        return None
    return is_true(query, "sendInitialEvents")


def _timeout(call: Call) -> float:
    text = call.info.query.get("timeoutSeconds", "")
    if text and (seconds := integer(text)) > 0:
        return float(min(seconds, _LONGEST))
    least = call.server.options.default_watch_timeout
    return least * (1.0 + random.random())
