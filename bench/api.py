"""How fast the API server creates, reads, lists and tells of objects.

    python bench/api.py [--services 10000] [--connections 32]

Starts a real server with a store on disk (every acknowledged write is durable) and drives it over TLS
from one client process on the same machine, so the figures include what the client takes of the CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from tests.support.apiserver import RunningApiServer, running_apiserver


class Connection:
    """One keep-alive connection, as plain as can be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self, data: bytes) -> tuple[int, bytes]:
        self._writer.write(data)
        head = await self._reader.readuntil(b"\r\n\r\n")
        start = head.index(b"Content-Length: ") + 16
        length = int(head[start : head.index(b"\r\n", start)])
        return int(head[9:12]), await self._reader.readexactly(length)


def service(i: int) -> bytes:
    return json.dumps(
        {
            "kind": "Service",
            "apiVersion": "v1",
            "metadata": {"name": f"service-{i}", "labels": {"app": f"app-{i}"}},
            "spec": {
                "selector": {"app": f"app-{i}"},
                "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
            },
        }
    ).encode()


def endpoint_slice(i: int) -> bytes:
    endpoints = [
        {
            "addresses": [f"10.{j}.{i // 250}.{i % 250 + 1}"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": f"node-{j}",
            "targetRef": {"kind": "Pod", "namespace": "default", "name": f"pod-{i}-{j}", "uid": f"u-{i}-{j}"},
        }
        for j in range(5)
    ]
    return json.dumps(
        {
            "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1",
            "metadata": {
                "name": f"service-{i}-abcde",
                "labels": {"kubernetes.io/service-name": f"service-{i}"},
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }
    ).encode()


class Bench:
    def __init__(self, server: RunningApiServer, connections: int) -> None:
        self.server = server
        self.connections = connections
        self._tls = ssl.create_default_context(cafile=str(server.ca_file))

    def http(self, method: str, path: str, body: bytes = b"") -> bytes:
        return (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.server.token}\r\n"
            "Accept: application/json\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    async def connect(self) -> Connection:
        return Connection(
            *await asyncio.open_connection("127.0.0.1", self.server.port, ssl=self._tls, limit=1 << 26)
        )

    async def run(self, name: str, count: int, make: Callable[[int], bytes], expect: int) -> None:
        """``count`` requests, each made before the clock starts."""
        requests = [make(i) for i in range(count)]
        requests.reverse()
        latencies: list[float] = []

        async def worker(connection: Connection) -> None:
            while requests:
                began = time.perf_counter()
                code, body = await connection.request(requests.pop())
                latencies.append(time.perf_counter() - began)
                if code != expect:
                    raise SystemExit(f"{name}: {code}: {body.decode()}")

        connections = [await self.connect() for _ in range(self.connections)]
        began = time.perf_counter()
        await asyncio.gather(*(worker(connection) for connection in connections))
        took = time.perf_counter() - began
        latencies.sort()
        p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
        print(f"{name:28} {count / took:9,.0f}/s   p50 {p50 * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms")

    async def watchers(self, count: int, changes: int) -> None:
        """From a change's request to the last of ``count`` watchers having it."""
        path = "/api/v1/namespaces/default/configmaps"
        connections = [await self.connect() for _ in range(count)]
        for connection in connections:
            connection._writer.write(self.http("GET", f"{path}?watch=1&resourceVersion=0"))
            await connection._reader.readuntil(b"\r\n\r\n")
        writer = await self.connect()
        latencies: list[float] = []

        async def seen(connection: Connection, began: float) -> None:
            await connection._reader.readuntil(b"\n\r\n")
            latencies.append(time.perf_counter() - began)

        for i in range(changes):
            body = json.dumps({"metadata": {"name": f"c-{i}"}, "data": {"x": "y" * 300}}).encode()
            began = time.perf_counter()
            await asyncio.gather(
                writer.request(self.http("POST", path, body)), *(seen(c, began) for c in connections)
            )
        latencies.sort()
        p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
        name = f"event to {count:,} watchers"
        print(f"{name:28} {'':11}   p50 {p50 * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms")

    def memory(self) -> None:
        text = Path(f"/proc/{self.server.pid}/status").read_text()
        kilobytes = int(text.split("VmRSS:")[1].split()[0])
        print(f"{'resident memory':28} {kilobytes / 1024:9,.0f} MB")


async def main(services: int, connections: int, watchers: int) -> None:
    with tempfile.TemporaryDirectory() as directory, running_apiserver(Path(directory)) as server:
        bench = Bench(server, connections)
        base, slices = "/api/v1/namespaces/default/services", "/apis/discovery.k8s.io/v1/namespaces/default"
        bench.memory()
        await bench.run("create Services", services, lambda i: bench.http("POST", base, service(i)), 201)
        path = f"{slices}/endpointslices"
        await bench.run(
            "create EndpointSlices", services, lambda i: bench.http("POST", path, endpoint_slice(i)), 201
        )
        bench.memory()
        await bench.run("get a Service", services, lambda i: bench.http("GET", f"{base}/service-{i}"), 200)
        merge = b'{"metadata":{"annotations":{"a":"b"}}}'

        def patch(i: int) -> bytes:
            request = bench.http("PATCH", f"{base}/service-{i}", merge)
            return request.replace(
                b"Content-Type: application/json", b"Content-Type: application/merge-patch+json"
            )

        await bench.run("patch a Service", services, patch, 200)
        await bench.run("list all Services", 20, lambda _: bench.http("GET", base), 200)
        await bench.watchers(watchers, 20)
        await bench.run(
            "delete Services", services, lambda i: bench.http("DELETE", f"{base}/service-{i}"), 200
        )
        bench.memory()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--watchers", type=int, default=1000)
    options = parser.parse_args()
    uvloop.run(main(options.services, options.connections, options.watchers))
