"""From what the API server has to what the zone says."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clusterip.client.informer import Informer
from clusterip.dns import names, programming
from clusterip.dns.endpoints import Endpoints
from clusterip.dns.message import AAAA, A
from clusterip.dns.records import AnyService, Node, Records, records_in_steps, service_name
from clusterip.dns.steps import Steps, done, paced
from clusterip.dns.wire import EndpointSlice, ImportSlice, Namespace, Service, ServiceImport
from clusterip.dns.zone import Zone
from clusterip.process import log

Key = tuple[str, str]
"""Namespace and name of a Service."""

_DNS_SERVICE: Key = ("kube-system", "kube-dns")
"""The Service in front of the DNS servers has this name in every cluster, whoever serves it."""

_MANY = 500
"""Endpoints of a Service from which on it is worked out in the background."""

_log = log.get("dns")


@dataclass(frozen=True)
class View:
    """What of the cluster is shown."""

    namespaces: frozenset[str] = frozenset()
    """The only ones; empty: all."""
    labelled_namespaces: bool = False
    """Only Services of the namespaces that the informer lists (which has a label selector)."""
    ignore_empty: bool = False
    """A Service without ready endpoints does not exist."""


EVERYTHING = View()


class Follower:
    """Keeps a zone in step with informers.

    A change costs the recomputation of one Service. EndpointSlices of Services with a ClusterIP are
    not looked at: their records do not depend on them.
    """

    def __init__(
        self,
        zone: Zone,
        namespaces: Informer[Namespace],
        services: Informer[Service] | Informer[ServiceImport],
        slices: Informer[EndpointSlice] | Informer[ImportSlice],
        view: View = EVERYTHING,
        others: Sequence[Informer[Any]] = (),
        also: Sequence[Zone] = (),
    ) -> None:
        """``others`` must have been listed too before the zone counts as synced.

        ``also``: zones that the same servers serve, to be told of their addresses.
        """
        self._zone = zone
        self._view = view
        self._namespaces = namespaces
        self._informers: tuple[Informer[Any], ...] = (namespaces, services, slices, *others)
        self._also = also
        self._services: Informer[Any] = services
        self._slices: Informer[Any] = slices
        self._changed: dict[Key, None] = {}
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._again: set[Key] = set()
        self._triggers: dict[Key, list[str]] = {}
        """When what changed EndpointSlices happened, of those not in the zone yet."""
        slices.add_index("service", _service_keys)
        namespaces.on_change(self._namespace_changed)
        self._services.on_change(self._service_changed)
        self._slices.on_change(self._slice_changed)
        zone.endpoints = Endpoints(self._slices, self._has_cluster_ip, zone.domain)
        for informer in self._informers:
            informer.on_batch(self._flush)

    def _namespace_changed(self, old: Namespace | None, new: Namespace | None) -> None:
        if old is not None and new is not None:
            return
        name = (new or old).metadata.name  # type: ignore[union-attr]  # one of them is there
        if self._view.namespaces and name not in self._view.namespaces:
            return
        if self._view.labelled_namespaces:
            self._changed |= {key: None for key in self._services.objects if key[0] == name}
        try:
            self._zone.put_namespace(name, new is not None)
        except names.BadName as error:
            _log.warning("namespace has no name in DNS", namespace=name, why=error)

    def _service_changed(self, old: AnyService | None, new: AnyService | None) -> None:
        for service in (old, new):
            if service is not None:
                self._changed[service.metadata.namespace, service.metadata.name] = None

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for each in (old, new):
            if each is None:
                continue
            for key in _service_keys(each):
                service = self._services.objects.get(key)
                if service is not None and (service.headless or self._view.ignore_empty):
                    self._changed[key] = None
        if new is None or not self._zone.synced or not new.metadata.annotations.last_change:
            return
        for key in _service_keys(new):
            if key in self._changed:
                self._triggers.setdefault(key, []).append(new.metadata.annotations.last_change)

    def _flush(self) -> None:
        changed = list(self._changed)
        self._changed.clear()
        for key in changed:
            self._update(key)
        if not self._zone.synced and all(informer.synced.is_set() for informer in self._informers):
            self._zone.synced = True
            # What is here now stays: the collector need not walk it again and again, pausing answers.
            gc.freeze()
            _log.info("synced", services=len(self._services.objects), slices=len(self._slices.objects))

    def _update(self, key: Key) -> None:
        """Put a Service's records into the zone: at once, or in the background if there are very many."""
        if key in self._running:
            self._again.add(key)
            return
        slices = self._slices.by_index("service", key)
        size = sum(len(each.endpoints or ()) for each in slices)
        steps = self._steps(key)
        if size < _MANY or not self._zone.synced:
            done(steps)
            return
        task = asyncio.get_running_loop().create_task(paced(steps))
        self._running[key] = task
        task.add_done_callback(lambda task: self._ran(key, task))

    def _ran(self, key: Key, task: asyncio.Task[None]) -> None:
        del self._running[key]
        if task.cancelled():
            return
        task.result()  # fails only by a bug, which the event loop then reports
        if key in self._again:
            self._again.discard(key)
            self._update(key)

    def _steps(self, key: Key) -> Steps[None]:
        triggers = self._triggers.pop(key, ())
        service = self._services.objects.get(key)
        if service is not None and not self._shown(key, service):
            service = None
        slices: Sequence[EndpointSlice] = ()
        if service is not None and service.headless:
            slices = list(self._slices.by_index("service", key))
        try:
            records = Records()
            if service is not None:
                records = yield from records_in_steps(service, slices, self._zone.domain)
        except names.BadName as error:
            _log.warning("service has no name in DNS", service="/".join(key), why=error)
            records = Records()
        yield from self._zone.put_in_steps(key, records)
        if key == _DNS_SERVICE:
            node: Node = records.nodes.get(service_name(key[1], key[0], self._zone.domain), {})
            addresses = {type_: data for type_, data in node.items() if type_ in (A, AAAA)}
            for zone in (self._zone, *self._also):
                zone.put_server_addresses(addresses)
        for trigger in triggers:
            programming.observe(trigger)

    def _has_cluster_ip(self, key: Key) -> bool:
        """Whether a Service has a ClusterIP and is shown."""
        service = self._services.objects.get(key)
        if service is None or service.headless or service.spec.type == "ExternalName":
            return False
        return names.pack_address(service.spec.clusterIP) is not None and self._shown(key, service)

    def _shown(self, key: Key, service: AnyService) -> bool:
        view = self._view
        if view.namespaces and key[0] not in view.namespaces:
            return False
        if view.labelled_namespaces and ("", key[0]) not in self._namespaces.objects:
            return False
        if not view.ignore_empty or service.headless or service.spec.type == "ExternalName":
            return True
        slices = self._slices.by_index("service", key)
        return any(endpoint.ready for each in slices for endpoint in each.endpoints or ())


def _service_keys(each: EndpointSlice) -> Iterable[Key]:
    service = each.metadata.labels.service
    return ((each.metadata.namespace, service),) if service else ()
