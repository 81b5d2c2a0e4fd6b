"""ServiceCIDRs: ready, in use, and gone only when nothing needs them."""

from __future__ import annotations

import asyncio

from clusterip.client.rest import Client
from clusterip.objects.networking.servicecidr import ServiceCIDR
from tests.support.controllers import eventually, run
from tests.support.kubectl import Kubectl

MORE = """
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [203.0.113.0/24]}
"""
FINALIZER = "networking.k8s.io/service-cidr-finalizer"


def ready(found: list[ServiceCIDR], name: str) -> str:
    conditions = [c for each in found if each.metadata.name == name for c in each.status.conditions]
    return conditions[0].status if conditions else ""


async def test_made_used_and_kept_while_in_use(client: Client, kubectl: Kubectl) -> None:
    await run(kubectl, "apply", "-f", "-", stdin=MORE)
    found = await eventually(
        client,
        ServiceCIDR,
        lambda found: ready(found, "more") == "True" and ready(found, "kubernetes") == "True",
    )
    assert all(FINALIZER in each.metadata.finalizers for each in found)
    await run(kubectl, "create", "service", "clusterip", "far", "--tcp=80", "--clusterip=203.0.113.10")
    await run(kubectl, "delete", "servicecidr", "more", "--wait=false")
    found = await eventually(client, ServiceCIDR, lambda found: ready(found, "more") == "False")
    [waiting] = [each for each in found if each.metadata.name == "more"]
    assert waiting.status.conditions[0].reason == "Terminating"
    assert "There are still IPAddresses" in waiting.status.conditions[0].message
    late = ("create", "service", "clusterip", "late", "--tcp=80", "--clusterip=203.0.113.11")
    refused = await asyncio.to_thread(kubectl.fails, *late)
    assert "203.0.113.11" in refused
    await run(kubectl, "delete", "service", "far")
    await eventually(client, ServiceCIDR, lambda found: not ready(found, "more"))


async def test_a_larger_range_frees_a_smaller_one(client: Client, kubectl: Kubectl) -> None:
    await run(kubectl, "apply", "-f", "-", stdin=MORE)
    await eventually(client, ServiceCIDR, lambda found: ready(found, "more") == "True")
    await run(kubectl, "create", "service", "clusterip", "far", "--tcp=80", "--clusterip=203.0.113.10")
    await run(kubectl, "delete", "servicecidr", "more", "--wait=false")
    await eventually(client, ServiceCIDR, lambda found: ready(found, "more") == "False")
    larger = MORE.replace("name: more", "name: larger").replace("/24", "/23").replace("113.0", "112.0")
    await run(kubectl, "apply", "-f", "-", stdin=larger)
    await eventually(client, ServiceCIDR, lambda found: not ready(found, "more"))
    service = await run(kubectl, "get", "service", "far", "-o", "jsonpath={.spec.clusterIP}")
    assert service == "203.0.113.10"
