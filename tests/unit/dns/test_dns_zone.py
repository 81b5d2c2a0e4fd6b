"""What exists in a zone, under random changes, against the plainest possible model."""

from __future__ import annotations

from dns_objects import endpoint, endpoint_slice, put, service
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterip.dns import names
from clusterip.dns.records import Records
from clusterip.dns.zone import Zone

DOMAIN = names.to_wire("cluster.local")

below = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(
    lambda labels: names.to_wire(".".join(labels))[:-1] + DOMAIN
)
changes = st.lists(st.tuples(st.integers(0, 3), st.sets(below, max_size=5)), max_size=20)


def _model(owned: dict[int, set[bytes]]) -> set[bytes]:
    """Every owned name and all above it."""
    found = set()
    for each in owned.values():
        for name in each:
            while name != DOMAIN:
                found.add(name)
                name = names.parent(name)
    return found


def _everything() -> set[bytes]:
    found = {DOMAIN}
    for _ in range(4):
        found |= {names.label_of(label) + name for label in "abc" for name in found}
    return found - {DOMAIN}


EVERYTHING = _everything()


@settings(deadline=None)
@given(changes)
def test_what_exists_is_what_was_put_and_all_above(history: list[tuple[int, set[bytes]]]) -> None:
    zone = Zone("cluster.local", 5)
    owned: dict[int, set[bytes]] = {}
    for owner, wanted in history:
        # Every name has one owner, as in a cluster.
        taken = {name for other, mine in owned.items() if other != owner for name in mine}
        owned[owner] = wanted - taken
        zone.put(owner, Records({name: {1: (b"\1\2\3\4",)} for name in owned[owner]}))
        exists = _model(owned)
        assert {name for name in EVERYTHING if zone.find(name) is not None} == exists
        filled = {name for mine in owned.values() for name in mine}
        assert {name for name in EVERYTHING if zone.find(name)} == filled


def test_a_change_names_what_it_touched() -> None:
    zone = Zone("cluster.local", 5)
    touched: list[set[bytes]] = []
    zone.changed = lambda found: touched.append(set(found))
    put(zone, service("svc1", "10.0.0.1"))
    put(zone, service("svc1", "10.0.0.1"))
    assert touched == [
        {names.to_wire("svc1.testns.svc.cluster.local"), names.to_wire("1.0.0.10.in-addr.arpa")}
    ]
    put(zone, service("svc1", "10.0.0.2"))
    assert names.to_wire("1.0.0.10.in-addr.arpa") in touched[-1]
    assert names.to_wire("2.0.0.10.in-addr.arpa") in touched[-1]
    zone.put(("testns", "svc1"), Records())
    assert zone.find(names.to_wire("svc1.testns.svc.cluster.local")) is None
    assert zone.find(names.to_wire("testns.svc.cluster.local")) is None
    assert not zone.find_reverse(names.to_wire("2.0.0.10.in-addr.arpa"))
    assert len(zone) == 0


def test_an_address_in_two_services_points_to_both_until_one_goes() -> None:
    zone = Zone("cluster.local", 5)
    put(zone, service("one", "None"), endpoint_slice(endpoint("10.1.0.1", hostname="a")))
    put(zone, service("two", "None"), endpoint_slice(endpoint("10.1.0.1", hostname="a")))
    reverse = names.to_wire("1.0.1.10.in-addr.arpa")
    assert len(zone.find_reverse(reverse)) == 2
    put(zone, service("one", "None"))
    assert zone.find_reverse(reverse) == (names.to_wire("a.two.testns.svc.cluster.local"),)


def test_a_namespace_may_come_after_its_services_and_go_before() -> None:
    zone = Zone("cluster.local", 5)
    namespace = names.to_wire("testns.svc.cluster.local")
    put(zone, service("svc1", "10.0.0.1"))
    zone.put_namespace("testns", True)
    zone.put(("testns", "svc1"), Records())
    assert zone.find(namespace) == {}
    put(zone, service("svc1", "10.0.0.1"))
    zone.put_namespace("testns", False)
    zone.put_namespace("testns", False)
    assert zone.find(namespace) == {}
    zone.put(("testns", "svc1"), Records())
    assert zone.find(namespace) is None
    assert zone.find(names.to_wire("svc.cluster.local")) == {}
