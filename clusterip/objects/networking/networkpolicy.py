"""NetworkPolicy: whom Pods may talk to, and who may talk to them."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.addresses import parse_cidr, validate_cidr
from clusterip.objects.apps.template import selector_text
from clusterip.objects.base import IntOrString, Struct, always
from clusterip.objects.enums import PolicyType, Protocol
from clusterip.objects.errors import (
    ErrorList,
    Path,
    forbidden,
    invalid,
    invalid_each,
    not_supported,
    required,
)
from clusterip.objects.meta import LabelSelector, Object
from clusterip.objects.metadata import (
    validate_label_selector,
    validate_object_meta,
    validate_object_meta_update,
)
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.rules import port_number_or_name
from clusterip.objects.scalars import Int32
from clusterip.objects.strategy import bump_generation, start_generation
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN


class IPBlock(Struct):
    """Addresses outside the cluster, but for those of ``except``."""

    cidr: str = always("")
    except_: list[str] = msgspec.field(name="except", default_factory=list)


class NetworkPolicyPeer(Struct):
    podSelector: LabelSelector | None = None
    namespaceSelector: LabelSelector | None = None
    ipBlock: IPBlock | None = None


class NetworkPolicyPort(Struct):
    protocol: Protocol | None = None
    port: IntOrString | None = None
    endPort: Int32 | None = None


class NetworkPolicyEgressRule(Struct):
    ports: list[NetworkPolicyPort] = []
    to: list[NetworkPolicyPeer] = []


class NetworkPolicyIngressRule(Struct):
    ports: list[NetworkPolicyPort] = []
    from_: list[NetworkPolicyPeer] = msgspec.field(name="from", default_factory=list)


class NetworkPolicySpec(Struct):
    podSelector: LabelSelector = msgspec.field(default_factory=LabelSelector)
    ingress: list[NetworkPolicyIngressRule] = []
    egress: list[NetworkPolicyEgressRule] = []
    policyTypes: list[PolicyType] = []


class NetworkPolicy(Object):
    spec: NetworkPolicySpec = msgspec.field(default_factory=NetworkPolicySpec)


INGRESS, EGRESS = "Ingress", "Egress"

_PROTOCOLS = ("TCP", "UDP", "SCTP")


def _set_defaults(policy: NetworkPolicy) -> None:
    spec = policy.spec
    ports = [rule.ports for rule in spec.ingress] + [rule.ports for rule in spec.egress]
    for port in (port for some in ports for port in some):
        if port.protocol is None:
            port.protocol = "TCP"
    if not spec.policyTypes:
        spec.policyTypes = [INGRESS, EGRESS] if spec.egress else [INGRESS]


def _validate(policy: NetworkPolicy) -> ErrorList:
    errors = validate_object_meta(policy.metadata, namespaced=True, name_rule=names.dns_subdomain)
    return errors + _validate_spec(policy.spec, Path("spec"))


def _validate_update(new: NetworkPolicy, old: NetworkPolicy) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata)
    return errors + _validate_spec(new.spec, Path("spec"), frozenset(_cidrs(old.spec)))


def _cidrs(spec: NetworkPolicySpec) -> Iterator[str]:
    peers = [rule.from_ for rule in spec.ingress] + [rule.to for rule in spec.egress]
    for peer in (peer for some in peers for peer in some):
        if peer.ipBlock is not None:
            yield peer.ipBlock.cidr
            yield from peer.ipBlock.except_


def _validate_spec(spec: NetworkPolicySpec, path: Path, keep: Container[str] = ()) -> ErrorList:
    """Errors of a policy; CIDRs in ``keep`` are those it had before, which are let be."""
    errors = validate_label_selector(spec.podSelector, path.child("podSelector"))
    for i, ingress in enumerate(spec.ingress):
        where = path.child("ingress").item(i)
        errors += _validate_ports(ingress.ports, where.child("ports"))
        errors += _validate_peers(ingress.from_, where.child("from"), keep)
    for i, egress in enumerate(spec.egress):
        where = path.child("egress").item(i)
        errors += _validate_ports(egress.ports, where.child("ports"))
        errors += _validate_peers(egress.to, where.child("to"), keep)
    types = path.child("policyTypes")
    if len(spec.policyTypes) > 2:
        return [*errors, invalid(types, spec.policyTypes, "may not specify more than two policyTypes")]
    for i, policy_type in enumerate(spec.policyTypes):
        if policy_type not in (INGRESS, EGRESS):
            errors.append(not_supported(types.item(i), policy_type, (INGRESS, EGRESS)))
    return errors


def _validate_ports(ports: list[NetworkPolicyPort], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, port in enumerate(ports):
        where = path.item(i)
        if port.protocol is not None and port.protocol not in _PROTOCOLS:
            errors.append(not_supported(where.child("protocol"), port.protocol, _PROTOCOLS))
        if port.port is not None:
            errors += port_number_or_name(where.child("port"), port.port)
        if port.endPort is not None:
            errors += _validate_end(port.port, port.endPort, where.child("endPort"))
    return errors


def _validate_end(port: IntOrString | None, end: int, path: Path) -> ErrorList:
    if port is None:
        return [invalid(path, end, "may not be specified when `port` is not specified")]
    if isinstance(port, str):
        return [invalid(path, end, "may not be specified when `port` is non-numeric")]
    errors: ErrorList = []
    if end < port:
        errors.append(invalid(path, port, "must be greater than or equal to `port`"))
    return errors + invalid_each(path, end, names.port_number(end))


def _validate_peers(peers: list[NetworkPolicyPeer], path: Path, keep: Container[str]) -> ErrorList:
    errors: ErrorList = []
    for i, peer in enumerate(peers):
        where = path.item(i)
        errors += validate_label_selector(peer.podSelector, where.child("podSelector"))
        errors += validate_label_selector(peer.namespaceSelector, where.child("namespaceSelector"))
        selected = peer.podSelector is not None or peer.namespaceSelector is not None
        if peer.ipBlock is not None:
            errors += _validate_block(peer.ipBlock, where.child("ipBlock"), keep)
            if selected:
                errors.append(forbidden(where, "may not specify both ipBlock and another peer"))
        elif not selected:
            errors.append(required(where, "must specify a peer"))
    return errors


def _validate_block(block: IPBlock, path: Path, keep: Container[str]) -> ErrorList:
    if not block.cidr:
        return [required(path.child("cidr"))]
    errors = validate_cidr(path.child("cidr"), block.cidr, keep)
    whole = parse_cidr(block.cidr)
    if whole is None:
        return errors
    for i, text in enumerate(block.except_):
        where = path.child("except").item(i)
        errors += validate_cidr(where, text, keep)
        part = parse_cidr(text)
        if part is None:
            continue
        inside = part[1].network_address in whole[1] and part[1].prefixlen > whole[1].prefixlen
        if not inside:
            errors.append(invalid(where, text, "must be a strict subset of `cidr`"))
    return errors


def _row(policy: NetworkPolicy) -> list[Any]:
    meta = policy.metadata
    return [meta.name, selector_text(policy.spec.podSelector) or "<none>", times.age(meta.creationTimestamp)]


NETWORKPOLICIES = register(
    Resource(
        type=NetworkPolicy,
        group="networking.k8s.io",
        version="v1",
        plural="networkpolicies",
        namespaced=True,
        singular="networkpolicy",
        short_names=("netpol",),
        set_defaults=_set_defaults,
        prepare_create=start_generation,
        prepare_update=bump_generation,
        validate=_validate,
        validate_update=_validate_update,
        columns=(
            NAME_COLUMN,
            Column("Pod-Selector", description="The Pods that it is about."),
            AGE_COLUMN,
        ),
        row=_row,
    )
)
