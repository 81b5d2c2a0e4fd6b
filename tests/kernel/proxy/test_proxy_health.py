"""``/healthz`` and ``/livez`` of a proxy that keeps up, and of one that does not."""

from __future__ import annotations

import json
import time
from typing import Any

from proxy_world import World

from clusterip.kernel.nftables import Family
from clusterip.objects import codec
from clusterip.process.health import Page
from clusterip.proxy import wire
from clusterip.proxy.health import Health

PATIENCE = 60.0


def node(**more: Any) -> wire.Node:
    return codec.convert({"metadata": {"name": "node-1"}} | more, wire.Node)


def shown(page: Page) -> tuple[int, dict[str, Any]]:
    return page.status, json.loads(page.body)


async def test_a_proxy_that_keeps_up(world: World) -> None:
    health = Health(world.sync, PATIENCE)
    health.node = node(spec={"taints": [{"key": "other"}]})
    code, body = shown(health.healthz())
    assert (code, body["healthy"], body["nodeEligible"]) == (200, True, True)
    assert body["lastUpdated"] == body["currentTime"], "programs look at it to see that it is recent"
    assert body["status"]["IPv6"] == {"lastUpdated": body["status"]["IPv4"]["lastUpdated"], "healthy": True}
    world.sync.pending_since = time.monotonic() - PATIENCE + 5  # waiting, but not for long
    assert health.healthz().status == 200


async def test_a_change_that_waits_too_long(world: World) -> None:
    health = Health(world.sync, PATIENCE, [Family.IPV4])
    health.node = node()
    written = shown(health.livez())[1]["status"]["IPv4"]["lastUpdated"]
    world.sync.pending_since = time.monotonic() - PATIENCE - 1
    for page in (health.healthz(), health.livez()):
        code, body = shown(page)
        assert (code, body["healthy"], body["lastUpdated"]) == (503, False, written)
        assert body["status"] == {"IPv4": {"lastUpdated": written, "healthy": False}}
    world.sync.pending_since = None
    assert health.livez().status == 200


async def test_a_node_that_is_about_to_go(world: World) -> None:
    health = Health(world.sync, PATIENCE)
    leaving = (
        None,
        node(spec={"taints": [{"key": "ToBeDeletedByClusterAutoscaler"}]}),
        node(metadata={"name": "node-1", "deletionTimestamp": "2026-01-01T00:00:00Z"}),
    )
    for each in leaving:
        health.node = each
        code, body = shown(health.healthz())
        assert (code, body["healthy"], body["nodeEligible"]) == (503, True, False)
        code, body = shown(health.livez())
        assert code == 200
        assert "nodeEligible" not in body


async def test_a_proxy_that_has_only_started(world: World) -> None:
    world.sync.last_written = 0.0
    world.sync.pending_since = time.monotonic() - PATIENCE - 1
    code, body = shown(Health(world.sync, PATIENCE).livez())
    assert (code, body["healthy"]) == (200, True)
    assert "status" not in body
