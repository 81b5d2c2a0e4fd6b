"""UDP sockets that are connected to an endpoint which is gone: their programs have to connect anew."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from clusterip.kernel import namespaces, sockdiag
from clusterip.kernel.bpf import Map
from clusterip.proxy.ebpf import layout
from clusterip.proxy.ebpf.layout import Place

_PROC = Path("/proc")


def end_lost(peers: Map, lost: Collection[tuple[Place, Place]]) -> int:
    """End the connected sockets of UDP that were given a lost endpoint; how many were ended.

    ``lost`` are pairs of a Service's address and an endpoint. Raises BpfError or OSError.
    """
    cookies: dict[int, set[int]] = {}
    forgotten = []
    for key, value in peers.elements():
        asked, given, namespace = layout.parse_peer(value)
        if (asked, given) in lost:
            cookies.setdefault(namespace, set()).add(int.from_bytes(key, "little"))
            forgotten.append(key)
    if not cookies:
        return 0
    peers.delete(forgotten)
    ended = 0
    for path in _network_namespaces():
        if not cookies:
            break
        try:
            with namespaces.enter(path):
                wanted = cookies.pop(sockdiag.namespace_cookie(), None)
                if wanted:
                    ended += sockdiag.end_udp_sockets(wanted)
        except FileNotFoundError:
            continue  # its last process has just ended
    return ended


def _network_namespaces() -> Iterator[Path]:
    """A path to every network namespace that a process is in or that has a name, each once."""
    seen: set[tuple[int, int]] = set()
    named = (namespaces.path_of(name) for name in namespaces.names())
    running = (entry / "ns/net" for entry in _PROC.iterdir() if entry.name.isdigit())
    for path in [*named, *running]:
        try:
            status = os.stat(path)
        except OSError:
            continue  # it ended meanwhile
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            yield path
