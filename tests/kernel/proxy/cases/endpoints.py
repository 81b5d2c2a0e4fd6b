"""Which endpoints count: slices, ports, duplicates, states."""

from __future__ import annotations

from collections.abc import Iterator

from tests.kernel.proxy.cases.bed import Bed
from tests.kernel.proxy.cases.model import ALL, BOTH, EVERYBODY, TCP, Client, Step, case, script
from tests.kernel.proxy.cases.place import Place

SECOND_PORT = 9090
"""Where ``here-2`` answers too."""


@case("several slices make one Service", *BOTH)
def _several_slices(at: Place) -> Iterator[Step]:
    dial = Client.POD.to(at.service_ip())
    first, second = at.slice("here-1", slice_name="web-a"), at.slice("away", slice_name="web-b")
    yield Step([at.service(), first, second], [dial.reaches("here-1", "away")])
    yield Step([at.slice("here-2", slice_name="web-b")], [dial.reaches("here-1", "here-2")])
    yield Step(gone=[first], dials=[dial.reaches("here-2")])


@case("an endpoint in two slices counts once")
def _duplicates(at: Place) -> Iterator[Step]:
    dial = Client.POD.to(at.service_ip())
    gone = at.endpoint("here-1", ready=False, serving=False, terminating=True)
    yield Step(
        [
            at.service(),
            at.slice("here-1", "here-2", slice_name="web-a"),
            at.slice("here-2", slice_name="web-b"),
        ],
        [dial.reaches("here-1", "here-2")],
    )
    # The address was given to a new Pod before the old one was forgotten.
    yield Step(
        [at.slice("here-1", slice_name="web-a"), at.slice(gone, slice_name="web-b")],
        [dial.reaches("here-1")],
    )
    yield Step(
        [at.slice(gone, slice_name="web-a"), at.slice("here-1", slice_name="web-b")],
        [dial.reaches("here-1")],
    )


@case("a named target port that differs from endpoint to endpoint", *BOTH)
def _named_ports(at: Place) -> Iterator[Step]:
    named = [{"name": "http", "port": 80, "protocol": at.protocol, "targetPort": "http"}]
    yield Step(
        [
            at.service(ports=named),
            at.slice("here-1", slice_name="web-a", ports=(("http", at.protocol, 8080),)),
            at.slice("here-2", slice_name="web-b", ports=(("http", at.protocol, SECOND_PORT),)),
        ],
        [Client.POD.to(at.service_ip()).reaches("here-1", "here-2")],
    )


@case("several ports of a Service")
def _several_ports(at: Place) -> Iterator[Step]:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}, {"name": "c", "port": 82}]
    vip = at.service_ip()
    yield Step(
        [
            at.service(ports=ports),
            at.slice(
                "here-1", "here-2", slice_name="web-a", ports=(("a", "TCP", 8080), ("b", "TCP", SECOND_PORT))
            ),
        ],
        [
            Client.POD.to(vip, 80).reaches("here-1", "here-2"),
            Client.POD.to(vip, 82).is_refused,  # no slice has it
            Client.POD.to(vip, 83).is_refused,  # nor has the Service
        ],
    )
    yield Step(
        [at.service(ports=ports[1:]), at.slice("here-2", slice_name="web-a", ports=(("b", "TCP", 9090),))],
        [Client.POD.to(vip, 81).reaches("here-2"), Client.POD.to(vip, 80).is_refused],
    )


@case("an endpoint that changes its port")
def _port_changes(at: Place) -> Iterator[Step]:
    dial = Client.POD.to(at.service_ip())
    yield Step([at.service(), at.slice("here-2")], [dial.reaches("here-2")])
    yield Step([at.slice("here-2", port=SECOND_PORT)], [dial.reaches("here-2")])
    yield Step([at.slice("here-2", port=1)], [dial.is_refused])  # by the Pod: nothing listens there


@case("endpoints that come and go, one after another", *BOTH)
def _come_and_go(at: Place) -> Iterator[Step]:
    dial = Client.POD.to(at.service_ip())
    yield Step([at.service()])
    for pods in (("here-1",), ALL, ("away", "here-2"), ("here-2",), ("here-1", "here-2"), ("away",), ALL):
        yield Step([at.slice(*pods)], [dial.reaches(*pods)])


@case("states that are not told mean ready")
def _no_conditions(at: Place) -> Iterator[Step]:
    bare = at.endpoint("here-1")
    del bare["conditions"]
    empty = at.endpoint("away")
    empty["conditions"] = {}
    yield Step(
        [at.service(), at.slice(bare, empty)], [Client.POD.to(at.service_ip()).reaches("here-1", "away")]
    )


