"""Equal parts of objects are held once, and nothing of what the objects say changes."""

from __future__ import annotations

from typing import Any

import msgspec

from clusterip.proxy import sharing, wire
from clusterip.proxy.sharing import share_service, share_slice


def decoded(tree: dict[str, Any], type_: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(tree), type=type_)


def service(name: str, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "some-namespace"},
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "10.96.0.10",
            "clusterIPs": ["10.96.0.10"],
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "externalTrafficPolicy": "Local",
            "ports": [{"port": 80, "protocol": "TCP"}],
        },
        "status": {"loadBalancer": status},
    }


def slice_(name: str, node: str = "node-1") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "some-namespace"},
        "addressType": "IPv4",
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
        "endpoints": [
            {
                "addresses": ["10.244.1.2"],
                "nodeName": node,
                "conditions": {"ready": True, "serving": True},
                "hints": {"forZones": [{"name": "zone-a"}]},
            }
        ],
    }


def test_services() -> None:
    first, second = decoded(service("a"), wire.Service), decoded(service("b"), wire.Service)
    before = decoded(service("a"), wire.Service)
    share_service(first)
    share_service(second)
    assert msgspec.structs.replace(first, status=before.status) == before
    assert first.status is None, "an empty status says nothing"
    assert first.metadata.namespace is second.metadata.namespace
    for field in ("type", "sessionAffinity", "internalTrafficPolicy", "externalTrafficPolicy"):
        assert getattr(first.spec, field) is getattr(second.spec, field)
    assert first.spec.ports[0].protocol is second.spec.ports[0].protocol
    assert first.spec.clusterIPs[0] is first.spec.clusterIP
    balanced = decoded(service("c", ingress=[{"ip": "192.0.2.9"}]), wire.Service)
    share_service(balanced)
    assert balanced == decoded(service("c", ingress=[{"ip": "192.0.2.9"}]), wire.Service)


def test_slices() -> None:
    first, second = decoded(slice_("a"), wire.EndpointSlice), decoded(slice_("b"), wire.EndpointSlice)
    share_slice(first)
    share_slice(second)
    assert first.ports is second.ports
    assert first.metadata == decoded(slice_("a"), wire.EndpointSlice).metadata
    assert first.metadata.namespace is second.metadata.namespace


def test_what_has_nothing_to_share() -> None:
    headless = decoded({}, wire.Service)
    share_service(headless)
    assert headless == wire.Service()
    share_slice(decoded({"endpoints": [{}]}, wire.EndpointSlice))


def test_parts_that_are_all_different_are_not_kept_for_ever() -> None:
    for number in range(2 * sharing._MOST):
        obj = slice_("a")
        obj["ports"][0]["port"] = number % 65536
        obj["ports"][0]["name"] = f"port-{number}"
        share_slice(decoded(obj, wire.EndpointSlice))
    assert len(sharing._held) <= sharing._MOST
