"""The proxy as a component of a node: its configuration, its ports, its Events, the kernel's settings."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from proxy_network import NODE4, POD_CIDRS, ask
from proxy_process import SERVICES, SLICES, Node, until, web, web_slice

from clusterip.kernel import namespaces
from tests.support.proxy_objects import NODE


def events(node: Node) -> list[dict[str, Any]]:
    found = node.request("GET", "/api/v1/namespaces/default/events")["items"]
    return [event for event in found if event["source"]["component"] == "kube-proxy"]


def configuration(node: Node, directory: Path, **more: Any) -> Path:
    file = directory / "config.conf"
    tree = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(node.api.kubeconfig)},
        "conntrack": {"maxPerCore": 0},
        "clusterCIDR": ",".join(POD_CIDRS),
        **more,
    }
    file.write_text(yaml.safe_dump(tree))
    return file


async def ended(node: Node) -> int:
    assert node.proxy is not None
    return await asyncio.to_thread(node.proxy.wait, 15)


async def test_follows_its_file_until_that_changes(node: Node, tmp_path: Path) -> None:
    node.add_node()
    file = configuration(node, tmp_path, nftables={"masqueradeBit": 20})
    await node.start_proxy(f"--config={file}", "--cluster-cidr=10.0.0.0/8")
    shown = json.loads(node.page(10249, "/configz")[1])["kubeproxy.config.k8s.io"]
    assert (shown["kind"], shown["mode"], shown["hostnameOverride"]) == (
        "KubeProxyConfiguration",
        "nftables",
        NODE,
    )
    assert shown["nftables"]["masqueradeBit"] == 20
    assert "0x00100000" in node.run("nft", "list", "table", "ip", "clusterip")
    assert "flags that do not count beside --config: --cluster-cidr" in node.log.read_text()

    file.write_bytes(file.read_bytes())  # written, but nothing new: no reason to end
    file.chmod(0o600)
    replacement = tmp_path / "replacement"
    replacement.write_text(file.read_text().replace("20", "21"))
    replacement.replace(file)
    assert await ended(node) == 1
    assert f"{file} has changed; ending, to be started with what it says now" in node.log.read_text()


async def test_a_changed_config_map_is_a_changed_file(node: Node, tmp_path: Path) -> None:
    """A kubelet swaps a link in the directory; the file's own name stays a link to the same."""
    node.add_node()
    written = configuration(node, tmp_path).read_text()
    mount = tmp_path / "mount"
    for version in ("one", "two"):
        (mount / version).mkdir(parents=True)
        (mount / version / "config.conf").write_text(f"{written}# {version}\n")
    (mount / "..data").symlink_to("one")
    (mount / "config.conf").symlink_to("..data/config.conf")
    await node.start_proxy(f"--config={mount / 'config.conf'}")
    (mount / "..data_tmp").symlink_to("two")
    (mount / "..data_tmp").replace(mount / "..data")
    assert await ended(node) == 1


async def test_each_port_has_kube_proxys_pages(serving: Node) -> None:
    code, body, headers = serving.page(10256, "/healthz")
    health = json.loads(body)
    assert (code, headers["Content-Type"], headers["X-Content-Type-Options"]) == (
        200,
        "application/json",
        "nosniff",
    )
    assert list(health) == ["lastUpdated", "currentTime", "nodeEligible", "healthy", "status"]
    assert health["status"]["IPv4"]["healthy"] is True
    live = json.loads(serving.page(10256, "/livez")[1])
    assert list(live) == ["lastUpdated", "currentTime", "healthy", "status"]
    assert serving.page(10249, "/healthz")[:2] == (200, "ok")
    assert serving.page(10256, "/proxyMode")[0] == 404
    figures = serving.page(10249, "/metrics")[1]
    for line in (
        'kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1.0',
        'kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv6",le="16.384"}',
        "kubeproxy_sync_proxy_rules_service_changes_pending 0.0",
        "kubeproxy_sync_proxy_rules_service_changes_total 2.0",
        'kubeproxy_proxy_healthz_total{code="200"} 1.0',
        'kubeproxy_proxy_livez_total{code="200"} 1.0',
        f'rest_client_requests_total{{code="200",host="127.0.0.1:{serving.api.port}",method="GET"}}',
        'kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="external"} 0.0',
    ):
        assert line in figures
    assert "_created" not in figures


