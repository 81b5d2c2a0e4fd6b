"""The endpoints of ``kube-system/kube-dns`` where every node that has joined runs a DNS server.

They are no Pods, so nobody else would keep them. Each node has an EndpointSlice of its own, which goes with
it and is ready while the node is; its hint keeps questions on the node they come from (``PreferSameNode``).
"""

from __future__ import annotations

from ipaddress import ip_address

from clusterip.client.errors import ApiError
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller
from clusterip.objects.core.node import NODES, Node
from clusterip.objects.discovery.endpointslice import (
    ENDPOINTSLICES,
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    ForNode,
)
from clusterip.objects.meta import ObjectMeta, OwnerReference

LABEL = "clusterip.local/dns"
"""On nodes: that there is a DNS server for the cluster at their first address, port 53."""

SERVICE, NAMESPACE = "kube-dns", "kube-system"
_PORT = 53


class NodeDnsController(Controller[str]):
    name = "node-dns-controller"
    component = "node-dns-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._nodes = self.informer(NODES)
        self._slices = self.informer(ENDPOINTSLICES)
        self._nodes.on_change(self._changed)

    async def sync(self, key: str) -> None:
        node = self._nodes.get("", key)
        name = f"{SERVICE}-{key}"
        found = self._slices.get(NAMESPACE, name)
        wanted = slice_of(node) if node is not None else None
        if wanted is None:
            if found is not None:
                await self._delete(name)
            return
        if found is None:
            try:
                await self.client.create(wanted)
            except ApiError as error:
                if not error.is_already_exists:
                    raise
        elif found.endpoints != wanted.endpoints or found.addressType != wanted.addressType:
            if found.addressType != wanted.addressType:
                await self._delete(name)
                await self.client.create(wanted)
                return
            wanted.metadata.resourceVersion = found.metadata.resourceVersion
            await self.client.update(wanted)

    async def _delete(self, name: str) -> None:
        try:
            await self.client.delete(EndpointSlice, name, NAMESPACE)
        except ApiError as error:
            if not error.is_not_found:
                raise

    def _changed(self, old: Node | None, new: Node | None) -> None:
        before, now = (slice_of(old) if old else None), (slice_of(new) if new else None)
        either = new or old
        if either is not None and before != now:
            self.queue.add(either.metadata.name)


def slice_of(node: Node) -> EndpointSlice | None:
    """The slice of a node; None if it runs no DNS server, or has no address."""
    addresses = [each.address for each in node.status.addresses if each.type == "InternalIP"]
    if node.metadata.labels.get(LABEL) != "true" or not addresses:
        return None
    ready = any(each.type == "Ready" and each.status == "True" for each in node.status.conditions)
    name = node.metadata.name
    return EndpointSlice(
        metadata=ObjectMeta(
            name=f"{SERVICE}-{name}",
            namespace=NAMESPACE,
            labels={
                "kubernetes.io/service-name": SERVICE,
                "endpointslice.kubernetes.io/managed-by": NodeDnsController.name,
            },
            ownerReferences=[OwnerReference(apiVersion="v1", kind="Node", name=name, uid=node.metadata.uid)],
        ),
        addressType=f"IPv{ip_address(addresses[0]).version}",
        endpoints=[
            Endpoint(
                addresses=[addresses[0]],
                conditions=EndpointConditions(ready=ready, serving=ready, terminating=False),
                nodeName=name,
                hints=EndpointHints(forNodes=[ForNode(name=name)]),
            )
        ],
        ports=[
            EndpointPort(name="dns", protocol="UDP", port=_PORT),
            EndpointPort(name="dns-tcp", protocol="TCP", port=_PORT),
        ],
    )
