"""What nftables does for IPVS: tried without IPVS, with an address of the node and a server behind it."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from clusterip.kernel import namespaces
from clusterip.kernel.iptables_events import Change, IptablesEvents
from clusterip.kernel.nftables import Family
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.proxy.backend import BackendOptions, PodDetection
from clusterip.proxy.ipvs.cleanup import clean_up, is_ours
from clusterip.proxy.ipvs.rules import TABLE, bound_element, node_elements, port_elements
from clusterip.proxy.ipvs.tables import NftError, Tables, run
from clusterip.proxy.model import (
    Address,
    Choice,
    NodeAddresses,
    PortKey,
    PortState,
    ServiceKey,
    ServicePort,
    pack_address,
    pack_destination,
)

_numbers = itertools.count(1)
VIP, BALANCED, NODE, CLIENT, POD = "10.96.0.1", "198.51.100.1", "192.0.2.1", "192.0.2.10", "10.244.0.5"
OPTIONS = BackendOptions(
    PodDetection((ipaddress.ip_network("10.244.0.0/16"), ipaddress.ip_network("fd00::/16")))
)
PORT, OTHER_PORT = 80, 81
SECONDS = 10.0


def packed(text: str) -> Address:
    address = pack_address(text)
    assert address is not None
    return address


def state(*ranges: str, local: bool = False, **more: object) -> PortState:
    key = PortKey(ServiceKey("ns", "web"), "", socket.IPPROTO_TCP, Family.IPV4)
    port = ServicePort(
        key,
        packed(VIP),
        PORT,
        load_balancer_ips=(packed(BALANCED),),
        source_ranges=tuple(map(ipaddress.ip_network, ranges)),
        external_local=local,
        **more,  # type: ignore[arg-type]
    )
    return PortState(port, Choice(on_node=(packed(POD),)))


class Bed:
    """A node that has a Service's addresses itself, and a machine beside it that also has a Pod's."""

    def __init__(self) -> None:
        prefix = f"ipvr{os.getpid()}-{next(_numbers)}"
        self.node, self.client = (namespaces.create_named(f"{prefix}-{name}") for name in ("node", "client"))
        self._names = [f"{prefix}-node", f"{prefix}-client"]
        with RouteSocket(self.node) as routes:
            routes.add_veth("wire", "wire", peer_namespace=self.client)
            routes.set_link("lo", up=True)
            routes.set_link("wire", up=True)
            routes.add_address("wire", f"{NODE}/24")
            routes.add_route("10.244.0.0/16", link="wire")
            routes.add_address("lo", f"{VIP}/32")
            routes.add_address("lo", f"{BALANCED}/32")
        with RouteSocket(self.client) as routes:
            routes.set_link("lo", up=True)
            routes.set_link("wire", up=True)
            routes.add_address("wire", f"{CLIENT}/24")
            routes.add_address("wire", f"{POD}/32")
            routes.add_route(None, gateway=NODE)
        self.tables = namespaces.run_in(self.node, lambda: Tables(Family, OPTIONS, lambda process: None))
        self._servers = [self._listen(port) for port in (PORT, OTHER_PORT)]

    def _listen(self, port: int) -> socket.socket:
        server = namespaces.open_socket(self.node)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0", port))
        server.listen()
        return server

    def program(self, wanted: PortState) -> None:
        node = NodeAddresses((packed(NODE),), (packed(NODE),))
        bound = {bound_element(packed(VIP)), bound_element(packed(BALANCED))}
        elements = port_elements(wanted, node) | bound | node_elements(node, Family.IPV4)
        namespaces.run_in(self.node, lambda: self.tables.create({Family.IPV4: elements}))

    async def connects(
        self,
        address: str,
        port: int = PORT,
        *,
        source: str = CLIENT,
        node: bool = False,
        seconds: float = SECONDS,
    ) -> str:
        """``yes``, ``refused`` or ``silence``."""
        loop = asyncio.get_running_loop()
        with namespaces.open_socket(self.node if node else self.client) as client:
            client.setblocking(False)
            if not node:
                client.bind((source, 0))
            try:
                async with asyncio.timeout(seconds):
                    await loop.sock_connect(client, (address, port))
            except ConnectionRefusedError:
                return "refused"
            except TimeoutError:
                return "silence"
        return "yes"

    def listed(self) -> str:
        command = ["nft", "list", "ruleset"]
        return namespaces.run_in(self.node, lambda: subprocess.check_output(command, text=True))

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for name in self._names:
            namespaces.delete_named(name)


@pytest.fixture
def bed() -> Iterator[Bed]:
    bed = Bed()
    yield bed
    bed.close()


async def test_ports_that_no_service_has_are_refused(bed: Bed) -> None:
    """The address is the node's own: its servers would answer there."""
    bed.program(state())
    assert await bed.connects(VIP) == "yes"
    assert await bed.connects(VIP, OTHER_PORT) == "refused"
    assert await bed.connects(NODE, OTHER_PORT) == "yes"


