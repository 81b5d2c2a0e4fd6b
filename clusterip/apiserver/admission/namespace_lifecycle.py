"""Objects live in namespaces that exist and are not on their way out.

As ``k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle``.
"""

from __future__ import annotations

from typing import Any

from clusterip.apiserver import status
from clusterip.apiserver.cache import WatchCache
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.meta import StatusCause
from clusterip.objects.registry import Resource

IMMORTAL = frozenset(("default", "kube-system", "kube-public"))


class NamespaceLifecycle:
    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    async def create(self, resource: Resource[Any], obj: Any) -> None:
        namespace = obj.metadata.namespace
        entry = self._cache.of(NAMESPACES).get("", namespace)
        if entry is None:
            await self._cache.current()  # it may have been created a moment ago
            entry = self._cache.of(NAMESPACES).get("", namespace)
            if entry is None:
                raise status.not_found(NAMESPACES, namespace)
        if entry.field("status.phase") != "Terminating":
            return
        error = status.forbidden(
            resource,
            obj.metadata.name,
            f"unable to create new content in namespace {namespace} because it is being terminated",
        )
        if error.status.details is not None:
            error.status.details.causes = [
                StatusCause(
                    reason="NamespaceTerminating",
                    message=f"namespace {namespace} is being terminated",
                    field="metadata.namespace",
                )
            ]
        raise error

    def delete(self, resource: Resource[Any], name: str) -> None:
        if resource is NAMESPACES and name in IMMORTAL:
            raise status.forbidden(resource, name, "this namespace may not be deleted")