@case("publishNotReadyAddresses: what slices call ready counts, whatever else they say")
def _published(at: Place) -> Iterator[Step]:
    starting = at.endpoint("here-1", ready=True, serving=False)
    leaving = at.endpoint("away", ready=True, serving=False, terminating=True)
    yield Step(
        [at.service(publishNotReadyAddresses=True), at.slice(starting, leaving)],
        [client.to(at.service_ip()).reaches("here-1", "away") for client in EVERYBODY],
    )


@case("a Service of both families", *BOTH)
def _dual_stack(at: Place) -> Iterator[Step]:
    other = Place("IPv6" if at.family == "IPv4" else "IPv4", at.protocol)
    both = at.service(
        clusterIPs=[at.service_ip(), other.service_ip()],
        ipFamilyPolicy="RequireDualStack",
        type="NodePort",
        node_port=30080,
    )
    yield Step(
        [both, at.slice("here-1", "away"), other.slice("here-2")],
        [
            *(client.to(at.service_ip()).reaches("here-1", "away") for client in EVERYBODY),
            *(client.to(other.service_ip()).reaches("here-2") for client in EVERYBODY),
            Client.OUTSIDE.to(at.node, 30080).reaches("here-1", "away"),
            Client.OUTSIDE.to(other.node, 30080).reaches("here-2"),
        ],
    )
    yield Step(
        [other.slice()],
        [
            Client.POD.to(at.service_ip()).reaches("here-1", "away"),
            Client.POD.to(other.service_ip()).is_refused,
        ],
    )


@case("two Services with the same endpoints")
def _shared_endpoints(at: Place) -> Iterator[Step]:
    second = at.service("second", number=11)
    yield Step(
        [at.service(), at.slice("here-1"), second, at.slice("here-1", name="second")],
        [
            Client.ENDPOINT.to(at.service_ip(10)).reaches("here-1"),
            Client.ENDPOINT.to(at.service_ip(11)).reaches("here-1"),
        ],
    )
    # The second still needs what both needed.
    yield Step(
        gone=[at.service(), at.slice("here-1")],
        dials=[Client.ENDPOINT.to(at.service_ip(11)).reaches("here-1")],
    )


@script("connections are spread evenly", *TCP)
async def _even(bed: Bed, at: Place) -> None:
    await bed.apply(at.service(), at.slice(*ALL))
    times = 900
    answers = await bed.ask_often("client", at.service_ip(), times=times)
    expected = times / len(ALL)
    chi_squared = sum((answers[name] - expected) ** 2 / expected for name in ALL)
    # Two degrees of freedom: a fair proxy is above this once in a thousand million times.
    assert chi_squared < 41.4, answers


# Terminating endpoints. Upstream: TestCategorizeEndpoints in pkg/proxy/topology_test.go.


@case("terminating endpoints serve only while none is ready", *BOTH)
def _terminating(at: Place) -> Iterator[Step]:
    vip = at.service_ip()
    leaving = at.endpoint("here-1", ready=False, serving=True, terminating=True)
    unready = at.endpoint("here-2", ready=False, serving=False)
    gone = at.endpoint("away", ready=False, serving=False, terminating=True)
    yield Step([at.service(), at.slice(leaving, "here-2")], [c.to(vip).reaches("here-2") for c in EVERYBODY])
    yield Step([at.slice(leaving, unready)], [c.to(vip).reaches("here-1") for c in EVERYBODY])
    yield Step([at.slice(leaving, gone)], [c.to(vip).reaches("here-1") for c in EVERYBODY])
    yield Step([at.slice(unready, gone)], [c.to(vip).is_refused for c in EVERYBODY])


@case("terminating endpoints and the Local policies, each for itself", *BOTH)
def _terminating_local(at: Place) -> Iterator[Step]:
    web = at.service(type="NodePort", node_port=30080, externalTrafficPolicy="Local")
    leaving = at.endpoint("here-1", ready=False, serving=True, terminating=True)
    yield Step(
        [web, at.slice(leaving, "away")],
        [
            Client.OUTSIDE.to(at.node, 30080).reaches("here-1"),  # the only one of this node
            Client.POD.to(at.node, 30080).reaches("away"),  # the only one that is ready
            Client.POD.to(at.service_ip()).reaches("away"),
        ],
    )
    yield Step(
        [at.service(internalTrafficPolicy="Local")],
        [client.to(at.service_ip()).reaches("here-1") for client in EVERYBODY],
    )
    yield Step(
        [at.slice(at.endpoint("here-1", ready=False, serving=False, terminating=True), "away")],
        [client.to(at.service_ip()).is_dropped for client in EVERYBODY],
    )
