"""From a Service to its ports. Behaviour: ``pkg/proxy/serviceport.go`` and ``util/utils.go`` upstream."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import cast

from clusterip.kernel.nftables import Family
from clusterip.proxy import wire
from clusterip.proxy.model import (
    Address,
    Network,
    PortKey,
    ServiceKey,
    ServicePort,
    family_of,
    pack_address,
)

PROTOCOLS = {"TCP": socket.IPPROTO_TCP, "UDP": socket.IPPROTO_UDP, "SCTP": socket.IPPROTO_SCTP}

_DEFAULT_AFFINITY_SECONDS = 10_800
_MAX_AFFINITY_SECONDS = 86_400


def key_of(service: wire.Service) -> ServiceKey:
    return ServiceKey(service.metadata.namespace, service.metadata.name)


def is_ours(service: wire.Service) -> bool:
    """Whether this proxy serves it.

    Not those with ``service-proxy-name`` (another proxy's) or the ``headless`` label, whatever its value;
    headless Services and ``ExternalName`` have no virtual address.
    """
    labels = service.metadata.labels
    if labels is not None and (labels.proxyName is not None or labels.headless is not None):
        return False
    return service.spec.clusterIP not in ("", "None") and service.spec.type != "ExternalName"


def service_ports(service: wire.Service) -> list[ServicePort]:
    """All ports of a Service, of all its families. What cannot be read in it is left out."""
    if not is_ours(service):
        return []
    spec = service.spec
    key = key_of(service)
    external = _addresses(spec.externalIPs)
    load_balancer = _addresses(_ingress_ips(service))
    ranges = _source_ranges(spec.loadBalancerSourceRanges)
    takes_external = spec.type in ("NodePort", "LoadBalancer") or bool(spec.externalIPs)
    found = []
    affinity_seconds = _affinity_seconds(spec)
    health_check = health_check_port(service)
    created = service.metadata.creationTimestamp or ""
    for cluster_ip in _addresses(spec.clusterIPs or [spec.clusterIP]):
        family = family_of(cluster_ip)
        own_external = _of_family(external, family)
        own_balancer = _of_family(load_balancer, family)
        own_ranges = _ranges_of_family(ranges, family)
        for port in spec.ports or ():
            protocol = PROTOCOLS.get(port.protocol)
            if protocol is None or not is_port(port.port):
                continue
            found.append(
                ServicePort(
                    PortKey(key, port.name, protocol, family),
                    cluster_ip,
                    port.port,
                    node_port=port.nodePort if is_port(port.nodePort) else 0,
                    external_ips=own_external,
                    load_balancer_ips=own_balancer,
                    source_ranges=own_ranges,
                    affinity_seconds=affinity_seconds,
                    internal_local=spec.internalTrafficPolicy == "Local",
                    external_local=takes_external and spec.externalTrafficPolicy == "Local",
                    health_check_port=health_check,
                    created=created,
                )
            )
    return found


def is_port(number: int | None) -> bool:
    """Whether that can be a port's number."""
    return number is not None and 0 < number < 1 << 16


def health_check_port(service: wire.Service) -> int:
    """The node port on which to tell load balancers whether this node has endpoints; 0: do not."""
    spec = service.spec
    if is_ours(service) and spec.type == "LoadBalancer" and spec.externalTrafficPolicy == "Local":
        return spec.healthCheckNodePort
    return 0


def _affinity_seconds(spec: wire.ServiceSpec) -> int:
    if spec.sessionAffinity != "ClientIP":
        return 0
    config = spec.sessionAffinityConfig
    seconds = config.clientIP.timeoutSeconds if config and config.clientIP else None
    return min(max(seconds or _DEFAULT_AFFINITY_SECONDS, 1), _MAX_AFFINITY_SECONDS)


def _ingress_ips(service: wire.Service) -> list[str]:
    balancer = service.status.loadBalancer if service.status else None
    if balancer is None or service.spec.type != "LoadBalancer":
        return []
    # With ipMode Proxy packets arrive with the node's address, not with this one.
    return [
        ingress.ip for ingress in balancer.ingress or () if ingress.ip and ingress.ipMode in (None, "VIP")
    ]


def _addresses(texts: Iterable[str] | None) -> list[Address]:
    if not texts:
        return []
    packed = map(pack_address, texts)
    return list(dict.fromkeys(address for address in packed if address is not None))


def _of_family(addresses: list[Address], family: Family) -> tuple[Address, ...]:
    return tuple(address for address in addresses if family_of(address) is family) if addresses else ()


def _source_ranges(texts: Iterable[str] | None) -> list[Network]:
    networks: list[Network] = []
    for text in texts or ():
        try:
            networks.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            continue
    return networks


def _ranges_of_family(ranges: list[Network], family: Family) -> tuple[Network, ...]:
    """The ranges of one family, joined; none if one of them is everything, which means no limit."""
    if not ranges:
        return ()
    version = 4 if family is Family.IPV4 else 6
    own = [network for network in ranges if network.version == version]
    if any(network.prefixlen == 0 for network in own):
        return ()
    return tuple(cast("Iterable[Network]", ipaddress.collapse_addresses(own)))
