"""``/services``: what the proxy tells of each Service's connections, bytes and programming."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from proxy_network import Connection, ask
from proxy_process import SERVICES, SLICES, Node, move, until, web, web_slice

from clusterip.kernel.flowcounters import CountedFlow
from clusterip.kernel.nftables import Family
from clusterip.proxy.flowplaces import Places
from clusterip.proxy.model import Choice, PortKey, PortState, ServiceKey, ServicePort
from clusterip.proxy.nodes import networks

ACCOUNTING = "net.netfilter.nf_conntrack_acct"


def page(node: Node, query: str = "") -> dict[str, Any]:
    code, body, headers = node.page(10249, f"/services{query}")
    assert (code, headers["Content-Type"]) == (200, "application/json")
    answer: dict[str, Any] = json.loads(body)
    return answer


def port_of(answer: dict[str, Any], name: str = "web") -> dict[str, Any]:
    (found,) = (each for each in answer["services"] if each["name"] == name)
    port: dict[str, Any] = found["ports"][0]
    return port


@pytest.mark.parametrize("mode", ["nftables", "iptables"])
async def test_connections_and_bytes_of_each_endpoint(node: Node, mode: str) -> None:
    pod = node.network.add_pod("here-1", 2)
    node.network.add_pod("here-2", 3)
    node.add_node()
    node.request("POST", SERVICES, web())
    node.request("POST", SLICES, web_slice(pod.ip))
    await node.start_proxy(f"--proxy-mode={mode}")
    assert node.run("sysctl", "-n", ACCOUNTING).strip() == "0"
    first = page(node)
    assert (first["node"], first["mode"], first["accounting"]) == ("node-1", mode, "since")
    assert first["services"] == []  # nothing has happened yet
    assert node.run("sysctl", "-n", ACCOUNTING).strip() == "1"

    client = node.network.add_pod("client", 9, serves=False)
    held = await Connection.open(client.namespace, "10.96.0.10", 80)
    for _ in range(3):
        await ask(node.network.outside, "10.96.0.10", 80)
    await until(lambda: port_of(page(node, "?namespace=default&name=web"))["connections"] == 4)
    port = port_of(page(node))
    shown = ("protocol", "family", "clusterIP", "port", "chosen", "exist", "open", "connections")
    assert [port[field] for field in shown] == ["TCP", "IPv4", "10.96.0.10", 80, 1, True, 1, 4]
    (endpoint,) = port["endpoints"]
    assert (endpoint["address"], endpoint["chosen"]) == (f"{pod.ip}:8080", True)
    assert endpoint["sent"] == port["sent"]
    assert 4 * 40 * 3 < port["sent"] < 4 * 60 * 12  # some packets each, of 40 bytes and little more

    before = port["received"]
    for _ in range(10):
        await held.ask()
    await until(lambda: port_of(page(node))["received"] > before + 10 * 52)
    assert port_of(page(node))["received"] < before + 10 * 52 * 4
    held.close()
    await until(lambda: port_of(page(node))["open"] == 0)
    assert port_of(page(node))["connections"] == 4

    node.stop_proxy(15)
    assert node.run("sysctl", "-n", ACCOUNTING).strip() == "0"


async def test_when_each_service_was_programmed(serving: Node) -> None:
    web_now = page(serving, "?namespace=default&name=web&traffic=false")["services"][0]
    assert (web_now["programmed"], web_now["changed"]) == (True, 0)
    assert page(serving, "?traffic=false")["services"] == []
    move(serving, "10.244.1.3")
    started = time.time()
    await until(lambda: page(serving, "?traffic=false")["services"] != [])
    answer = page(serving, "?traffic=false")
    (changed,) = answer["services"]
    assert [each["address"] for each in changed["ports"][0]["endpoints"]] == ["10.244.1.3:8080"]
    assert 0 < changed["latency"] < 10
    assert abs(changed["changed"] - started) < 10
    assert (answer["synced"], answer["failing"], answer["refused"]) == (True, "", [])
    figures = serving.page(10249, "/metrics")[1]
    assert "clusterip_proxy_change_duration_seconds_count 1.0" in figures  # the start is no change
    # Nobody asked for traffic: the kernel was left alone.
    assert serving.run("sysctl", "-n", ACCOUNTING).strip() == "0"
    assert {each["name"] for each in page(serving, "?all&traffic=false")["services"]} == {"kubernetes", "web"}
    serving.request("DELETE", f"{SERVICES}/web")
    await until(lambda: page(serving, "?traffic=false")["services"] == [])


def test_connections_translated_at_the_socket_belong_to_the_clients_node() -> None:
    key = PortKey(ServiceKey("default", "web"), "", 6, Family.IPV4)
    endpoint = bytes((10, 244, 1, 2)) + (8080).to_bytes(2, "big") + b"\0\0"
    shared = bytes((10, 244, 1, 3)) + (8080).to_bytes(2, "big") + b"\0\0"
    other = PortKey(ServiceKey("default", "other"), "", 6, Family.IPV4)
    states = [
        PortState(ServicePort(key, bytes((10, 96, 0, 10)), 80), Choice((endpoint, shared))),
        PortState(ServicePort(other, bytes((10, 96, 0, 11)), 80), Choice((shared,))),
    ]
    places = Places(states, networks(["10.244.2.0/24"]))

    def flow(source: int, to: bytes) -> CountedFlow:
        return CountedFlow(1, 6, bytes((10, 244, source, 9)), to[:4], to[4:6], to, True, 0, 0)

    assert places.find(flow(2, endpoint)) == key
    assert places.find(flow(3, endpoint)) is None  # another node's client
    assert places.find(flow(2, shared)) is None  # of which Service, nobody can say
