"""What an EndpointSlice may say but better would not."""

from __future__ import annotations

from clusterip.objects.addresses import warn_ip
from clusterip.objects.discovery.endpointslice.types import EndpointSlice

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
MIRRORING_CONTROLLER = "endpointslicemirroring-controller.k8s.io"


def warnings(endpoint_slice: EndpointSlice) -> list[str]:
    found: list[str] = []
    if endpoint_slice.addressType == "FQDN":
        found.append("spec.addressType: FQDN endpoints are deprecated")
    if endpoint_slice.metadata.labels.get(MANAGED_BY) in (CONTROLLER, MIRRORING_CONTROLLER):
        return found
    for i, endpoint in enumerate(endpoint_slice.endpoints):
        for j, address in enumerate(endpoint.addresses):
            found += warn_ip(f"endpoints[{i}].addresses[{j}]", address)
    return found
