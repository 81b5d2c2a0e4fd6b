"""What every cluster has from its first moment: namespaces, the first ServiceCIDR, ``kubernetes``.

As upstream's ``pkg/controlplane`` controllers (systemnamespaces, defaultservicecidr,
kubernetesservice) and ``pkg/controlplane/reconcilers``.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

from clusterip.apiserver.allocation.ranges import Network
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.generic import Objects
from clusterip.apiserver.selection import Selection
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
from clusterip.process import log

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
KUBERNETES = "kubernetes"
RETRY_SECONDS = 5.0

_log = log.get("apiserver")


class Keeper:
    """Puts back what belongs to every cluster whenever somebody deletes or changes it."""

    def __init__(self, objects: Objects, ranges: list[Network], address: str, port: int) -> None:
        self._objects = objects
        self._arguments = (ranges, address, port)
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Keep at it until cancelled."""
        cache = self._objects.cache
        only = Selection("default", fields=parse_field_selector(f"metadata.name={KUBERNETES}"))
        kinds = (SERVICES, ENDPOINTSLICES, ENDPOINTS)
        while True:
            await cache.ready.wait()
            self._changed.clear()
            watchers = [(kind, Watcher(only, _Silent(), self._seen, self._ended)) for kind in kinds]
            for kind, watcher in watchers:
                cache.of(kind).watchers.add(watcher)
            try:
                await bootstrap(self._objects, *self._arguments)
                await self._changed.wait()
            except StatusError as error:
                _log.warning("cannot restore the kubernetes Service", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                for kind, watcher in watchers:
                    cache.unwatch(kind, watcher)

    def _seen(self, _frames: list[bytes]) -> None:
        self._changed.set()

    def _ended(self) -> None:
        self._changed.set()


class _Silent:
    """An encoder for a watcher that only wants to know that something happened."""

    key: object = "silent"

    def event(self, kind: str, entry: Entry) -> bytes:
        return b""

    def bookmark(self, entry_revision: int, *, initial_events_end: bool) -> bytes:
        return b""


async def bootstrap(objects: Objects, ranges: list[Network], address: str, port: int) -> None:
    """Create what is missing, and let ``kubernetes`` point at ``address``:``port``."""
    for name in SYSTEM_NAMESPACES:
        labels = {"kubernetes.io/metadata.name": name}
        await _ensure(objects, NAMESPACES, {"metadata": {"name": name, "labels": labels}})
    cidrs = [str(network) for network in ranges]
    await _ensure(objects, SERVICECIDRS, {"metadata": {"name": KUBERNETES}, "spec": {"cidrs": cidrs}})
    await _service_cidr_is_ready(objects)
    await _ensure(objects, SERVICES, _service(ranges[0], port))
    if not ipaddress.ip_address(address).is_loopback:  # which nobody else could use, and endpoints may not be
        await _endpoints(objects, address, port)


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


async def _endpoints(objects: Objects, address: str, port: int) -> None:
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    version = ipaddress.ip_address(address).version
    slice_: dict[str, Any] = {
        "metadata": {
            "name": KUBERNETES,
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": KUBERNETES},
        },
        "addressType": f"IPv{version}",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }
    endpoints: dict[str, Any] = {
        "metadata": {
            "name": KUBERNETES,
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }
    for resource, tree in ((ENDPOINTSLICES, slice_), (ENDPOINTS, endpoints)):
        if not await _ensure(objects, resource, tree):
            await objects.update(resource, "default", KUBERNETES, _replaced_by(tree, resource))


def _replaced_by(tree: dict[str, Any], resource: Resource[Any]) -> Any:
    wanted = convert(tree, resource.type)

    def change(current: Any) -> Any:
        for field in resource.type.__struct_fields__:
            if field not in ("kind", "apiVersion", "metadata"):
                setattr(current, field, getattr(wanted, field))
        return current

    return change
