"""Which Services a Pod's change concerns."""

from __future__ import annotations

from collections.abc import Callable

from clusterip.client.informer import Informer
from clusterip.controllers import services
from clusterip.controllers.context import BY_NAMESPACE
from clusterip.controllers.controller import ObjectKey, key_of
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service import Service


class ServicesOfPods:
    """Calls ``found`` with each Service whose endpoints a Pod's change can change."""

    def __init__(
        self, service_informer: Informer[Service], pods: Informer[Pod], found: Callable[[ObjectKey], None]
    ) -> None:
        self._services = service_informer
        self._found = found
        pods.on_change(self._pod_changed)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is None:
            return
        labels_before = old.metadata.labels if old is not None else None
        labels_after = new.metadata.labels if new is not None else None
        changed = old is None or new is None or services.endpoints_changed(old, new)
        if not changed and labels_before == labels_after:
            return
        for service in self._services.by_index(BY_NAMESPACE, pod.metadata.namespace):
            if not services.wants_endpoints(service):
                continue
            before = labels_before is not None and services.selects(service, labels_before)
            after = labels_after is not None and services.selects(service, labels_after)
            if before != after or (changed and (before or after)):
                self._found(key_of(service))
