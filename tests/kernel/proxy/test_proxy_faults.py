"""The nftables data plane when the kernel refuses, forgets, or is changed by others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from conftest import started
from proxy_world import World

from clusterip.kernel import namespaces
from clusterip.kernel.nftables import IPV4_ADDR, Batch, Family, Nftables, Set, Table
from clusterip.kernel.nftables.connection import NftablesError
from clusterip.proxy import metrics
from clusterip.proxy.nftables import snapshot
from clusterip.proxy.nftables.chains import IDLE_LIMIT
from clusterip.proxy.nftables.plane import Plane
from clusterip.proxy.nftables.sets import SMALL, Entry
from tests.support.proxy_objects import endpoint, service, slice_of

SECONDS = 10.0


def plane_of(world: World) -> Plane:
    return world.nftables.planes[Family.IPV4]


def elements(world: World, set_: Set) -> dict[bytes, bytes]:
    return snapshot.read(world.nftables.nftables, plane_of(world).layout).sets[set_]


def behind_its_back(world: World) -> Nftables:
    """The proxy's own socket: it is not told of changes made through it."""
    return world.nftables.nftables


async def until_synced_again(world: World, repairs: int) -> None:
    async with asyncio.timeout(SECONDS):
        while world.sync.repairs < repairs or world.sync.failing:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        await world.settled()


async def test_an_element_that_is_not_what_it_should_be_is_put_right_and_all_compared(
    namespace: Path,
) -> None:
    world = await started(namespace)
    await world.apply(service("a", "10.96.0.1"), service("b", "10.96.0.2"), service("c", "10.96.0.3"))
    layout = plane_of(world).layout
    batch = Batch()
    batch.delete_elements(layout.table, layout.cluster_ips, [bytes((10, 96, 0, 1)), bytes((10, 96, 0, 2))])
    behind_its_back(world).commit(batch)
    gone = next(thing for thing in world.objects if thing.metadata.name == "a")
    await world.delete(gone)  # one of the two it believes to be there
    await until_synced_again(world, 1)
    assert set(elements(world, layout.cluster_ips)) == {bytes((10, 96, 0, n)) for n in (2, 3)}
    assert not world.sync.refused
    world.close()


async def test_a_value_that_is_not_what_it_should_be_is_replaced(namespace: Path) -> None:
    world = await started(namespace)
    await world.apply(service())
    layout = plane_of(world).layout
    services = layout.entries[Entry.SERVICES]
    key = bytes((10, 96, 0, 10)) + bytes((6, 0, 0, 0, 0, 80, 0, 0))
    batch = Batch()
    batch.add_elements(layout.table, services, [(key, b"\x01\x02\x03\x04")])
    behind_its_back(world).commit(batch)
    await world.apply(slice_of("web", endpoint("10.244.1.2")))
    assert elements(world, services)[key] != b"\x01\x02\x03\x04"
    assert not world.sync.refused
    world.close()


