"""The proxy as its own process: what follows, what stays, what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from proxy_network import NODE4, Silent, ask
from proxy_process import SERVICES, Node, move, until, until_answered, web

from clusterip.kernel import namespaces
from tests.support.proxy_objects import NODE


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

    assert "table ip clusterip" in serving.run("nft", "list", "tables")
    serving.run(*serving.command("--cleanup"))
    assert serving.run("nft", "list", "tables") == ""
    serving.run(*serving.command("--cleanup"))


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
        (("--proxy-mode=teleport",), "must be nftables"),
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
