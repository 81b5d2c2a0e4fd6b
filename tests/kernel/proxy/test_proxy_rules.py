"""``/services?rules=true``: what it says the kernel has, the kernel has."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest
from proxy_network import Network

from clusterip.kernel import namespaces
from clusterip.proxy import modes
from tests.kernel.proxy.cases.bed import Bed, build_network
from tests.kernel.proxy.cases.place import Place

TCP4 = Place("IPv4", "TCP")
ELEMENT = re.compile(r"(ip6? [\w-]+) ([\w-]+) (\{ .* \})")


@pytest.fixture(scope="module")
def bed_network() -> Iterator[Network]:
    network = build_network()
    yield network
    network.close()


@pytest.mark.parametrize("mode", ["nftables", "iptables", "ebpf"])
@pytest.mark.parametrize("affinity", [False, True], ids=["plain", "affinity"])
async def test_what_is_said_of_a_service_is_in_the_kernel(
    bed_network: Network, mode: str, affinity: bool
) -> None:
    if why := modes.get(mode).missing():
        pytest.skip(why)
    bed = Bed(bed_network, mode)
    await bed.start()
    try:
        spec = {"type": "NodePort", **({"sessionAffinity": "ClientIP"} if affinity else {})}
        await bed.apply(TCP4.service(**spec), TCP4.slice("here-1", "away"))
        tracker = bed.world.sync.tracker
        [key] = {state.port.key for each in tracker.services() for state in tracker.states_of(each)}
        lines = list(bed.world.backend.describe(key))
        assert any(TCP4.service_ip() in line for line in lines)
        assert len(lines) == len(set(lines))
        for line in lines:
            if not line.startswith("map "):
                assert namespaces.run_in(bed.network.node, lambda line=line: is_there(line)), line
        await bed.delete(TCP4.service(**spec))
        assert list(bed.world.backend.describe(key)) == []
    finally:
        bed.close()


def is_there(line: str) -> bool:
    """Whether `nft` or `iptables` of this network namespace has it."""
    if element := ELEMENT.fullmatch(line):
        table, set_, text = element.groups()
        command = ["nft", "get", "element", *table.split(), set_, text]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    _, table, rule = line.split(" ", 2)
    saved = subprocess.run(["iptables-save", "-t", table], capture_output=True, text=True, check=True)
    return rule in saved.stdout.splitlines()
