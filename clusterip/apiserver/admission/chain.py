"""The admission plugins that are always on, in upstream's order."""

from __future__ import annotations

from typing import Any

from clusterip.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from clusterip.apiserver.admission.pods import complete_pod
from clusterip.apiserver.cache import WatchCache
from clusterip.objects.core.pod import Pod
from clusterip.objects.registry import Resource


class Admission:
    def __init__(self, cache: WatchCache) -> None:
        self._namespaces = NamespaceLifecycle(cache)

    async def create(self, resource: Resource[Any], obj: Any) -> None:
        """Complete a new object. Raises StatusError (403, 404) if it may not be created."""
        if resource.namespaced:
            await self._namespaces.create(resource, obj)
        if isinstance(obj, Pod):
            complete_pod(obj)

    def delete(self, resource: Resource[Any], namespace: str, name: str) -> None:
        """Raises StatusError (403) if the object may not be deleted."""
        self._namespaces.delete(resource, name)
