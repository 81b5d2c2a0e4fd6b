"""Validation of a Service's ports."""

from __future__ import annotations

import msgspec

from clusterip.objects import names
from clusterip.objects.core.service import predicates
from clusterip.objects.core.service.types import Service, ServicePort
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    forbidden,
    invalid_each,
    required,
)
from clusterip.objects.rules import PROTOCOLS, one_of


class _PortKey(msgspec.Struct):
    """A port as upstream's message about duplicates shows it: all fields, only two of them set."""

    Name: str
    Protocol: str
    AppProtocol: None
    Port: int
    TargetPort: int
    NodePort: int


def validate_ports(service: Service, path: Path) -> ErrorList:
    """Errors of each port, and of ports that are there twice."""
    ports = service.spec.ports
    if not ports and not predicates.is_headless(service) and service.spec.type != predicates.EXTERNAL_NAME:
        return [required(path)]
    errors: ErrorList = []
    seen_names: set[str] = set()
    for i, port in enumerate(ports):
        errors += _port(port, len(ports) > 1, seen_names, path.item(i))
    return errors


def validate_unique_ports(service: Service, path: Path) -> ErrorList:
    """Errors of ports and node ports that are there twice, counting each protocol apart."""
    ports = service.spec.ports
    errors: ErrorList = []
    if service.spec.type == predicates.CLUSTER_IP:
        for i, port in enumerate(ports):
            if port.nodePort:
                message = "may not be used when `type` is 'ClusterIP'"
                errors.append(forbidden(path.item(i).child("nodePort"), message))
    seen: set[tuple[str, int]] = set()
    for i, port in enumerate(ports):
        if not port.nodePort:
            continue
        if (port.protocol, port.nodePort) in seen:
            errors.append(duplicate(path.item(i).child("nodePort"), port.nodePort))
        seen.add((port.protocol, port.nodePort))
    seen.clear()
    for i, port in enumerate(ports):
        if (port.protocol, port.port) in seen:
            errors.append(duplicate(path.item(i), _PortKey("", port.protocol, None, port.port, 0, 0)))
        seen.add((port.protocol, port.port))
    return errors


def _port(port: ServicePort, name_required: bool, seen: set[str], path: Path) -> ErrorList:
    errors: ErrorList = []
    where = path.child("name")
    if port.name:
        errors += invalid_each(where, port.name, names.dns_label(port.name))
        if port.name in seen:
            errors.append(duplicate(where, port.name))
        seen.add(port.name)
    elif name_required:
        errors.append(required(where))
    errors += invalid_each(path.child("port"), port.port, names.port_number(port.port))
    errors += one_of(path.child("protocol"), port.protocol, PROTOCOLS)
    target = 0 if port.targetPort is None else port.targetPort
    rule = names.port_number(target) if isinstance(target, int) else names.port_name(target)
    errors += invalid_each(path.child("targetPort"), target, rule)
    if port.appProtocol is not None:
        errors += invalid_each(path.child("appProtocol"), port.appProtocol, names.label_key(port.appProtocol))
    return errors
