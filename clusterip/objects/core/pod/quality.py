"""A Pod's quality of service class: what goes first when its node runs out of memory."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from clusterip.objects import quantity
from clusterip.objects.base import Quantity
from clusterip.objects.core.pod_spec import PodSpec

_COUNTED = ("cpu", "memory")


def quality_of_service(spec: PodSpec) -> str:
    """``Guaranteed`` if every container's limits equal its requests, ``BestEffort`` if there are none.

    As ``ComputePodQOS`` in ``pkg/apis/core/helper/qos``. Amounts that are none count as absent.
    """
    requests: dict[str, Decimal] = {}
    limits: dict[str, Decimal] = {}
    guaranteed = True
    if spec.resources is not None:
        holders = [spec.resources]
    else:
        holders = [container.resources for container in (*spec.containers, *spec.initContainers)]
    for resources in holders:
        _add(requests, _positive(resources.requests))
        own = _positive(resources.limits)
        _add(limits, own)
        guaranteed = guaranteed and len(own) == len(_COUNTED)
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def _add(total: dict[str, Decimal], amounts: Mapping[str, Decimal]) -> None:
    for name, amount in amounts.items():
        total[name] = total.get(name, Decimal(0)) + amount


def _positive(resources: Mapping[str, Quantity]) -> dict[str, Decimal]:
    amounts = {}
    for name in _COUNTED:
        try:
            amount = quantity.parse(resources.get(name, 0))
        except ValueError:
            continue  # validation, which comes later, says so
        if amount > 0:
            amounts[name] = amount
    return amounts
