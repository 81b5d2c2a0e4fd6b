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


async def renew_for_ever(client: Client, node: Node) -> None:
    """Renew the node's Lease for ever; while the API server is away, try more often."""
    current: Lease | None = None
    complaint = ""
    while True:
        try:
            current = await _renew(client, node, current)
            complaint = ""
            await asyncio.sleep(_RENEW_SECONDS)
        except (ApiError, Unreachable) as error:
            current = None
            if str(error) != complaint:
                complaint = str(error)
                _log.warning("lease not renewed, trying again", error=complaint)
            await asyncio.sleep(_RETRY_SECONDS)


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
