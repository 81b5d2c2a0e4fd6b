"""ClusterIPs: who reaches which endpoints, seen as whom."""

from __future__ import annotations

from collections.abc import Iterator

from tests.kernel.proxy.cases.model import ALL, ALL_PROTOCOLS, EVERYBODY, TCP, Client, Seen, Step, case
from tests.kernel.proxy.cases.place import Place


@case("a ClusterIP reaches all endpoints, from everywhere", *ALL_PROTOCOLS)
def _everywhere(at: Place) -> Iterator[Step]:
    yield Step(
        [at.service(), at.slice(*ALL)],
        [client.to(at.service_ip()).reaches(*ALL) for client in EVERYBODY],
    )


@case("a ClusterIP keeps Pods' addresses and masquerades others", *ALL_PROTOCOLS)
def _addresses(at: Place) -> Iterator[Step]:
    vip = at.service_ip()
    yield Step(
        [at.service(), at.slice("here-2")],
        [
            Client.POD.to(vip).reaches("here-2", seen=Seen.ITSELF),
            Client.POD_ELSEWHERE.to(vip).reaches("here-2", seen=Seen.ITSELF),
            Client.ENDPOINT.to(vip).reaches("here-2", seen=Seen.ITSELF),
            Client.OUTSIDE.to(vip).reaches("here-2", seen=Seen.MASKED),
        ],
    )


@case("masquerade all", *TCP, masquerade_all=True)
def _masquerade_all(at: Place) -> Iterator[Step]:
    vip = at.service_ip()
    yield Step(
        [at.service(), at.slice("here-2")],
        [
            Client.POD.to(vip).reaches("here-2", seen=Seen.MASKED),
            Client.OUTSIDE.to(vip).reaches("here-2", seen=Seen.MASKED),
        ],
    )


@case("a Pod reaches itself through its Service", *ALL_PROTOCOLS)
def _hairpin(at: Place) -> Iterator[Step]:
    yield Step(
        [at.service(), at.slice("here-1")],
        [Client.ENDPOINT.to(at.service_ip()).reaches("here-1", seen=Seen.MASKED)],
    )
