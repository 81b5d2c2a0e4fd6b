"""The network namespaces of this machine, found by the addresses in them.

A Pod's or node's namespace is known by nothing else in every cluster: not all runtimes name them, and nodes
may themselves be namespaces.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clusterip.kernel import namespaces
from clusterip.kernel.bpf.filesystem import cgroup_root
from clusterip.kernel.rtnetlink import RouteSocket

OWN = Path("/proc/self/ns/net")


@dataclass
class Found:
    """A namespace: a path to enter it by, the addresses in it, and the processes seen there."""

    path: Path
    addresses: frozenset[str]
    is_own: bool
    processes: list[int] = field(default_factory=list)


class Machine:
    """All namespaces as they were at the beginning."""

    def __init__(self, nodes: Mapping[str, Path] | None = None) -> None:
        """``nodes``: the namespaces of nodes by their names, where they are known better than by addresses.

        Raises PermissionError if this process may not enter namespaces.
        """
        self._nodes = dict(nodes or {})
        paths: dict[tuple[int, int], Path] = {}
        self._processes: dict[tuple[int, int], list[int]] = {}
        for path in (OWN, *sorted(namespaces.DIRECTORY.glob("*"))):
            with contextlib.suppress(OSError):
                paths.setdefault(_identity(path), path)
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                identity = _identity(entry / "ns/net")
                paths.setdefault(identity, entry / "ns/net")
                self._processes.setdefault(identity, []).append(int(entry.name))
        own = _identity(OWN)
        self.found: list[Found] = []
        for identity, path in paths.items():
            addresses = _addresses(path)
            if addresses is not None:
                processes = self._processes.get(identity, [])
                self.found.append(Found(path, addresses, identity == own, processes))

    @property
    def own(self) -> Found:
        return next(each for each in self.found if each.is_own)

    def node(self, name: str, addresses: frozenset[str]) -> Found | None:
        """The namespace that a node's addresses are in; None if the node is another machine."""
        if (known := self._nodes.get(name)) is not None:
            with contextlib.suppress(OSError):
                identity = _identity(known)
                return next((each for each in self.found if _identity(each.path) == identity), None)
        matching = [each for each in self.found if each.addresses & addresses]
        return next((each for each in matching if each.is_own), matching[0] if matching else None)

    def pod(self, addresses: frozenset[str], uid: str) -> Found | None:
        """The namespace of a Pod with addresses of its own. Addresses alone may be in several clusters."""
        matching = [each for each in self.found if each.addresses & addresses]
        ours = f"clusterip-pod-{hashlib.sha256(uid.encode()).hexdigest()[:12]}"
        for each in matching:
            if each.path.name == ours:
                return each
        for each in matching:
            if any(_is_of_pod(process, uid) for process in each.processes):
                return each
        return matching[0] if matching else None


def _identity(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _addresses(path: Path) -> frozenset[str] | None:
    try:
        with RouteSocket(path) as routes:
            return frozenset(
                str(each.address.ip) for each in routes.addresses() if not each.address.ip.is_loopback
            )
    except PermissionError:
        raise
    except OSError:  # it has ended, or the path is none of a namespace
        return None


def _is_of_pod(process: int, uid: str) -> bool:
    try:
        groups = Path(f"/proc/{process}/cgroup").read_text()
    except OSError:
        return False
    return uid in groups or uid.replace("-", "_") in groups


def resolv_conf(found: Found, uid: str = "") -> str | None:
    """The ``/etc/resolv.conf`` that processes in a namespace read; None if none of them can be seen.

    ``uid`` is that of the Pod, whose processes may share the namespace with others.
    """
    for process in sorted(found.processes, key=lambda each: not (uid and _is_of_pod(each, uid))):
        with contextlib.suppress(OSError):
            return Path(f"/proc/{process}/root/etc/resolv.conf").read_text(errors="replace")
    return None


def cgroup_for(found: Found) -> Path | None:
    """A cgroup whose programs at sockets are those of a client, and whose limits are not.

    It is the nearest one above the client's that bounds neither memory nor processes: what runs in a new
    child of it costs the client nothing. None if there are no cgroups of version 2, or none is seen.
    """
    root = cgroup_root()
    if root is None:
        return None
    for process in found.processes:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/cgroup").read_text().splitlines()
            name = next(line[3:] for line in lines if line.startswith("0::"))
            group = root / name.lstrip("/")
            while group != root and _is_limited(group):
                group = group.parent
            return group
    return None


def _is_limited(group: Path) -> bool:
    for name in ("memory.max", "pids.max"):
        with contextlib.suppress(OSError):
            if (group / name).read_text().strip() != "max":
                return True
    return False
