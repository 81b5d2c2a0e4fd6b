"""Informers in, rules out."""

from __future__ import annotations

import asyncio
import ipaddress

from clusterip.client.informer import Informer, wait_synced
from clusterip.client.rest import Client
from clusterip.objects.core.service import SERVICES
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES
from clusterip.objects.networking.servicecidr import SERVICECIDRS
from clusterip.process import log
from clusterip.proxy import metrics, wire
from clusterip.proxy.addresses import AddressWatch
from clusterip.proxy.config import KubeProxyConfiguration
from clusterip.proxy.health import Health
from clusterip.proxy.healthchecks import Failed, ServiceHealthChecks
from clusterip.proxy.model import Network, NodeAddresses
from clusterip.proxy.nodes import NodePortAddresses, networks, primary_addresses
from clusterip.proxy.pace import Pace
from clusterip.proxy.sharing import share_service, share_slice
from clusterip.proxy.sync import Sync

_log = log.get("proxy")

# As upstream: what other proxies serve, and what has no virtual address, need not even be sent to us.
_OUR_SERVICES = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"
_OUR_SLICES = "!service.kubernetes.io/headless"


class Component:
    """Keeps the rules as the API server's objects want them."""

    def __init__(self, config: KubeProxyConfiguration, sync: Sync, health: Health, failed: Failed) -> None:
        self._config = config
        self._sync = sync
        self._health = health
        self._addresses = NodePortAddresses(config.nodePortAddresses or ())
        self._checks = ServiceHealthChecks(sync.tracker, lambda: health.healthy, failed)
        self._cidrs: dict[str, tuple[Network, ...]] = {}
        self._flush = Pace(config.section.minSyncPeriod.seconds, self._write)
        sync.on_written(self._checks.update)
        sync.on_written(lambda _: self._note_written())

    async def run(self, client: Client, nodes: Informer[wire.Node]) -> None:
        """Follow the API server until cancelled. ``nodes`` runs already, and knows only this node."""
        services = Informer(
            client, SERVICES, wire.Service, label_selector=_OUR_SERVICES, prepare=share_service
        )
        slices = Informer(
            client, ENDPOINTSLICES, wire.EndpointSlice, label_selector=_OUR_SLICES, prepare=share_slice
        )
        # Clusters before Kubernetes 1.33 have no ServiceCIDRs: nothing waits for these.
        cidrs = Informer(client, SERVICECIDRS, wire.ServiceCIDR)
        services.on_change(self._service_changed)
        slices.on_change(self._slice_changed)
        nodes.on_change(lambda _, node: self._node_changed(node))
        cidrs.on_change(self._cidr_changed)
        no_local = metrics.NoLocalEndpoints(self._count_no_local)
        watch = None if self._addresses.primary else AddressWatch(self._addresses_changed)
        try:
            async with asyncio.TaskGroup() as group:
                nodes.on_batch(self._flush)
                for informer in (services, slices, cidrs):
                    informer.on_batch(self._flush)
                    group.create_task(informer.run())
                await wait_synced(services, slices, nodes)
                group.create_task(self._sync.run())
        finally:
            if watch is not None:
                watch.close()
            self._flush.close()
            no_local.close()
            await self._checks.close()

    def _write(self) -> None:
        if self._sync.tracker.has_changes or self._sync.backend.has_changes:
            metrics.last_queued_seconds.set_now()
        self._sync.flush()

    def _service_changed(self, old: wire.Service | None, new: wire.Service | None) -> None:
        metrics.service_changes.inc()
        metrics.service_changes_pending.inc()
        self._sync.tracker.service_changed(old, new)

    def _slice_changed(self, old: wire.EndpointSlice | None, new: wire.EndpointSlice | None) -> None:
        metrics.endpoint_changes_pending.inc()
        self._sync.slice_changed(old, new)

    def _note_written(self) -> None:
        metrics.service_changes_pending.set(0)
        metrics.endpoint_changes_pending.set(0)

    def _node_changed(self, node: wire.Node | None) -> None:
        self._health.node = node
        self._sync.tracker.node_changed(node)
        self._tell_addresses(node)

    def _addresses_changed(self) -> None:
        """The machine's have: those that node ports answer on may too."""
        self._tell_addresses(self._health.node)
        self._flush()

    def _tell_addresses(self, node: wire.Node | None) -> None:
        primary = primary_addresses(node, self._config.bindAddress)
        answering = self._addresses.of(primary)
        self._sync.backend.set_node(NodeAddresses(tuple(primary), tuple(answering)))
        everywhere = self._addresses.everywhere or not answering
        self._checks.set_addresses(None if everywhere else [str(ipaddress.ip_address(a)) for a in answering])

    def _cidr_changed(self, old: wire.ServiceCIDR | None, new: wire.ServiceCIDR | None) -> None:
        if new is not None:
            texts = (new.spec.cidrs or ()) if new.spec is not None else ()
            try:
                self._cidrs[new.metadata.name] = networks(texts)
            except ValueError as error:
                _log.error("a ServiceCIDR cannot be read", name=new.metadata.name, reason=str(error))
                return
        elif old is not None:
            self._cidrs.pop(old.metadata.name, None)
        self._sync.backend.set_service_cidrs(
            network for networks in self._cidrs.values() for network in networks
        )

    def _count_no_local(self) -> dict[tuple[str, str], int]:
        """Service ports with endpoints, of which their ``Local`` policy allows none here."""
        counts: dict[tuple[str, str], int] = {}
        for port, choice, _ in self._sync.tracker.states():
            if not choice.exist or choice.local:
                continue
            family = metrics.label_of(port.key.family)
            policies = (
                ("internal", port.internal_local),
                ("external", port.external_local and port.is_external),
            )
            for policy, is_local in policies:
                if is_local:
                    counts[policy, family] = counts.get((policy, family), 0) + 1
        return counts
