"""Services and EndpointSlices as short as a table of cases needs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clusterip.objects import codec
from clusterip.proxy import wire

NODE = "node-1"


def service(name: str = "web", ip: str | Sequence[str] = "10.96.0.10", **spec: Any) -> wire.Service:
    """A Service with port 80/TCP unless ``ports`` says else; ``ingress`` are its load balancer's IPs.

    ``created`` is its ``creationTimestamp``.
    """
    ips = [ip] if isinstance(ip, str) else list(ip)
    labels = spec.pop("labels", {})
    ingress = spec.pop("ingress", [])
    created = spec.pop("created", None)
    tree = {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "labels": labels,
            "creationTimestamp": created,
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": ips[0],
            "clusterIPs": ips,
            "ports": [{"port": 80, "protocol": "TCP"}],
            **spec,
        },
        "status": {
            "loadBalancer": {"ingress": [{"ip": item} if isinstance(item, str) else item for item in ingress]}
        },
    }
    return codec.convert(tree, wire.Service)


def endpoint(address: str, node: str = NODE, **more: Any) -> dict[str, Any]:
    """An endpoint; ``ready``, ``serving``, ``terminating`` and ``zones``, ``nodes`` (hints) may be given."""
    hints = {
        key: [{"name": name} for name in more.pop(short)]
        for key, short in (("forZones", "zones"), ("forNodes", "nodes"))
        if short in more
    }
    tree: dict[str, Any] = {"addresses": [address], "nodeName": node, "conditions": {"ready": True} | more}
    if hints:
        tree["hints"] = hints
    return tree


def slice_of(
    name: str,
    *endpoints: dict[str, Any],
    ports: Sequence[tuple[str, str, int]] = (("", "TCP", 8080),),
    slice_name: str = "",
    family: str = "IPv4",
) -> wire.EndpointSlice:
    """A slice of the Service ``name``. ``ports`` are (name, protocol, number)."""
    tree = {
        "addressType": family,
        "metadata": {
            "name": slice_name or f"{name}-{family.lower()}",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "endpoints": list(endpoints),
        "ports": [{"name": port, "protocol": protocol, "port": number} for port, protocol, number in ports],
    }
    return codec.convert(tree, wire.EndpointSlice)
