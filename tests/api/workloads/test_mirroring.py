"""EndpointSlices for Endpoints that somebody wrote (upstream's ``endpointslicemirroring.go``)."""

from __future__ import annotations

from clusterip.client.rest import Client
from clusterip.objects.discovery.endpointslice import EndpointSlice
from tests.support.controllers import eventually, run
from tests.support.kubectl import Kubectl

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {ports: [{name: web, port: 80, targetPort: 8080}]}
"""
ENDPOINTS = """
apiVersion: v1
kind: Endpoints
metadata: {name: outside, labels: {tier: legacy}, annotations: {note: kept}}
subsets:
- addresses: [{ip: 10.1.2.3}, {ip: 10.1.2.4, hostname: four}]
  notReadyAddresses: [{ip: 10.1.2.5}]
  ports: [{name: web, port: 8080}]
- addresses: [{ip: "fd00::1"}]
  ports: [{name: web, port: 8080}]
"""


def mirrored(slices: list[EndpointSlice]) -> list[EndpointSlice]:
    manager = "endpointslicemirroring-controller.k8s.io"
    return [s for s in slices if s.metadata.labels.get("endpointslice.kubernetes.io/managed-by") == manager]


def addresses(slices: list[EndpointSlice]) -> dict[str, bool]:
    return {a: bool(e.conditions.ready) for s in mirrored(slices) for e in s.endpoints for a in e.addresses}


async def test_create_change_and_delete(client: Client, kubectl: Kubectl) -> None:
    await run(kubectl, "apply", "-f", "-", stdin=SERVICE)
    await run(kubectl, "apply", "-f", "-", stdin=ENDPOINTS)
    found = await eventually(client, EndpointSlice, lambda found: len(mirrored(found)) == 2)
    assert addresses(found) == {"10.1.2.3": True, "10.1.2.4": True, "10.1.2.5": False, "fd00::1": True}
    [four] = [s for s in mirrored(found) if s.addressType == "IPv4"]
    meta = four.metadata
    assert meta.name.startswith("outside-")
    assert meta.labels["kubernetes.io/service-name"] == "outside"
    assert meta.labels["tier"] == "legacy"
    assert meta.annotations == {"note": "kept"}, "but for what kubectl last applied"
    assert (meta.ownerReferences[0].kind, meta.ownerReferences[0].name) == ("Endpoints", "outside")
    assert [(p.name, p.port, p.protocol) for p in four.ports] == [("web", 8080, "TCP")]
    assert [e.hostname for e in four.endpoints if e.hostname] == ["four"]

    changed = ENDPOINTS.replace("10.1.2.3", "10.1.2.9").replace("port: 8080", "port: 9090")
    await run(kubectl, "apply", "-f", "-", stdin=changed)

    def moved(slices: list[EndpointSlice]) -> bool:
        ports = {p.port for s in mirrored(slices) for p in s.ports}
        return "10.1.2.9" in addresses(slices) and ports == {9090} and len(mirrored(slices)) == 2

    found = await eventually(client, EndpointSlice, moved)
    assert {s.metadata.uid for s in mirrored(found)} >= {four.metadata.uid}, "changed in place"
    await run(kubectl, "delete", "endpoints/outside")
    await eventually(client, EndpointSlice, lambda found: not mirrored(found))


async def test_only_where_wanted(client: Client, kubectl: Kubectl) -> None:
    await run(kubectl, "apply", "-f", "-", stdin=ENDPOINTS)
    await run(kubectl, "apply", "-f", "-", stdin=SERVICE)
    await eventually(client, EndpointSlice, lambda found: len(mirrored(found)) == 2)
    await run(kubectl, "label", "endpoints/outside", "endpointslice.kubernetes.io/skip-mirror=true")
    await eventually(client, EndpointSlice, lambda found: not mirrored(found))
    await run(kubectl, "label", "endpoints/outside", "endpointslice.kubernetes.io/skip-mirror-")
    await eventually(client, EndpointSlice, lambda found: len(mirrored(found)) == 2)
    [one, *_] = mirrored((await client.list(EndpointSlice, "default")).items)
    await client.delete(EndpointSlice, one.metadata.name, "default")
    await eventually(client, EndpointSlice, lambda found: len(mirrored(found)) == 2)
    await run(kubectl, "set", "selector", "service/outside", "app=own")
    await eventually(client, EndpointSlice, lambda found: not mirrored(found))
