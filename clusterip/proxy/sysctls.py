"""Connection tracking's limits and timeouts. Upstream: ``pkg/proxy/conntrack/sysctls.go``.

Unlike kube-proxy this one goes on where it may not set them: in a namespace, or where /proc/sys is read-only.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from clusterip.kernel import conntrack as kernel_conntrack
from clusterip.kernel import sysctl
from clusterip.kernel.nftables import Family
from clusterip.process import log
from clusterip.proxy.config.durations import Duration
from clusterip.proxy.config.types import Conntrack

_log = log.get("proxy")

_MOST_CONNECTIONS = 1 << 20  # upstream's limit: the table costs memory on machines with many CPUs
_CONNECTIONS_PER_BUCKET = 4


class Refused(NamedTuple):
    """A setting that could not be made. ``missing``: the kernel does not have it, so far."""

    name: str
    value: int
    reason: str
    missing: bool

    def __str__(self) -> str:
        return f"{self.name}={self.value}: {self.reason}"


def apply(conntrack: Conntrack) -> list[Refused]:
    """Set what the configuration says; what could not be set."""
    _bring_in_connection_tracking()
    refused = []
    for name, value, ensure in _wanted(conntrack):
        try:
            if ensure():
                _log.info("set a kernel setting", name=name, value=value)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            refused.append(Refused(name, value, error.strerror or str(error), missing))
    return refused


def _bring_in_connection_tracking() -> None:
    """Have the kernel load the module, without which it has none of these settings."""
    if Path("/proc/sys/net/netfilter/nf_conntrack_max").exists():
        return
    try:
        with contextlib.closing(kernel_conntrack.Conntrack()) as connection:
            connection.all_flows(socket.IPPROTO_UDP, Family.IPV4)
    except OSError as error:
        _log.debug("cannot bring in connection tracking", error=str(error))


def most_connections(conntrack: Conntrack, cpus: int) -> int:
    """How many connections to track; 0: as many as now."""
    if not conntrack.maxPerCore:
        return 0
    scaled = conntrack.maxPerCore * cpus
    return _MOST_CONNECTIONS if scaled > _MOST_CONNECTIONS else max(scaled, conntrack.min or 0)


def _wanted(conntrack: Conntrack) -> Iterator[tuple[str, int, Callable[[], bool]]]:
    most = most_connections(conntrack, os.cpu_count() or 1)
    if most:
        yield _setting("nf_conntrack_max", most)
        buckets = most // _CONNECTIONS_PER_BUCKET
        yield "nf_conntrack.hashsize", buckets, lambda: sysctl.ensure_conntrack_buckets(buckets)
    yield from _timeout("tcp_timeout_established", conntrack.tcpEstablishedTimeout)
    yield from _timeout("tcp_timeout_close_wait", conntrack.tcpCloseWaitTimeout)
    if conntrack.tcpBeLiberal:
        yield _setting("nf_conntrack_tcp_be_liberal", 1)
    yield from _timeout("udp_timeout", conntrack.udpTimeout)
    yield from _timeout("udp_timeout_stream", conntrack.udpStreamTimeout)


def _timeout(name: str, duration: Duration | None) -> Iterator[tuple[str, int, Callable[[], bool]]]:
    if duration is not None and duration.nanoseconds > 0:
        yield _setting(f"nf_conntrack_{name}", int(duration.seconds))


def _setting(name: str, value: int) -> tuple[str, int, Callable[[], bool]]:
    path = f"net/netfilter/{name}"
    return path.replace("/", "."), value, lambda: sysctl.ensure(path, value)
