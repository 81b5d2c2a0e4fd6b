"""What every cluster has from its first moment: namespaces, the first ServiceCIDR, ``kubernetes``.

As upstream's ``pkg/controlplane`` controllers (systemnamespaces, defaultservicecidr,
kubernetesservice) and ``pkg/controlplane/reconcilers``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from clusterip.apiserver import service_endpoints
from clusterip.apiserver.allocation.ranges import Network
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.generic import Objects
from clusterip.apiserver.peers import Peers
from clusterip.apiserver.selection import Selection
from clusterip.apiserver.service_endpoints import KUBERNETES
from clusterip.apiserver.status import StatusError
from clusterip.apiserver.watching import Watcher
from clusterip.objects import times
from clusterip.objects.codec import convert
from clusterip.objects.core.endpoints import ENDPOINTS
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.core.service import SERVICES
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES
from clusterip.objects.networking.servicecidr import SERVICECIDRS
from clusterip.objects.registry import Resource
from clusterip.objects.selectors import parse_field_selector

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class Keeper:
    """Puts back what belongs to every cluster whenever somebody deletes or changes it."""

    def __init__(
        self, objects: Objects, ranges: list[Network], peers: Peers, port: int, changed: asyncio.Event
    ) -> None:
        """``changed``: set by ``peers`` when an API server comes or goes."""
        self._objects = objects
        self._arguments = (ranges, peers, port)
        self._changed = changed
        self._changed.set()
        only = Selection("default", fields=parse_field_selector(f"metadata.name={KUBERNETES}"))
        kinds = (SERVICES, ENDPOINTSLICES, ENDPOINTS)
        self._watchers = [(kind, Watcher(only, _Silent(), self._seen, self._changed.set)) for kind in kinds]

    async def round(self) -> None:
        """Wait until something of it has changed, and put it right."""
        await self._changed.wait()
        cache = self._objects.cache
        await cache.ready.wait()
        self._changed.clear()
        for kind, watcher in self._watchers:  # the cache lets go of them when it has to be loaded anew
            cache.of(kind).watchers.add(watcher)
        try:
            await bootstrap(self._objects, *self._arguments)
        except BaseException:
            self._changed.set()
            raise

    def _seen(self, _frames: list[bytes]) -> None:
        self._changed.set()


class _Silent:
    """An encoder for a watcher that only wants to know that something happened."""

    key: object = "silent"

    def event(self, kind: str, entry: Entry) -> bytes:
        return b""

    def bookmark(self, entry_revision: int, *, initial_events_end: bool) -> bytes:
        return b""


async def bootstrap(objects: Objects, ranges: list[Network], peers: Peers, port: int) -> None:
    """Create what is missing, and let ``kubernetes`` lead to the API servers there are.

    Raises:
        StatusError: an object cannot be written.
        StoreError: the store cannot.
    """
    for name in SYSTEM_NAMESPACES:
        labels = {"kubernetes.io/metadata.name": name}
        await _ensure(objects, NAMESPACES, {"metadata": {"name": name, "labels": labels}})
    cidrs = [str(network) for network in ranges]
    await _ensure(objects, SERVICECIDRS, {"metadata": {"name": KUBERNETES}, "spec": {"cidrs": cidrs}})
    await _service_cidr_is_ready(objects)
    await _ensure(objects, SERVICES, _service(ranges[0], port))
    await lead_to_servers(objects, ranges, peers)


async def lead_to_servers(objects: Objects, ranges: list[Network], peers: Peers) -> None:
    """The last step of ``bootstrap``, and what a server that stops does after it has left its peers."""
    servers = peers.servers()
    usable = service_endpoints.usable(servers, ranges[0].version)
    if usable or not servers:
        await service_endpoints.lead_to(objects, usable)


async def _ensure(objects: Objects, resource: Resource[Any], tree: dict[str, Any]) -> bool:
    """Create an object unless it exists; whether it was created."""
    obj = convert(tree | {"kind": resource.kind, "apiVersion": resource.api_version}, resource.type)
    # Looked up first: a Service's address would be refused as taken before its name is.
    await objects.cache.current()
    if objects.cache.of(resource).get(obj.metadata.namespace, obj.metadata.name) is not None:
        return False
    try:
        await objects.create(resource, obj.metadata.namespace, obj)
    except StatusError as error:
        # Another API server that starts may have been quicker, and have got the address first.
        await objects.cache.current()
        if objects.cache.of(resource).get(obj.metadata.namespace, obj.metadata.name) is None:
            raise error
        return False
    return True


async def _service_cidr_is_ready(objects: Objects) -> None:
    def ready(current: Any) -> Any:
        if not any(condition.type == "Ready" for condition in current.status.conditions):
            condition = {
                "type": "Ready",
                "status": "True",
                "lastTransitionTime": times.now(),
                "message": "Kubernetes Service CIDR is ready",
            }
            current.status = convert({"conditions": [condition]}, type(current.status))
        return current

    await objects.update(SERVICECIDRS, "", KUBERNETES, ready, subresource="status")


def _service(network: Network, port: int) -> dict[str, Any]:
    return {
        "metadata": {
            "name": KUBERNETES,
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": str(network[1]),
            "ipFamilies": [f"IPv{network.version}"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
    }
