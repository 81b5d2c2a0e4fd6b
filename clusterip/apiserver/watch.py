"""The watch verb: a stream of events that ends when time is up, the client leaves or falls behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import HttpVersion11, web

from clusterip.apiserver import status
from clusterip.apiserver.call import Call
from clusterip.apiserver.encoding import encoder_for
from clusterip.apiserver.list_options import check_watch_options, integer
from clusterip.apiserver.listing import parse_version
from clusterip.apiserver.negotiation import YAML
from clusterip.apiserver.router import is_true
from clusterip.apiserver.selection import selection_of
from clusterip.apiserver.watch_streams import open_stream
from clusterip.apiserver.watching import Watcher
from clusterip.objects.codec import encode
from clusterip.objects.registry import Resource

_LONGEST = 366 * 24 * 3600
"""Seconds; a longer watch is cut to a year, as timers go no further than that."""


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
    cache = call.server.cache
    if version in ("", "0") or initial:
        if version == "":
            await cache.current()
        else:
            await cache.reach(after)
    content_type = "application/yaml;stream=watch" if form.media_type == YAML else "application/json"
    count = call.server.metrics.watch_events(resource)
    stream, response = await open_stream(call, content_type, count)
    watcher = Watcher(selection, encoder, stream.send, stream.end, bookmarks=bookmarks)
    call.server.on_lost(call.request, stream.end)
    watching = call.server.metrics.long_running(call.info)
    watching.inc()
    try:
        async with asyncio.timeout(timeout):
            await _begin(call, resource, watcher, after, initial, version, stream.drain)
            await stream.ended
    except TimeoutError:
        pass  # as asked for
    except ConnectionError:
        pass  # it left before it had everything
    except status.StatusError as error:
        error.status.kind = error.status.kind or "Status"
        stream.send([b'{"type":"ERROR","object":%b}\n' % encode(error.status)])
    finally:
        watching.dec()
        cache.unwatch(resource, watcher)
        watcher.closed = True
        call.server.forget_lost(call.request)
        await stream.close()
    return response


async def _begin(
    call: Call,
    resource: Resource[Any],
    watcher: Watcher,
    after: int,
    initial: bool | None,
    version: str,
    taken: Callable[[], Awaitable[None]],
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
        watcher.hold()
        of.watchers.add(watcher)
        await watcher.start(entries, revision, taken)
        if initial and watcher.bookmarks:
            watcher.bookmark(revision, initial_events_end=True)
        watcher.release()
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
