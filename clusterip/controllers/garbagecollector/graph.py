"""Who owns whom, across all kinds, as far as the informers show it. Pure bookkeeping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from clusterip.objects.meta import OwnerReference
from clusterip.objects.registry import Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class SlimMeta(msgspec.Struct):
    """The metadata that ownership is made of."""

    name: str
    uid: str = ""
    namespace: str = ""
    resourceVersion: str = ""
    deletionTimestamp: str | None = None
    ownerReferences: list[OwnerReference] = []
    finalizers: list[str] = []


class Slim(msgspec.Struct):
    """Any object, cut down to its ownership."""

    metadata: SlimMeta


@dataclass(frozen=True, eq=False)
class Item:
    """One object and what it is an instance of."""

    resource: Resource[Any]
    meta: Any

    @property
    def deleting(self) -> bool:
        return self.meta.deletionTimestamp is not None

    @property
    def deleting_dependents(self) -> bool:
        """In foreground deletion: it goes once its dependents are gone."""
        return self.deleting and FOREGROUND in self.meta.finalizers

    @property
    def orphaning(self) -> bool:
        """It goes once its dependents have forgotten it."""
        return self.deleting and ORPHAN in self.meta.finalizers

    def is_named_by(self, owner: OwnerReference) -> bool:
        """Whether a reference with our UID also has the rest right."""
        return (owner.kind, owner.name) == (self.resource.kind, self.meta.name)

    def __str__(self) -> str:
        where = f"{self.meta.namespace}/" if self.meta.namespace else ""
        return f"{self.resource.group_resource}/{where}{self.meta.name}"


class Graph:
    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._dependents: dict[str, set[str]] = {}

    def get(self, uid: str) -> Item | None:
        return self._items.get(uid)

    def put(self, item: Item) -> None:
        self.remove(item.meta.uid)
        self._items[item.meta.uid] = item
        for owner in item.meta.ownerReferences:
            self._dependents.setdefault(owner.uid, set()).add(item.meta.uid)

    def remove(self, uid: str) -> None:
        item = self._items.pop(uid, None)
        if item is None:
            return
        for owner in item.meta.ownerReferences:
            dependents = self._dependents.get(owner.uid)
            if dependents is not None:
                dependents.discard(uid)
                if not dependents:
                    del self._dependents[owner.uid]

    def dependents(self, uid: str) -> list[Item]:
        return [self._items[each] for each in self._dependents.get(uid, ())]

    def owners_waiting_for(self, item: Item) -> Iterable[str]:
        """The owners in foreground deletion, which look again when a dependent goes."""
        for owner in item.meta.ownerReferences:
            found = self._items.get(owner.uid)
            if found is not None and found.deleting_dependents:
                yield owner.uid


def blocks(item: Item, owner_uid: str) -> bool:
    """Whether foreground deletion of the owner has to wait for ``item``."""
    return any(o.uid == owner_uid and o.blockOwnerDeletion for o in item.meta.ownerReferences)
