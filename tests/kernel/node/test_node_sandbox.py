"""Sandboxes and the node's network in real namespaces, both address families."""

from __future__ import annotations

import socket
import subprocess
from ipaddress import ip_network
from pathlib import Path

import pytest

from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.layout import NodeDirectory
from clusterip.node.network.bridge import BRIDGE, ensure_bridge
from clusterip.node.network.ipam import AddressPools
from clusterip.node.sandbox import sandbox as sandboxes
from clusterip.node.sandbox.sandbox import Sandbox
from tests.support.sandboxes import NETWORKS, make


def source_seen(server: Sandbox, client: Sandbox, family: int, address: str) -> str:
    """The address that a server sees a client come from."""
    with namespaces.open_socket(server.namespaces()["network"], family) as listener:
        listener.bind((address, 80))
        listener.listen()
        listener.settimeout(5)
        with namespaces.open_socket(client.namespaces()["network"], family) as connection:
            connection.settimeout(5)
            connection.connect((address, 80))
            accepted, peer = listener.accept()
            accepted.close()
            return str(peer[0])


@pytest.mark.parametrize(("family", "index"), [(socket.AF_INET, 0), (socket.AF_INET6, 1)])
def test_pods_reach_each_other(two: tuple[Sandbox, Sandbox], family: int, index: int) -> None:
    a, b = two
    assert a.addresses == ["10.244.7.2", "fd00:7::2"]
    assert source_seen(a, b, family, a.addresses[index]) == b.addresses[index]


@pytest.mark.parametrize(("family", "index"), [(socket.AF_INET, 0), (socket.AF_INET6, 1)])
def test_the_node_and_pods_reach_each_other(two: tuple[Sandbox, Sandbox], family: int, index: int) -> None:
    address = two[0].addresses[index]
    with namespaces.open_socket(two[0].namespaces()["network"], family) as listener:
        listener.bind((address, 81))
        listener.listen()
        with socket.create_connection((address, 81), timeout=5) as connection:
            assert connection.getsockname()[0] == str(["10.244.7.1", "fd00:7::1"][index])


def test_traffic_between_pods_is_routed_not_switched(two: tuple[Sandbox, Sandbox]) -> None:
    with RouteSocket(two[0].namespaces()["network"]) as inside:
        lengths = {
            a.address.network.prefixlen for a in inside.addresses("eth0") if not a.address.is_link_local
        }
        assert lengths == {32, 128}
        defaults = {str(r.gateway) for r in inside.routes() if r.destination is None and r.gateway}
        assert defaults == {"10.244.7.1", "fd00:7::1"}
    assert namespaces.read_sysctl("net/ipv4/ip_forward") == "1"
    assert namespaces.read_sysctl(f"net/ipv4/conf/{BRIDGE}/send_redirects") == "0"


def test_a_sandbox_is_found_again_until_it_is_gone(tmp_path: Path, pools: AddressPools) -> None:
    made = make(tmp_path, pools, "uid-c", hostname="web")
    found = sandboxes.load(made.directory)
    assert found == made
    assert made.record.hostname == "web"
    assert made.directory.etc("hostname").read_text() == "web\n"
    assert "10.244.7.2\tweb\n" in made.directory.etc("hosts").read_text()
    with RouteSocket() as route:
        assert route.link(made.record.link).master == route.index(BRIDGE)
    namespaces.delete_named(made.record.network)  # as a reboot would
    assert sandboxes.load(made.directory) is None
    sandboxes.delete(made.directory, pools)
    sandboxes.delete(made.directory, pools)  # again does no harm
    with RouteSocket() as route:
        assert route.find_link(made.record.link) is None
    assert not made.directory.sandbox.exists()


def test_sysctls_of_a_pods_own(tmp_path: Path, pools: AddressPools) -> None:
    def context(name: str, value: str) -> dict[str, object]:
        return {"sysctls": [{"name": name, "value": value}]}

    own = make(tmp_path, pools, "uid-e", securityContext=context("net.core.somaxconn", "77"))
    assert namespaces.read_sysctl("net/core/somaxconn", own.namespaces()["network"]) == "77"
    assert namespaces.read_sysctl("net/core/somaxconn") != "77"
    sandboxes.delete(own.directory, pools)
    shared = make(tmp_path, pools, "uid-i", securityContext=context("kernel/shm_rmid_forced", "1"))
    inside = ["nsenter", f"--ipc={shared.namespaces()['ipc']}", "cat", "/proc/sys/kernel/shm_rmid_forced"]
    assert subprocess.run(inside, capture_output=True, text=True, check=True).stdout == "1\n"
    assert namespaces.read_sysctl("kernel/shm_rmid_forced") == "0"
    sandboxes.delete(shared.directory, pools)
    with pytest.raises(PermissionError, match="only sysctls of the Pod's own"):
        make(tmp_path, pools, "uid-f", securityContext=context("kernel.hostname", "x"))
    with pytest.raises(OSError, match="nonsense"):
        make(tmp_path, pools, "uid-g", securityContext=context("net.nonsense", "1"))
    assert not [
        name for name in namespaces.names() if name in map(sandboxes.network_name, ("uid-f", "uid-g"))
    ]
    assert make(tmp_path, pools, "uid-h").addresses  # none was lost
    sandboxes.delete(NodeDirectory(tmp_path).pod("uid-h"), pools)


def test_a_sandbox_cut_off_half_way_is_made_anew(tmp_path: Path, pools: AddressPools) -> None:
    made = make(tmp_path, pools, "uid-d")
    made.directory.sandbox.unlink()  # the last thing written
    again = make(tmp_path, pools, "uid-d")
    assert again.record.network == made.record.network
    assert again.addresses != made.addresses
    again.directory.sandbox.unlink()  # cut off, and then not wanted any more
    sandboxes.delete(again.directory, pools)
    assert made.record.network not in namespaces.names()
    assert not namespaces.is_mount_point(again.directory.namespace("uts"))


def test_the_bridge_follows_the_podcidr(machine: Path) -> None:
    ensure_bridge(NETWORKS)
    ensure_bridge(NETWORKS)
    ensure_bridge([ip_network("10.244.8.0/24")])
    with RouteSocket() as route:
        found = [str(a.address) for a in route.addresses(BRIDGE) if not a.address.is_link_local]
    assert found == ["10.244.8.1/24"]
