"""nftables batches against the kernel: all or nothing, and errors that name their cause."""

from __future__ import annotations

import ipaddress
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterip.kernel import namespaces
from clusterip.kernel.nftables import (
    INET_SERVICE,
    IPV4_ADDR,
    MARK,
    Batch,
    Changes,
    Family,
    Nftables,
    NftablesError,
    Set,
    Table,
)

TABLE = Table(Family.IPV4, "test", "a comment")
MAP = Set("map", (IPV4_ADDR, INET_SERVICE), (MARK,))


@pytest.fixture
def namespace() -> Iterator[Path]:
    name = f"nft{os.getpid()}"
    yield namespaces.create_named(name)
    namespaces.delete_named(name)


@pytest.fixture
def nftables(namespace: Path) -> Iterator[Nftables]:
    with namespaces.enter(namespace):
        nftables = Nftables()
    batch = Batch()
    batch.add_table(TABLE)
    batch.add_set(TABLE, MAP)
    nftables.commit(batch)
    yield nftables
    nftables.close()


def key(number: int) -> bytes:
    return (ipaddress.ip_address("10.0.0.0") + number).packed + struct.pack("!Hxx", 80)


def value(number: int) -> bytes:
    return struct.pack("=I", number)


def contents(nftables: Nftables) -> dict[bytes, object]:
    return {element.key: element.data for element in nftables.elements(TABLE, MAP)}


def add(nftables: Nftables, count: int) -> dict[bytes, object]:
    elements = {key(number): value(number) for number in range(count)}
    batch = Batch()
    batch.add_elements(TABLE, MAP, elements.items())
    nftables.commit(batch)
    return dict(elements)


def test_many_elements_in_one_batch(nftables: Nftables) -> None:
    assert contents(nftables) == {}
    assert add(nftables, 30_000) == contents(nftables)
    assert nftables.table_comment(TABLE) == "a comment"
    assert nftables.table_comment(Table(Family.IPV4, "other")) is None
    assert nftables.table_comment(Table(Family.IPV6, "test")) is None


def test_a_value_is_replaced_within_a_batch(nftables: Nftables) -> None:
    add(nftables, 10)
    batch = Batch()
    batch.delete_elements(TABLE, MAP, [key(3)])
    batch.add_elements(TABLE, MAP, [(key(3), value(99))])
    nftables.commit(batch)
    assert contents(nftables)[key(3)] == value(99)


def test_a_refused_batch_does_nothing_and_names_the_element(nftables: Nftables) -> None:
    before = add(nftables, 2000)
    batch = Batch()
    batch.delete_elements(TABLE, MAP, [key(number) for number in range(5)])
    batch.delete_elements(TABLE, MAP, [*(key(number) for number in range(5, 1900)), key(5000)])
    with pytest.raises(
        NftablesError, match=r"delete element 10\.0\.19\.136 \. 80 of map \(table ip test\)"
    ) as caught:
        nftables.commit(batch)
    assert caught.value.key == key(5000)
    assert contents(nftables) == before


def test_a_table_that_is_there_cannot_be_added(nftables: Nftables) -> None:
    batch = Batch()
    batch.add_table(TABLE)
    with pytest.raises(NftablesError, match="add table test"):
        nftables.commit(batch)


def test_events_of_others_only(namespace: Path, nftables: Nftables) -> None:
    with namespaces.enter(namespace):
        changes, other = Changes(nftables.port), Nftables()
    names = frozenset(("test",))
    add(nftables, 100)
    assert changes.drain(names) == set()
    batch = Batch()
    batch.delete_elements(TABLE, MAP, [key(3)])
    other.commit(batch)
    assert changes.drain(names) == {Table(Family.IPV4, "test")}
    batch = Batch()
    batch.add_table(Table(Family.IPV4, "unrelated"))
    other.commit(batch)
    assert changes.drain(names) == set()
    batch = Batch()
    batch.delete_table(TABLE)
    other.commit(batch)
    assert changes.drain(names) == {Table(Family.IPV4, "test")}
    changes.close()
    other.close()


def test_lost_events_are_told(namespace: Path, nftables: Nftables) -> None:
    with namespaces.enter(namespace):
        changes, other = Changes(nftables.port), Nftables()
    for number in range(20):
        batch = Batch()
        batch.add_elements(TABLE, MAP, [(key(number * 3000 + n), value(n)) for n in range(3000)])
        other.commit(batch)
    assert changes.drain(frozenset(("test",))) is None
    changes.close()
    other.close()


def test_plain_elements_are_read_the_quick_way(nftables: Nftables, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = Set("ports", (INET_SERVICE,))
    batch = Batch()
    batch.add_set(TABLE, ports)
    batch.add_elements(TABLE, ports, [(struct.pack("!H", number), b"") for number in (80, 443)])
    nftables.commit(batch)
    added = add(nftables, 5000)
    listed = {element.key: element.data for element in nftables.elements(TABLE, ports)}
    assert nftables.plain_elements(TABLE, ports) == listed  # not of whole registers: the long way
    monkeypatch.setattr("clusterip.kernel.nftables.connection._parse_element", None)
    assert nftables.plain_elements(TABLE, MAP) == added
