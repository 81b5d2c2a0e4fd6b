"""Kernel settings that the mode depends on. Upstream: ``NewProxier`` in ``pkg/proxy/ipvs/proxier.go``."""

from __future__ import annotations

import platform
import re

from clusterip.kernel import namespaces
from clusterip.proxy.backend import BackendError

_NEEDED = {
    "net.ipv4.vs.conntrack": 1,  # connections are tracked, so that they can be masqueraded
    "net.ipv4.vs.expire_nodest_conn": 1,  # clients of a destination that is gone move on at once
    "net.ipv4.vs.expire_quiescent_template": 1,  # so do those that would stay by affinity
    "net.ipv4.ip_forward": 1,
}
_STRICT_ARP = {"net.ipv4.conf.all.arp_ignore": 1, "net.ipv4.conf.all.arp_announce": 2}
_REUSE = "net.ipv4.vs.conn_reuse_mode"
_REUSE_FIXED = (5, 9)


def apply(*, strict_arp: bool) -> None:
    """Set them. Raises BackendError: the kernel does not have one, or it may not be set."""
    wanted = dict(_NEEDED)
    if strict_arp:
        wanted |= _STRICT_ARP
    if _kernel() < _REUSE_FIXED:
        # Older kernels drop the first packet of a connection whose client takes a port again.
        wanted[_REUSE] = 0
    for name, value in wanted.items():
        try:
            if namespaces.read_sysctl(name) != str(value):
                namespaces.write_sysctl(name, value)
        except OSError as error:
            raise BackendError(f"cannot set {name}={value}, which IPVS needs: {error.strerror}") from None


def _kernel() -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return (int(found[1]), int(found[2])) if found else (0, 0)
