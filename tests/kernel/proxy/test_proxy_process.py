"""The proxy as its own process, beside a real API server, on the network's node."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from proxy_network import NODE4, POD_CIDRS, Network, Refused, Silent, ask

from clusterip.kernel import namespaces
from tests.support.apiserver import RunningApiServer
from tests.support.proxy_objects import NODE, endpoint

SECONDS = 15.0
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
SERVICES = "/api/v1/namespaces/default/services"


class Node:
    """API server and proxy in a node's network namespace."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        self.api = RunningApiServer(directory)
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
        return [
            sys.executable,
            "-m",
            "clusterip.cli.main",
            "proxy",
            f"--kubeconfig={self.api.kubeconfig}",
            f"--hostname-override={NODE}",
            f"--cluster-cidr={','.join(POD_CIDRS)}",
            *arguments,
        ]

    async def start_proxy(self) -> None:
        self._spawn_proxy()
        await until(lambda: self.page(10256, "/readyz")[0] == 200, lambda: self.log.read_text())

    def _spawn_proxy(self) -> None:
        with namespaces.enter(self.network.node), self.log.open("ab") as log:
            self.proxy = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stderr=log, stdout=log)

    def stop_proxy(self, number: signal.Signals) -> int:
        assert self.proxy is not None
        self.proxy.send_signal(number)
        return self.proxy.wait(10)

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


@pytest.fixture
def node(network: Network, tmp_path: Path) -> Iterator[Node]:
    node = Node(network, tmp_path)
    yield node
    node.close()


@pytest.fixture
async def serving(node: Node) -> AsyncIterator[Node]:
    """With a running proxy and the Service ``web`` (10.96.0.10) of one Pod, ``here-1``."""
    pod = node.network.add_pod("here-1", 2)
    node.network.add_pod("here-2", 3)
    created = node.request("POST", "/api/v1/nodes", {"metadata": {"name": NODE}})
    created["status"] = {"addresses": [{"type": "InternalIP", "address": NODE4}]}
    node.request("PUT", f"/api/v1/nodes/{NODE}/status", created)
    node.request("POST", SERVICES, web())
    node.request("POST", SLICES, web_slice(pod.ip))
    await node.start_proxy()
    return node


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


async def test_follows_the_api_server_and_outlives_it(serving: Node) -> None:
    outside, pods = serving.network.outside, serving.network.pods
    assert (await ask(outside, "10.96.0.10", 80))[0] == "here-1"
    move(serving, pods["here-2"].ip)
    await until_answered(outside, "10.96.0.10", 80, "here-2")
    with pytest.raises(Silent):  # the API server's own ServiceCIDR: nobody has this address
        await ask(outside, "10.96.99.99", 80)
    serving.api.kill()
    assert (await ask(outside, "10.96.0.10", 80))[0] == "here-2"
    with namespaces.enter(serving.network.node):
        serving.api.start()
    move(serving, pods["here-1"].ip)
    await until_answered(outside, "10.96.0.10", 80, "here-1")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_rules_stay_when_it_ends(serving: Node, number: signal.Signals) -> None:
    outside, pods = serving.network.outside, serving.network.pods
    assert serving.stop_proxy(number) == (0 if number == signal.SIGTERM else -number)
    assert (await ask(outside, "10.96.0.10", 80))[0] == "here-1"
    move(serving, pods["here-2"].ip)
    await serving.start_proxy()
    assert (await ask(outside, "10.96.0.10", 80))[0] == "here-2"


async def test_cleanup_removes_the_rules(serving: Node) -> None:
    serving.stop_proxy(signal.SIGTERM)

    def run(*command: str) -> str:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout

    with namespaces.enter(serving.network.node):
        assert "table ip clusterip" in run("nft", "list", "tables")
        run(*serving.command("--cleanup"))
        assert run("nft", "list", "tables") == ""
        run(*serving.command("--cleanup"))


async def test_health_and_metrics(serving: Node) -> None:
    code, body, _ = serving.page(10256, "/healthz")
    health = json.loads(body)
    assert (code, health["healthy"], health["nodeEligible"]) == (200, True, True)
    assert serving.page(10256, "/livez")[0] == 200
    assert serving.page(10249, "/proxyMode")[:2] == (200, "nftables")
    assert "kubeproxy_sync_proxy_rules_duration_seconds_count" in serving.page(10249, "/metrics")[1]
    node = serving.request("GET", f"/api/v1/nodes/{NODE}")
    node["spec"]["taints"] = [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]
    serving.request("PUT", f"/api/v1/nodes/{NODE}", node)
    await until(lambda: serving.page(10256, "/healthz")[0] == 503)
    assert serving.page(10256, "/livez")[0] == 200


async def test_health_check_node_port(serving: Node) -> None:
    serving.request("DELETE", f"{SERVICES}/web")
    balanced = web(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=31234)
    serving.request("POST", SERVICES, balanced)
    await until(lambda: serving.page(31234, "/", NODE4)[0] == 200)
    assert serving.page(31234, "/")[0] == 0  # only where node ports answer
    _, body, headers = serving.page(31234, "/any/path", NODE4)
    assert json.loads(body) == {
        "service": {"namespace": "default", "name": "web"},
        "localEndpoints": 1,
        "serviceProxyHealthy": True,
    }
    assert headers["X-Load-Balancing-Endpoint-Weight"] == "1"
    move(serving)
    await until(lambda: serving.page(31234, "/healthz", NODE4)[0] == 503)
    serving.request("DELETE", f"{SERVICES}/web")
    await until(lambda: serving.page(31234, "/", NODE4)[0] == 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--proxy-mode=teleport",), "must be nftables or blank"),
        (("--cluster-cidr=10.0.0.0/99",), "10.0.0.0/99"),
        (("--nodeport-addresses=here",), "here"),
        (("--kubeconfig=/nowhere",), "/nowhere"),
    ],
)
def test_options_that_cannot_be_used(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "{apiVersion: v1, kind: Config, clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}],"
        " contexts: [{name: a, context: {cluster: a, user: ''}}], current-context: a}"
    )
    command = [sys.executable, "-m", "clusterip.cli.main", "proxy", f"--kubeconfig={tmp_path}/config"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
