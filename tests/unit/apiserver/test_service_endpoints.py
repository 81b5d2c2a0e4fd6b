"""Where ``kubernetes`` is to lead, given the API servers there are."""

from __future__ import annotations

from typing import Any

from clusterip.apiserver.peers import Server
from clusterip.apiserver.service_endpoints import usable, wanted
from clusterip.objects.core.endpoints import ENDPOINTS


def _names(servers: list[Server]) -> list[str]:
    return [tree["metadata"]["name"] for resource, tree in wanted(servers) if resource is not ENDPOINTS]


def _subsets(servers: list[Server]) -> Any:
    (endpoints,) = (tree for resource, tree in wanted(servers) if resource is ENDPOINTS)
    return endpoints["subsets"]


def test_a_key_tells_the_server() -> None:
    for server in (Server("10.0.0.1", 6443), Server("fd00::1", 443)):
        assert Server.of(server.key) == server
    assert Server("fd00::1", 443).key == "masterleases/[fd00::1]:443"


def test_servers_of_one_port_share_a_slice_in_order() -> None:
    servers = [Server("10.0.0.2", 6443), Server("10.0.0.1", 6443)]
    assert _names(servers) == ["kubernetes"]
    (slice_,) = (tree for resource, tree in wanted(servers) if resource is not ENDPOINTS)
    assert [e["addresses"] for e in slice_["endpoints"]] == [["10.0.0.1"], ["10.0.0.2"]]
    assert slice_["addressType"] == "IPv4"
    assert _subsets(servers) == [
        {
            "addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}],
            "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
        }
    ]


def test_each_port_has_a_slice_and_a_subset() -> None:
    servers = [Server("10.0.0.1", 6444), Server("10.0.0.1", 6443), Server("10.0.0.2", 6444)]
    assert _names(servers) == ["kubernetes", "kubernetes-6444"]
    assert [
        ([a["ip"] for a in subset["addresses"]], subset["ports"][0]["port"]) for subset in _subsets(servers)
    ] == [(["10.0.0.1"], 6443), (["10.0.0.1", "10.0.0.2"], 6444)]


def test_no_server_leaves_nothing_to_lead_to() -> None:
    assert (_names([]), _subsets([])) == ([], [])


def test_endpoints_are_of_one_family_and_never_loopback() -> None:
    four, six, here = Server("10.0.0.1", 1), Server("fd00::1", 1), Server("127.0.0.1", 1)
    assert usable([four, six, here], 4) == [four]
    assert usable([four, six, here], 6) == [six]
    assert usable([six, here], 4) == [six]
    assert usable([here, Server("::1", 1)], 4) == []
