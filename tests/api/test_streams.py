"""Logs, exec, attach and port-forward on their way from kubectl through the API server to a kubelet.

The kubelet here is a small HTTPS server of the test's own that answers as a kubelet does; the real one
is tested with whole clusters.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web

from clusterip.apiserver.tls import self_signed
from tests.support.apiserver import RunningApiServer
from tests.support.kubectl import Kubectl, kubectl_path

STDIN, STDOUT, STDERR, ERROR = range(4)


class EchoKubelet:
    """Runs no containers: ``exec`` answers with the command, or repeats its input."""

    def __init__(self, directory: Path) -> None:
        self._certificate = self_signed(str(directory), ["127.0.0.1"])
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.log_queries: list[dict[str, str]] = []

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/exec/{namespace}/{pod}/{container}", self._exec)
        app.router.add_route("*", "/attach/{namespace}/{pod}/{container}", self._exec)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._certificate)
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        command = request.query.getall("command", [])
        if command == ["refused"]:
            return web.Response(status=400, text="container not running")
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        if request.query.get("input") == "1":
            async for data in self._input(socket):
                await socket.send_bytes(bytes([STDOUT]) + data)
        else:
            await socket.send_bytes(bytes([STDOUT]) + (" ".join(command) + "\n").encode())
            await socket.send_bytes(bytes([STDERR]) + b"warned\n")
        await socket.send_bytes(bytes([ERROR]) + json.dumps({"metadata": {}, "status": "Success"}).encode())
        await socket.close()
        return socket

    async def _input(self, socket: web.WebSocketResponse) -> AsyncIterator[bytes]:
        async for message in socket:
            assert message.type is WSMsgType.BINARY
            if message.data[0] == 255:  # v5: a stream was closed
                return
            yield message.data[1:]

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        self.log_queries.append(dict(request.query))
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        await response.write(b"second\n")
        return response


@pytest.fixture(scope="module")
def kubelet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EchoKubelet]:
    server = EchoKubelet(tmp_path_factory.mktemp("kubelet"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def pod(apiserver: RunningApiServer, namespace: str, kubelet: EchoKubelet) -> str:
    """A Pod on a node whose kubelet is the test's."""
    node = {
        "metadata": {"name": f"node-{namespace}"[:60]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}},
        },
    }
    assert apiserver.request("POST", "/api/v1/nodes", node)[0] == 201
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    path = f"/api/v1/namespaces/{namespace}/pods"
    assert apiserver.request("POST", path, body)[0] == 201
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node["metadata"]["name"]}}
    assert apiserver.request("POST", f"{path}/p/binding", binding)[0] == 201
    return "p"


def test_exec_runs_the_command(kubectl: Kubectl, pod: str) -> None:
    done = kubectl.run("exec", pod, "--", "some", "words", "& signs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "some words & signs\n", "warned\n")


def test_exec_passes_input_both_ways(kubectl: Kubectl, pod: str) -> None:
    text = "".join(f"line {i}\n" for i in range(20_000))
    assert kubectl("exec", "-i", pod, "--", "cat", stdin=text) == text


def test_a_refused_upgrade_is_explained(kubectl: Kubectl, pod: str) -> None:
    assert "container not running" in kubectl.fails("exec", pod, "--", "refused")


def test_logs(kubectl: Kubectl, pod: str, kubelet: EchoKubelet) -> None:
    assert kubectl("logs", pod, "--tail=5", "--timestamps") == "first\nsecond\n"
    assert kubelet.log_queries[-1] == {"tailLines": "5", "timestamps": "true"}


def test_logs_of_a_container_that_is_not_there(kubectl: Kubectl, pod: str) -> None:
    assert "container x is not valid for pod p" in kubectl.fails("logs", pod, "-c", "x")


def test_the_server_goes_on_after_many_streams(
    apiserver: RunningApiServer, kubectl: Kubectl, pod: str, tmp_path: Path
) -> None:
    environment = {"KUBECONFIG": str(tmp_path / "kubeconfig"), "HOME": str(tmp_path), "PATH": "/usr/bin"}
    running = [
        subprocess.Popen(
            [str(kubectl_path()), "exec", "-i", pod, "--", "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        for _ in range(5)
    ]
    for process in running:
        process.kill()
        process.wait()
    assert kubectl("exec", pod, "--", "ok") == "ok\n"
    assert apiserver.request("GET", "/readyz")[0] == 200
