"""Deletes objects whose owners are gone, and finishes foreground and orphaning deletions.

As ``pkg/controller/garbagecollector``. Nothing is deleted on the word of a cache alone: an owner that the
informers do not show is asked for, and a deletion names the UID it means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from clusterip.client.errors import ApiError
from clusterip.client.informer import Informer
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller
from clusterip.controllers.garbagecollector.graph import FOREGROUND, ORPHAN, Graph, Item, Slim, blocks
from clusterip.objects.core.event import EVENTS
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.meta import OwnerReference
from clusterip.objects.registry import Resource, find_kind, resources


@dataclass
class _Owners:
    """An object's owners by their state."""

    alive: list[OwnerReference] = field(default_factory=list)
    absent: list[OwnerReference] = field(default_factory=list)
    waiting: list[OwnerReference] = field(default_factory=list)


class GarbageCollector(Controller[str]):
    """Keys are UIDs. Make it after all other controllers: it uses their informers where there are any."""

    name = "garbage-collector-controller"
    component = "garbage-collector-controller"
    workers = 8

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._graph = Graph()
        for resource in resources():
            if resource is EVENTS:
                continue  # they own nothing and expire by themselves
            shared = context.informers.get(resource.group_resource)
            informer = shared or context.share(resource.group_resource, Informer(self.client, resource, Slim))
            self.wait_for(informer)
            informer.on_change(self._follower(resource))

    async def sync(self, key: str) -> None:
        item = self._graph.get(key)
        if item is None:
            return
        if item.orphaning:
            await self._orphan_dependents(item)
        elif item.deleting_dependents:
            await self._delete_dependents(item)
        elif not item.deleting and item.meta.ownerReferences:
            await self._check_owners(item)

    async def _check_owners(self, item: Item) -> None:
        owners = await self._owners(item)
        if owners.alive:
            gone = [*owners.absent, *owners.waiting]
            if gone:
                await self._drop_owners(item, [owner.uid for owner in gone])
            return
        if not (owners.absent or owners.waiting):
            return
        if owners.waiting and self._graph.dependents(item.meta.uid):
            policy = "Foreground"
        elif ORPHAN in item.meta.finalizers:
            policy = "Orphan"
        elif FOREGROUND in item.meta.finalizers:
            policy = "Foreground"
        else:
            policy = "Background"
        await self._delete(item, policy)

    async def _owners(self, item: Item) -> _Owners:
        owners = _Owners()
        for owner in item.meta.ownerReferences:
            known = self._graph.get(owner.uid)
            if known is not None and known.is_named_by(owner):
                (owners.waiting if known.deleting_dependents else owners.alive).append(owner)
            elif await self._exists(item, owner):
                owners.alive.append(owner)
            else:
                owners.absent.append(owner)
        return owners

    async def _exists(self, item: Item, owner: OwnerReference) -> bool:
        """Ask the server, since a cache that does not show an object proves nothing."""
        resource = find_kind(owner.apiVersion, owner.kind)
        if resource is None:
            return True  # of a kind that is not ours to judge
        if resource.namespaced and not item.meta.namespace:
            self._report_bad_reference(item, owner)
            return True
        namespace = item.meta.namespace if resource.namespaced else ""
        try:
            found = await self.client.get(resource.type, owner.name, namespace)
        except ApiError as error:
            if error.is_not_found:
                return False
            raise
        return bool(found.metadata.uid == owner.uid)

    async def _delete(self, item: Item, policy: str) -> None:
        meta = item.meta
        try:
            await self.client.delete(
                item.resource.type, meta.name, meta.namespace, uid=meta.uid, propagation_policy=policy
            )
        except ApiError as error:
            if error.is_not_found or error.is_conflict:
                return
            raise
        self.log.info("dependent deleted", object=str(item), policy=policy)

    async def _delete_dependents(self, item: Item) -> None:
        dependents = self._graph.dependents(item.meta.uid)
        for dependent in dependents:
            if not dependent.deleting:
                self.queue.add(dependent.meta.uid)
        if not any(blocks(dependent, item.meta.uid) for dependent in dependents):
            await self._remove_finalizer(item, FOREGROUND)

    async def _orphan_dependents(self, item: Item) -> None:
        for dependent in self._graph.dependents(item.meta.uid):
            await self._drop_owners(dependent, [item.meta.uid])
        await self._remove_finalizer(item, ORPHAN)

    async def _drop_owners(self, item: Item, uids: Iterable[str]) -> None:
        gone = set(uids)
        kept = [owner for owner in item.meta.ownerReferences if owner.uid not in gone]
        if await self._patch_meta(item, {"ownerReferences": kept or None}):
            self.log.info("owners dropped", object=str(item), count=len(gone))

    async def _remove_finalizer(self, item: Item, finalizer: str) -> None:
        kept = [each for each in item.meta.finalizers if each != finalizer]
        if await self._patch_meta(item, {"finalizers": kept or None}):
            self.log.info("finalizer removed", object=str(item), finalizer=finalizer)

    async def _patch_meta(self, item: Item, change: dict[str, Any]) -> bool:
        """Change the metadata as it is known here, or not at all. False if the object is gone."""
        meta = item.meta
        body = {"metadata": {**change, "uid": meta.uid, "resourceVersion": meta.resourceVersion}}
        try:
            await self.client.patch(item.resource.type, meta.name, meta.namespace, body)
        except ApiError as error:
            if error.is_not_found:
                return False
            raise
        return True

    def _report_bad_reference(self, item: Item, owner: OwnerReference) -> None:
        about = ObjectReference(
            kind=item.resource.kind,
            name=item.meta.name,
            uid=item.meta.uid,
            apiVersion=item.resource.api_version,
        )
        message = f"ownerRef [{owner.apiVersion}/{owner.kind}, name: {owner.name}] names a namespaced owner"
        self.events.event(about, "Warning", "OwnerRefInvalidNamespace", message)

    def _follower(self, resource: Resource[Any]) -> Callable[[Any, Any], None]:
        def changed(old: Any, new: Any) -> None:
            if new is None:
                self._removed(Item(resource, old.metadata))
            else:
                self._put(Item(resource, new.metadata), old.metadata if old is not None else None)

        return changed

    def _put(self, item: Item, before: Any) -> None:
        self._graph.put(item)
        if item.deleting_dependents or item.orphaning:
            self.queue.add(item.meta.uid)
            return
        known = before.ownerReferences if before is not None else []
        if known == item.meta.ownerReferences:
            return
        if not item.deleting:
            self.queue.add(item.meta.uid)
        for owner in known:
            self.queue.add(owner.uid)  # it may have waited for just this

    def _removed(self, item: Item) -> None:
        waiting = list(self._graph.owners_waiting_for(item))
        self._graph.remove(item.meta.uid)
        for uid in waiting:
            self.queue.add(uid)
        for dependent in self._graph.dependents(item.meta.uid):
            self.queue.add(dependent.meta.uid)
