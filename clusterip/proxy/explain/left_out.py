"""Why an endpoint of a Service port is not among those that a node sends to."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from clusterip.proxy.model import Destination, Endpoint


def left_out(
    endpoints: Iterable[Endpoint], used: Collection[Destination], zone: str, *, local: bool
) -> dict[Destination, str]:
    """The endpoints that ``choose`` did not use, with the reason. ``local``: a policy ``Local`` was
    followed."""
    return {
        endpoint.destination: _reason(endpoint, zone, local)
        for endpoint in endpoints
        if endpoint.destination not in used
    }


def _reason(endpoint: Endpoint, zone: str, local: bool) -> str:
    if not endpoint.ready and not endpoint.serving:
        return "terminating, and not serving any more" if endpoint.terminating else "not ready"
    if local and not endpoint.local:
        return "on another node; the traffic policy is Local"
    if not endpoint.ready and endpoint.terminating:
        return "terminating; others are ready"
    if not endpoint.ready:
        return "not ready"
    if endpoint.nodes:
        return f"its hints are for {_names(endpoint.nodes, 'node', 'nodes')}"
    if endpoint.zones:
        here = f", this node is in {zone}" if zone else ""
        return f"its hints are for {_names(endpoint.zones, 'zone', 'zones')}{here}"
    return "not chosen"


def _names(names: tuple[str, ...], one: str, many: str) -> str:
    return f"{one if len(names) == 1 else many} {', '.join(names)}"
