"""The node's heartbeat: a Lease in ``kube-node-lease``, renewed every ten seconds."""

from __future__ import annotations

import asyncio

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.objects import times
from clusterip.objects.coordination.lease import Lease, LeaseSpec
from clusterip.objects.core.node import Node
from clusterip.objects.meta import ObjectMeta, OwnerReference
from clusterip.process import log

_log = log.get("node")

NAMESPACE = "kube-node-lease"
_DURATION = 40
_RENEW_SECONDS = 10.0
_RETRY_SECONDS = 1.0
_DELETED = "this node was deleted from its cluster; it joins again when the agent is started again"


async def renew_for_ever(client: Client, node: Node) -> None:
    """Renew the node's Lease for ever; while the API server is away, try more often.

    As with a kubelet, a Node that was deleted while this runs stays deleted until the agent is started again.
    """
    current: Lease | None = None
    complaint = ""
    while True:
        is_there = current is not None
        try:
            if not is_there:
                node = await client.get(Node, node.metadata.name)
                is_there = True
            current = await _renew(client, node, current)
            complaint = ""
            await asyncio.sleep(_RENEW_SECONDS)
        except (ApiError, Unreachable) as error:
            is_deleted = not is_there and isinstance(error, ApiError) and error.is_not_found
            current = None
            if str(error) != complaint:
                complaint = str(error)
                if is_deleted:
                    _log.error(_DELETED, node=node.metadata.name)
                else:
                    _log.warning("lease not renewed, trying again", error=complaint)
            await asyncio.sleep(_RENEW_SECONDS if is_deleted else _RETRY_SECONDS)


async def _renew(client: Client, node: Node, current: Lease | None) -> Lease:
    name = node.metadata.name
    if current is None:
        try:
            current = await client.get(Lease, name, NAMESPACE)
        except ApiError as error:
            if not error.is_not_found:
                raise
            return await client.create(
                Lease(
                    metadata=ObjectMeta(name=name, namespace=NAMESPACE, ownerReferences=[_owner(node)]),
                    spec=LeaseSpec(
                        holderIdentity=name, leaseDurationSeconds=_DURATION, renewTime=times.now_micro()
                    ),
                )
            )
    current.spec.holderIdentity = name
    current.spec.leaseDurationSeconds = _DURATION
    current.spec.renewTime = times.now_micro()
    return await client.update(current)


def _owner(node: Node) -> OwnerReference:
    return OwnerReference(apiVersion="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)
