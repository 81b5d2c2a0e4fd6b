"""What a Pod and its containers may use, in the units of cgroups.

As upstream's ``ResourceConfigForPod`` and ``calculateLinuxResources``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from clusterip.objects import quantity
from clusterip.objects.core.containers import Container
from clusterip.objects.core.pod.quality import quality_of_service
from clusterip.objects.core.pod_spec import PodSpec

CPU_PERIOD = 100_000  # µs
_LEAST_QUOTA = 1_000  # µs
LEAST_SHARES, MOST_SHARES = 2, 262_144
_CRITICAL_PRIORITY = 2_000_000_000
_GUARANTEED_SCORE = -997


@dataclass(frozen=True)
class Limits:
    """What a cgroup gets; None: as much as there is.

    ``cpu_shares`` is the part of the processor where it is short, ``cpu_quota`` in µs of each ``CPU_PERIOD``,
    ``memory`` in bytes, ``processes`` a number.
    """

    cpu_shares: int | None = None
    cpu_quota: int | None = None
    memory: int | None = None
    processes: int | None = None


def of_container(container: Container) -> Limits:
    """The limits of one container."""
    requests, limits = container.resources.requests, container.resources.limits
    cpu = _milli(limits.get("cpu", 0))
    return Limits(
        cpu_shares=_shares(_milli(requests.get("cpu", 0)) or cpu),
        cpu_quota=_quota(cpu),
        memory=quantity.whole(limits.get("memory", 0)) or None,
    )


def of_pod(spec: PodSpec, processes: int | None = None) -> Limits:
    """The limits of a whole Pod, in which its containers' are.

    A limit that not all containers have is none of the Pod.
    """
    if quality_of_service(spec) == "BestEffort":
        return Limits(cpu_shares=LEAST_SHARES, processes=processes)
    limited = {
        name: all(quantity.parse(each.resources.limits.get(name, 0)) > 0 for each in _every(spec))
        for name in ("cpu", "memory")
    }
    memory = _total(spec, "memory", limits=True) if limited["memory"] else 0
    return Limits(
        cpu_shares=_shares(_total(spec, "cpu", limits=False)),
        cpu_quota=_quota(_total(spec, "cpu", limits=True)) if limited["cpu"] else None,
        memory=-(-memory // 1000) or None,
        processes=processes,
    )


def oom_score(spec: PodSpec, container: Container) -> int:
    """How soon the kernel ends a container when memory runs out: -1000 never, 1000 first."""
    kind = quality_of_service(spec)
    if kind == "Guaranteed" or (spec.priority or 0) >= _CRITICAL_PRIORITY:
        return _GUARANTEED_SCORE
    if kind == "BestEffort":
        return 1000
    requested = quantity.whole(container.resources.requests.get("memory", 0))
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(999, max(1000 + _GUARANTEED_SCORE, 1000 - 1000 * requested // machine))


def weight(shares: int) -> int:
    """What cgroups of version 2 have for the shares of version 1."""
    return 1 + (shares - LEAST_SHARES) * 9999 // 262_142


def _every(spec: PodSpec) -> Iterable[Container]:
    return (*spec.initContainers, *spec.containers)


def requested(spec: PodSpec, name: str) -> int:
    """How much of a resource a Pod asks for, in thousandths."""
    return _total(spec, name, limits=False)


def _total(spec: PodSpec, name: str, *, limits: bool) -> int:
    """The most that a Pod's containers have together at any time, in thousandths."""

    def amount(container: Container) -> int:
        resources = container.resources.limits if limits else container.resources.requests
        return _milli(resources.get(name, 0))

    sidecars = most = 0
    for container in spec.initContainers:
        if container.restartPolicy == "Always":
            sidecars += amount(container)
            most = max(most, sidecars)
        else:
            most = max(most, sidecars + amount(container))
    together = sidecars + sum(amount(container) for container in spec.containers)
    return max(most, together) + _milli(spec.overhead.get(name, 0))


def _milli(amount: str | int | float) -> int:
    return quantity.milli(amount)


def _shares(milli: int) -> int:
    return min(MOST_SHARES, max(LEAST_SHARES, milli * 1024 // 1000))


def _quota(milli: int) -> int | None:
    return max(_LEAST_QUOTA, milli * CPU_PERIOD // 1000) if milli else None
