"""The kubelet API: what the API server asks a node for on behalf of ``kubectl logs``, ``exec`` and others."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from clusterip.node.options import Options
from clusterip.node.pods.context import NodeContext
from clusterip.node.pods.manager import PodManager
from clusterip.node.server import configz
from clusterip.node.server.access import Access
from clusterip.node.server.execute import Execute
from clusterip.node.server.files import Files
from clusterip.node.server.logs import Logs
from clusterip.node.server.portforward import PortForward
from clusterip.node.server.tls import server_context
from clusterip.node.server.tracing import Traces
from clusterip.node.server.usage import UsagePages
from clusterip.objects import codec
from clusterip.objects.core.containers import Container
from clusterip.objects.core.pod import Pod, PodSpec
from clusterip.objects.meta import ObjectMeta
from clusterip.process import log
from clusterip.process.health import HealthServer
from clusterip.process.run import Fatal
from clusterip.process.sockets import listen_tcp

_log = log.get("node")
_CONTAINER = "{namespace}/{pod}/{container}"


class KubeletServer:
    """Serves the kubelet API over HTTPS on ``--address`` and ``--port``."""

    def __init__(
        self,
        options: Options,
        context: NodeContext,
        manager: PodManager,
        health: HealthServer,
    ) -> None:
        self._options = options
        self._context = context
        self._manager = manager
        self._health = health
        execute = Execute(manager, context.runtime)
        forward = PortForward(manager)
        files = Files()
        traces = Traces(options, context.name)
        app = web.Application(middlewares=[Access(context.client, context.name).middleware()])
        for method in ("GET", "POST"):
            app.router.add_route(method, f"/exec/{_CONTAINER}", execute.exec)
            app.router.add_route(method, "/exec/{namespace}/{pod}/{uid}/{container}", execute.exec)
            app.router.add_route(method, f"/attach/{_CONTAINER}", execute.attach)
            app.router.add_route(method, "/attach/{namespace}/{pod}/{uid}/{container}", execute.attach)
            app.router.add_route(method, "/portForward/{namespace}/{pod}", forward.serve)
            app.router.add_route(method, "/portForward/{namespace}/{pod}/{uid}", forward.serve)
        app.router.add_get(f"/containerLogs/{_CONTAINER}", Logs(manager).serve)
        app.router.add_get("/logs", files.serve)
        app.router.add_get("/logs/{path:.*}", files.serve)
        for path in ("/pods", "/pods/"):
            app.router.add_get(path, self._list_pods)
        for path in ("/runningpods", "/runningpods/"):
            app.router.add_get(path, self._list_running)
        app.router.add_get("/configz", configz.serve(options))
        app.router.add_get("/trace", traces.serve)
        app.router.add_post("/trace", traces.serve)
        UsagePages(options, context.name, manager).add_to(app.router)
        app.router.add_get("/{page:(healthz|livez|readyz|metrics)(/.*)?}", self._page)
        # A client that leaves cancels its handler: following a log would never notice otherwise.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)

    async def start(self) -> None:
        """Begin to serve.

        Raises:
            Fatal: the certificate or the address cannot be used.
        """
        options = self._options
        context = server_context(options, self._context.name, list(self._context.addresses))
        host = f"[{options.address}]" if ":" in options.address else options.address
        try:
            socket = listen_tcp(f"{host}:{options.port}")
        except OSError as error:
            raise Fatal(f"the kubelet API: {error.strerror or error}") from error
        await self._runner.setup()
        await web.SockSite(self._runner, socket, ssl_context=context).start()

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._runner.cleanup()

    async def _list_pods(self, _request: web.Request) -> web.Response:
        return _pod_list([worker.shown() for worker in self._manager.workers.values()])

    async def _list_running(self, _request: web.Request) -> web.Response:
        """As the runtime knows them: what runs, not what should."""
        items = []
        for worker in self._manager.workers.values():
            running = [slot for slot in worker.slots if slot.running]
            meta = worker.pod.metadata
            if not running:
                continue
            containers = [Container(name=slot.name, image=slot.spec.image) for slot in running]
            known = ObjectMeta(name=meta.name, namespace=meta.namespace, uid=meta.uid)
            items.append(Pod(metadata=known, spec=PodSpec(containers=containers)))
        return _pod_list(items)

    async def _page(self, request: web.Request) -> web.Response:
        page = self._health.page(request.method, request.raw_path)
        return web.Response(status=page.status, body=page.body, headers={"Content-Type": page.content_type})


def _pod_list(pods: list[Pod]) -> web.Response:
    items = [msgspec.structs.replace(pod, kind="", apiVersion="") for pod in pods]
    body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
    return web.Response(body=codec.encode(body), content_type="application/json")
