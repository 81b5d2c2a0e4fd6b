"""Large changes go in bounded batches, and after each of them every address leads to endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import started
from proxy_world import World

from clusterip.kernel import namespaces
from clusterip.kernel.nftables import Batch, Family, Nftables
from clusterip.proxy.backend import BackendOptions
from clusterip.proxy.nftables import backend as nftables_backend
from clusterip.proxy.nftables import counts, reconcile, snapshot, target, writer
from clusterip.proxy.nftables.layout import Layout
from tests.kernel.proxy.cases.bed import PODS
from tests.support.proxy_objects import endpoint, service, slice_of

LIMIT = 50


def endpoints(count: int, first: int = 0) -> list[dict[str, object]]:
    return [endpoint(f"10.244.{n // 250}.{1 + n % 250}") for n in range(first, first + count)]


class Watcher:
    """Looks at the kernel after every batch."""

    def __init__(self, namespace: Path) -> None:
        with namespaces.enter(namespace):
            self._nftables = Nftables()
        self._layout = Layout(Family.IPV4, BackendOptions(PODS))
        self.sizes: list[int] = []

    def look(self, batch: Batch) -> None:
        self.sizes.append(sum(len(subject.keys) for subject in batch.subjects))
        found = snapshot.read(self._nftables, self._layout)
        if found.condition is not snapshot.Condition.ABSENT:
            _all_lead_somewhere(found, self._layout)


def _all_lead_somewhere(found: snapshot.Snapshot, layout: Layout) -> None:
    """Each target's chain has all the slots that it may draw."""
    chains = dict(found.dispatch)
    for set_ in layout.entries.values():
        for key, value in found.sets[set_].items():
            name = chains[target.number(target.from_number(value) & target.CHAIN_MASK)]
            chain = counts.parse_name(name)
            assert chain is not None
            slots = layout.choices if chain.entry else layout.slots_of(chain.count)
            for slot in range(chain.count):
                held = found.sets[slots].get(target.number(target.group_of(value)) + target.number(slot))
                assert held is not None, f"{set_.show(key)} draws of {chain.count}, slot {slot} is empty"
                if chain.entry:
                    handles = layout.local_handles if chain.local else layout.handles
                    assert held in found.sets[handles]


@pytest.fixture
def watcher(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watcher]:
    watcher = Watcher(namespace)
    for module in (writer, reconcile, nftables_backend):
        monkeypatch.setattr(module, "BATCH_ELEMENTS", LIMIT)
    original = writer.Writer.commit

    def commit(self: writer.Writer, batch: Batch) -> None:
        original(self, batch)
        if batch:
            watcher.look(batch)

    monkeypatch.setattr(writer.Writer, "commit", commit)
    yield watcher
    watcher._nftables.close()


def everything(count: int, **spec: object) -> object:
    return service(
        type="LoadBalancer",
        ports=[{"port": 80, "nodePort": 30080}],
        ingress=["198.51.100.2"],
        externalTrafficPolicy="Local",
        **spec,
    )


@pytest.mark.parametrize("affinity", ["None", "ClientIP"])
async def test_a_service_of_many_endpoints(namespace: Path, watcher: Watcher, affinity: str) -> None:
    world: World = await started(namespace)
    await world.apply(everything(0, sessionAffinity=affinity), slice_of("web", *endpoints(3)))
    for count, first in ((300, 0), (300, 100), (5, 0), (33, 0), (32, 20), (0, 0), (200, 7)):
        watcher.sizes.clear()
        await world.apply(slice_of("web", *endpoints(count, first)))
        if count >= 200:
            assert len(watcher.sizes) > 3
        # What must be at one instant are the few entries; a hairpin for each endpoint here comes with them.
        assert max(watcher.sizes) <= 2 * 310 + LIMIT
    world.close()


async def test_many_services_at_once(namespace: Path, watcher: Watcher) -> None:
    world = await started(namespace)
    services = [service(f"s{n}", f"10.96.1.{n}") for n in range(1, 120)]
    slices = [
        slice_of(f"s{n}", *(endpoint(f"10.1.{n}.{i}", "node-2") for i in range(5))) for n in range(1, 120)
    ]
    await world.apply(*services, *slices)
    assert len(watcher.sizes) >= 119 * 7 / (2 * LIMIT)
    assert max(watcher.sizes) <= 2 * LIMIT
    watcher.sizes.clear()
    await world.apply(*(slice_of(f"s{n}", endpoint("10.2.0.1", "node-2")) for n in range(1, 120)))
    assert max(watcher.sizes) <= 2 * LIMIT
    objects = world.objects
    world.close()
    # A start with the same, and one with other endpoints.
    world = await started(namespace, objects=objects)
    world.close()
    other = [
        slice_of(f"s{n}", *(endpoint(f"10.3.{n}.{i}", "node-2") for i in range(4))) for n in range(1, 120)
    ]
    watcher.sizes.clear()
    world = await started(namespace, objects=[*services, *other])
    assert max(watcher.sizes) <= 2 * LIMIT
    await world.delete(*services)
    assert max(watcher.sizes) <= 3 * LIMIT
    world.close()
