"""The objects of one resource in memory, its last changes and its watchers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from clusterip.apiserver.entry import Entry
from clusterip.apiserver.watchers import Watchers
from clusterip.apiserver.watching import Change
from clusterip.objects.registry import Resource
from clusterip.storage.store import Event

HISTORY = 2000
"""How many changes of each resource are kept in memory for watchers that come back."""


class ResourceCache:
    """What the watch cache knows of one resource.

    ``forgotten`` is the revision of the newest change that is no longer in ``history``.
    """

    def __init__(self, resource: Resource[Any]) -> None:
        self.resource = resource
        self.namespaces: dict[str, dict[str, Entry]] = {}
        self.history: deque[Change] = deque(maxlen=HISTORY)
        self.watchers = Watchers()
        self.forgotten = 0
        self._sorted: dict[str, list[Entry]] = {}

    def get(self, namespace: str, name: str) -> Entry | None:
        objects = self.namespaces.get(namespace)
        return objects.get(name) if objects else None

    def __iter__(self) -> Iterator[Entry]:
        for objects in self.namespaces.values():
            yield from objects.values()

    def __len__(self) -> int:
        return sum(map(len, self.namespaces.values()))

    def entries(self, namespace: str = "") -> list[Entry]:
        """The objects of a namespace (empty: of all) in the store's order. Not to be changed."""
        ordered = self._sorted.get(namespace)
        if ordered is None:
            if namespace:
                objects = self.namespaces.get(namespace, {})
                ordered = [objects[name] for name in sorted(objects)]
            else:
                ordered = (
                    [e for ns in sorted(self.namespaces) for e in self.entries(ns)]
                    if (self.resource.namespaced)
                    else [e for _, e in sorted(self.namespaces.get("", {}).items())]
                )
            self._sorted[namespace] = ordered
        return ordered

    def apply(self, namespace: str, name: str, event: Event) -> Change | None:
        """Take in one event of the store."""
        objects = self.namespaces.setdefault(namespace, {})
        previous = objects.get(name)
        entry = Entry(self.resource, namespace, name, event.revision, event.value)
        deleted = event.type == "DELETE"
        if deleted:
            if previous is None:
                return None
            del objects[name]
            if not objects:
                del self.namespaces[namespace]
        else:
            objects[name] = entry
        self._sorted.pop(namespace, None)
        self._sorted.pop("", None)
        change = Change(entry, previous, deleted=deleted)
        if len(self.history) == HISTORY:
            self.forgotten = self.history[0].revision
        self.history.append(change)
        return change

    def since(self, revision: int) -> list[Change]:
        """The changes after ``revision``, which must not be below ``forgotten``."""
        found: list[Change] = []
        for change in reversed(self.history):
            if change.revision <= revision:
                break
            found.append(change)
        found.reverse()
        return found
