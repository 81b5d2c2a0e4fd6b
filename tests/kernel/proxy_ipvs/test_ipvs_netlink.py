"""Virtual servers through netlink, against what the kernel itself shows."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterip.kernel import namespaces
from clusterip.kernel.ipvs import Destination, Flags, Ipvs, Server, Settings, Timeouts
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.proxy.ipvs.mode import SCHEDULERS

VIP = Server(socket.IPPROTO_TCP, bytes([10, 96, 0, 1]), 80)
VIP6 = Server(socket.IPPROTO_UDP, socket.inet_pton(socket.AF_INET6, "fd00:96::1"), 53)
FIRST, SECOND = (Destination(bytes([10, 244, 0, number]), 8080) for number in (1, 2))


@pytest.fixture
def ipvs(namespace: Path) -> Iterator[Ipvs]:
    with namespaces.enter(namespace):
        ipvs = Ipvs()
    with RouteSocket(namespace) as routes:  # IPVS takes only destinations that there is a way to
        routes.add_dummy("pods")
        routes.add_address("pods", "10.244.0.99/24")
        routes.add_address("pods", "fd00:244::99/64")
        routes.set_link("pods", up=True)
    with ipvs:
        yield ipvs


def test_servers_read_back_as_written(ipvs: Ipvs, namespace: Path) -> None:
    ipvs.add_server(VIP, Settings("wrr"))
    ipvs.add_server(VIP6, Settings("rr", Flags.PERSISTENT, 600))
    assert ipvs.servers() == {VIP: Settings("wrr"), VIP6: Settings("rr", Flags.PERSISTENT, 600)}
    shown = namespaces.run_in(namespace, lambda: Path("/proc/thread-self/net/ip_vs").read_text())
    assert "TCP  0A600001:0050 wrr" in shown
    assert "rr persistent" in shown
    ipvs.set_server(VIP, Settings("lc", Flags.PERSISTENT, 10))
    assert ipvs.servers()[VIP] == Settings("lc", Flags.PERSISTENT, 10)
    ipvs.set_server(VIP, Settings("lc"))
    assert ipvs.servers()[VIP] == Settings("lc")
    ipvs.delete_server(VIP)
    ipvs.delete_server(VIP)
    assert ipvs.servers().keys() == {VIP6}


def test_destinations(ipvs: Ipvs) -> None:
    ipvs.add_server(VIP, Settings())
    ipvs.add_destination(VIP, FIRST)
    ipvs.add_destination(VIP, SECOND, weight=5)
    assert {key: state.weight for key, state in ipvs.destinations(VIP).items()} == {FIRST: 1, SECOND: 5}
    ipvs.set_weight(VIP, SECOND, 0)
    assert ipvs.destinations(VIP)[SECOND] == (0, 0, 0)
    ipvs.delete_destination(VIP, SECOND)
    ipvs.delete_destination(VIP, SECOND)
    assert ipvs.destinations(VIP).keys() == {FIRST}
    six = Destination(socket.inet_pton(socket.AF_INET6, "fd00:244::1"), 5353)
    ipvs.add_server(VIP6, Settings())
    ipvs.add_destination(VIP6, six)
    assert ipvs.destinations(VIP6).keys() == {six}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_schedulers(ipvs: Ipvs, scheduler: str) -> None:
    ipvs.add_server(VIP, Settings(scheduler))
    assert ipvs.servers()[VIP].scheduler == scheduler


def test_the_kernel_says_what_it_does_not_like(ipvs: Ipvs) -> None:
    with pytest.raises(NetlinkError):
        ipvs.add_server(VIP, Settings("unheard"))
    ipvs.add_server(VIP, Settings())
    with pytest.raises(NetlinkError):
        ipvs.add_server(VIP, Settings())
    with pytest.raises(NetlinkError):
        ipvs.add_destination(VIP6, FIRST)


def test_timeouts(ipvs: Ipvs) -> None:
    before = ipvs.timeouts()
    ipvs.set_timeouts(Timeouts(tcp=777))
    assert ipvs.timeouts() == before._replace(tcp=777)
    ipvs.set_timeouts(before)
