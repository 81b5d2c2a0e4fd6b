"""How Pods are told from others, and what that changes."""

from __future__ import annotations

from collections.abc import Iterator

from clusterip.proxy.backend import PodDetection
from tests.kernel.proxy.cases.model import ALL, TCP, Client, Seen, Step, case
from tests.kernel.proxy.cases.place import Place


def _steps(at: Place) -> Iterator[Step]:
    """What holds where only this node's Pods are known, by the interface they come in by."""
    web = at.service(type="NodePort", node_port=30080, externalTrafficPolicy="Local")
    yield Step(
        [web, at.slice("here-2")],
        [
            Client.POD.to(at.service_ip()).reaches("here-2", seen=Seen.ITSELF),
            Client.OUTSIDE.to(at.service_ip()).reaches("here-2", seen=Seen.MASKED),
            Client.OUTSIDE.to(at.node, 30080).reaches("here-2", seen=Seen.ITSELF),
        ],
    )
    yield Step(
        [at.slice("away")],
        [
            Client.POD.to(at.node, 30080).reaches("away", seen=Seen.ITSELF),
            Client.OUTSIDE.to(at.node, 30080).is_dropped,
            Client.NODE.to(at.node, 30080).reaches("away"),
        ],
    )


@case("Pods known by how their interfaces' names begin", *TCP, pods=PodDetection(interface_prefix="pod-"))
def _prefix(at: Place) -> Iterator[Step]:
    yield from _steps(at)


@case("Pods known by the bridge they come in by", *TCP, pods=PodDetection(bridge="pod-client"))
def _bridge(at: Place) -> Iterator[Step]:
    yield from _steps(at)
    # From another interface it is no Pod.
    yield Step(
        [at.service(), at.slice("here-2")],
        [Client.ENDPOINT.to(at.service_ip()).reaches("here-2", seen=Seen.MASKED)],
    )


@case("Pods that cannot be told from others", *TCP, pods=PodDetection())
def _unknown(at: Place) -> Iterator[Step]:
    web = at.service(type="NodePort", node_port=30080, externalTrafficPolicy="Local")
    yield Step(
        [web, at.slice(*ALL)],
        [
            # Nobody is masqueraded on the way to a ClusterIP; servers' answers pass this node anyway.
            Client.OUTSIDE.to(at.service_ip()).reaches(*ALL, seen=Seen.ITSELF),
            Client.POD.to(at.service_ip()).reaches(*ALL, seen=Seen.ITSELF),
            # And Pods are bound by externalTrafficPolicy as everybody is.
            Client.POD.to(at.node, 30080).reaches("here-1", "here-2", seen=Seen.ITSELF),
            Client.NODE.to(at.node, 30080).reaches(*ALL),
        ],
    )


@case("another bit of the mark for masquerading", *TCP, masquerade_bit=20)
def _mark(at: Place) -> Iterator[Step]:
    yield Step(
        [at.service(type="NodePort", node_port=30080), at.slice("here-2")],
        [
            Client.OUTSIDE.to(at.node, 30080).reaches("here-2", seen=Seen.MASKED),
            Client.OUTSIDE.to(at.service_ip()).reaches("here-2", seen=Seen.MASKED),
        ],
    )
