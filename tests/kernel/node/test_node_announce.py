"""Load balancer addresses on a real link: who asks for them finds the node, and who knew another one too."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import pytest

from clusterip.client.informer import Informer
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.network.announce import Announced, Announcer, tell
from clusterip.node.network.ipam import AddressPools
from clusterip.objects import codec
from tests.support.sandboxes import NODE, NODE6

FOUR, SIX = "192.0.2.200", "2001:db8::200"


class Services:
    """What an informer shows. The real one, against a real API server, is in tests/system."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Announced] = {}
        self.synced = asyncio.Event()
        self.synced.set()
        self._changed: Callable[[], None] = lambda: None

    def on_batch(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def show(self, *addresses: str) -> None:
        status = {"loadBalancer": {"ingress": [{"ip": each} for each in addresses]}}
        self.objects = {("ns", "s"): codec.convert({"status": status}, Announced)}
        self._changed()


def neighbour(outside: Path, address: str) -> str:
    """The MAC address that the other machine knows for an address."""
    with RouteSocket(outside) as route:
        known = [n for n in route.neighbours("eth0") if n.address == ip_address(address)]
        return known[0].link_address if known else ""


def uplink_address() -> str:
    with RouteSocket() as route:
        return route.link("uplink").address


async def found(outside: Path, address: str) -> str:
    """Ask on the link who has an address."""
    ping = ["ip", "netns", "exec", outside.name, "ping", "-c1", "-W1", address]
    await asyncio.to_thread(subprocess.run, ping, capture_output=True, check=False)
    return neighbour(outside, address)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the kernel does not notify of this
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("address", [FOUR, SIX])
async def test_announced_and_given_up(pools: AddressPools, outside: Path, address: str) -> None:
    services = Services()
    announcer = Announcer(cast(Informer[Announced], cast(Any, services)), [NODE, NODE6])
    task = asyncio.create_task(announcer.run())
    assert await found(outside, address) == ""
    services.show(address)
    with RouteSocket() as route:
        wanted = ip_address(address)
        await until(lambda: any(r.destination and r.destination[0] == wanted for r in route.routes()))
    assert await found(outside, address) == uplink_address()
    task.cancel()

    # The next agent finds what is there, and takes it away when it is not this node's any more.
    second = Services()
    task = asyncio.create_task(Announcer(cast(Informer[Announced], cast(Any, second)), [NODE, NODE6]).run())
    second.show()
    with RouteSocket() as route:
        await until(lambda: not any(r.destination and r.destination[0] == wanted for r in route.routes()))
    with RouteSocket(outside) as route:
        route.delete_neighbour("eth0", address)
    assert await found(outside, address) == ""
    task.cancel()


@pytest.mark.parametrize("address", [FOUR, SIX])
def test_who_knew_another_node_learns_of_this_one(machine: Path, outside: Path, address: str) -> None:
    old = "02:00:00:00:00:99"
    own = uplink_address()
    subprocess.run(
        ["ip", "-n", outside.name, "neigh", "replace", address, "lladdr", old, "dev", "eth0", "nud", "stale"],
        check=True,
    )
    assert neighbour(outside, address) == old
    tell("uplink", bytes.fromhex(own.replace(":", "")), ip_address(address))
    assert neighbour(outside, address) == own
