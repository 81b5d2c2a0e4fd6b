"""Which Pod is to go first, and what it is told.

As upstream's ``rankMemoryPressure`` and its like: who uses more than was asked for, then who is less
important, then who uses the most beyond that.
"""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.node.pods.admission import is_critical
from clusterip.node.pressure.thresholds import Observed, Threshold
from clusterip.node.stats.collect import ContainerUsage, PodUsage
from clusterip.objects import quantity
from clusterip.objects.core.pod import Pod


def ranked(pods: Iterable[PodUsage], resource: str) -> list[PodUsage]:
    """Those that may go, the first to go first."""

    def order(found: PodUsage) -> tuple[bool, int, int]:
        beyond = _used(found, resource) - _requested(found.pod, resource)
        exceeds = resource in ("memory", "ephemeral-storage") and beyond > 0
        return not exceeds, found.pod.spec.priority or 0, -beyond

    return sorted((found for found in pods if not is_critical(found.pod)), key=order)


def message(threshold: Threshold, observed: Observed, found: PodUsage) -> str:
    """Why a Pod is evicted, in upstream's words."""
    resource = threshold.resource
    least, left = _shown(threshold.quantity(observed), resource), _shown(observed.available, resource)
    text = f"The node was low on resource: {resource}. Threshold quantity: {least}, available: {left}. "
    requests = {each.name: each.resources.requests for each in found.pod.spec.containers}
    for container in found.containers:
        used = _of_container(container, resource)
        asked = requests.get(container.name, {}).get(resource, 0)
        if used > quantity.whole(asked):
            text += (
                f"Container {container.name} was using {_shown(used, resource)}, request is {asked}, "
                f"has larger consumption of {resource}. "
            )
    return text


def _used(found: PodUsage, resource: str) -> int:
    if resource == "memory":
        return found.usage.working_set or 0
    if resource == "pids":
        return found.usage.processes or 0
    return sum(_of_container(each, "ephemeral-storage") for each in found.containers) + sum(
        found.volumes.values()
    )


def _of_container(container: ContainerUsage, resource: str) -> int:
    if resource == "memory":
        return container.usage.working_set or 0
    if resource == "ephemeral-storage":
        return container.written + container.logged
    return 0


def _requested(pod: Pod, resource: str) -> int:
    return sum(quantity.whole(each.resources.requests.get(resource, 0)) for each in pod.spec.containers)


def _shown(amount: int, resource: str) -> str:
    return f"{amount // 1024}Ki" if resource in ("memory", "ephemeral-storage") else str(amount)
