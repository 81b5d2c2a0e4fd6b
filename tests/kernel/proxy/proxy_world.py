"""A proxy on a test network's node, told of objects directly instead of by an API server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from clusterip.kernel import namespaces
from clusterip.proxy import modes, wire
from clusterip.proxy.backend import BackendOptions
from clusterip.proxy.nftables import snapshot, target
from clusterip.proxy.nftables.backend import NftablesBackend, Statistics
from clusterip.proxy.nftables.layout import Layout
from clusterip.proxy.nftables.sets import ALLOWED
from clusterip.proxy.sync import Sync
from clusterip.proxy.tracker import Tracker
from tests.support.proxy_objects import NODE

SECONDS = 20.0
Thing = wire.Service | wire.EndpointSlice
Contents = dict[str, dict[str, object]]


class World:
    """``apply`` and ``delete`` objects; the kernel has them when the call returns."""

    def __init__(
        self, namespace: Path, options: BackendOptions | None = None, mode: str = "nftables", node: str = NODE
    ) -> None:
        self.namespace = namespace
        with namespaces.enter(namespace):
            self.backend = modes.get(mode).open(options or BackendOptions())
            self.sync = Sync(Tracker(node), self.backend)
        self._objects: dict[tuple[type, str], Thing] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self.sync.run())
        await self._until(self.sync.synced.wait())

    async def settled(self) -> None:
        await self._until(self.sync.settled())

    async def _until(self, event: Coroutine[Any, Any, object]) -> None:
        """Wait for something; fail at once if the proxy ends, with why."""
        assert self._task is not None
        waiting = asyncio.create_task(event)
        done, _ = await asyncio.wait(
            {waiting, self._task}, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()
        if self._task in done:
            self._task.result()
        assert done, f"not within {SECONDS:g} seconds: {self.sync.failing or 'no reason given'}"

    def learn(self, *objects: Thing) -> None:
        """Be told of objects without writing anything yet."""
        for obj in objects:
            key = (type(obj), obj.metadata.name)
            self._tell(self._objects.get(key), obj)
            self._objects[key] = obj

    async def apply(self, *objects: Thing) -> None:
        self.learn(*objects)
        await self.written()

    def forget(self, *objects: Thing) -> None:
        """Be told that objects are gone, without writing anything yet."""
        for obj in objects:
            self._tell(self._objects.pop((type(obj), obj.metadata.name)), None)

    async def delete(self, *objects: Thing) -> None:
        self.forget(*objects)
        await self.written()

    async def written(self) -> None:
        self.sync.flush()
        await self.settled()
        assert not self.sync.failing, self.sync.failing
        assert not self.sync.refused, self.sync.refused

    def _tell(self, old: Thing | None, new: Thing | None) -> None:
        if isinstance(new or old, wire.Service):
            self.sync.tracker.service_changed(old, new)  # type: ignore[arg-type]
        else:
            self.sync.tracker.slice_changed(old, new)  # type: ignore[arg-type]

    @property
    def objects(self) -> list[Thing]:
        return list(self._objects.values())

    @property
    def nftables(self) -> NftablesBackend:
        """The backend of the mode ``nftables``."""
        assert isinstance(self.backend, NftablesBackend)
        return self.backend

    @property
    def statistics(self) -> Statistics:
        return self.nftables.statistics

    def contents(self) -> Contents:
        """What the kernel has, with groups, handles and chains given by what they lead to."""
        found: Contents = {}
        for family, plane in self.nftables.planes.items():
            found[family.name] = readable(snapshot.read(self.nftables.nftables, plane.layout), plane.layout)
        return found

    def stop(self) -> None:
        """End the proxy; the kernel keeps its rules."""
        if self._task is not None:
            self._task.cancel()
        self.sync.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.stop()


def readable(found: snapshot.Snapshot, layout: Layout) -> dict[str, object]:
    """Two snapshots are equal in this form if they send the same connections to the same endpoints."""
    chains = dict(found.dispatch)
    slots: dict[int, list[tuple[int, bytes]]] = {}
    for set_ in (layout.endpoints, layout.large, layout.choices):
        for key, value in found.sets[set_].items():
            slots.setdefault(target.from_number(key[:4]), []).append((target.from_number(key[4:]), value))

    def endpoints(group: int) -> tuple[object, ...]:
        held = sorted(slots.get(group, []))
        assert [slot for slot, _ in held] == list(range(len(held))), "slots have gaps"
        handles = found.sets[layout.local_handles if group & 1 else layout.handles]
        return tuple(sorted(handles.get(value, value) for _, value in held))

    def meaning(value: bytes) -> object:
        key = target.number(target.from_number(value) & target.CHAIN_MASK)
        return chains.get(key), endpoints(target.group_of(value))

    contents: dict[str, object] = {
        entry.value: {key: meaning(value) for key, value in found.sets[set_].items()}
        for entry, set_ in layout.entries.items()
    }
    for set_, elements in found.sets.items():
        if set_ in layout.slot_sets:
            by_value = (layout.endpoints, layout.large, layout.handles, layout.local_handles)
            contents[set_.name] = sorted(elements.values()) if set_ in by_value else len(elements)
        elif set_.name not in contents:
            contents[set_.name] = elements
    contents["service-cidrs"] = sorted(found.service_cidrs)
    # Which lengths of prefixes there once were, is of no account.
    return {name: held for name, held in contents.items() if held or not name.startswith(ALLOWED)}
