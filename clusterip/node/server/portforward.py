"""``/portForward``: connections to a Pod's ports through the API server."""

from __future__ import annotations

from aiohttp import web

from clusterip.node.pods.manager import PodManager
from clusterip.node.server.find import find_pod


class PortForward:
    """Serves port forwarding."""

    def __init__(self, manager: PodManager) -> None:
        self._manager = manager

    async def serve(self, request: web.Request) -> web.StreamResponse:
        find_pod(request, self._manager)
        raise web.HTTPNotImplemented(text="port forwarding is not supported by this node")
