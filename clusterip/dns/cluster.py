"""The connection to one cluster and the zones that are kept from it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from clusterip.client.config import Config, ConfigError, load
from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.dns import imports, wire
from clusterip.dns.config.model import KubernetesOptions
from clusterip.dns.follow import Follower, View
from clusterip.dns.pods import Pods
from clusterip.dns.records import Node
from clusterip.dns.zone import Zone
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.core.pod import PODS
from clusterip.objects.core.service import SERVICES
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES
from clusterip.process import Fatal


class Cluster:
    """Zones that follow an API server as ``kubernetes`` says.

    ``zone`` is that of the first cluster domain, which PTR records point to; ``zones`` are all of them.
    """

    def __init__(self, options: KubernetesOptions, kubeconfig: str | None) -> None:
        """Raises Fatal if there is no usable way to the API server."""
        self.options = options
        self.pods: Pods | None = None
        self._task: asyncio.Task[None] | None = None
        self._own = [Zone(domain, options.ttl) for domain in (options.domain, *options.more_domains)]
        self._imports = [Zone(domain, options.ttl) for domain in options.multicluster]
        self.zone = self._own[0]
        for zone in self.zones:
            if options.pods == "disabled" or zone in self._imports:
                zone.pods = _no_pods
            if options.zonal and zone in self._own:
                zone.enable_zonal_names()
        try:
            self._config = _config(options, kubeconfig)
        except (ConfigError, OSError) as error:
            raise Fatal(str(error)) from None

    @property
    def zones(self) -> list[Zone]:
        return [*self._own, *self._imports]

    @property
    def synced(self) -> bool:
        """Whether everything has been listed once."""
        return all(zone.synced for zone in self.zones)

    def serves(self, options: KubernetesOptions) -> bool:
        """Whether these options need no other zones than these."""
        return content(options) == content(self.options)

    def pod_at(self, address: str) -> wire.Pod | None:
        """The Pod that has an address of its own; needs ``pods verified``."""
        return self.pods.at(address) if self.pods is not None else None

    def start(self) -> asyncio.Task[None]:
        """Begin to follow; the task ends only by an error."""
        self._task = asyncio.create_task(self._follow(self.options))
        return self._task

    async def wait_synced(self) -> None:
        """Wait until everything is known. Raises what ended the task before."""
        while not self.synced:
            if self._task is not None and self._task.done():
                self._task.result()
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self, options: KubernetesOptions) -> None:
        async with Client(self._config) as client:
            namespaces = Informer(client, NAMESPACES, wire.Namespace, label_selector=options.namespace_labels)
            services = Informer(client, SERVICES, wire.Service, label_selector=options.labels)
            slices: Informer[wire.EndpointSlice] = Informer(
                client, ENDPOINTSLICES, _slice_type(options), label_selector=options.labels
            )
            running: list[Informer[Any]] = [namespaces, services]
            others: list[Informer[Any]] = []
            if options.noendpoints:
                slices.synced.set()  # there will be none
            else:
                running.append(slices)
            if options.pods == "verified":
                pods = Informer(client, PODS, wire.Pod)
                others.append(pods)
                self.pods = Pods(pods, options.namespaces)
                for zone in self._own:
                    zone.pods = self.pods.find
                    zone.pods_vary = True
            view = View(options.namespaces, bool(options.namespace_labels), options.ignore_empty_service)
            for zone in self._own:
                Follower(zone, namespaces, services, slices, view, others, self._imports)
            async with asyncio.TaskGroup() as group:
                for informer in (*running, *others):
                    group.create_task(informer.run())
                if self._imports:
                    group.create_task(imports.follow(client, self._imports, namespaces, view))


def _slice_type(options: KubernetesOptions) -> type[wire.EndpointSlice]:
    """The smallest type that has what the options need: there are very many endpoints."""
    if options.endpoint_pod_names:
        return wire.NamedEndpointSlice
    return wire.PlacedEndpointSlice if options.zonal else wire.EndpointSlice


def _no_pods(namespace: bytes, label: bytes) -> Node | None:
    return None


def content(options: KubernetesOptions) -> KubernetesOptions:
    """The options without those that only say who else may answer."""
    return replace(options, fallthrough=(), reverse_zones=(), startup_timeout=0.0)


def all_synced(clusters: Iterable[Cluster]) -> bool:
    return all(cluster.synced for cluster in clusters)


def _config(options: KubernetesOptions, kubeconfig: str | None) -> Config:
    if options.endpoint is None or options.kubeconfig is not None:
        return load(options.kubeconfig or kubeconfig, options.context)
    context: ssl.SSLContext | None = None
    if options.tls is not None:
        certificate, key, authority = options.tls
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(certificate, key)
    return Config(options.endpoint.rstrip("/"), ssl_context=context)
