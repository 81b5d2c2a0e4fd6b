"""``/stats/summary`` and the pages of metrics about what Pods use: metrics-server's and dashboards' food."""

from __future__ import annotations

import asyncio

from aiohttp import web

from clusterip.node.options import Options
from clusterip.node.pods.manager import PodManager
from clusterip.node.pods.probing import ProbeCounts
from clusterip.node.stats import pages
from clusterip.node.stats.collect import Collector, PodUsage
from clusterip.node.stats.summary import Summary
from clusterip.objects import codec

_TRUE = ("1", "true")


class UsagePages:
    """Serves them."""

    def __init__(self, options: Options, node: str, manager: PodManager) -> None:
        self._manager = manager
        self._collector = Collector()
        self._summary = Summary(node, options.root_dir, options.image_dir)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the paths."""
        router.add_get("/stats/summary", self._stats_summary)
        router.add_get("/metrics/resource", self._resource)
        router.add_get("/metrics/cadvisor", self._cadvisor)
        router.add_get("/metrics/probes", self._probes)

    async def _stats_summary(self, request: web.Request) -> web.Response:
        brief = request.query.get("only_cpu_and_memory", "").lower() in _TRUE
        found = await self._pods(disks=not brief)
        tree = self._summary.write(found, only_cpu_and_memory=brief)
        return web.Response(body=codec.encode(tree), content_type="application/json")

    async def _resource(self, _request: web.Request) -> web.Response:
        return _page(pages.resource(await self._pods()))

    async def _cadvisor(self, _request: web.Request) -> web.Response:
        return _page(pages.cadvisor(await self._pods(disks=True)))

    async def _probes(self, _request: web.Request) -> web.Response:
        counts: list[tuple[dict[str, str], ProbeCounts]] = []
        for worker in self._manager.workers.values():
            meta = worker.pod.metadata
            pod = {"namespace": meta.namespace, "pod": meta.name, "pod_uid": meta.uid}
            counts += [({"container": name, **pod}, found) for name, found in worker.probe_counts.items()]
        return _page(pages.probes(counts))

    async def _pods(self, *, disks: bool = False) -> list[PodUsage]:
        workers = list(self._manager.workers.values())
        return await asyncio.to_thread(lambda: list(self._collector.collect(workers, disks=disks)))


def _page(text: str) -> web.Response:
    return web.Response(body=text.encode(), headers={"Content-Type": pages.CONTENT_TYPE})
