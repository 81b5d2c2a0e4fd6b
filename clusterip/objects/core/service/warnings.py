"""What a Service may say but better would not (``pkg/api/service/warnings.go``)."""

from __future__ import annotations

from clusterip.objects.addresses import warn_cidr, warn_ip
from clusterip.objects.core.service import predicates
from clusterip.objects.core.service.types import Service
from clusterip.objects.core.service.validation import TOPOLOGY_AWARE_HINTS, TOPOLOGY_MODE


def warnings(service: Service) -> list[str]:
    """Warnings for the person who created or changed the Service, defaulted or not."""
    spec = service.spec
    found: list[str] = []
    is_external_name = spec.type == predicates.EXTERNAL_NAME
    is_headless = spec.type in ("", predicates.CLUSTER_IP) and spec.clusterIP == predicates.HEADLESS
    if TOPOLOGY_AWARE_HINTS in service.metadata.annotations:
        found.append(f"annotation {TOPOLOGY_AWARE_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead")
    if spec.clusterIP not in ("", predicates.HEADLESS):
        for i, address in enumerate(spec.clusterIPs or [spec.clusterIP]):
            found += warn_ip(f"spec.clusterIPs[{i}]", address)
    if is_headless:
        if spec.loadBalancerIP:
            found.append("spec.loadBalancerIP is ignored for headless services")
        if spec.externalIPs:
            found.append("spec.externalIPs is ignored for headless services")
        if spec.sessionAffinity not in ("", "None"):
            found.append("spec.SessionAffinity is ignored for headless services")
    for i, address in enumerate(spec.externalIPs):
        found += warn_ip(f"spec.externalIPs[{i}]", address)
    if spec.externalIPs and not is_headless and not is_external_name:
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.loadBalancerIP:
        found += warn_ip("spec.loadBalancerIP", spec.loadBalancerIP)
    for i, cidr in enumerate(spec.loadBalancerSourceRanges):
        found += warn_cidr(f"spec.loadBalancerSourceRanges[{i}]", cidr)
    if is_external_name and spec.externalIPs:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if not is_external_name and spec.externalName:
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.trafficDistribution == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found
