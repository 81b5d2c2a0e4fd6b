"""What only translation at the socket has: sockets that live on, and programs that outlive the proxy."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest
from proxy_network import Connection, Network, Refused, Silent, ask, cgroups, open_client
from proxy_process import Node, until

from clusterip.kernel import namespaces
from clusterip.kernel.bpf import Object
from clusterip.proxy import modes
from clusterip.proxy.ebpf import layout
from clusterip.proxy.ebpf.mode import PROGRAM, pins
from tests.kernel.proxy.cases.bed import Bed, build_network
from tests.kernel.proxy.cases.place import Place
from tests.support.cgroups import ThreadCgroup

TCP4, UDP4, UDP6 = Place("IPv4", "TCP"), Place("IPv4", "UDP"), Place("IPv6", "UDP")
SERVICE = ("10.96.0.10", 80)
MAPS = ("services", "endpoints", "members", "peers")

pytestmark = pytest.mark.skipif(bool(modes.get("ebpf").missing()), reason=modes.get("ebpf").missing())


@pytest.fixture(scope="module")
def bed_network() -> Iterator[Network]:
    network = build_network()
    yield network
    network.close()


@pytest.fixture
async def bed(bed_network: Network) -> AsyncIterator[Bed]:
    bed = Bed(bed_network, "ebpf", "UDP")
    await bed.start()
    yield bed
    bed.close()


def client(bed: Bed, family: int = socket.AF_INET, kind: int = socket.SOCK_DGRAM) -> socket.socket:
    opened = open_client(bed.namespace("client"), family, kind)
    opened.settimeout(10)
    return opened


def flows_to(address: str, port: int) -> int:
    """How many connections to there are tracked, from the point of view of who made them."""
    listed = subprocess.run(
        ["conntrack", "-L", "--orig-dst", address, "-p", "tcp", "--orig-port-dst", str(port)],
        capture_output=True,
        text=True,
        check=True,
    )
    return len(listed.stdout.splitlines())


def contents(bed: Bed) -> dict[str, dict[bytes, bytes]]:
    """What the maps hold, read as another process would."""

    def read() -> dict[str, dict[bytes, bytes]]:
        loaded = Object(PROGRAM, pins() / f"v{layout.LAYOUT}")
        try:
            return {name: dict(loaded.map(name).elements()) for name in MAPS}
        finally:
            loaded.close()

    return namespaces.run_in(bed.namespace("node"), read)


async def test_a_connection_is_made_to_the_endpoint_itself(bed: Bed) -> None:
    await bed.apply(TCP4.service(), TCP4.slice("here-1"))
    with client(bed, kind=socket.SOCK_STREAM) as connection:
        connection.connect(SERVICE)
        assert connection.getpeername() == SERVICE, "its program sees what it asked for"
        assert connection.recv(100)
        tracked = namespaces.run_in(bed.namespace("node"), lambda: flows_to(*SERVICE))
        assert tracked == 0, "no packet was ever to the Service"


async def test_a_connection_of_tcp_is_remembered_with_its_socket(bed: Bed) -> None:
    await bed.apply(TCP4.service(), TCP4.slice("here-1"))
    before = contents(bed)["peers"]
    opened = [client(bed, kind=socket.SOCK_STREAM) for _ in range(5)]
    for connection in opened:
        connection.connect(SERVICE)
    assert contents(bed)["peers"] == before, "however many there are, none pushes another one out"
    assert {connection.getpeername() for connection in opened} == {SERVICE}
    for connection in opened:
        connection.close()


def held_places(bed: Bed) -> int:
    with opened_maps(bed) as loaded:
        return sum(any(value[8:16]) for _, value in loaded.map("places").elements())


@contextlib.contextmanager
def opened_maps(bed: Bed) -> Iterator[Object]:
    loaded = namespaces.run_in(bed.namespace("node"), lambda: Object(PROGRAM, pins() / f"v{layout.LAYOUT}"))
    try:
        yield loaded
    finally:
        loaded.close()


async def test_a_closed_connection_gives_its_place_back(bed: Bed) -> None:
    await bed.apply(TCP4.service(), TCP4.slice("here-1"))
    before = held_places(bed)
    opened = [client(bed, kind=socket.SOCK_STREAM) for _ in range(5)]
    for connection in opened:
        connection.connect(SERVICE)
    assert held_places(bed) == before + 5
    for connection in opened:
        connection.close()
    assert held_places(bed) == before


async def test_a_connection_whose_place_is_taken_is_remembered_all_the_same(bed: Bed) -> None:
    await bed.apply(TCP4.service(), TCP4.slice("here-1"))
    with opened_maps(bed) as loaded, client(bed, kind=socket.SOCK_STREAM) as connection:
        places = loaded.map("places")
        stranger = bytes(8) + b"\xff" * 8 + bytes(places.value_size - 16)
        numbers = [key for key, _ in places.elements()]
        places.put([(key, stranger) for key in numbers])
        try:
            connection.connect(SERVICE)
            assert connection.getpeername() == SERVICE
        finally:
            places.put([(key, bytes(places.value_size)) for key in numbers])
        assert connection.getpeername() == SERVICE
        [endpoint] = set(contents(bed)["endpoints"].values())
        itself = (socket.inet_ntoa(endpoint[12:16]), int.from_bytes(endpoint[16:18], "big"))
        with client(bed, kind=socket.SOCK_STREAM) as direct:
            direct.connect(itself)
            assert direct.getpeername() == itself


async def test_a_socket_that_turns_to_the_endpoint_itself_is_shown_that(bed: Bed) -> None:
    await bed.apply(UDP4.service(), UDP4.slice("here-1"))
    with client(bed) as sender:
        sender.connect((UDP4.service_ip(), 80))
        sender.send(b"?")
        assert sender.recv(100)
        [endpoint] = set(contents(bed)["endpoints"].values())
        itself = (socket.inet_ntoa(endpoint[12:16]), int.from_bytes(endpoint[16:18], "big"))
        sender.connect(itself)
        assert sender.getpeername() == itself


async def test_a_pod_reaches_itself(bed: Bed) -> None:
    await bed.apply(TCP4.service(), TCP4.slice("here-1"))
    tcp = Bed(bed.network, "ebpf")
    assert await tcp.ask("here-1", *SERVICE) == ("here-1", "10.244.1.2")


@pytest.mark.parametrize("place", [UDP4, UDP6], ids=str)
async def test_an_unconnected_socket_keeps_its_endpoint_until_it_goes(bed: Bed, place: Place) -> None:
    family = socket.AF_INET if place is UDP4 else socket.AF_INET6
    address = (place.service_ip(), 80)
    await bed.apply(place.service(), place.slice("here-1", "here-2", "away"))
    with client(bed, family) as sender:

        def ask() -> str:
            sender.sendto(b"?", address)
            data, peer = sender.recvfrom(100)
            assert peer[:2] == address, "the answer comes from whom was asked"
            return data.decode().split()[0]

        first = await asyncio.to_thread(ask)
        assert {await asyncio.to_thread(ask) for _ in range(10)} == {first}
        rest = [name for name in ("here-1", "here-2", "away") if name != first]
        await bed.apply(place.slice(*rest))
        second = await asyncio.to_thread(ask)
        assert second in rest
        await bed.apply(place.slice("here-1", "here-2", "away"))
        assert {await asyncio.to_thread(ask) for _ in range(10)} == {second}, "a new one is no reason to move"


async def test_an_ipv6_socket_that_speaks_ipv4(bed: Bed) -> None:
    await bed.apply(UDP4.service(), UDP4.slice("here-1"))
    with client(bed, socket.AF_INET6) as sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sender.sendto(b"?", (f"::ffff:{SERVICE[0]}", 80))
        data, peer = await asyncio.to_thread(sender.recvfrom, 100)
        assert data.startswith(b"here-1")
        assert peer[:2] == (f"::ffff:{SERVICE[0]}", 80)
        sender.connect((f"::ffff:{SERVICE[0]}", 80))
        assert sender.getpeername()[:2] == (f"::ffff:{SERVICE[0]}", 80)


async def test_a_connected_socket_is_told_when_its_endpoint_goes(bed: Bed) -> None:
    await bed.apply(UDP4.service(), UDP4.slice("here-1"))
    with client(bed) as moving, client(bed) as staying:
        await bed.apply(UDP4.service("other", number=11), UDP4.slice("here-1", name="other"))
        staying.connect(("10.96.0.11", 80))
        moving.connect(SERVICE)
        moving.send(b"?")
        assert (await asyncio.to_thread(moving.recv, 100)).startswith(b"here-1")
        leaving = UDP4.endpoint("here-1", ready=False, serving=True, terminating=True)
        await bed.apply(UDP4.slice(leaving, "here-2"))
        moving.send(b"?")
        assert (await asyncio.to_thread(moving.recv, 100)).startswith(b"here-1"), "it still serves"
        await bed.apply(UDP4.slice("here-2"))
        with pytest.raises(ConnectionAbortedError):
            moving.recv(100)
        moving.connect(SERVICE)
        moving.send(b"?")
        assert (await asyncio.to_thread(moving.recv, 100)).startswith(b"here-2")
        staying.send(b"?")
        assert (await asyncio.to_thread(staying.recv, 100)).startswith(b"here-1"), "another Service's"


async def test_who_went_while_no_proxy_ran_is_found_at_its_start(bed: Bed) -> None:
    await bed.apply(UDP4.service(), UDP4.slice("here-1"))
    with client(bed) as sender:
        sender.connect(SERVICE)
        sender.send(b"?")
        assert (await asyncio.to_thread(sender.recv, 100)).startswith(b"here-1")
        await bed.restart(UDP4.slice("here-2"))
        with pytest.raises(ConnectionAbortedError):
            sender.recv(100)


async def test_services_work_without_the_proxy_and_are_taken_over(bed: Bed) -> None:
    await bed.apply(TCP4.service(), TCP4.slice("here-1", "here-2"), UDP4.service("dns", number=11))
    before = contents(bed)
    bed.stop()
    tcp = Bed(bed.network, "ebpf")
    assert {await tcp.ask("client", *SERVICE) for _ in range(40)} == {
        ("here-1", "10.244.1.9"),
        ("here-2", "10.244.1.9"),
    }
    await bed.restart()
    assert contents(bed) == before, "not one element was written anew"


async def test_a_change_writes_only_what_it_changes(bed: Bed) -> None:
    pods = ["here-1", "here-2", "away"]
    await bed.apply(TCP4.service(), TCP4.slice(*pods))
    before = contents(bed)["endpoints"]
    await bed.apply(TCP4.slice(*pods[:2]))
    after = contents(bed)["endpoints"]
    assert len(after) == 2
    assert sum(before[key] != value for key, value in after.items()) <= 1, "the last one into the hole"


async def test_cleaned_up_nothing_is_left(bed_network: Network) -> None:
    bed = Bed(bed_network, "ebpf")
    await bed.start()
    await bed.apply(TCP4.service(), TCP4.slice("here-1"))
    assert (await bed.ask("client", *SERVICE))[0] == "here-1"
    bed.stop()
    removed = namespaces.run_in(bed.network.node, lambda: modes.clean_up("ebpf"))
    assert any("eBPF programs and maps" in each for each in removed)
    with pytest.raises((Refused, Silent)):
        await bed.ask("client", *SERVICE, seconds=0.4)
    assert namespaces.run_in(bed.network.node, lambda: modes.clean_up("ebpf")) == []
    bed.close()


async def test_into_the_mode_and_out_of_it_again(serving: Node) -> None:
    cgroup = ThreadCgroup("clusterip-ebpf-mode")
    node = serving.network.node
    try:
        cgroups[serving.network.outside] = cgroup
        made = await Connection.open(serving.network.outside, *SERVICE)
        serving.stop_proxy(signal.SIGTERM)
        await serving.start_proxy("--proxy-mode=ebpf", f"--ebpf-cgroup={cgroup.path}")
        assert serving.page(10249, "/proxyMode")[1] == "ebpf"
        assert "table ip clusterip" in serving.run("nft", "list", "tables")
        where = namespaces.run_in(node, pins)
        assert where.exists()
        assert (await made.ask())[0] == "here-1"
        serving.stop_proxy(signal.SIGKILL)
        assert (await ask(serving.network.outside, *SERVICE))[0] == "here-1"
        await serving.start_proxy()
        await until(lambda: not where.exists(), serving.log.read_text)
        assert "table ip clusterip" in serving.run("nft", "list", "tables")
        assert (await made.ask())[0] == "here-1"
        assert (await ask(serving.network.outside, *SERVICE))[0] == "here-1"
        made.close()
        serving.stop_proxy(signal.SIGTERM)
        await serving.start_proxy("--proxy-mode=ebpf", f"--ebpf-cgroup={cgroup.path}")
        serving.stop_proxy(signal.SIGTERM)
        serving.run(*serving.command("--cleanup", "--proxy-mode=ebpf"))
        assert not where.exists()
        assert "clusterip" not in serving.run("nft", "list", "tables")
    finally:
        cgroups.clear()
        cgroup.close()
