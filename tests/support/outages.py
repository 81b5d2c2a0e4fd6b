"""What clients that watch have to live with: servers that end, changes missed, histories forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Set

from clusterip.storage.open import open_store
from clusterip.storage.store import Delete
from tests.support.apiserver import RunningApiServer

SECONDS = 30.0


def live_through_outages(server: RunningApiServer, names: Callable[[], Set[str]]) -> None:
    """Create and delete ConfigMaps in ``default``, with outages; ``names`` is what a client knows of them.

    The client must know all each time, and also once the server cannot tell it what it missed (410).
    """
    own = {"kube-root-ca.crt"}

    def expect(*wanted: str) -> None:
        deadline = time.monotonic() + SECONDS
        while (known := set(names()) - own) != set(wanted):
            assert time.monotonic() < deadline, f"it knows {sorted(known)} instead of {sorted(wanted)}"
            time.sleep(0.02)

    path = "/api/v1/namespaces/default/configmaps"

    def create(name: str) -> None:
        assert server.request("POST", path, {"metadata": {"name": name}})[0] == 201

    def delete(name: str) -> None:
        assert server.request("DELETE", f"{path}/{name}")[0] == 200

    create("first")
    create("second")
    expect("first", "second")

    server.kill()
    server.start()
    delete("first")
    create("third")
    expect("second", "third")

    server.stop()
    asyncio.run(_change_and_forget(server.store, "/registry/configmaps/default/second"))
    server.start()
    expect("third")
    create("fourth")
    expect("third", "fourth")


async def _change_and_forget(url: str, key: str) -> None:
    """Delete a key while no server looks, and the history with it."""
    store = await open_store(url)
    try:
        revision = await store.transact([], [Delete(key)])
        await store.compact(revision)
    finally:
        await store.close()
