"""Every data plane against the table of cases in ``cases/``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from proxy_network import Network

from clusterip.kernel import namespaces
from clusterip.proxy import modes
from tests.kernel.proxy.cases.bed import Bed, build_network
from tests.kernel.proxy.cases.judge import judge
from tests.kernel.proxy.cases.lacking import lacks
from tests.kernel.proxy.cases.model import Case
from tests.kernel.proxy.cases.place import Place
from tests.kernel.proxy.cases.table import all_cases


@pytest.fixture(scope="module")
def bed_network() -> Iterator[Network]:
    network = build_network()
    yield network
    network.close()


@pytest.mark.parametrize("mode", modes.NAMES)
@pytest.mark.parametrize(
    ("case", "place"),
    [pytest.param(case, place, id=f"{case.name} [{place}]") for case in all_cases() for place in case.places],
)
async def test_case(mode: str, case: Case, place: Place, bed_network: Network) -> None:
    if reason := namespaces.run_in(bed_network.node, modes.get(mode).missing):
        pytest.skip(reason)
    if reason := lacks(mode, case, place):
        pytest.skip(reason)
    bed = Bed(bed_network, mode, place.protocol)
    try:
        await judge(case, bed, place)
    finally:
        bed.close()
