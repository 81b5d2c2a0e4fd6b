"""The table of cases that every data plane must pass, as far as it goes without nftables: ipvs_world.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from proxy_network import Network

from clusterip.kernel.ipvs import Ipvs
from clusterip.kernel.nftables import Family
from clusterip.kernel.nftables.connection import supported
from clusterip.proxy.backend import BackendOptions
from clusterip.proxy.ipvs import mode, sysctls
from clusterip.proxy.ipvs.backend import IpvsBackend
from tests.kernel.proxy.cases.bed import Bed, build_network
from tests.kernel.proxy.cases.judge import judge
from tests.kernel.proxy.cases.lacking import lacks
from tests.kernel.proxy.cases.model import Case
from tests.kernel.proxy.cases.place import Place
from tests.kernel.proxy.cases.table import all_cases

_TABLES = frozenset(
    (
        "a ClusterIP keeps Pods' addresses and masquerades others",
        "masquerade all",
        "two Services with the same endpoints",
        "a Pod reaches itself through its Service",
        "a client stays with its endpoint",
        "packets that cannot be translated back do not reach clients",
        "Pods known by how their interfaces' names begin",
        "Pods known by the bridge they come in by",
        "another bit of the mark for masquerading",
        "a node port reaches all endpoints, masqueraded",
        "an external IP reaches all endpoints, masqueraded",
        "a load balancer's address reaches all endpoints, masqueraded",
        "source ranges keep others from a load balancer's address, and from nothing else",
        "source ranges hold for Pods, by their own addresses",
        "source ranges also keep others from being refused",
        "several ports of a Service",
        "UDP clients leave an endpoint that goes",
        "a node that may, reaches a load balancer's address it has itself",
        "internalTrafficPolicy Local reaches this node's endpoints",
        "internalTrafficPolicy Local does not bind external addresses",
        "externalTrafficPolicy that changes",
        "other ports of a ClusterIP refuse",
    )
)
"""Cases of masquerading, source ranges, policies without endpoints, and ports that no Service has."""


@pytest.fixture(scope="module")
def bed_network() -> Iterator[Network]:
    network = build_network()
    yield network
    network.close()


def _open(options: BackendOptions) -> IpvsBackend:
    sysctls.apply(strict_arp=options.ipvs.strict_arp)
    return IpvsBackend(Ipvs(), options.families or Family, options, with_tables=False)


@pytest.mark.parametrize(
    ("case", "place"),
    [pytest.param(case, place, id=f"{case.name} [{place}]") for case in all_cases() for place in case.places],
)
async def test_case(
    case: Case, place: Place, bed_network: Network, ipvs_kernel: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any(supported(family) for family in Family):
        pytest.skip("this kernel has all that the mode needs: ../proxy/test_proxy_cases.py runs them")
    if reason := lacks("ipvs", case, place):
        pytest.skip(reason)
    if case.name in _TABLES:
        pytest.skip("takes nftables, which user-mode-linux does not have; see test_ipvs_rules.py")
    monkeypatch.setattr(mode, "MODE", replace(mode.MODE, open=_open, missing=lambda: ""))
    bed = Bed(bed_network, "ipvs", place.protocol)
    try:
        await judge(case, bed, place)
    finally:
        bed.close()
