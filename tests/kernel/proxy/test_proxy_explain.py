"""What `clusterip explain` says, against the table of cases that every data plane is tested with.

The cases say who reaches what, seen as whom; ``test_proxy_cases.py`` tries them in the kernel.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import pytest
from proxy_network import NODE4, NODE6, POD_CIDRS

from clusterip.proxy import wire
from clusterip.proxy.backend import PodDetection
from clusterip.proxy.explain.service import Port, Question, Row, explain
from clusterip.proxy.explain.ways import NodeView, Settings
from clusterip.proxy.model import pack_address
from tests.kernel.proxy.cases.model import V4, V6, Case, Client, Dial, Result, Seen, Thing
from tests.kernel.proxy.cases.place import POD_NUMBERS, Place
from tests.kernel.proxy.cases.table import all_cases
from tests.support.proxy_objects import NODE

_UNDERSTOOD = {"zone", "masquerade_all", "pods"}
CASES = [
    pytest.param(case, place, id=f"{case.name} [{place}]")
    for case in all_cases()
    if case.steps is not None and case.options.keys() <= _UNDERSTOOD
    if case.name != "an endpoint that changes its port"  # there it is the endpoint who refuses
    for place in case.places
]


@pytest.mark.parametrize(("case", "place"), CASES)
def test_case(case: Case, place: Place) -> None:
    view, settings = _node(case), _settings(case)
    objects: dict[tuple[type, str], Thing] = {}
    assert case.steps is not None
    for step in case.steps(place):
        for gone in step.gone:
            objects.pop((type(gone), gone.metadata.name), None)
        objects.update({(type(given), given.metadata.name): given for given in step.given})
        explained = _explain(objects.values(), view, settings)
        for dial in step.dials:
            _check(dial, place, explained, case)


def test_most_cases_are_understood() -> None:
    assert len(CASES) > 100


def _node(case: Case) -> NodeView:
    own = tuple(filter(None, map(pack_address, (NODE4, NODE6))))
    ranges = tuple(map(ipaddress.ip_network, POD_CIDRS))
    return NodeView(NODE, str(case.options.get("zone", "")), own, own, ranges)


def _settings(case: Case) -> Settings:
    pods = case.options.get("pods", PodDetection(cidrs=(ipaddress.ip_network(POD_CIDRS[0]),)))
    return Settings(knows_pods=any(pods), masquerade_all=bool(case.options.get("masquerade_all")))


def _explain(objects: Iterable[Thing], view: NodeView, settings: Settings) -> list[Port]:
    things = list(objects)
    services = [each for each in things if isinstance(each, wire.Service)]
    slices = [each for each in things if isinstance(each, wire.EndpointSlice)]
    ports: list[Port] = []
    for service in services:
        name = service.metadata.name
        own = [each for each in slices if each.metadata.labels and each.metadata.labels.serviceName == name]
        others = [each for each in services if each is not service]
        ports += explain(Question(service, own, others), [view], settings)
    return ports


def _check(dial: Dial, place: Place, ports: list[Port], case: Case) -> None:
    rows = [row for port in ports if port.protocol == place.protocol for row in _matching(dial, place, port)]
    if not rows:  # nobody's address: there is nothing to say
        assert dial.result is not Result.ANSWER, dial
        return
    (row,) = rows
    result = {"reached": Result.ANSWER, "refused": Result.REFUSED, "dropped": Result.SILENCE}[row.verdict]
    if row.sourceRanges and row.verdict != "dropped":
        own = place.outside if dial.client is Client.OUTSIDE else place.pod(dial.client.value)
        if not any(ipaddress.ip_address(own) in ipaddress.ip_network(each) for each in row.sourceRanges):
            result = Result.SILENCE
    if place.protocol != "UDP" or result is Result.ANSWER:
        assert result is dial.result, (dial, row)
    if dial.result is not Result.ANSWER:
        return
    names = {other.pod(name): name for name in POD_NUMBERS for other in (V4, V6)}
    by = {names[each.address.rpartition(":")[0].strip("[]")] for each in row.endpoints}
    assert by == dial.by, (dial, row)
    assert sum(each.probability for each in row.endpoints) == pytest.approx(1)
    if dial.client not in (Client.ENDPOINT, Client.NODE) and dial.seen is not Seen.ANY:
        assert row.source == ("kept" if dial.seen is Seen.ITSELF else "masqueraded"), (dial, row)


def _matching(dial: Dial, place: Place, port: Port) -> list[Row]:
    kind = {Client.NODE: "node", Client.OUTSIDE: "outside"}.get(dial.client, "pod")
    return [
        row
        for row in port.rows
        if row.client == kind
        and not row.owner
        and row.port == dial.port
        and (port.family == "IPv6") == (":" in dial.address)
        and dial.address in ({row.address} if row.address else {NODE4, NODE6})
    ]
