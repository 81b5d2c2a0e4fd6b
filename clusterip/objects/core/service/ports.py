"""Validation of a Service's ports."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.core.service import predicates
from clusterip.objects.core.service.types import Service, ServicePort
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    forbidden,
    go_struct,
    invalid_each,
    required,
)
from clusterip.objects.rules import PROTOCOLS, one_of, port_number_or_name


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
            shown = go_struct(
                Name="", Protocol=port.protocol, AppProtocol=None, Port=port.port, TargetPort=0, NodePort=0
            )
            errors.append(duplicate(path.item(i), shown))
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
    errors += port_number_or_name(path.child("targetPort"), port.targetPort)
    if port.appProtocol is not None:
        errors += invalid_each(path.child("appProtocol"), port.appProtocol, names.label_key(port.appProtocol))
    return errors
