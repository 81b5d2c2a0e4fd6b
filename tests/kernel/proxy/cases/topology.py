"""Topology hints, as trafficDistribution and topology-aware routing have them written."""

from __future__ import annotations

from collections.abc import Iterator

from tests.kernel.proxy.cases.model import ALL, BOTH, EVERYBODY, TCP, Client, Step, case
from tests.kernel.proxy.cases.place import Place

ZONE = "zone-a"


@case("zone hints: endpoints for this node's zone", *BOTH, zone=ZONE)
def _zones(at: Place) -> Iterator[Step]:
    dials = [client.to(at.service_ip()) for client in EVERYBODY]
    ours = at.endpoint("here-1", zones=[ZONE])
    shared = at.endpoint("away", zones=["zone-b", ZONE])
    theirs = at.endpoint("here-2", zones=["zone-b"])
    yield Step(
        [at.service(trafficDistribution="PreferClose"), at.slice(ours, theirs)],
        [dial.reaches("here-1") for dial in dials],
    )
    yield Step([at.slice(ours, shared, theirs)], [dial.reaches("here-1", "away") for dial in dials])
    # A zone without endpoints, and hints that are not whole, are not followed.
    yield Step([at.slice(theirs)], [dial.reaches("here-2") for dial in dials])
    yield Step([at.slice(ours, theirs, "away")], [dial.reaches(*ALL) for dial in dials])
    # Hints of endpoints that are not ready do not count.
    unready = at.endpoint("away", ready=False, serving=False)
    yield Step([at.slice(ours, theirs, unready)], [dial.reaches("here-1") for dial in dials])


@case("zone hints on a node without a zone are not followed", *TCP)
def _no_zone(at: Place) -> Iterator[Step]:
    one, other = at.endpoint("here-1", zones=[ZONE]), at.endpoint("away", zones=["zone-b"])
    yield Step(
        [at.service(), at.slice(one, other)], [Client.POD.to(at.service_ip()).reaches("here-1", "away")]
    )


@case("node hints go before zone hints", *TCP, zone=ZONE)
def _nodes(at: Place) -> Iterator[Step]:
    dials = [client.to(at.service_ip()) for client in EVERYBODY]
    here = at.endpoint("here-1", zones=[ZONE], nodes=["node-1"])
    near = at.endpoint("here-2", zones=[ZONE], nodes=["node-3"])
    far = at.endpoint("away", zones=["zone-b"], nodes=["node-2"])
    web = at.service(trafficDistribution="PreferSameNode")
    yield Step([web, at.slice(here, near, far)], [dial.reaches("here-1") for dial in dials])
    # Without one for this node: the zone; without that: all.
    yield Step([at.slice(near, far)], [dial.reaches("here-2") for dial in dials])
    yield Step([at.slice(far)], [dial.reaches("away") for dial in dials])
    some = at.endpoint("away", zones=["zone-b"])
    yield Step([at.slice(here, near, some)], [dial.reaches("here-1", "here-2") for dial in dials])


@case("hints do not bind the Local policies", *TCP, zone=ZONE)
def _local(at: Place) -> Iterator[Step]:
    ours, theirs = at.endpoint("away", zones=[ZONE]), at.endpoint("here-2", zones=["zone-b"])
    web = at.service(type="NodePort", node_port=30080, externalTrafficPolicy="Local")
    yield Step(
        [web, at.slice(ours, theirs)],
        [
            Client.OUTSIDE.to(at.node, 30080).reaches("here-2"),
            Client.POD.to(at.node, 30080).reaches("away"),
            Client.POD.to(at.service_ip()).reaches("away"),
            # Its own Service, its own address: also where hints keep it out of the cluster's endpoints.
        ],
    )


@case("terminating endpoints are used whatever their hints", *TCP, zone=ZONE)
def _terminating(at: Place) -> Iterator[Step]:
    leaving = at.endpoint("away", ready=False, serving=True, terminating=True, zones=["zone-b"])
    yield Step([at.service(), at.slice(leaving)], [Client.POD.to(at.service_ip()).reaches("away")])
