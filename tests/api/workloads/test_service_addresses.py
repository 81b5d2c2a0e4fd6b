"""Events about ClusterIPs that are not their Service's."""

from __future__ import annotations

import pytest

from clusterip.client.rest import Client
from clusterip.objects.core.event import Event
from clusterip.objects.core.service import Service
from clusterip.objects.core.service.types import ServicePort, ServiceSpec
from clusterip.objects.meta import ObjectMeta
from clusterip.objects.networking.ipaddress import IPAddress
from tests.support.controllers import eventually


@pytest.mark.usefixtures("controllers")
async def test_an_address_that_is_not_allocated_is_told(client: Client) -> None:
    services = [
        await client.create(
            Service(
                metadata=ObjectMeta(name=name, namespace="default"),
                spec=ServiceSpec(ports=[ServicePort(port=80)]),
            )
        )
        for name in ("good", "bad")
    ]
    address = services[1].spec.clusterIP
    await client.delete(IPAddress, address)
    events = await eventually(
        client, Event, lambda found: any(each.reason == "ClusterIPNotAllocated" for each in found), "default"
    )
    told = [each for each in events if each.source.component == "ipallocator-repair-controller"]
    assert [(each.type, each.involvedObject.name, each.message) for each in told] == [
        (
            "Warning",
            "bad",
            f"Cluster IP [IPv4]:{address} is not allocated; please recreate service",
        )
    ]