async def test_services_without_endpoints_here_are_counted(serving: Node) -> None:
    def count(policy: str) -> str:
        figures = serving.page(10249, "/metrics")[1]
        name = "kubeproxy_sync_proxy_rules_no_local_endpoints_total"
        (line,) = (
            line
            for line in figures.splitlines()
            if line.startswith(f"{name}{{") and f'"{policy}"' in line and '"IPv4"' in line
        )
        return line.rsplit(" ", 1)[1]

    elsewhere = web_slice()
    elsewhere["metadata"]["name"] = "far-1"
    elsewhere["metadata"]["labels"] = {"kubernetes.io/service-name": "far"}
    elsewhere["endpoints"] = [
        {"addresses": ["10.244.2.9"], "nodeName": "other", "conditions": {"ready": True}}
    ]
    far = web(clusterIP="10.96.0.11", internalTrafficPolicy="Local")
    far["metadata"]["name"] = "far"
    serving.request("POST", SERVICES, far)
    serving.request("POST", SLICES, elsewhere)
    await until(lambda: count("internal") == "1.0")
    assert count("external") == "0.0"


async def test_its_start_is_an_event_of_the_node(serving: Node) -> None:
    await until(lambda: bool(events(serving)))
    (event,) = events(serving)
    assert (event["reason"], event["type"]) == ("Starting", "Normal")
    assert (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == ("Node", NODE)
    assert event["source"]["host"] == NODE


async def test_a_port_that_is_taken(node: Node) -> None:
    node.add_node()
    taken = namespaces.open_socket(node.network.node)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", 10249))
    taken.listen()
    with taken:
        node.spawn_proxy("--bind-address-hard-fail")
        assert await ended(node) == 1
        assert "cannot listen on tcp 127.0.0.1:10249: Address already in use" in node.log.read_text()
        assert events(node)[-1]["reason"] == "FailedToStartMetricServer"
        await node.start_proxy()
    assert node.page(10249, "/proxyMode")[0] == 0
    await until(lambda: node.page(10249, "/proxyMode")[0] == 200)  # it tries again every five seconds


async def test_health_check_port_that_is_taken_is_told(serving: Node) -> None:
    taken = namespaces.open_socket(serving.network.node)
    taken.bind((NODE4, 31234))
    taken.listen()
    with taken:
        balanced = web(
            clusterIP="10.96.0.12",
            type="LoadBalancer",
            externalTrafficPolicy="Local",
            healthCheckNodePort=31234,
        )
        balanced["metadata"]["name"] = "balanced"
        serving.request("POST", SERVICES, balanced)
        await until(lambda: any(e["reason"] == "FailedToStartServiceHealthcheck" for e in events(serving)))


async def test_what_others_do_to_the_rules_is_told(serving: Node) -> None:
    serving.run("nft", "delete", "table", "ip", "clusterip")
    await until(lambda: any(event["reason"] == "RulesRestored" for event in events(serving)))
    (event,) = (event for event in events(serving) if event["reason"] == "RulesRestored")
    assert (event["type"], event["involvedObject"]["name"]) == ("Warning", NODE)
    assert "clusterip_proxy_repairs_total 0.0" not in serving.page(10249, "/metrics")[1]


async def test_settings_of_connection_tracking(node: Node) -> None:
    """In this namespace of its own: what the whole machine shares cannot be written from here."""
    node.add_node()
    machine = node.run("sysctl", "-n", "net.netfilter.nf_conntrack_max")
    await node.start_proxy(
        "--conntrack-max-per-core=1000",
        "--conntrack-min=5000",
        "--conntrack-tcp-timeout-established=2h",
        "--conntrack-tcp-timeout-close-wait=90s",
        "--conntrack-udp-timeout=11s",
        "--conntrack-udp-timeout-stream=12s",
        "--conntrack-tcp-be-liberal",
    )
    names = ("tcp_timeout_established", "tcp_timeout_close_wait", "udp_timeout", "udp_timeout_stream")
    values = [
        node.run("sysctl", "-n", f"net.netfilter.nf_conntrack_{name}").strip()
        for name in (*names, "tcp_be_liberal")
    ]
    assert values == ["7200", "90", "11", "12", "1"]
    assert node.run("sysctl", "-n", "net.netfilter.nf_conntrack_max") == machine
    assert "connection tracking stays as it is in part" in node.log.read_text()
    await until(lambda: len(events(node)) == 2)
    warning = next(event for event in events(node) if event["type"] == "Warning")
    assert warning["reason"] == "CannotSetSysctl"
    assert "net.netfilter.nf_conntrack_max=5000" in warning["message"]


async def test_pod_addresses_of_the_node(node: Node) -> None:
    """``NodeCIDR`` waits for them, and ends when they are others."""
    node.add_node()
    pod = node.network.add_pod("here-1", 2)
    node.request("POST", SERVICES, web())
    node.request("POST", SLICES, web_slice(pod.ip))
    node.spawn_proxy("--detect-local-mode=NodeCIDR")
    await until(lambda: "waiting for the node's Pod CIDRs" in node.log.read_text())
    current = node.request("GET", f"/api/v1/nodes/{NODE}")
    current["spec"] = {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"]}
    node.request("PUT", f"/api/v1/nodes/{NODE}", current)
    await until(lambda: node.page(10256, "/readyz")[0] == 200, node.log.read_text)
    assert "elements = { 10.244.1.0/24 }" in node.run("nft", "list", "set", "ip", "clusterip", "pod-cidrs")
    assert (await ask(node.network.outside, "10.96.0.10", 80))[1] != "192.0.2.10"  # masqueraded
    node.request("DELETE", f"/api/v1/nodes/{NODE}")
    node.add_node(podCIDR="10.244.7.0/24", podCIDRs=["10.244.7.0/24"])
    assert await ended(node) == 1
    assert "have changed from 10.244.1.0/24 to 10.244.7.0/24" in node.log.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--detect-local-mode=InterfaceNamePrefix", "--pod-interface-name-prefix=pod-"),
        ("--detect-local-mode=BridgeInterface", "--pod-bridge-interface=pod-here-1"),
    ],
)
async def test_pods_by_their_interface(node: Node, arguments: tuple[str, ...]) -> None:
    node.add_node()
    pod = node.network.add_pod("here-1", 2)
    other = node.network.add_pod("here-2", 3)
    node.request("POST", SERVICES, web())
    node.request("POST", SLICES, web_slice(other.ip))
    await node.start_proxy(*arguments)
    assert await ask(pod.namespace, "10.96.0.10", 80) == ("here-2", pod.ip)
    name, client = await ask(node.network.outside, "10.96.0.10", 80)
    assert (name, client != "192.0.2.10") == ("here-2", True)


