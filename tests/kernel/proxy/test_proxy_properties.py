"""After any sequence of changes, restarts and others' meddling the kernel is as after a fresh start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from conftest import started
from proxy_chaos import Chaos, equals_belief, equals_fresh_load
from proxy_world import World

from clusterip.kernel import namespaces
from clusterip.kernel.nftables import Batch, Family, Nftables

SECONDS = 10.0


async def _change(world: World, chaos: Chaos) -> None:
    """A few changes that come together."""
    for thing in chaos.some(world.objects):
        world.forget(thing)
    world.learn(*(chaos.pick() for _ in range(chaos.number(4))))
    await world.written()


@pytest.mark.parametrize("seed", range(100, 110))
async def test_any_sequence_ends_as_a_fresh_load(seed: int, namespace: Path) -> None:
    chaos = Chaos(seed)
    world = await started(namespace)
    for step in range(40):
        await _change(world, chaos)
        equals_belief(world)
        if step % 4 == 3:
            await equals_fresh_load(world)
    assert not world.sync.repairs
    world.close()


@pytest.mark.parametrize("seed", range(6, 9))
async def test_also_across_restarts(seed: int, namespace: Path) -> None:
    chaos = Chaos(seed)
    world = await started(namespace)
    for _ in range(10):
        await _change(world, chaos)
        objects = world.objects
        world.close()
        if chaos.chance(0.5):  # things happen while nobody looks
            objects = [thing for thing in objects if chaos.chance(0.8)]
            objects += [chaos.pick() for _ in range(chaos.number(2))]
        world = await started(namespace, objects=objects)
        await equals_fresh_load(world)
    world.close()


@pytest.mark.parametrize("seed", range(9, 12))
async def test_also_when_others_delete_what_they_please(seed: int, namespace: Path) -> None:
    chaos = Chaos(seed)
    world = await started(namespace)
    with namespaces.enter(namespace):
        other = Nftables()
    for _ in range(10):
        await _change(world, chaos)
        wanted = world.contents()
        layout = world.nftables.planes[Family.IPV4].layout
        sets = [
            set_
            for set_ in (*layout.changing_sets, layout.service_cidrs, layout.dispatch, layout.pod_cidrs)
            if other.elements(layout.table, set_)  # of nothing that is deleted nobody is told
        ]
        batch = Batch()
        if chaos.chance(0.2):
            batch.delete_table(layout.table)
        elif chaos.chance(0.2):
            batch.flush_rules(layout.table)
        else:
            batch.flush_set(layout.table, sets[chaos.number(len(sets)) - 1])
        world.sync._repair_backoff.reset()
        world.sync._last_repair = -1000.0  # so that the next repair need not wait
        repairs = world.sync.repairs
        other.commit(batch)
        async with asyncio.timeout(SECONDS):
            while world.sync.repairs == repairs:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            await world.settled()
        assert world.contents() == wanted
        await equals_fresh_load(world)
    other.close()
    world.close()
