"""The proxy as a process: what it opens, runs and closes."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from clusterip.client.config import ConfigError, load
from clusterip.client.informer import Informer, wait_synced
from clusterip.client.rest import Client
from clusterip.objects.core.node import NODES
from clusterip.objects.core.service import SERVICES
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES
from clusterip.objects.networking.servicecidr import SERVICECIDRS
from clusterip.process import Fatal, log
from clusterip.process.health import HealthServer, Page
from clusterip.proxy import metrics, modes, wire
from clusterip.proxy.backend import BackendError, BackendOptions, PodDetection
from clusterip.proxy.health import Health
from clusterip.proxy.healthchecks import ServiceHealthChecks
from clusterip.proxy.model import Network, NodeAddresses
from clusterip.proxy.nodes import NodePortAddresses, internal_ips
from clusterip.proxy.options import Options
from clusterip.proxy.sync import Sync
from clusterip.proxy.tracker import Tracker

_log = log.get("proxy")

# As upstream: what other proxies serve, and what has no virtual address, need not even be sent to us.
_OUR_SERVICES = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"
_OUR_SLICES = "!service.kubernetes.io/headless"


async def main(options: Options) -> None:
    """Keep the rules of this node as the API server wants them, until cancelled. The rules stay then.

    Raises:
        Fatal: an option cannot be used, or the kernel cannot do it.
    """
    if options.cleanup:
        _clean_up()
        return
    try:
        config = load(options.kubeconfig)
        addresses = NodePortAddresses(options.nodeport_addresses)
        pods = PodDetection(cidrs=_networks(options.cluster_cidr))
        mode = modes.get(options.proxy_mode or modes.NAMES[0])
        backend = mode.open(
            BackendOptions(
                pods, masquerade_all=options.masquerade_all, all_node_addresses=addresses.everywhere
            )
        )
    except (ConfigError, ValueError, BackendError) as error:
        raise Fatal(str(error)) from None
    node_name = options.hostname_override.strip().lower() or socket.gethostname().lower()
    sync = Sync(Tracker(node_name), backend)
    try:
        async with Client(config) as client:
            await _Proxy(sync, addresses).run(client, options)
    finally:
        sync.close()


class _Proxy:
    """Informers in, rules out."""

    def __init__(self, sync: Sync, addresses: NodePortAddresses) -> None:
        self._sync = sync
        self._addresses = addresses
        self._health = Health(sync)
        self._checks = ServiceHealthChecks(sync.tracker, lambda: self._health.healthy)
        self._cidrs: dict[str, tuple[Network, ...]] = {}
        sync.on_written(self._checks.update)

    async def run(self, client: Client, options: Options) -> None:
        tracker = self._sync.tracker
        services = Informer(client, SERVICES, wire.Service, label_selector=_OUR_SERVICES)
        slices = Informer(client, ENDPOINTSLICES, wire.EndpointSlice, label_selector=_OUR_SLICES)
        nodes = Informer(client, NODES, wire.Node, field_selector=f"metadata.name={tracker.node_name}")
        # Clusters before Kubernetes 1.33 have no ServiceCIDRs: nothing waits for these.
        cidrs = Informer(client, SERVICECIDRS, wire.ServiceCIDR)
        services.on_change(self._service_changed)
        slices.on_change(self._sync.slice_changed)
        nodes.on_change(lambda _, node: self._node_changed(node))
        cidrs.on_change(self._cidr_changed)
        informers = (services, slices, nodes, cidrs)
        server = HealthServer("proxy")
        self._add_pages(server)
        try:
            for address in dict.fromkeys((options.healthz_bind_address, options.metrics_bind_address)):
                await server.start(address)
            async with asyncio.TaskGroup() as group:
                for informer in informers:
                    informer.on_batch(self._sync.flush)
                    group.create_task(informer.run())
                await wait_synced(services, slices, nodes)
                group.create_task(self._sync.run())
        except ValueError as error:
            raise Fatal(str(error)) from None
        except OSError as error:
            raise Fatal(error.strerror or str(error)) from None
        finally:
            await self._checks.close()
            await server.close()

    def _add_pages(self, server: HealthServer) -> None:
        server.add_page("/healthz", self._health.healthz)
        server.add_page("/livez", self._health.livez)
        server.add_page("/proxyMode", lambda: Page(200, b"nftables"))
        server.ready_check(
            "rules",
            lambda: None if self._sync.synced.is_set() else "the first rules are not in the kernel yet",
        )
        server.ready_check("kernel", lambda: self._sync.failing or None)

    def _service_changed(self, old: wire.Service | None, new: wire.Service | None) -> None:
        metrics.service_changes.inc()
        self._sync.tracker.service_changed(old, new)

    def _node_changed(self, node: wire.Node | None) -> None:
        self._health.node = node
        self._sync.tracker.node_changed(node)
        self._sync.backend.set_node(NodeAddresses(tuple(internal_ips(node)), tuple(self._addresses.of(node))))

    def _cidr_changed(self, old: wire.ServiceCIDR | None, new: wire.ServiceCIDR | None) -> None:
        if new is not None:
            texts = (new.spec.cidrs or ()) if new.spec is not None else ()
            self._cidrs[new.metadata.name] = _networks(texts)
        elif old is not None:
            self._cidrs.pop(old.metadata.name, None)
        self._sync.backend.set_service_cidrs(
            network for networks in self._cidrs.values() for network in networks
        )


def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Raises ValueError for a text that is no range."""
    return tuple(ipaddress.ip_network(text.strip(), strict=False) for text in texts if text.strip())


def _clean_up() -> None:
    try:
        for name in modes.NAMES:
            for removed in modes.get(name).clean_up():
                _log.info("removed rules", rules=removed)
    except BackendError as error:
        raise Fatal(str(error)) from None
