"""A copy of a collection, and those who want to hear of its changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from clusterip.client.index import Index

Key = tuple[str, str]
"""Namespace ("" if the kind has none) and name."""


class Metadata(Protocol):
    """What must be known of an object; a slim type has at least this."""

    name: str
    namespace: str
    resourceVersion: str


class Watched(Protocol):
    """Any struct with ``metadata``."""

    @property
    def metadata(self) -> Any: ...


O = TypeVar("O", bound=Watched)  # noqa: E741


class Copy(Generic[O]):
    """Objects by namespace and name; tells handlers of every change once, in order.

    Handlers run in the event loop and must not block; one that raises ends whoever applied the change, since
    a copy that only some have seen cannot be trusted.
    """

    def __init__(self) -> None:
        self.objects: dict[Key, O] = {}
        self._handlers: list[Callable[[O | None, O | None], None]] = []
        self._batch_handlers: list[Callable[[], None]] = []
        self._indexes: dict[str, Index[O]] = {}

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

    def apply(self, obj: O) -> None:
        """An object is there now, in this version."""
        meta = obj.metadata
        key = (meta.namespace, meta.name)
        old = self.objects.get(key)
        if old is None:
            self._change(key, None, obj)
        elif old.metadata.resourceVersion != meta.resourceVersion:
            if getattr(old.metadata, "uid", "") != getattr(meta, "uid", ""):
                # Deleted and made again while nobody looked: two changes, not one.
                self._change(key, old, None)
                old = None
            self._change(key, old, obj)

    def remove(self, key: Key) -> None:
        """An object is gone, if it ever was there."""
        old = self.objects.get(key)
        if old is not None:
            self._change(key, old, None)

    def keep_only(self, keys: Collection[Key]) -> None:
        """All objects but these are gone."""
        for key in [key for key in self.objects if key not in keys]:
            self.remove(key)

    def _change(self, key: Key, old: O | None, new: O | None) -> None:
        if new is None:
            del self.objects[key]
        else:
            self.objects[key] = new
        for index in self._indexes.values():
            index.change(key, old, new)
        for handler in self._handlers:
            handler(old, new)

    def _batch(self) -> None:
        for callback in self._batch_handlers:
            callback()