async def test_what_takes_privileges_alone(node: Node) -> None:
    node.run("nft", "add", "table", "ip", "t")  # brings in connection tracking
    node.run("nft", "add", "chain", "ip", "t", "c", "{ type filter hook input priority 0; }")
    node.run("nft", "add", "rule", "ip", "t", "c", "ct", "state", "invalid", "drop")
    node.run(*node.command("--init-only", "--conntrack-udp-timeout=13s"))
    assert node.run("sysctl", "-n", "net.netfilter.nf_conntrack_udp_timeout").strip() == "13"
    assert "clusterip" not in node.run("nft", "list", "tables")


async def test_a_least_time_between_writes(serving: Node) -> None:
    serving.stop_proxy(15)
    await serving.start_proxy("--iptables-min-sync-period=2s")

    def synced() -> str:
        lines = serving.page(10249, "/metrics")[1].splitlines()
        return next(
            line
            for line in lines
            if line.startswith('kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"')
        ).split()[-1]

    already = float(synced())
    begun = time.monotonic()
    for number in range(20, 30):
        more = web(clusterIP=f"10.96.0.{number}")
        more["metadata"]["name"] = f"web-{number}"
        serving.request("POST", SERVICES, more)
    await until(lambda: "10.96.0.29" in serving.run("nft", "list", "table", "ip", "clusterip"))
    # Ten Services came one by one: without a least time that is about as many writes.
    assert float(synced()) - already <= 2 + (time.monotonic() - begun) / 2
