"""The connection to one cluster and the zone that is kept from it."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from typing import Any

from clusterip.client.config import Config, ConfigError, load
from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.dns import wire
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
    """A zone that follows an API server as ``kubernetes`` says; with no options an empty one."""

    def __init__(self, options: KubernetesOptions | None, kubeconfig: str | None) -> None:
        """Raises Fatal if there is no usable way to the API server."""
        self.options = options
        self.pods: Pods | None = None
        self._task: asyncio.Task[None] | None = None
        if options is None:
            self.zone = Zone("cluster.local", 5)
            self.zone.synced = True  # nothing will come
            return
        self.zone = Zone(options.domain, options.ttl)
        if options.pods == "disabled":
            self.zone.pods = _no_pods
        try:
            self._config = _config(options, kubeconfig)
        except (ConfigError, OSError) as error:
            raise Fatal(str(error)) from None

    def serves(self, options: KubernetesOptions | None) -> bool:
        """Whether these options need no other zone than this one."""
        return _content(options) == _content(self.options)

    def namespace_at(self, address: str) -> str | None:
        """The namespace of the Pod that has an address; needs ``pods verified``."""
        return self.pods.namespace_at(address) if self.pods is not None else None

    def start(self) -> asyncio.Task[None] | None:
        """Begin to follow; the task ends only by an error. None if there is nothing to follow."""
        if self.options is not None:
            self._task = asyncio.create_task(self._follow(self.options))
        return self._task

    async def synced(self) -> None:
        """Wait until everything is known. Raises what ended the task before."""
        while not self.zone.synced:
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
            slice_type = wire.NamedEndpointSlice if options.endpoint_pod_names else wire.EndpointSlice
            slices: Informer[wire.EndpointSlice] = Informer(
                client, ENDPOINTSLICES, slice_type, label_selector=options.labels
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
                self.zone.pods = self.pods.find
                self.zone.pods_vary = True
            view = View(options.namespaces, bool(options.namespace_labels), options.ignore_empty_service)
            Follower(self.zone, namespaces, services, slices, view, others)
            async with asyncio.TaskGroup() as group:
                for informer in (*running, *others):
                    group.create_task(informer.run())


def _no_pods(namespace: bytes, label: bytes) -> Node | None:
    return None


def _content(options: KubernetesOptions | None) -> KubernetesOptions | None:
    """The options without those that only say who else may answer."""
    return options if options is None else replace(options, fallthrough=(), reverse_zones=())


def _config(options: KubernetesOptions, kubeconfig: str | None) -> Config:
    if options.endpoint is None or options.kubeconfig is not None:
        return load(options.kubeconfig or kubeconfig, options.context)
    context: ssl.SSLContext | None = None
    if options.tls is not None:
        certificate, key, authority = options.tls
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(certificate, key)
    return Config(options.endpoint.rstrip("/"), ssl_context=context)
