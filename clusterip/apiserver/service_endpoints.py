"""Where the Service ``kubernetes`` leads: its Endpoints and EndpointSlices.

As upstream's ``pkg/controlplane/reconcilers``. Upstream takes for granted that all API servers have the same
port; ours need not, and each port then has a subset and a slice of its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from clusterip.apiserver.generic import Objects
from clusterip.apiserver.peers import Server
from clusterip.apiserver.status import StatusError
from clusterip.objects.codec import convert
from clusterip.objects.core.endpoints import ENDPOINTS
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES
from clusterip.objects.meta import DeleteOptions
from clusterip.objects.registry import Resource

KUBERNETES = "kubernetes"
_NAMESPACE = "default"
_SERVICE_LABEL = "kubernetes.io/service-name"


def usable(servers: Sequence[Server], version: int) -> list[Server]:
    """Those that endpoints may name, of one IP version: ``version`` if there are any.

    Loopback addresses nobody else could use, and endpoints may not be.
    """
    addresses = {server: ipaddress.ip_address(server.address) for server in servers}
    found = [server for server in servers if not addresses[server].is_loopback]
    return [server for server in found if addresses[server].version == version] or [
        server for server in found if addresses[server].version != version
    ]


def wanted(servers: Sequence[Server]) -> list[tuple[Resource[Any], dict[str, Any]]]:
    """The objects for servers whose addresses are of one IP version."""
    by_port: dict[int, list[str]] = {}
    for server in sorted(servers):
        by_port.setdefault(server.port, []).append(server.address)
    slices: list[tuple[Resource[Any], dict[str, Any]]] = []
    subsets: list[dict[str, Any]] = []
    for port, addresses in sorted(by_port.items()):
        ports = [{"name": "https", "port": port, "protocol": "TCP"}]
        subsets.append({"addresses": [{"ip": each} for each in addresses], "ports": ports})
        tree = {
            "metadata": {
                "name": f"{KUBERNETES}-{port}" if slices else KUBERNETES,
                "namespace": _NAMESPACE,
                "labels": {_SERVICE_LABEL: KUBERNETES},
            },
            "addressType": f"IPv{ipaddress.ip_address(addresses[0]).version}",
            "endpoints": [{"addresses": [each], "conditions": {"ready": True}} for each in addresses],
            "ports": ports,
        }
        slices.append((ENDPOINTSLICES, tree))
    endpoints = {
        "metadata": {
            "name": KUBERNETES,
            "namespace": _NAMESPACE,
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": subsets,
    }
    return [*slices, (ENDPOINTS, endpoints)]


async def lead_to(objects: Objects, servers: Sequence[Server]) -> None:
    """Let the Service lead to these servers and to nothing else.

    Raises:
        StatusError: an object cannot be written.
        StoreError: the store cannot.
    """
    trees = wanted(servers)
    for resource, tree in trees:
        await _put(objects, resource, tree)
    names = {tree["metadata"]["name"] for resource, tree in trees if resource is ENDPOINTSLICES}
    for entry in objects.cache.of(ENDPOINTSLICES).entries(_NAMESPACE):
        if _is_ours(entry.name) and entry.name not in names:
            await _delete(objects, entry.name)


def _is_ours(name: str) -> bool:
    start, _, port = name.partition("-")
    return start == KUBERNETES and (not port or port.isdigit())


async def _put(objects: Objects, resource: Resource[Any], tree: dict[str, Any]) -> None:
    whole = tree | {"kind": resource.kind, "apiVersion": resource.api_version}
    name = tree["metadata"]["name"]
    await objects.cache.current()
    if objects.cache.of(resource).get(_NAMESPACE, name) is None:
        try:
            await objects.create(resource, _NAMESPACE, convert(whole, resource.type))
        except StatusError as error:
            if error.status.reason != "AlreadyExists":  # another API server was quicker
                raise
        else:
            return
    await objects.update(resource, _NAMESPACE, name, _replaced_by(convert(whole, resource.type), resource))


def _replaced_by(new: Any, resource: Resource[Any]) -> Any:
    def change(current: Any) -> Any:
        for field in resource.type.__struct_fields__:
            if field not in ("kind", "apiVersion", "metadata"):
                setattr(current, field, getattr(new, field))
        if not new.metadata.labels.items() <= current.metadata.labels.items():
            current.metadata.labels = {**current.metadata.labels, **new.metadata.labels}
        return current

    return change


async def _delete(objects: Objects, name: str) -> None:
    try:
        await objects.delete(ENDPOINTSLICES, _NAMESPACE, name, DeleteOptions())
    except StatusError as error:
        if error.status.reason != "NotFound":  # another API server was quicker
            raise
