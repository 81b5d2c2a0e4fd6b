"""The API servers that share a store, so that ``kubernetes`` leads to all that are alive.

Each keeps a key with its address and renews it. One whose key is no longer renewed is taken out by whoever
notices first, so the keys that are there are the servers there are, and no two servers disagree for
long about what the endpoints should be. As upstream's ``pkg/controlplane/reconcilers/lease.go``, but
without leases of etcd: that a server is gone is told by its key not changing, whatever the clocks say.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

from clusterip.apiserver.cache import PREFIX, WatchCache
from clusterip.objects import times
from clusterip.process import log
from clusterip.storage.keys import SERVERS
from clusterip.storage.store import Compare, Conflict, Delete, Put, StoreError

KEYS = SERVERS.removeprefix(PREFIX)
RENEW_SECONDS = 10.0
"""Upstream's ``DefaultEndpointReconcilerInterval``."""
GONE_SECONDS = 15.0
"""How long a key may stay unchanged (upstream's ``DefaultEndpointReconcilerTTL``)."""
LEAVE_SECONDS = 3.0

_log = log.get("apiserver")


class Server(NamedTuple):
    """Where an API server is reached."""

    address: str
    port: int

    @property
    def key(self) -> str:
        """Its key, below the prefix of all keys."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{KEYS}{host}:{self.port}"

    @classmethod
    def of(cls, key: str) -> Server:
        host, _, port = key.removeprefix(KEYS).rpartition(":")
        return cls(host.strip("[]"), int(port))


class Peers:
    """This server among those that share its store. ``changed`` is set whenever one comes or goes."""

    def __init__(
        self,
        cache: WatchCache,
        own: Server,
        changed: asyncio.Event,
        *,
        renew_seconds: float = RENEW_SECONDS,
        gone_seconds: float = GONE_SECONDS,
    ) -> None:
        self.own = own
        self._cache = cache
        self._changed = changed
        self._renew_seconds = renew_seconds
        self._gone_seconds = gone_seconds
        self._seen: dict[str, float] = {}
        self._judged = 0.0
        self._known: frozenset[str] = frozenset()
        self._leaving = False
        if cache.store.shared:
            cache.on_extra(KEYS, self._on_key)

    def servers(self) -> list[Server]:
        """All of them, in order. A store that is not shared has only this one."""
        if not self._cache.store.shared:
            return [self.own]
        found = {Server.of(key) for key in self._keys()}
        return sorted(found - {self.own} if self._leaving else found | {self.own})

    def _keys(self) -> list[str]:
        return [key for key in self._cache.extra if key.startswith(KEYS)]

    def _on_key(self, key: str) -> None:
        self._seen[key] = asyncio.get_running_loop().time()
        now = frozenset(self._keys())
        if now != self._known:
            self._known = now
            self._changed.set()

    async def renew(self) -> None:
        """Say that this server is there. Raises StoreError if that cannot be said."""
        if self._cache.store.shared:
            put = Put(f"{PREFIX}{self.own.key}", times.now().encode())
            revision = await self._cache.store.transact((), (put,))
            await self._cache.reach(revision)

    async def round(self) -> None:
        """Renew the own key, and remove those of servers that are gone."""
        await asyncio.sleep(self._renew_seconds)
        await self.renew()
        await self._remove_gone()

    async def _remove_gone(self) -> None:
        # The own renewal has come back through the watch, so no other one is still on its way.
        now = asyncio.get_running_loop().time()
        if now - self._judged > self._gone_seconds:
            self._seen.clear()  # after an outage everyone needs a moment to say that it is there
        self._judged = now
        keys = self._keys()
        self._seen = {key: self._seen.get(key, now) for key in keys}
        for key in keys:
            if now - self._seen[key] > self._gone_seconds and key != self.own.key:
                _log.warning("API server is gone", server=key.removeprefix(KEYS))
                compare = Compare(f"{PREFIX}{key}", self._cache.extra[key])
                with contextlib.suppress(Conflict):  # it is back, or somebody else has removed it
                    await self._cache.store.transact((compare,), (Delete(compare.key),))

    async def leave(self) -> bool:
        """Remove the own key; whether that is done, and the others should be told.

        If the store does not answer, the key is removed as that of a server that was killed.
        """
        if not self._cache.store.shared:
            return False
        self._leaving = True
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._cache.store.transact((), (Delete(f"{PREFIX}{self.own.key}"),))
        except (StoreError, TimeoutError) as error:
            _log.warning("cannot tell the other API servers that this one stops", error=str(error))
            return False
        return True
