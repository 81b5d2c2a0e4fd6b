"""The records of one Service, as the Kubernetes DNS specification 1.1 has them (kubernetes/dns).

A node is everything known of one name: record type to the data of its records. The functions here are
pure: a Service and its slices in, nodes out.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import repeat

from clusterip.dns import names
from clusterip.dns.message import AAAA, CNAME, SRV, TXT, A
from clusterip.dns.steps import STEP, Steps, done
from clusterip.dns.wire import (
    Endpoint,
    EndpointPort,
    EndpointSlice,
    NamedEndpoint,
    PlacedEndpoint,
    Service,
    ServiceImport,
)

Node = dict[int, tuple[bytes, ...]]
AnyService = Service | ServiceImport

SCHEMA_VERSION = "1.1.0"

_srv = struct.Struct("!HHH")
_priority_weight = struct.Struct("!HH")
_WEIGHTS = 100
"""Shared by the records of an SRV answer, as CoreDNS does it."""


@dataclass(slots=True)
class Records:
    """What one Service adds to DNS."""

    nodes: dict[bytes, Node] = field(default_factory=dict)
    reverse: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Names below ``in-addr.arpa`` and ``ip6.arpa``, each with the name it points to."""
    zonal: dict[bytes, dict[bytes, Node]] = field(default_factory=dict)
    """By the name of a headless Service and a topology zone (lower case): what the endpoints there add."""


def service_name(service: str, namespace: str, domain: bytes) -> bytes:
    """``SERVICE.NAMESPACE.svc.DOMAIN`` in wire format. Raises BadName."""
    return names.to_wire(f"{service}.{namespace}.svc")[:-1] + domain


def records_of(service: AnyService, slices: Iterable[EndpointSlice], domain: bytes) -> Records:
    """As ``records_in_steps``, without a pause."""
    return done(records_in_steps(service, slices, domain))


def records_in_steps(service: AnyService, slices: Iterable[EndpointSlice], domain: bytes) -> Steps[Records]:
    """The records of ``service``; ``slices`` count only for a headless one.

    With thousands of endpoints this takes long; whenever it yields, others may go first.

    A Service of type ExternalName whose target is no domain name (such as an IP address, which
    validation does not forbid) exists, but has no records.

    Raises:
        BadName: the Service's or its namespace's name cannot be a part of a domain name.
    """
    name = service_name(service.metadata.name, service.metadata.namespace, domain)
    if service.spec.type == "ExternalName":
        return Records({name: _external(service.spec.externalName)})
    if service.headless:
        return (yield from _headless(name, slices))
    return _with_cluster_ip(name, service)


def version_node() -> Node:
    """``dns-version.DOMAIN``: section 2.2 of the specification."""
    text = SCHEMA_VERSION.encode()
    return {TXT: (bytes((len(text),)) + text,)}


def pod_node(label: bytes) -> Node | None:
    """The deprecated record of ``1-2-3-4.NAMESPACE.pod.DOMAIN`` (section 2.6), or None if it is no address.

    The Pod need not exist (what CoreDNS calls ``pods insecure``).
    """
    text = label.decode("latin-1")
    dotted = text.count("-") == 3 and "--" not in text
    address = names.pack_address(text.replace("-", "." if dotted else ":"))
    if address is None:
        return None
    return {A if len(address) == 4 else AAAA: (address,)}


def _external(target: str) -> Node:
    try:
        wire = names.to_wire(target)
    except names.BadName:
        return {}
    if names.pack_address(target) is not None or wire == b"\0":
        return {}
    return {CNAME: (wire,)}


def _with_cluster_ip(name: bytes, service: AnyService) -> Records:
    """Sections 2.3.1 to 2.3.3. Nothing while no address has been allocated yet."""
    texts = service.spec.clusterIPs or [service.spec.clusterIP]
    addresses = [packed for text in texts if (packed := names.pack_address(text)) is not None]
    records = Records()
    if not addresses:
        return records
    node = address_node(addresses)
    ports = service.spec.ports
    if ports:  # beyond the specification, but peers find each other by it
        weight = _weight(len(addresses) * len(ports))
        node[SRV] = tuple(dict.fromkeys(_srv.pack(0, weight, port.port & 0xFFFF) + name for port in ports))
    records.nodes[name] = node
    for port in ports:
        if port.name:
            data = _srv.pack(0, _weight(len(addresses)), port.port & 0xFFFF) + name
            records.nodes[_port_name(port.name, port.protocol, name)] = {SRV: (data,)}
    records.reverse = [(names.reverse_name(address), name) for address in addresses]
    return records


