"""A static Pod's mirror: its object at the API server, where people see it and nobody can change it.

As upstream's ``pkg/kubelet/pod/mirror_client.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from clusterip.client.errors import ApiError
from clusterip.client.rest import Client
from clusterip.node.pods.reporter import Reporter, version_of
from clusterip.node.pods.static.manifest import HASH_ANNOTATION
from clusterip.objects.codec import copy
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod, PodStatus
from clusterip.objects.core.pod.references import MIRROR_ANNOTATION
from clusterip.objects.meta import OwnerReference, Status
from clusterip.process import log

_log = log.get("node")

_REFUSED_SECONDS = 10.0


def mirrored(pod: Pod) -> str:
    """The UID of the static Pod that an object mirrors; empty if it is no mirror."""
    return pod.metadata.annotations.get(MIRROR_ANNOTATION, "")


class MirrorReporter(Reporter):
    """Keeps a static Pod's mirror there, and its status as ``compute`` says. ``pod`` is the static Pod."""

    def __init__(self, client: Client, pod: Pod, compute: Callable[[Pod], PodStatus]) -> None:
        super().__init__(client, pod, compute)
        self._mirror: Pod | None = None

    def seen(self, mirror: Pod | None) -> None:
        """Take in what the API server has: a newer mirror, or None if it was deleted."""
        known = self._mirror
        same = known is not None and mirror is not None and mirror.metadata.uid == known.metadata.uid
        if not (same and version_of(mirror) < version_of(known)):
            self._mirror = mirror
        self.report()

    async def _write(self) -> None:
        mirror = self._mirror
        if mirror is not None and mirror.metadata.deletionTimestamp:
            await self._remove(mirror)  # nobody's wish but the file's counts
            mirror = None
        mirror = self._mirror = mirror or await self._create()
        status = self._compute(mirror)
        if msgspec.json.encode(status) == msgspec.json.encode(mirror.status):
            return
        try:
            written = await self._client.update_status(msgspec.structs.replace(mirror, status=status))
        except ApiError as error:
            if not (error.is_conflict or error.is_not_found):
                raise
            self._mirror = await self._found()
            self._wanted.set()
            return
        written.metadata.managedFields = []
        self._mirror = written

    async def _create(self) -> Pod:
        node = await self._client.get(Node, self.pod.spec.nodeName)
        mirror = copy(self.pod)
        meta = mirror.metadata
        meta.annotations[MIRROR_ANNOTATION] = meta.annotations[HASH_ANNOTATION]
        meta.ownerReferences = [
            OwnerReference(
                apiVersion="v1",
                kind="Node",
                name=node.metadata.name,
                uid=node.metadata.uid,
                controller=True,
            )
        ]
        meta.uid = ""
        try:
            return await self._client.create(mirror)
        except ApiError as error:
            if not error.is_already_exists:
                raise
        there = await self._client.get(Pod, meta.name, meta.namespace)
        if mirrored(there) == self.pod.metadata.uid and not there.metadata.deletionTimestamp:
            return there
        if not mirrored(there):
            raise _taken(there)
        await self._remove(there)
        return await self._client.create(mirror)

    async def _found(self) -> Pod | None:
        meta = self.pod.metadata
        try:
            there = await self._client.get(Pod, meta.name, meta.namespace)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise
        return there if mirrored(there) == meta.uid else None

    async def _remove(self, mirror: Pod) -> None:
        meta = mirror.metadata
        try:
            await self._client.delete(Pod, meta.name, meta.namespace, grace_period_seconds=0, uid=meta.uid)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise

    def _refused(self, error: ApiError) -> None:
        _log.warning("mirror of a static pod refused, trying again", pod=self._name, error=str(error))
        self._mirror = None
        asyncio.get_running_loop().call_later(_REFUSED_SECONDS, self.report)


def _taken(pod: Pod) -> ApiError:
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    message = f"there is a Pod {name} that is no mirror of a static Pod"
    return ApiError(Status(code=409, reason="AlreadyExists", message=message))
