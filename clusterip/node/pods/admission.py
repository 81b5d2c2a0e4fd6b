"""Which Pods a node does not take, although they were assigned to it.

As upstream's ``pkg/kubelet/sysctl`` and ``pkg/kubelet/lifecycle/predicate.go``, except that labels and taints
of the Node are the scheduler's business alone. What the node is short of is in ``clusterip.node.pressure``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from clusterip.node.cgroups.limits import requested
from clusterip.node.pods.static.manifest import is_static
from clusterip.objects import quantity
from clusterip.objects.base import Quantity
from clusterip.objects.core.pod import Pod

_CRITICAL_PRIORITY = 2_000_000_000
SAFE_SYSCTLS = frozenset(
    (
        *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies"),
        *("net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"),
        *("net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout"),
        *("net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem"),
        "net.ipv4.tcp_wmem",
    )
)
"""Those that a Pod may set without being able to harm its node or others."""


@dataclass(frozen=True)
class Refusal:
    """Why a Pod may not begin here: in one word, and in full."""

    reason: str
    message: str


Admission = Callable[[Pod], Refusal | None]


def sysctls(allowed: Sequence[str]) -> Admission:
    """Refuses Pods with sysctls that are neither safe nor ``allowed`` (names, or beginnings with a ``*``)."""

    def check(pod: Pod) -> Refusal | None:
        context = pod.spec.securityContext
        for each in context.sysctls if context is not None else ():
            name = each.name.replace("/", ".")
            if name not in SAFE_SYSCTLS and not any(_matches(name, pattern) for pattern in allowed):
                return Refusal("SysctlForbidden", f'forbidden sysctl: "{each.name}" not allowlisted')
        return None

    return check


def room(allocatable: Mapping[str, Quantity], others: Callable[[Pod], Iterable[Pod]]) -> Admission:
    """Refuses Pods that do not fit beside the ``others`` which are here."""

    def check(pod: Pod) -> Refusal | None:
        here = list(others(pod))
        if any(_clash(port, taken) for port in _ports(pod) for each in here for taken in _ports(each)):
            text = "node(s) didn't have free ports for the requested pod ports"
            return Refusal("NodePorts", f"Predicate NodePorts failed: {text}")
        if is_critical(pod):
            return None
        for name, amount in allocatable.items():
            wanted = 1000 if name == "pods" else requested(pod.spec, name)
            if not wanted:
                continue
            used = len(here) * 1000 if name == "pods" else sum(requested(each.spec, name) for each in here)
            if wanted + used > quantity.milli(amount):
                unit = 1 if name == "cpu" else 1000
                return Refusal(
                    f"OutOf{name}",
                    f"Node didn't have enough resource: {name}, requested: {wanted // unit}, "
                    f"used: {used // unit}, capacity: {quantity.milli(amount) // unit}",
                )
        return None

    return check


def is_critical(pod: Pod) -> bool:
    """Whether a Pod has its place here whatever happens."""
    return is_static(pod) or (pod.spec.priority or 0) >= _CRITICAL_PRIORITY


def _ports(pod: Pod) -> Iterator[tuple[str, int, str]]:
    """Those of the node's ports that a Pod wants: protocol, number, address."""
    sidecars = (each for each in pod.spec.initContainers if each.restartPolicy == "Always")
    for container in (*sidecars, *pod.spec.containers):
        for port in container.ports:
            if port.hostPort:
                address = port.hostIP if port.hostIP not in ("0.0.0.0", "::") else ""
                yield port.protocol or "TCP", port.hostPort, address


def _clash(one: tuple[str, int, str], other: tuple[str, int, str]) -> bool:
    return one[:2] == other[:2] and (one[2] == other[2] or not one[2] or not other[2])


def _matches(name: str, pattern: str) -> bool:
    pattern = pattern.replace("/", ".")
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
