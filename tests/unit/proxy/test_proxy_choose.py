"""Which endpoints a node uses: the cases of Kubernetes' own documentation, as a table."""

from __future__ import annotations

import socket

import pytest

from clusterip.kernel.nftables import Family
from clusterip.proxy import wire
from clusterip.proxy.choose import choose, choose_from
from clusterip.proxy.endpoints import SliceIndex, one_by_one
from clusterip.proxy.model import Choice, Endpoint, PortKey, ServiceKey, ServicePort
from tests.support.proxy_objects import endpoint, slice_of

NODE, ZONE = "node-1", "zone-a"
KEY = PortKey(ServiceKey("default", "web"), "", socket.IPPROTO_TCP, Family.IPV4)


def port(**more: object) -> ServicePort:
    return ServicePort(KEY, b"\x0a\x60\x00\x0a", 80, **more)  # type: ignore[arg-type]


def ep(name: str, state: str = "ready", **more: object) -> Endpoint:
    """``state``: ready, leaving (terminating but serving), gone (neither)."""
    return Endpoint(
        name.encode().ljust(8, b"\0"),
        ready=state == "ready",
        serving=state != "gone",
        terminating=state != "ready",
        local=bool(more.pop("local", False)),
        **more,  # type: ignore[arg-type]
    )


def names(destinations: tuple[bytes, ...]) -> str:
    return "".join(destination.rstrip(b"\0").decode() for destination in destinations)


CLUSTER = port()
LOCAL = port(internal_local=True)
EXTERNAL_LOCAL = port(external_local=True, node_port=30080)

CASES: dict[str, tuple[ServicePort, list[Endpoint], str, str, bool]] = {
    "none": (CLUSTER, [], "", "", False),
    "ready ones": (CLUSTER, [ep("a"), ep("b", "gone"), ep("c")], "ac", "", True),
    "leaving ones are not used beside ready ones": (CLUSTER, [ep("a"), ep("b", "leaving")], "a", "", True),
    "leaving ones when none is ready": (CLUSTER, [ep("a", "gone"), ep("b", "leaving")], "b", "", True),
    "all gone": (CLUSTER, [ep("a", "gone")], "", "", False),
    "internal local": (LOCAL, [ep("a", local=True), ep("b")], "", "a", True),
    "internal local, none here": (LOCAL, [ep("b")], "", "", True),
    "internal local, leaving here": (LOCAL, [ep("a", "leaving", local=True), ep("b")], "", "a", True),
    "external local uses both": (EXTERNAL_LOCAL, [ep("a", local=True), ep("b")], "ab", "a", True),
    "external local without external addresses": (port(external_local=True), [ep("a")], "a", "", True),
    "zone hints": (CLUSTER, [ep("a", zones=(ZONE,)), ep("b", zones=("zone-b",))], "a", "", True),
    "hints for other zones only": (CLUSTER, [ep("a", zones=("x",)), ep("b", zones=("y",))], "ab", "", True),
    "a ready one without hints": (CLUSTER, [ep("a", zones=(ZONE,)), ep("b")], "ab", "", True),
    "hints of one that is not ready": (CLUSTER, [ep("a", zones=(ZONE,)), ep("b", "gone")], "a", "", True),
    "node hints before zone hints": (
        CLUSTER,
        [ep("a", zones=(ZONE,), nodes=(NODE,)), ep("b", zones=(ZONE,), nodes=("node-2",))],
        "a",
        "",
        True,
    ),
    "node hints for others, zone hints for us": (
        CLUSTER,
        [ep("a", zones=(ZONE,), nodes=("node-3",)), ep("b", zones=("zone-b",), nodes=("node-2",))],
        "a",
        "",
        True,
    ),
    "hints do not limit local endpoints": (
        EXTERNAL_LOCAL,
        [ep("a", local=True, zones=("zone-b",)), ep("b", zones=(ZONE,))],
        "b",
        "a",
        True,
    ),
}


@pytest.mark.parametrize("case", CASES, ids=lambda name: name.replace(" ", "-"))
def test_choice(case: str) -> None:
    service_port, endpoints, cluster, local, exist = CASES[case]
    choice = choose(service_port, endpoints, NODE, ZONE)
    assert (names(choice.cluster), names(choice.local), choice.exist) == (cluster, local, exist)


def test_no_zone_of_our_own_is_no_zone() -> None:
    endpoints = [ep("a", zones=(ZONE,)), ep("b", zones=("zone-b",))]
    assert names(choose(CLUSTER, endpoints, NODE, "").cluster) == "ab"


def test_addresses_on_this_node() -> None:
    endpoints = [ep("a", local=True), ep("b"), ep("c", "gone", local=True)]
    assert choose(CLUSTER, endpoints, NODE, ZONE).on_node == (b"a\0\0\0",)
    assert choose(CLUSTER, [], NODE, ZONE) == Choice()


def _slice(state: dict[str, bool], *more: str, name: str = "web") -> wire.EndpointSlice:
    endpoints = [
        endpoint(f"10.0.0.{number}", node, **state)
        for number, node in enumerate((NODE, "node-2", "", NODE, *more))
    ]
    return slice_of("web", *endpoints, slice_name=name)


STATES: dict[str, dict[str, bool]] = {
    "ready": {},
    "leaving": {"ready": False, "serving": True, "terminating": True},
    "gone": {"ready": False, "serving": False},
}


@pytest.mark.parametrize(
    "service_port", [CLUSTER, LOCAL, EXTERNAL_LOCAL], ids=["cluster", "local", "external"]
)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("node", [NODE, "node-2", "node-9", ""])
@pytest.mark.parametrize("second", [None, "same", "more"])
def test_the_quick_way_chooses_as_the_slow_one(
    service_port: ServicePort, state: str, node: str, second: str | None
) -> None:
    index = SliceIndex()
    index.change(None, _slice(STATES[state]))
    if second == "same":  # every endpoint twice
        index.change(None, _slice(STATES[state], name="web-2"))
    elif second == "more":
        index.change(None, _slice(STATES["ready"], NODE, "node-2", name="web-2"))
    parts = index.parts(KEY)
    slowly = choose(service_port, one_by_one(parts, node), node, ZONE)
    assert choose_from(service_port, parts, node, ZONE) == slowly


def test_the_quick_way_is_not_taken_past_hints() -> None:
    index = SliceIndex()
    index.change(None, slice_of("web", endpoint("10.0.0.1", zones=[ZONE]), endpoint("10.0.0.2", zones=["b"])))
    assert len(choose_from(CLUSTER, index.parts(KEY), NODE, ZONE).cluster) == 1


def test_parts_of_slices_that_did_not_change_are_kept() -> None:
    index = SliceIndex()
    first, second = slice_of("web", endpoint("10.0.0.1"), slice_name="a"), slice_of("web", slice_name="b")
    index.change(None, first)
    index.change(None, second)
    before = index.parts(KEY)
    after = slice_of("web", endpoint("10.0.0.2"), slice_name="b")
    index.change(second, after)
    now = index.parts(KEY)
    assert now[0] is before[0]
    assert len(now[1].destinations) == 1
    index.change(after, None)
    assert [part.packed for part in index.parts(KEY)] == [first.packed]
    index.change(first, None)
    assert not index.parts(KEY)
    assert not index._parts
