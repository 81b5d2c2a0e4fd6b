"""An API server that has ServiceImports, which ours has not: it lists them, and tells of changes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

_GROUP = "multicluster.x-k8s.io/v1alpha1"


class MulticlusterApi:
    """``objects`` by plural; ``installed`` says whether there is the kind ServiceImport."""

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {
            "namespaces": [],
            "services": [],
            "serviceimports": [],
            "endpointslices": [],
        }
        self.installed = True
        self.asked: list[str] = []
        self._watches: list[tuple[str, web.StreamResponse]] = []
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()

    def add(self, plural: str, obj: dict[str, Any]) -> None:
        """Before or while it serves."""
        obj["metadata"].setdefault("resourceVersion", "5")
        self.objects[plural].append(obj)
        line = json.dumps({"type": "ADDED", "object": obj}).encode() + b"\n"
        for watched, response in list(self._watches):
            if watched == plural:
                asyncio.run_coroutine_threadsafe(response.write(line), self._loop).result(10)

    async def _discovery(self, _request: web.Request) -> web.Response:
        if not self.installed:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound"}
            return web.json_response(status | {"code": 404, "message": "not found"}, status=404)
        return web.json_response({"resources": [{"name": "serviceimports"}]})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        plural = request.match_info["plural"]
        self.asked.append(f"{plural}?{request.query.get('labelSelector', '')}")
        if not request.query.get("watch"):
            found = {"metadata": {"resourceVersion": "1"}, "items": self.objects[plural]}
            return web.json_response(found)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if request.query.get("sendInitialEvents"):
            events = [{"type": "ADDED", "object": obj} for obj in self.objects[plural]]
            end = {"resourceVersion": "5", "annotations": {"k8s.io/initial-events-end": "true"}}
            events.append({"type": "BOOKMARK", "object": {"metadata": end}})
            await response.write(b"".join(json.dumps(event).encode() + b"\n" for event in events))
        self._watches.append((plural, response))
        await self._end.wait()
        return response

    async def _serve(self) -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_get(f"/apis/{_GROUP}", self._discovery)
        for path in ("/api/v1", "/apis/discovery.k8s.io/v1", f"/apis/{_GROUP}"):
            app.router.add_get(path + "/{plural}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, runner.addresses[0][1]

    @contextmanager
    def serving(self, directory: Path) -> Iterator[Path]:
        """Serve in a thread; a kubeconfig for it."""
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        runner, port = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)
        path = directory / "kubeconfig-multicluster"
        path.write_text(
            "{apiVersion: v1, kind: Config, current-context: c, users: [],"
            f" clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}],"
            " contexts: [{name: c, context: {cluster: c, user: ''}}]}"
        )
        try:
            yield path
        finally:
            self._loop.call_soon_threadsafe(self._end.set)
            asyncio.run_coroutine_threadsafe(runner.cleanup(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(10)