@pytest.fixture
def small_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the kernel refuse the fourth element of the map ``services``."""
    original = Batch.add_set

    def add_set(batch: Batch, table: object, set_: Set) -> None:
        size = 3 if set_.name == "services" else set_.size
        original(batch, table, Set(set_.name, set_.key, set_.data, set_.flags, size))  # type: ignore[arg-type]

    monkeypatch.setattr(Batch, "add_set", add_set)


@pytest.mark.usefixtures("small_maps")
async def test_what_the_kernel_refuses_does_not_keep_the_rest_out(namespace: Path) -> None:
    world = await started(namespace)
    before = metrics.refusals._value.get()
    things = [
        thing
        for number in range(1, 6)
        for thing in (
            service(f"s{number}", f"10.96.0.{number}"),
            slice_of(f"s{number}", endpoint("10.244.1.2")),
        )
    ]
    world.learn(*things)
    world.sync.flush()
    await world.settled()
    layout = plane_of(world).layout
    assert len(elements(world, layout.entries[Entry.SERVICES])) == 3
    assert len(elements(world, layout.cluster_ips)) == 5
    assert not world.sync.failing
    assert len(world.sync.refused) == 2
    refusal = next(iter(world.sync.refused))
    assert refusal.subject.startswith("element 10.96.0.")
    assert refusal.subject.endswith(". tcp . 80 of services (table ip clusterip)")
    assert refusal.reason
    assert metrics.refusals._value.get() - before == 2
    # Others go on as if nothing were.
    world.learn(slice_of("s1", endpoint("10.244.1.2"), endpoint("10.244.1.3")))
    world.sync.flush()
    await world.settled()
    assert len(elements(world, layout.endpoints)) == 6
    assert len(world.sync.refused) == 2
    # When there is room again, what was refused is written, by itself.
    for thing in things:
        if thing.metadata.name in ("s2", "s3", "s4"):
            world.sync.tracker.service_changed(thing, None)  # type: ignore[arg-type]
    world.sync.flush()
    async with asyncio.timeout(SECONDS):
        while world.sync.refused:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)
    assert len(elements(world, layout.entries[Entry.SERVICES])) == 2
    world.close()


@pytest.mark.usefixtures("small_maps")
async def test_a_restart_also_does_what_it_can(namespace: Path) -> None:
    things = [
        thing
        for number in range(1, 6)
        for thing in (
            service(f"s{number}", f"10.96.0.{number}"),
            slice_of(f"s{number}", endpoint("10.1.1.1")),
        )
    ]
    world = await started(namespace, objects=things)
    assert len(world.sync.refused) == 2
    assert world.sync.synced.is_set()
    assert len(elements(world, plane_of(world).layout.cluster_ips)) == 5
    world.close()


async def test_sizes_of_groups_that_nobody_has_any_more_leave_no_chains(namespace: Path) -> None:
    world = await started(namespace)
    await world.apply(service())
    for count in range(SMALL - 1, SMALL + IDLE_LIMIT + 40):
        addresses = (f"10.244.{1 + n // 200}.{1 + n % 200}" for n in range(count))
        await world.apply(slice_of("web", *map(endpoint, addresses)))

    def chains() -> list[str]:
        found = world.nftables.nftables.chains(plane_of(world).layout.table)
        return [name for name in found if name.startswith("pick.")]

    async with asyncio.timeout(SECONDS):
        while len(chains()) > 2 * (SMALL + IDLE_LIMIT + 1):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)
    # And what is used again after that works again.
    again = SMALL + 1
    await world.apply(slice_of("web", *(endpoint(f"10.244.1.{n}") for n in range(1, again + 1))))
    assert {f"pick.{again}", f"pick.{again}.masquerade"} <= set(chains())
    assert not world.sync.repairs
    objects = world.objects
    world.close()
    world = await started(namespace, objects=objects)
    assert world.statistics.elements == 0
    world.close()


async def test_events_that_were_lost_are_taken_as_a_change(namespace: Path) -> None:
    world = await started(namespace)
    await world.apply(service(), slice_of("web", endpoint("10.244.1.2")))
    wanted = world.contents()
    with namespaces.enter(namespace):
        other = Nftables()
    layout = plane_of(world).layout
    # More events than the socket holds, before the proxy can look.
    for number in range(20):
        batch = Batch()
        keys = [bytes((172, number, n >> 8, n & 255)) for n in range(3000)]
        batch.add_elements(layout.table, layout.node_port_ips, [(key, b"") for key in keys])
        other.commit(batch)
    other.close()
    await until_synced_again(world, 1)
    async with asyncio.timeout(SECONDS):
        while world.contents() != wanted:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)
    world.close()


async def test_two_who_undo_each_others_work_do_not_do_so_at_full_speed(namespace: Path) -> None:
    world = await started(namespace)
    await world.apply(service())
    cpu = asyncio.get_running_loop().time()
    for _ in range(20):
        flush = f"ip netns exec {namespace.name} nft flush set ip clusterip cluster-ips"
        process = await asyncio.create_subprocess_exec(*flush.split())
        assert await process.wait() == 0
        await asyncio.sleep(0.05)
    assert world.sync.repairs < 20 or asyncio.get_running_loop().time() - cpu > 10
    await until_synced_again(world, 1)
    async with asyncio.timeout(SECONDS):
        while not elements(world, plane_of(world).layout.cluster_ips):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)
    world.close()


async def test_a_rule_that_the_kernel_refuses_is_an_error_that_is_tried_again(
    namespace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await started(namespace)
    original = Nftables.commit
    refuse = True

    def commit(self: Nftables, batch: Batch) -> None:
        if refuse and any(subject.action == "add a rule to chain" for subject in batch.subjects):
            batch.add_rule(plane_of(world).layout.table, "there-is-no-such-chain", [])
        original(self, batch)

    monkeypatch.setattr(Nftables, "commit", commit)
    world.learn(service(), slice_of("web", *(endpoint(f"10.244.1.{n}") for n in range(1, SMALL + 2))))
    world.sync.flush()
    async with asyncio.timeout(SECONDS):
        while "there-is-no-such-chain" not in world.sync.failing:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    refuse = False
    await world.settled()
    assert not world.sync.failing
    assert len(elements(world, plane_of(world).layout.large)) == SMALL + 1
    world.close()


def test_the_kernel_tells_all_that_it_refuses(namespace: Path) -> None:
    with namespaces.enter(namespace):
        nftables = Nftables()
    batch = Batch()
    table, set_ = Table(Family.IPV4, "test"), Set("set", (IPV4_ADDR,))
    batch.add_table(table)
    batch.add_set(table, set_)
    nftables.commit(batch)
    batch = Batch()
    keys = [bytes((10, 0, 0, n)) for n in range(5)]
    batch.delete_elements(table, set_, keys, singly=True)
    with pytest.raises(NftablesError) as caught:
        nftables.commit(batch)
    assert [refused.key for refused in caught.value.refused] == keys
    nftables.close()
