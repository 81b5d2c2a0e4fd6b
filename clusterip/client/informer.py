"""A local copy of a collection that follows the API server, and tells of every change once.

Objects are decoded straight from the wire into the given type, so a process that needs three fields
of a Service holds three fields of a Service. While the API server is away the copy stays as it was.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar, cast

import msgspec

from clusterip.client.backoff import Backoff
from clusterip.client.copy import Copy, Key, Metadata, O, Watched
from clusterip.client.credentials import CredentialsError
from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.listing import read_list
from clusterip.client.rest import Client, selection, watch_query
from clusterip.client.watching import Bookmark, EventReader, WatchEvent
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LASTING_SECONDS = 1.0  # a watch that held for so long was no failed attempt
_REFUSED_SECONDS = 30.0  # whoever may not, or asks for what is not there, need not ask often
_SILENT_SECONDS = 30.0  # a server that sends nothing for so long does not know how to stream a list


_PROTOBUF = "application/vnd.kubernetes.protobuf"


class Reader(Protocol[T]):
    """Turns what a watch sends into events."""

    def feed(self, chunk: bytes) -> Iterator[WatchEvent[T] | Bookmark]: ...


class _NoStreaming(Exception):
    """The server cannot begin a watch with what is there already, now or at all."""

    def __init__(self, *, for_ever: bool) -> None:
        super().__init__()
        self.for_ever = for_ever


class Informer(Copy[O]):
    """Follows one collection. ``run`` does the work; everything else looks at what it has found so far.

    ``synced`` is set once everything is in that there was at the beginning; ``connected`` says whether a
    watch is open now, ``connected_at`` since when (in the event loop's time) and ``last_error`` why not.

    What is there already is asked for as the beginning of the watch (KEP-3157), so that a large collection
    never is in memory as a whole; servers that do not know this are asked for a list.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource[Any],
        type_: type[O] | None = None,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        prepare: Callable[[O], None] | None = None,
    ) -> None:
        """``prepare`` may change each object before anybody else sees it, as to make it smaller."""
        super().__init__()
        self.synced = asyncio.Event()
        self.connected = False
        self.connected_at = 0.0
        self.last_error = ""
        self.resource = resource
        self._client = client
        self._type = cast("type[O]", type_ or resource.type)
        self._path = resource.path(namespace)
        self._selectors = (label_selector, field_selector)
        self._prepare = prepare
        self._can_stream = True
        self._list_next = False
        self._listed: dict[Key, O] | None = None
        """While a list is coming in: what has come."""
        self._version = ""
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def reached(self, version: str) -> None:
        """Return once the copy includes what the server had at a resource version.

        So somebody who wrote an object can wait to see the own write here. Resource versions are
        ordered numbers (KEP-5504); one that is not a number counts as seen.
        """
        if not version.isdecimal() or self._number() >= int(version):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((int(version), future))
        await future

    async def run(self) -> None:
        """List, then watch for ever, through restarts of the API server and lost history."""
        backoff = away = Backoff()
        refusals = Backoff(limit=_REFUSED_SECONDS)
        while True:
            started = time.monotonic()
            try:
                if not self._version and (self._list_next or not self._can_stream):
                    await self._list()
                await self._watch()
                self.last_error = ""  # the server ended it in due time
            except _NoStreaming as error:
                self._list_next = True
                self._can_stream = self._can_stream and not error.for_ever
                continue
            except ApiError as error:
                backoff = refusals if error.code in (401, 403, 404) else away
                if error.is_gone:
                    self._version = ""
                self._note(f"{error.code} {error}")
            except (Unreachable, CredentialsError, msgspec.DecodeError) as error:
                backoff = away
                self._note(str(error))
            finally:
                self.connected = False
                self._listed = None
            if time.monotonic() - started > _LASTING_SECONDS:
                away.reset()
                refusals.reset()
                if not self.last_error:
                    continue
            await asyncio.sleep(backoff.next())

    def _note(self, text: str) -> None:
        # An API server that is away for an hour is one line, not thousands.
        if text != self.last_error:
            fields = {"resource": self.resource.group_resource, "error": text}
            logger.warning("watch interrupted", extra={"fields": fields})
        self.last_error = text

    async def _list(self) -> None:
        # As client-go: any cached state will do to begin with, but never one older than what we had.
        query = selection(*self._selectors)
        if not self.synced.is_set():
            query["resourceVersion"] = "0"
        accept = self._client.config.accept
        body = await self._client.request("GET", self._path, query=query, accept=accept)
        version, objects = read_list(body, self._type, self._not_understood)
        del body
        self._list_next = False
        self._listed = {}
        for obj in objects:
            self._list_one(obj)
        self._complete(version)
        self._tell_waiting()

    def _complete(self, version: str) -> None:
        """The list is in; what was not in it is gone. That is told first, as it happened first."""
        assert self._listed is not None
        listed, self._listed = self._listed, None
        self.keep_only(listed)
        for obj in listed.values():
            self.apply(obj)
        self._version = version
        self.synced.set()
        self._batch()

    async def _watch(self) -> None:
        # Spread over time, so that a fleet's watches do not all end in the same second.
        seconds = random.randint(300, 600)
        query = watch_query(self._version, *self._selectors, seconds=seconds)
        if not self._version:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
            self._listed = {}
        try:
            accept = self._client.config.accept
            async with self._client.response(self._path, query=query, accept=accept) as response:
                self.connected = True
                self.connected_at = asyncio.get_running_loop().time()
                self.last_error = ""
                reader = self._reader(response.content_type)
                while True:
                    try:
                        async with asyncio.timeout(_SILENT_SECONDS if self._listed is not None else None):
                            chunk = await response.content.readany()
                    except TimeoutError:
                        raise _NoStreaming(for_ever=True) from None
                    if not chunk:
                        break
                    self._follow(reader, chunk)
                    self._tell_waiting()
        except ApiError as error:
            if self._listed is not None and (error.code >= 500 or error.code in (400, 404, 405, 422)):
                # Also 500: so says a server whose store cannot report its progress (etcd before 3.4.25).
                raise _NoStreaming(for_ever=error.code in (400, 422)) from None
            raise
        if self._listed is not None:  # it ended without ever having said that this is all
            raise _NoStreaming(for_ever=True)

    def _reader(self, content_type: str) -> Reader[O]:
        if content_type == _PROTOBUF:
            from clusterip.client.protobuf import ProtobufEventReader  # not what anybody usually gets

            return ProtobufEventReader(self._type, self._not_understood)
        return EventReader(self._type, self._not_understood)

    def _follow(self, reader: Reader[O], chunk: bytes) -> None:
        """Take all events of one chunk, then say so once. Raises as ``EventReader.feed`` does."""
        changed = False
        try:
            for event in reader.feed(chunk):
                if isinstance(event, Bookmark):
                    if self._listed is None:
                        self._version = event.metadata.resourceVersion
                    elif event.ends_initial_events:
                        self._complete(event.metadata.resourceVersion)
                elif self._listed is not None:
                    self._list_one(event.object, gone=event.type == "DELETED")
                else:
                    self._take(event.object, gone=event.type == "DELETED")
                    changed = True
        finally:
            # What came before a bad line has been told already; what is being listed waits for the rest.
            if changed and self._listed is None:
                self._batch()

    def _list_one(self, obj: O, *, gone: bool = False) -> None:
        """One of what is there already; or that was, when the list began."""
        assert self._listed is not None
        meta = obj.metadata
        key = (meta.namespace, meta.name)
        if gone:
            self._listed.pop(key, None)
        else:
            self._listed[key] = self._prepared(obj)
        if not self.synced.is_set():  # the first list is taken as it comes: there is nothing to compare with
            self._put(key, obj, gone)

    def _take(self, obj: O, *, gone: bool) -> None:
        """A change of now."""
        meta = obj.metadata
        self._put((meta.namespace, meta.name), self._prepared(obj), gone)
        self._version = meta.resourceVersion

    def _put(self, key: Key, obj: O, gone: bool) -> None:
        if gone:
            self.remove(key)
        else:
            self.apply(obj)

    def _prepared(self, obj: O) -> O:
        if isinstance(obj, Object):
            # Often half of an object, and of use only to the server, which keeps its own.
            obj.metadata.managedFields = []
        if self._prepare is not None:
            self._prepare(obj)
        return obj

    def _number(self) -> int:
        return int(self._version) if self._version.isdecimal() else -1

    def _tell_waiting(self) -> None:
        if not self._waiting:
            return
        number = self._number()
        for version, future in self._waiting:
            if version <= number and not future.done():
                future.set_result(None)
        self._waiting = [entry for entry in self._waiting if not entry[1].done()]

    def _not_understood(self, raw: bytes, error: msgspec.ValidationError) -> None:
        shown = raw[:300].decode(errors="replace")
        fields = {"resource": self.resource.group_resource, "error": str(error), "object": shown}
        logger.error("object not understood", extra={"fields": fields})


async def wait_synced(*informers: Informer[Any]) -> None:
    """Return when every informer has its first list."""
    for informer in informers:
        await informer.synced.wait()


__all__ = ["Informer", "Key", "Metadata", "O", "Watched", "wait_synced"]
