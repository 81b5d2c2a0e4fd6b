"""Services of other clusters: ServiceImports of the Multi-Cluster Services API (KEP-1645).

Few API servers have the kind. It is watched where it exists, and looked for again now and then where it
does not, for it may be installed later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from clusterip.client.credentials import CredentialsError
from clusterip.client.errors import Unreachable
from clusterip.client.informer import Informer
from clusterip.client.rest import ApiError, Client
from clusterip.dns import wire
from clusterip.dns.follow import Follower, View
from clusterip.dns.zone import Zone
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource
from clusterip.process import log

_GROUP, _VERSION, _PLURAL = "multicluster.x-k8s.io", "v1alpha1", "serviceimports"
_LABEL = "multicluster.kubernetes.io/service-name"
_LOOK_SECONDS = 30.0

_log = log.get("dns")


class _ServiceImport(Object):
    """Only for its place in the API; what is read of it is ``wire.ServiceImport``."""


_RESOURCE = Resource(type=_ServiceImport, group=_GROUP, version=_VERSION, plural=_PLURAL, namespaced=True)


class _Kind(msgspec.Struct):
    name: str = ""


class _Kinds(msgspec.Struct):
    """An APIResourceList."""

    resources: list[_Kind] = []


async def follow(
    client: Client, zones: Sequence[Zone], namespaces: Informer[wire.Namespace], view: View
) -> None:
    """Keep ``zones`` in step with the ServiceImports of the API server, for ever."""
    while True:
        try:
            found = await _exists(client)
        except (ApiError, CredentialsError, Unreachable) as error:
            _log.debug("cannot tell whether there are ServiceImports", why=error)
        else:
            if found:
                break
            for zone in zones:
                zone.synced = True  # there is nothing that could be missing
        await asyncio.sleep(_LOOK_SECONDS)
    _log.info("ServiceImports are followed")
    services = Informer(client, _RESOURCE, wire.ServiceImport)
    slices = Informer(client, ENDPOINTSLICES, wire.ImportSlice, label_selector=_LABEL)
    for zone in zones:
        Follower(zone, namespaces, services, slices, view)
    async with asyncio.TaskGroup() as group:
        group.create_task(services.run())
        group.create_task(slices.run())


async def _exists(client: Client) -> bool:
    """Raises ApiError, CredentialsError or Unreachable if the API server does not say."""
    try:
        body = await client.request("GET", f"/apis/{_GROUP}/{_VERSION}")
    except ApiError as error:
        if error.is_not_found:
            return False
        raise
    return any(each.name == _PLURAL for each in msgspec.json.decode(body, type=_Kinds).resources)
