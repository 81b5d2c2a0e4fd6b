"""Which Pods a node does not take, although they were assigned to it.

As upstream's ``pkg/kubelet/sysctl``; what the node is short of is in ``clusterip.node.pressure``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clusterip.objects.core.pod import Pod

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


def _matches(name: str, pattern: str) -> bool:
    pattern = pattern.replace("/", ".")
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
