"""The proxy as its own process, beside a real API server, on the network's node."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proxy_network import NODE4, POD_CIDRS, Network, Refused, Silent, ask

from clusterip.kernel import namespaces
from tests.support.apiserver import RunningApiServer
from tests.support.proxy_objects import NODE, endpoint

SECONDS = 15.0
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
SERVICES = "/api/v1/namespaces/default/services"


class Node:
    """API server and proxy in a node's network namespace."""

    def __init__(self, network: Network, directory: Path, *arguments: str) -> None:
        """``arguments`` are the API server's."""
        self.network = network
        self.api = RunningApiServer(directory, arguments)
        self.proxy: subprocess.Popen[bytes] | None = None
        self.log = directory / "proxy.log"
        with namespaces.enter(network.node):
            self.api.start()

    def request(self, method: str, path: str, body: Any = None) -> Any:
        with namespaces.enter(self.network.node):
            code, answer = self.api.request(method, path, body)
        assert code < 300, answer
        return answer

    def command(self, *arguments: str) -> list[str]:
        """The program with those arguments, and some that all of them need unless there is a ``--config``."""
        program = [sys.executable, "-m", "clusterip.cli.main", "proxy", f"--hostname-override={NODE}"]
        if not any(argument.startswith("--config=") for argument in arguments):
            program += [f"--kubeconfig={self.api.kubeconfig}", "--conntrack-max-per-core=0"]
            if not any(argument.startswith("--detect-local-mode=") for argument in arguments):
                program.append(f"--cluster-cidr={','.join(POD_CIDRS)}")
        return [*program, *arguments]

    async def start_proxy(self, *arguments: str) -> None:
        """Start it and wait until its rules are in place."""
        self.spawn_proxy(*arguments)
        await until(lambda: self.page(10256, "/readyz")[0] == 200, lambda: self.log.read_text())

    def spawn_proxy(self, *arguments: str) -> None:
        with namespaces.enter(self.network.node), self.log.open("ab") as log:
            self.proxy = subprocess.Popen(
                self.command(*arguments), stdin=subprocess.DEVNULL, stderr=log, stdout=log
            )

    def stop_proxy(self, number: signal.Signals) -> int:
        assert self.proxy is not None
        self.proxy.send_signal(number)
        return self.proxy.wait(10)

    def add_node(self, **spec: Any) -> None:
        """Make the Node object, with its address."""
        created = self.request("POST", "/api/v1/nodes", {"metadata": {"name": NODE}, "spec": spec})
        created["status"] = {"addresses": [{"type": "InternalIP", "address": NODE4}]}
        self.request("PUT", f"/api/v1/nodes/{NODE}/status", created)

    def run(self, *command: str, text: str = "") -> str:
        """Run a program in the node's namespace; its output."""
        with namespaces.enter(self.network.node):
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def page(self, port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str, dict[str, str]]:
        """Status, body and headers; status 0 if nobody listens."""
        with namespaces.enter(self.network.node):
            try:
                with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=5) as answer:
                    return answer.status, answer.read().decode(), dict(answer.headers)
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode(), dict(error.headers)
            except OSError:
                return 0, "", {}

    def close(self) -> None:
        if self.proxy is not None and self.proxy.poll() is None:
            self.proxy.kill()
            self.proxy.wait()
        self.api.stop()


async def until(condition: Callable[[], bool], why: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, why()
        await asyncio.sleep(0.02)


async def until_answered(source: Path, address: str, port: int, name: str) -> None:
    async def answers() -> bool:
        try:
            return (await ask(source, address, port))[0] == name
        except (Refused, Silent, OSError):
            return False

    async with asyncio.timeout(SECONDS):
        while not await answers():  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.01)


def web(**spec: Any) -> dict[str, Any]:
    port = {"port": 80, "targetPort": 8080}
    return {"metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.10", "ports": [port]} | spec}


def web_slice(*addresses: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [endpoint(address) for address in addresses],
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
    }


def move(node: Node, *addresses: str) -> None:
    current = node.request("GET", f"{SLICES}/web-1")
    node.request("PUT", f"{SLICES}/web-1", current | {"endpoints": [endpoint(a) for a in addresses]})
