"""Ingress: which HTTP requests from outside reach which Services."""

from __future__ import annotations

from typing import Any

from clusterip.objects import times
from clusterip.objects.networking.ingress.types import (
    HTTPIngressPath,
    HTTPIngressRuleValue,
    Ingress,
    IngressBackend,
    IngressLoadBalancerIngress,
    IngressLoadBalancerStatus,
    IngressPortStatus,
    IngressRule,
    IngressServiceBackend,
    IngressSpec,
    IngressStatus,
    IngressTLS,
    ServiceBackendPort,
)
from clusterip.objects.networking.ingress.validation import (
    CLASS_ANNOTATION,
    validate,
    validate_status_update,
    validate_update,
)
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.strategy import bump_generation, keep_spec, keep_status, start_generation
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, NONE

__all__ = [
    "INGRESSES",
    "HTTPIngressPath",
    "HTTPIngressRuleValue",
    "Ingress",
    "IngressBackend",
    "IngressLoadBalancerIngress",
    "IngressLoadBalancerStatus",
    "IngressPortStatus",
    "IngressRule",
    "IngressServiceBackend",
    "IngressSpec",
    "IngressStatus",
    "IngressTLS",
    "ServiceBackendPort",
]

_HOSTS_SHOWN = 3


def _prepare_create(ingress: Ingress) -> None:
    ingress.status = IngressStatus()
    start_generation(ingress)


def _prepare_update(new: Ingress, old: Ingress) -> None:
    keep_status(new, old)
    bump_generation(new, old)


def _warnings(ingress: Ingress) -> list[str]:
    if CLASS_ANNOTATION not in ingress.metadata.annotations:
        return []
    return [f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"]


def _row(ingress: Ingress) -> list[Any]:
    spec = ingress.spec
    addresses = {each.ip or each.hostname for each in ingress.status.loadBalancer.ingress} - {""}
    return [
        ingress.metadata.name,
        NONE if spec.ingressClassName is None else spec.ingressClassName,
        _hosts(spec.rules),
        ",".join(sorted(addresses)),
        "80, 443" if spec.tls else "80",
        times.age(ingress.metadata.creationTimestamp),
    ]


def _hosts(rules: list[IngressRule]) -> str:
    hosts = [rule.host for rule in rules if rule.host]
    shown = ",".join(hosts[:_HOSTS_SHOWN]) or "*"
    if len(hosts) > _HOSTS_SHOWN:
        return f"{shown} + {len(rules) - _HOSTS_SHOWN} more..."
    return shown


INGRESSES = register(
    Resource(
        type=Ingress,
        group="networking.k8s.io",
        version="v1",
        plural="ingresses",
        namespaced=True,
        singular="ingress",
        short_names=("ing",),
        status=True,
        prepare_create=_prepare_create,
        prepare_update=_prepare_update,
        prepare_status_update=keep_spec,
        validate=validate,
        validate_update=validate_update,
        validate_status_update=validate_status_update,
        warnings=_warnings,
        columns=(
            NAME_COLUMN,
            Column("Class", description="The IngressClass whose controller serves it."),
            Column("Hosts", description="The hosts of its rules."),
            Column("Address", description="Where it can be reached."),
            Column("Ports", description="On which ports."),
            AGE_COLUMN,
        ),
        row=_row,
    )
)
