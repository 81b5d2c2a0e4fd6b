"""What a Pod asks of its node, computed once when the Pod is first seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from clusterip.controllers.owners import controller_of
from clusterip.objects import quantity
from clusterip.objects.base import Quantity
from clusterip.objects.core.containers import Container
from clusterip.objects.core.pod import Pod

Amounts = Counter[str]
"""Resource name -> amount: CPU in thousandths of a core, everything else in whole units (bytes)."""


class HostPort(NamedTuple):
    ip: str
    protocol: str
    port: int

    def clashes(self, other: HostPort) -> bool:
        """Whether both cannot be bound on one machine; ``0.0.0.0`` takes the port of every address."""
        everywhere = "0.0.0.0" in (self.ip, other.ip)
        return self[1:] == other[1:] and (everywhere or self.ip == other.ip)


@dataclass(frozen=True, eq=False)
class Request:
    """A Pod, the amounts it asks for, its host ports, and who controls it (a UID or "")."""

    pod: Pod
    amounts: Amounts
    host_ports: tuple[HostPort, ...] = ()
    owner: str = field(default="")


def request_of(pod: Pod) -> Request:
    """Raises ValueError if an amount is no quantity, which validation keeps from happening."""
    owner = controller_of(pod.metadata)
    return Request(pod, _amounts(pod), tuple(_host_ports(pod)), owner.uid if owner else "")


def amounts(values: dict[str, Quantity]) -> Amounts:
    return Counter(
        {name: quantity.milli(v) if name == "cpu" else quantity.whole(v) for name, v in values.items()}
    )


def _amounts(pod: Pod) -> Amounts:
    """The sum of the containers, or what an init container needs while it runs, if that is more.

    Sidecars run beside everything that starts after them (``component-helpers/resource``).
    """
    total: Amounts = Counter()
    for container in pod.spec.containers:
        total += _of(container)
    sidecars: Amounts = Counter()
    peak: Amounts = Counter()
    for container in pod.spec.initContainers:
        if container.restartPolicy == "Always":
            sidecars += _of(container)
            peak |= sidecars
        else:
            peak |= _of(container) + sidecars
    total = (total + sidecars) | peak
    if pod.spec.resources is not None:  # requests of the Pod as a whole override the sum
        total.update({n: v - total[n] for n, v in amounts(pod.spec.resources.requests).items()})
    return total + amounts(pod.spec.overhead)


def _of(container: Container) -> Amounts:
    return amounts(container.resources.requests)


def _host_ports(pod: Pod) -> list[HostPort]:
    sidecars = [c for c in pod.spec.initContainers if c.restartPolicy == "Always"]
    return [
        HostPort(port.hostIP or "0.0.0.0", port.protocol or "TCP", port.hostPort)
        for container in [*sidecars, *pod.spec.containers]
        for port in container.ports
        if port.hostPort
    ]
