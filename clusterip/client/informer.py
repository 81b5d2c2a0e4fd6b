"""A local copy of a collection that follows the API server, and tells of every change once.

Objects are decoded straight from the wire into the given type, so a process that needs three fields
of a Service holds three fields of a Service. While the API server is away the copy stays as it was.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from clusterip.client.backoff import Backoff
from clusterip.client.credentials import CredentialsError
from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.index import Index
from clusterip.client.rest import Client, selection, watch_query
from clusterip.client.watching import Bookmark, LineSplitter, RawEvent, parse_event
from clusterip.objects import codec
from clusterip.objects.meta import ListMeta, Object
from clusterip.objects.registry import Resource

logger = logging.getLogger(__name__)

_LASTING_SECONDS = 1.0  # a watch that held for so long was no failed attempt

Key = tuple[str, str]
"""Namespace ("" if the kind has none) and name."""


class Metadata(Protocol):
    """What an informer must know of an object; a slim type has at least this."""

    name: str
    namespace: str
    resourceVersion: str


class Watched(Protocol):
    """Any struct with ``metadata``."""

    @property
    def metadata(self) -> Any: ...


O = TypeVar("O", bound=Watched)  # noqa: E741


class _RawList(msgspec.Struct):
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[msgspec.Raw] | None = None


class Informer(Generic[O]):
    """Follows one collection. ``run`` does the work; everything else looks at what it has found so far.

    ``synced`` is set once the first list is in; ``connected`` says whether a watch is open now,
    ``connected_at`` since when (in the event loop's time) and ``last_error`` why not. Handlers run in
    the event loop and must not block; one that raises ends ``run``, since a copy that only some have
    seen cannot be trusted.
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
    ) -> None:
        self.objects: dict[Key, O] = {}
        self.synced = asyncio.Event()
        self.connected = False
        self.connected_at = 0.0
        self.last_error = ""
        self.resource = resource
        self._client = client
        self._type = cast("type[O]", type_ or resource.type)
        self._path = resource.path(namespace)
        self._selectors = (label_selector, field_selector)
        self._handlers: list[Callable[[O | None, O | None], None]] = []
        self._batch_handlers: list[Callable[[], None]] = []
        self._indexes: dict[str, Index[O]] = {}
        self._version = ""
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def on_change(self, handler: Callable[[O | None, O | None], None]) -> None:
        """Call ``handler(old, new)`` for every change, in order; ``old`` None: added, ``new`` None: gone.

        A handler that comes late is told of everything that is already there.
        """
        self._handlers.append(handler)
        for obj in list(self.objects.values()):
            handler(None, obj)

    def on_batch(self, callback: Callable[[], None]) -> None:
        """Call back once after all changes that arrived together, and after every full list."""
        self._batch_handlers.append(callback)

    def add_index(self, name: str, key_of: Callable[[O], Iterable[Hashable]]) -> None:
        """Keep objects findable by the keys that ``key_of`` gives for each."""
        index = self._indexes[name] = Index(key_of)
        for key, obj in self.objects.items():
            index.change(key, None, obj)

    def by_index(self, name: str, key: Hashable) -> list[O]:
        """The objects with that key, oldest key first. Raises KeyError for an index never added."""
        return [self.objects[found] for found in self._indexes[name].find(key)]

    def get(self, namespace: str, name: str) -> O | None:
        return self.objects.get((namespace, name))

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
        backoff = Backoff()
        while True:
            started = time.monotonic()
            try:
                if not self._version:
                    await self._relist()
                await self._watch()
                self.last_error = ""  # the server ended it in due time
            except ApiError as error:
                if error.is_gone:
                    self._version = ""
                self._note(f"{error.code} {error}")
            except (Unreachable, CredentialsError, msgspec.DecodeError) as error:
                self._note(str(error))
            finally:
                self.connected = False
            if time.monotonic() - started > _LASTING_SECONDS:
                backoff.reset()
                if not self.last_error:
                    continue
            await asyncio.sleep(backoff.next())

    def _note(self, text: str) -> None:
        # An API server that is away for an hour is one line, not thousands.
        if text != self.last_error:
            fields = {"resource": self.resource.group_resource, "error": text}
            logger.warning("watch interrupted", extra={"fields": fields})
        self.last_error = text

    async def _relist(self) -> None:
        # As client-go: any cached state will do to begin with, but never one older than what we had.
        query = selection(*self._selectors)
        if not self.synced.is_set():
            query["resourceVersion"] = "0"
        body = await self._client.request("GET", self._path, query=query)
        listed = msgspec.json.decode(body, type=_RawList)
        del body
        found: dict[Key, O] = {}
        for raw in listed.items or ():
            obj = self._decode(raw)
            if obj is not None:
                found[obj.metadata.namespace, obj.metadata.name] = obj
        for key in [key for key in self.objects if key not in found]:
            self._apply(key, None)
        for key, obj in found.items():
            self._apply(key, obj)
        self._version = listed.metadata.resourceVersion
        self.synced.set()
        self._batch()
        self._tell_waiting()

    async def _watch(self) -> None:
        # Spread over time, so that a fleet's watches do not all end in the same second.
        query = watch_query(self._version, *self._selectors, seconds=random.randint(300, 600))
        async with self._client.stream(self._path, query=query) as content:
            self.connected = True
            self.connected_at = asyncio.get_running_loop().time()
            self.last_error = ""
            lines = LineSplitter()
            while chunk := await content.readany():
                self._follow(lines.feed(chunk))
                self._tell_waiting()

    def _follow(self, lines: list[bytes]) -> None:
        """Take all events of one chunk, then say so once. Raises as ``parse_event`` does."""
        changed = False
        try:
            for line in lines:
                changed |= self._take(parse_event(line))
        except (ApiError, msgspec.DecodeError):
            if changed:
                self._batch()  # what came before the bad line has been told already
            raise
        if changed:
            self._batch()

    def _take(self, event: RawEvent) -> bool:
        """Follow one event; whether an object changed."""
        if event.type == "BOOKMARK":
            self._version = codec.decode(event.object, Bookmark).metadata.resourceVersion
            return False
        obj = self._decode(event.object)
        if obj is None:
            self._version = codec.decode(event.object, Bookmark).metadata.resourceVersion
            return False
        meta = obj.metadata
        self._apply((meta.namespace, meta.name), None if event.type == "DELETED" else obj)
        self._version = meta.resourceVersion
        return True

    def _apply(self, key: Key, new: O | None) -> None:
        old = self.objects.get(key)
        if new is None:
            if old is None:
                return
            del self.objects[key]
        elif old is not None:
            if old.metadata.resourceVersion == new.metadata.resourceVersion:
                return
            if getattr(old.metadata, "uid", "") != getattr(new.metadata, "uid", ""):
                # Deleted and made again while we were not looking: two changes, not one.
                self._apply(key, None)
                self._apply(key, new)
                return
            self.objects[key] = new
        else:
            self.objects[key] = new
        for index in self._indexes.values():
            index.change(key, old, new)
        for handler in self._handlers:
            handler(old, new)

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

    def _batch(self) -> None:
        for callback in self._batch_handlers:
            callback()

    def _decode(self, raw: msgspec.Raw) -> O | None:
        try:
            obj = codec.decode(raw, self._type)
            if isinstance(obj, Object):
                # Often half of an object, and of use only to the server, which keeps its own.
                obj.metadata.managedFields = []
            return obj
        except msgspec.ValidationError as error:
            # One object from a newer or broken writer must not stop all others from being served.
            shown = bytes(raw)[:300].decode(errors="replace")
            fields = {"resource": self.resource.group_resource, "error": str(error), "object": shown}
            logger.error("object not understood", extra={"fields": fields})
            return None


async def wait_synced(*informers: Informer[Any]) -> None:
    """Return when every informer has its first list."""
    for informer in informers:
        await informer.synced.wait()
