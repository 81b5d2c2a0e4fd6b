"""An API server for benchmarks of DNS: it lists Services and EndpointSlices, and changes some on request.

A process of its own, so that nothing of it counts for the server that is measured.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import web

NAMESPACES = 100
_CHUNK = 200
"""Objects written at a time."""


def namespace_of(number: int) -> str:
    return f"ns-{number % NAMESPACES}"


def with_cluster_ip(number: int) -> dict[str, Any]:
    address = f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    ports = [{"port": 80, "name": "http", "protocol": "TCP"}]
    spec = {"clusterIP": address, "clusterIPs": [address], "ports": ports, "type": "ClusterIP"}
    return {"metadata": _metadata(f"svc-{number}", number), "spec": spec}


def headless(number: int) -> dict[str, Any]:
    ports = [{"port": 80, "name": "http", "protocol": "TCP"}]
    spec = {"clusterIP": "None", "clusterIPs": ["None"], "ports": ports, "type": "ClusterIP"}
    return {"metadata": _metadata(f"peers-{number}", number), "spec": spec}


def slice_of(service: str, number: int, addresses: list[str], version: int = 1) -> dict[str, Any]:
    """As an API server has it, with all that DNS does not look at."""
    metadata = _metadata(f"{service}-abcde", number, version)
    metadata["labels"] = {"kubernetes.io/service-name": service, "app": service}
    metadata["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Service", "name": service, "uid": "0", "controller": True}
    ]
    return {
        "metadata": metadata,
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": f"node-{index}",
                "zone": "zone-1",
                "targetRef": {"kind": "Pod", "name": f"{service}-{index}", "namespace": namespace_of(number)},
            }
            for index, address in enumerate(addresses)
        ],
        "ports": [{"port": 8080, "name": "http", "protocol": "TCP"}],
    }


def _metadata(name: str, number: int, version: int = 1) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": namespace_of(number),
        "resourceVersion": str(version),
        "uid": f"00000000-0000-4000-8000-{number:012d}",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }


def addresses_of(first: int, count: int) -> list[str]:
    return [f"10.{128 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in range(first, first + count)]


class Api:
    """``services`` with a ClusterIP, ``headless`` ones, and ``endpoints`` of each of them."""

    def __init__(self, services: int, headless_services: int, endpoints: int) -> None:
        self.services = services
        self.headless = headless_services
        self.endpoints = endpoints
        self.version = 1
        self._changed: dict[int, list[str]] = {}
        self._end = asyncio.Event()
        self._watched = asyncio.Event()
        self._watches: set[web.StreamResponse] = set()

    def objects(self, plural: str) -> Iterator[dict[str, Any]]:
        if plural == "namespaces":
            yield from ({"metadata": {"name": f"ns-{n}", "resourceVersion": "1"}} for n in range(NAMESPACES))
        elif plural == "services":
            yield from map(with_cluster_ip, range(self.services))
            yield from map(headless, range(self.headless))
        elif plural == "endpointslices":
            for n in range(self.services):
                yield slice_of(f"svc-{n}", n, addresses_of(n * self.endpoints, self.endpoints))
            for n in range(self.headless):
                first = (self.services + n) * self.endpoints
                there = self._changed.get(n) or addresses_of(first, self.endpoints)
                yield slice_of(f"peers-{n}", n, there)

    async def change(self, number: int, addresses: list[str]) -> None:
        """Give a headless Service other endpoints: an event for who watches."""
        await self._watched.wait()
        self.version += 1
        self._changed[number] = addresses
        body = slice_of(f"peers-{number}", number, addresses, self.version)
        line = json.dumps({"type": "MODIFIED", "object": body}).encode() + b"\n"
        for watch in list(self._watches):
            try:
                await watch.write(line)
            except ConnectionError:
                self._watches.discard(watch)  # its client has begun another one

    def end(self) -> None:
        """Let go of those that watch."""
        self._end.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        plural = request.match_info["plural"]
        if request.query.get("watch"):
            return await self._watch(request, plural)
        items = list(self.objects(plural))
        return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": items})

    async def _write_all(self, response: web.StreamResponse, plural: str) -> None:
        """What is there as the beginning of a watch (KEP-3157)."""
        lines: list[bytes] = []
        for obj in self.objects(plural):
            lines.append(json.dumps({"type": "ADDED", "object": obj}).encode() + b"\n")
            if len(lines) == _CHUNK:
                await response.write(b"".join(lines))
                lines.clear()
        end = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
        lines.append(json.dumps({"type": "BOOKMARK", "object": {"metadata": end}}).encode() + b"\n")
        await response.write(b"".join(lines))

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if request.query.get("sendInitialEvents"):
            await self._write_all(response, plural)
        if plural == "endpointslices":
            self._watches.add(response)
            self._watched.set()
        try:
            await self._end.wait()
        finally:
            self._watches.discard(response)
        return response


async def serve(api: Api) -> tuple[web.AppRunner, int]:
    """Serve on a free port of 127.0.0.1."""
    app = web.Application()
    for path in ("/api/v1/{plural}", "/apis/discovery.k8s.io/v1/{plural}"):
        app.router.add_get(path, api.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1]


def write_kubeconfig(path: Path, port: int) -> Path:
    path.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, users: [],"
        f" clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}],"
        " contexts: [{name: c, context: {cluster: c, user: ''}}]}"
    )
    return path