def _headless(name: bytes, slices: Iterable[EndpointSlice]) -> Steps[Records]:
    """Sections 2.4.1 to 2.4.3. Without ready endpoints there is not even the name."""
    hosts: dict[bytes, dict[bytes, None]] = {}  # ordered sets: endpoints may be in several slices
    srv: dict[bytes, dict[bytes, set[bytes]]] = {}
    """By owner and by port and name: the addresses there."""
    places: dict[bytes, tuple[dict[bytes, None], dict[bytes, set[bytes]]]] = {}
    for each in slices:
        if each.addressType not in ("IPv4", "IPv6"):
            continue
        ports = [port for port in map(_slice_port, each.ports or (), repeat(name)) if port is not None]
        cluster = each.metadata.labels.cluster
        above = names.label_of(cluster) + name if cluster else name
        yield
        for endpoint in each.endpoints or ():
            if not endpoint.ready:
                continue
            for text in endpoint.addresses:
                address = names.pack_address(text)
                if address is None:
                    continue
                host = names.label_of(host_label(endpoint, text)) + above
                hosts.setdefault(host, {})[address] = None
                if isinstance(endpoint, PlacedEndpoint) and endpoint.zone:
                    there = places.setdefault(endpoint.zone.lower().encode(), ({}, {}))
                    there[0][address] = None
                    for number, _ in ports:
                        there[1].setdefault(number + host, set()).add(address)
                for number, owners in ports:
                    for owner in owners:
                        srv.setdefault(owner, {}).setdefault(number + host, set()).add(address)
    records = Records()
    records.zonal[name] = {
        place: address_node(addresses) | ({SRV: _weighted(targets)} if targets else {})
        for place, (addresses, targets) in places.items()
    }
    if not hosts:
        return records
    for count, (host, addresses) in enumerate(hosts.items()):
        if count % STEP == 0:
            yield
        records.nodes[host] = address_node(addresses)
        records.reverse += [(names.reverse_name(address), host) for address in addresses]
    yield
    everything = dict.fromkeys(address for addresses in hosts.values() for address in addresses)
    records.nodes[name] = address_node(everything)
    for owner, targets in srv.items():
        yield
        records.nodes.setdefault(owner, {})[SRV] = _weighted(targets)
    return records


def _weighted(targets: Mapping[bytes, Collection[bytes]]) -> tuple[bytes, ...]:
    """SRV data of equal priority and weight, from ports and names with the addresses there."""
    weight = _weight(sum(map(len, targets.values())))
    priority_weight = _priority_weight.pack(0, weight)
    return tuple(priority_weight + target for target in targets)


def _weight(count: int) -> int:
    """The share of one of so many addresses (coredns ``plugin/backend_lookup.go``)."""
    return max(1, _WEIGHTS // count)


def host_label(endpoint: Endpoint, address: str) -> str:
    """The endpoint's own name, below its Service's (coredns ``endpointHostname``)."""
    if endpoint.hostname:
        return endpoint.hostname
    if isinstance(endpoint, NamedEndpoint) and endpoint.pod_label:
        return endpoint.pod_label
    label = address.replace(".", "-").replace(":", "-")
    return label + "0" if label.endswith("-") else label  # of an IPv6 address that ends in "::"


def _slice_port(port: EndpointPort, name: bytes) -> tuple[bytes, list[bytes]] | None:
    """A port's number as SRV data has it, and the names at which it is found; None if it has no number."""
    number = (port.port or 0) & 0xFFFF
    if not number:
        return None
    owners = [name]
    if port.name:
        owners.append(_port_name(port.name, port.protocol or "TCP", name))
    return number.to_bytes(2, "big"), owners


def _port_name(port: str, protocol: str, name: bytes) -> bytes:
    """``_PORT._PROTOCOL.`` before ``name``."""
    return names.label_of("_" + port) + names.label_of("_" + protocol.lower()) + name


def address_node(addresses: Iterable[bytes]) -> Node:
    """The A and AAAA records of packed addresses."""
    node: Node = {}
    four = tuple(address for address in addresses if len(address) == 4)
    six = tuple(address for address in addresses if len(address) == 16)
    if four:
        node[A] = four
    if six:
        node[AAAA] = six
    return node