async def test_source_ranges(bed: Bed) -> None:
    bed.program(state("203.0.113.0/24"))
    assert await bed.connects(BALANCED, seconds=1) == "silence"
    assert await bed.connects(BALANCED, node=True, seconds=1) == "silence"
    assert await bed.connects(VIP) == "yes"
    bed.program(state("203.0.113.0/24", f"{CLIENT}/32"))
    assert await bed.connects(BALANCED) == "yes"
    assert await bed.connects(BALANCED, source=POD, seconds=1) == "silence"
    bed.program(state(f"{NODE}/32"))
    assert await bed.connects(BALANCED, node=True) == "yes"


async def test_without_an_endpoint_here_the_local_policies_drop(bed: Bed) -> None:
    elsewhere = Choice((pack_destination(packed("10.244.9.9"), 80),), (), True)
    bed.program(state(local=True)._replace(choice=elsewhere))
    assert await bed.connects(BALANCED, seconds=1) == "silence"
    # Pods and the node are not bound by it.
    assert await bed.connects(BALANCED, source=POD) == "yes"
    assert await bed.connects(BALANCED, node=True) == "yes"
    assert await bed.connects(VIP) == "yes"
    bed.program(state(internal_local=True)._replace(choice=elsewhere))
    assert await bed.connects(VIP, source=POD, seconds=1) == "silence"
    assert await bed.connects(VIP, node=True, seconds=1) == "silence"
    assert await bed.connects(BALANCED) == "yes"


async def test_who_is_marked_for_masquerading(bed: Bed) -> None:
    """Others than Pods at the ClusterIP, and everybody at external addresses with the policy Cluster."""
    bed.program(state())
    count = "add rule ip clusterip-ipvs input meta mark and 0x4000 == 0x4000 counter"

    async def marked(address: str, source: str) -> bool:
        bed.program(state())
        namespaces.run_in(bed.node, lambda: run(f"insert{count.removeprefix('add')}\n"))
        assert await bed.connects(address, source=source) == "yes"
        return "counter packets 0" not in bed.listed()

    assert await marked(VIP, CLIENT)
    assert not await marked(VIP, POD)
    assert await marked(BALANCED, POD)


def test_elements_that_several_want_stay_until_the_last_goes(bed: Bed) -> None:
    bed.program(state())
    shared = bound_element(packed("10.96.0.9"))
    for change in (bed.tables.add, bed.tables.add, bed.tables.remove):
        namespaces.run_in(bed.node, lambda change=change: change(Family.IPV4, [shared]))
    assert "10.96.0.9" in bed.listed()
    namespaces.run_in(bed.node, lambda: bed.tables.remove(Family.IPV4, [shared]))
    assert "10.96.0.9" not in bed.listed()


def test_only_others_changes_are_heard_of(bed: Bed) -> None:
    with namespaces.enter(bed.node):
        events = IptablesEvents()
    bed.tables = Tables(Family, OPTIONS, events.ignore)

    def ours(change: Change) -> bool:
        return change.table == TABLE

    for _ in range(3):
        bed.program(state())
    assert not events.drain(ours)
    namespaces.run_in(bed.node, lambda: run(f"add rule ip {TABLE} input accept\n"))
    assert events.drain(ours)
    events.close()


def test_making_the_tables_anew_leaves_nothing_old(bed: Bed) -> None:
    bed.program(state("203.0.113.0/24"))
    bed.program(state())
    assert "203.0.113.0" not in bed.listed()
    assert bed.listed().count("table ip ") == 1


def test_clean_up(bed: Bed) -> None:
    bed.program(state())
    assert namespaces.run_in(bed.node, is_ours)
    assert namespaces.run_in(bed.node, clean_up) == ["table ip clusterip-ipvs", "table ip6 clusterip-ipvs"]
    assert bed.listed() == ""
    assert namespaces.run_in(bed.node, clean_up) == []


def test_nft_says_what_it_does_not_like(bed: Bed) -> None:
    with pytest.raises(NftError, match="syntax error"):
        namespaces.run_in(bed.node, lambda: run("this is nothing\n"))
