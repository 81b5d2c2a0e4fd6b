"""ClusterIPs and node ports: never given twice, never lost, whatever happens."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.apiserver import RunningApiServer, running_apiserver

SERVICES = "/api/v1/namespaces/default/services"
ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def check(server: RunningApiServer) -> None:
    """What Services have and what is allocated must be the same."""
    services = server.request("GET", SERVICES)[1]["items"]
    addresses = server.request("GET", ADDRESSES)[1]["items"]
    held = [ip for s in services for ip in s["spec"].get("clusterIPs", [])]
    assert len(held) == len(set(held))
    assert {a["metadata"]["name"] for a in addresses} == set(held)
    owners = {a["metadata"]["name"]: a["spec"]["parentRef"]["name"] for a in addresses}
    assert owners == {ip: s["metadata"]["name"] for s in services for ip in s["spec"].get("clusterIPs", [])}
    ports = [{p["nodePort"] for p in s["spec"]["ports"] if "nodePort" in p} for s in services]
    assert sum(map(len, ports)) == len(set().union(*ports))


def test_many_at_once_in_a_small_range(tmp_path: Path) -> None:
    with running_apiserver(
        tmp_path, "--service-cluster-ip-range=10.9.0.0/26", "--service-node-port-range=30000-30039"
    ) as server:

        def create(i: int) -> int:
            return server.request("POST", SERVICES, service(f"s{i}", type="NodePort"))[0]

        with ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(create, range(60)))
        assert (codes.count(201), codes.count(500)) == (40, 20)
        check(server)
        for i in range(60):
            server.request("DELETE", f"{SERVICES}/s{i}")
        assert len(server.request("GET", ADDRESSES)[1]["items"]) == 1
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(create, range(40))) == [201] * 40
        check(server)


def test_kill_while_services_come_and_go(own_apiserver: RunningApiServer) -> None:
    server = own_apiserver
    stop = threading.Event()
    acknowledged: set[str] = set()

    def churn(worker: int) -> None:
        for i in range(10_000):
            if stop.is_set():
                return
            name = f"w{worker}-{i}"
            try:
                code, _ = server.request("POST", SERVICES, service(name, type="NodePort"))
                if code == 201:
                    acknowledged.add(name)
                if i % 2:
                    acknowledged.discard(name)
                    server.request("DELETE", f"{SERVICES}/{name}")
            except OSError:
                continue

    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            running = [pool.submit(churn, worker) for worker in range(4)]
            enough = len(acknowledged) + 40
            while len(acknowledged) < enough and not all(task.done() for task in running):
                stop.wait(0.01)
            server.kill()
            stop.set()
        stop.clear()
        server.start()
        check(server)
        names = {s["metadata"]["name"] for s in server.request("GET", SERVICES)[1]["items"]}
        assert acknowledged <= names


def test_dual_stack(tmp_path: Path) -> None:
    with running_apiserver(tmp_path, "--service-cluster-ip-range=10.9.0.0/24,fd00:9::/112") as server:
        _, single = server.request("POST", SERVICES, service("single"))
        assert single["spec"]["ipFamilies"] == ["IPv4"]
        _, both = server.request("POST", SERVICES, service("both", ipFamilyPolicy="PreferDualStack"))
        assert both["spec"]["ipFamilies"] == ["IPv4", "IPv6"]
        assert both["spec"]["clusterIPs"][1].startswith("fd00:9::")
        merge = {"Content_Type": "application/merge-patch+json"}
        code, grown = server.request(
            "PATCH", f"{SERVICES}/single", {"spec": {"ipFamilyPolicy": "RequireDualStack"}}, **merge
        )
        assert (code, len(grown["spec"]["clusterIPs"])) == (200, 2)
        check(server)
        code, shrunk = server.request(
            "PATCH", f"{SERVICES}/both", {"spec": {"ipFamilyPolicy": "SingleStack"}}, **merge
        )
        assert (code, shrunk["spec"]["clusterIPs"]) == (200, both["spec"]["clusterIPs"][:1])
        code, first = server.request("POST", SERVICES, service("six", ipFamilies=["IPv6"]))
        assert (code, first["spec"]["clusterIP"][:7]) == (201, "fd00:9:")
        check(server)


def test_dual_stack_on_a_single_stack_cluster(apiserver: RunningApiServer) -> None:
    code, answer = apiserver.request("POST", SERVICES, service("x", ipFamilyPolicy="RequireDualStack"))
    assert code == 422
    assert answer["message"] == (
        'Service "x" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
        "this cluster is not configured for dual-stack services"
    )


def test_headless_and_external_names_have_no_address(apiserver: RunningApiServer) -> None:
    _, headless = apiserver.request("POST", SERVICES, service("h", clusterIP="None", selector={"a": "b"}))
    assert (headless["spec"]["clusterIPs"], headless["spec"]["ipFamilies"]) == (["None"], ["IPv4"])
    _, external = apiserver.request("POST", SERVICES, service("e", type="ExternalName", externalName="a.b"))
    assert "clusterIPs" not in external["spec"]
    merge = {"Content_Type": "application/merge-patch+json"}
    code, changed = apiserver.request(
        "PATCH", f"{SERVICES}/e", {"spec": {"type": "ClusterIP", "externalName": None}}, **merge
    )
    assert (code, changed["spec"]["clusterIP"][:6]) == (200, "10.96.")
    code, back = apiserver.request(
        "PATCH", f"{SERVICES}/e", {"spec": {"type": "ExternalName", "externalName": "a.b"}}, **merge
    )
    assert (code, "clusterIP" in back["spec"]) == (200, False)


def test_load_balancer_with_a_health_check_port(apiserver: RunningApiServer) -> None:
    body = service("lb", type="LoadBalancer", externalTrafficPolicy="Local")
    _, made = apiserver.request("POST", SERVICES, body)
    ports = {made["spec"]["healthCheckNodePort"], made["spec"]["ports"][0]["nodePort"]}
    assert len(ports) == 2
    merge = {"Content_Type": "application/merge-patch+json"}
    _, changed = apiserver.request("PATCH", f"{SERVICES}/lb", {"spec": {"type": "ClusterIP"}}, **merge)
    assert "healthCheckNodePort" not in changed["spec"]
    for i, port in enumerate(sorted(ports)):
        spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}
        assert apiserver.request("POST", SERVICES, service(f"np{i}", **spec))[0] == 201


def test_ports_of_several_protocols_share_their_node_port(apiserver: RunningApiServer) -> None:
    ports = [
        {"name": "t", "port": 53, "protocol": "TCP"},
        {"name": "u", "port": 53, "protocol": "UDP"},
        {"name": "o", "port": 54},
    ]
    _, made = apiserver.request("POST", SERVICES, service("shared", type="NodePort", ports=ports))
    tcp, udp, other = (port["nodePort"] for port in made["spec"]["ports"])
    assert tcp == udp != other
