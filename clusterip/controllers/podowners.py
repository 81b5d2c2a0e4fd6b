"""Which workloads a Pod's change concerns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from clusterip.client.informer import Informer
from clusterip.controllers.context import BY_NAMESPACE
from clusterip.controllers.controller import ObjectKey, key_of
from clusterip.controllers.owners import controller_of
from clusterip.objects.core.pod import Pod
from clusterip.objects.meta import Object
from clusterip.objects.selectors import Selector, SelectorError

O = TypeVar("O", bound=Object)  # noqa: E741


class OwnersOfPods(Generic[O]):
    """Calls ``found`` with the workload that controls a changed Pod, and with those that may adopt it."""

    def __init__(
        self,
        workloads: Informer[O],
        pods: Informer[Pod],
        selector_of: Callable[[O], Selector],
        found: Callable[[ObjectKey], None],
    ) -> None:
        """``selector_of`` may raise SelectorError: that workload adopts nothing."""
        self._workloads = workloads
        self._selector_of = selector_of
        self._found = found
        pods.on_change(self._pod_changed)

    def owner_of(self, pod: Pod) -> O | None:
        """The workload of this kind that controls the Pod."""
        owner = controller_of(pod.metadata)
        if owner is None or owner.kind != self._workloads.resource.kind:
            return None
        workload = self._workloads.get(pod.metadata.namespace, owner.name)
        return workload if workload is not None and workload.metadata.uid == owner.uid else None

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        owners = [self.owner_of(pod) for pod in (old, new) if pod is not None]
        for key in {key_of(owner) for owner in owners if owner is not None}:
            self._found(key)
        if new is not None and controller_of(new.metadata) is None:
            self._orphan_changed(old, new)

    def _orphan_changed(self, old: Pod | None, new: Pod) -> None:
        if old is not None and old.metadata.labels == new.metadata.labels and not controller_of(old.metadata):
            return
        for workload in self._workloads.by_index(BY_NAMESPACE, new.metadata.namespace):
            try:
                if self._selector_of(workload).matches(new.metadata.labels):
                    self._found(key_of(workload))
            except SelectorError:
                continue  # its own sync tells of it
