"""The clusters that a configuration shows; usually one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from clusterip.dns.cluster import Cluster, content
from clusterip.dns.config.model import Config, KubernetesOptions
from clusterip.dns.zone import Zone

_SYNC_SECONDS = 60.0
"""How long a changed configuration may wait for another view of a cluster."""


class Clusters:
    """Those of one configuration, by what of their options makes a difference to their zones.

    ``failed`` is told of what ends following one of them.
    """

    def __init__(self, kubeconfig: str | None, failed: Callable[[BaseException], None]) -> None:
        self._kubeconfig = kubeconfig
        self._failed = failed
        self._known: dict[KubernetesOptions, Cluster] = {}

    def of(self, options: KubernetesOptions) -> Cluster:
        """The cluster that these options show."""
        return self._known[content(options)]

    @property
    def zones(self) -> list[Zone]:
        return [zone for cluster in self._known.values() for zone in cluster.zones]

    @property
    def synced(self) -> bool:
        return all(cluster.synced for cluster in self._known.values())

    def extended(self, config: Config) -> Clusters:
        """Those of another configuration, of which some may be here already; new ones begin to follow.

        Raises Fatal if there is no usable way to one of them.
        """
        new = Clusters(self._kubeconfig, self._failed)
        for options in (server.kubernetes for server in config.servers if server.kubernetes is not None):
            key = content(options)
            if key not in new._known:
                new._known[key] = self._known.get(key) or self._start(options)
        return new

    async def wait_synced(self, seconds: float = _SYNC_SECONDS) -> None:
        """Wait until all are known. Raises TimeoutError, or what ended one before."""
        async with asyncio.timeout(seconds):
            for cluster in self._known.values():
                await cluster.wait_synced()

    async def close_but(self, others: Clusters) -> None:
        """Close those that ``others`` do not have."""
        await _close(each for key, each in self._known.items() if others._known.get(key) is not each)

    async def close(self) -> None:
        await _close(self._known.values())

    def _start(self, options: KubernetesOptions) -> Cluster:
        cluster = Cluster(options, self._kubeconfig)
        cluster.start().add_done_callback(self._ended)
        return cluster

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)


async def _close(clusters: Iterable[Cluster]) -> None:
    for cluster in clusters:
        await cluster.close()
