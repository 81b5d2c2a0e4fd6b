"""Empties namespaces that are being deleted, then lets them go."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from clusterip.client.errors import ApiError
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller
from clusterip.controllers.copying import deep_copy
from clusterip.objects import codec, times
from clusterip.objects.core.namespace import NAMESPACES, Namespace, NamespaceCondition
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.registry import Resource, resources

_FINALIZER = "kubernetes"
_DELETE_OPTIONS = codec.encode(
    {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
)


@dataclass
class _Content:
    """What was found in a namespace after everything had been told to go."""

    remaining: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not self.remaining and not self.failures


class NamespaceController(Controller[str]):
    name = "namespace-controller"
    component = "namespace-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._namespaces = self.informer(NAMESPACES)
        self._namespaces.on_change(self._namespace_changed)
        self.informer(PODS).on_change(self._pod_changed)

    async def sync(self, key: str) -> None:
        namespace = self._namespaces.get("", key)
        if namespace is None or namespace.metadata.deletionTimestamp is None:
            return
        if _FINALIZER not in namespace.spec.finalizers:
            return  # our part is done; somebody else's finalizer holds it
        content = _Content()
        for resource in resources():
            if resource.namespaced:
                await self._empty(key, resource, content)
        if not content.empty:
            await self._tell(namespace, content)
            # Pods tell when they are gone; for anything else it has to be looked at again.
            self.queue.add_rate_limited(key)
            return
        await self._finalize(namespace)

    async def _empty(self, namespace: str, resource: Resource[Any], content: _Content) -> None:
        path = resource.path(namespace)
        try:
            found = await self.client.list(resource.type, namespace)
            if not found.items:
                return
            await self.client.request("DELETE", path, body=_DELETE_OPTIONS)
            left = await self.client.list(resource.type, namespace)
        except ApiError as error:
            if error.is_not_found or error.code == 405:
                return  # the server has no such kind, or it cannot be deleted
            content.failures.append(f"{resource.group_resource}: {error}")
            return
        self.log.debug("content deleted", namespace=namespace, resource=resource.group_resource)
        for obj in left.items:
            content.remaining[f"{resource.plural}.{resource.group}"] += 1
            content.finalizers.update(obj.metadata.finalizers)

    async def _finalize(self, namespace: Namespace) -> None:
        changed = deep_copy(namespace)
        changed.spec.finalizers.remove(_FINALIZER)
        try:
            await self.client.update_subresource(changed, "finalize")
        except ApiError as error:
            if not error.is_not_found:
                raise
        self.log.info("namespace finalized", namespace=namespace.metadata.name)

    async def _tell(self, namespace: Namespace, content: _Content) -> None:
        changed = deep_copy(namespace)
        changed.status.phase = "Terminating"
        changed.status.conditions = _conditions(namespace, content)
        if changed.status == namespace.status:
            return
        try:
            written = await self.client.update_status(changed)
        except ApiError as error:
            if not error.is_not_found:
                raise
            return
        self.wrote(namespace.metadata.name, self._namespaces, written)

    def _namespace_changed(self, old: Namespace | None, new: Namespace | None) -> None:
        if new is not None and new.metadata.deletionTimestamp is not None:
            self.queue.add(new.metadata.name)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None or old is None:
            return
        namespace = self._namespaces.get("", old.metadata.namespace)
        if namespace is not None and namespace.metadata.deletionTimestamp is not None:
            self.queue.add(namespace.metadata.name)


def _conditions(namespace: Namespace, content: _Content) -> list[NamespaceCondition]:
    """Upstream's five, in its words (``pkg/controller/namespace/deletion/status_condition_utils.go``)."""
    failures = remaining = held = ""
    if content.failures:
        count = len(content.failures)
        failures = f"Failed to delete all resource types, {count} remaining: {'; '.join(content.failures)}"
    if content.remaining:
        listed = (
            f"{kind} has {count} resource instances" for kind, count in sorted(content.remaining.items())
        )
        remaining = f"Some resources are remaining: {', '.join(listed)}"
    if content.finalizers:
        listed = (
            f"{name} in {count} resource instances" for name, count in sorted(content.finalizers.items())
        )
        held = f"Some content in the namespace has finalizers remaining: {', '.join(listed)}"
    wanted = [
        _good("NamespaceDeletionDiscoveryFailure", *_DISCOVERED),
        _good("NamespaceDeletionGroupVersionParsingFailure", *_PARSED),
        _bad("NamespaceDeletionContentFailure", "ContentDeletionFailed", failures)
        or _good("NamespaceDeletionContentFailure", *_DELETED),
        _bad("NamespaceContentRemaining", "SomeResourcesRemain", remaining)
        or _good("NamespaceContentRemaining", *_REMOVED),
        _bad("NamespaceFinalizersRemaining", "SomeFinalizersRemain", held)
        or _good("NamespaceFinalizersRemaining", *_NOT_HELD),
    ]
    known = {c.type: c for c in namespace.status.conditions}
    for condition in wanted:
        before = known.pop(condition.type, None)
        if before is not None and before.status == condition.status:
            condition.lastTransitionTime = before.lastTransitionTime
    return [*known.values(), *wanted]


_DISCOVERED = "ResourcesDiscovered", "All resources successfully discovered"
_PARSED = "ParsedGroupVersions", "All legacy kube types successfully parsed"
_DELETED = "ContentDeleted", "All content successfully deleted, may be waiting on finalization"
_REMOVED = "ContentRemoved", "All content successfully removed"
_NOT_HELD = "ContentHasNoFinalizers", "All content-preserving finalizers finished"


def _good(type_: str, reason: str, message: str) -> NamespaceCondition:
    return NamespaceCondition(
        type=type_, status="False", reason=reason, message=message, lastTransitionTime=times.now()
    )


def _bad(type_: str, reason: str, message: str) -> NamespaceCondition | None:
    """The condition of a trouble that ``message`` tells of, or None if it is empty: no trouble."""
    if not message:
        return None
    return NamespaceCondition(
        type=type_, status="True", reason=reason, message=message, lastTransitionTime=times.now()
    )
