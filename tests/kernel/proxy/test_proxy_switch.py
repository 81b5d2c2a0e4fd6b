"""Changing the mode on a running node: connections go on, and nothing of the old mode stays."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest
from conftest import started
from proxy_network import Connection, Network, ask

from clusterip.kernel import namespaces
from clusterip.proxy import modes
from tests.support.proxy_objects import endpoint, service, slice_of

VIP = "10.96.0.10"
OBJECTS = (service(), slice_of("web", endpoint("10.244.1.2")))


def traces(network: Network) -> dict[str, str]:
    """What each kind of program shows of a mode's rules."""

    def run(command: Sequence[str]) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def look() -> dict[str, str]:
        nft = run(["nft", "list", "tables"])
        saved = run(["iptables-save"]) + run(["ip6tables-save"])
        return {"nftables": nft if "clusterip" in nft else "", "iptables": saved if "KUBE-" in saved else ""}

    return namespaces.run_in(network.node, look)


@pytest.mark.parametrize(("old", "new"), [("nftables", "iptables"), ("iptables", "nftables")])
async def test_switching_keeps_connections_and_leaves_nothing(network: Network, old: str, new: str) -> None:
    for mode in (old, new):
        if reason := namespaces.run_in(network.node, modes.get(mode).missing):
            pytest.skip(reason)
    network.add_pod("here-1", 2)
    client = network.add_pod("client", 9).namespace
    before = await started(network.node, mode=old, objects=OBJECTS)
    connection = await Connection.open(client, VIP, 80)
    assert (await connection.ask())[0] == "here-1"
    before.stop()

    after = await started(network.node, mode=new, objects=OBJECTS)
    # What the proxy itself does once its first rules are in place.
    left = namespaces.run_in(network.node, lambda: modes.left_by_us(new))
    assert old in left
    for name in left:
        namespaces.run_in(network.node, modes.get(name).clean_up)
    assert (await connection.ask())[0] == "here-1"
    assert (await ask(client, VIP, 80))[0] == "here-1"
    found = traces(network)
    assert found[new]
    assert not found[old]
    connection.close()
    after.close()
    namespaces.run_in(network.node, modes.get(new).clean_up)
    assert not any(traces(network).values())
