"""Who owns what: controller references, and claiming the objects that a workload's selector picks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from clusterip.client.errors import ApiError
from clusterip.client.rest import Client
from clusterip.objects.meta import Object, ObjectMeta, OwnerReference
from clusterip.objects.registry import resource_of
from clusterip.objects.selectors import Selector

O = TypeVar("O", bound=Object)  # noqa: E741


def controller_of(meta: ObjectMeta) -> OwnerReference | None:
    """The owner that manages the object, of which there is at most one."""
    for owner in meta.ownerReferences:
        if owner.controller:
            return owner
    return None


def controller_reference(owner: Object) -> OwnerReference:
    """A reference that says: ``owner`` manages this, and foreground deletion of it waits for this."""
    resource = resource_of(type(owner))
    return OwnerReference(
        apiVersion=resource.api_version,
        kind=resource.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        blockOwnerDeletion=True,
    )


async def claim(client: Client, owner: Object, selector: Selector, candidates: Iterable[O]) -> list[O]:
    """Those of ``candidates`` that ``owner`` manages, after adopting orphans and releasing strangers.

    Orphans with the right labels become the owner's; what is the owner's but lost the labels is let go
    (``pkg/controller/controller_ref_manager.go``). Raises ApiError if neither is possible.
    """
    claimed: list[O] = []
    may_adopt: bool | None = None
    for obj in candidates:
        current = controller_of(obj.metadata)
        matches = selector.matches(obj.metadata.labels)
        if current is not None:
            if current.uid != owner.metadata.uid:
                continue
            if matches:
                claimed.append(obj)
            elif owner.metadata.deletionTimestamp is None:
                await _release(client, owner, obj)
            continue
        if not matches or owner.metadata.deletionTimestamp or obj.metadata.deletionTimestamp:
            continue
        if may_adopt is None:
            # The cache may be behind: an owner that was just deleted must not take anything with it.
            fresh = await client.get(type(owner), owner.metadata.name, owner.metadata.namespace)
            may_adopt = fresh.metadata.uid == owner.metadata.uid and not fresh.metadata.deletionTimestamp
        if may_adopt:
            adopted = await _adopt(client, owner, obj)
            if adopted is not None:
                claimed.append(adopted)
    return claimed


async def _adopt(client: Client, owner: Object, obj: O) -> O | None:
    # The UID makes the server refuse if another object took the name meanwhile.
    patch = {"metadata": {"ownerReferences": [controller_reference(owner)], "uid": obj.metadata.uid}}
    meta = obj.metadata
    try:
        return await client.patch(type(obj), meta.name, meta.namespace, patch, kind="strategic")
    except ApiError as error:
        if error.is_not_found:
            return None
        raise


async def _release(client: Client, owner: Object, obj: Object) -> None:
    reference = {"$patch": "delete", "uid": owner.metadata.uid}
    patch = {"metadata": {"ownerReferences": [reference], "uid": obj.metadata.uid}}
    meta = obj.metadata
    try:
        await client.patch(type(obj), meta.name, meta.namespace, patch, kind="strategic")
    except ApiError as error:
        # 422: another object of the name, or the reference is gone already. Nothing is left to release.
        if not (error.is_not_found or error.code == 422):
            raise
