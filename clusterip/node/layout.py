"""Where the node agent keeps what it knows, so that a new one finds everything as it was left.

::

    <root>/podcidrs.json                        the node's podCIDRs as they were last
    <root>/pods/<uid>/sandbox.json              network, addresses, host name
    <root>/pods/<uid>/ns/{uts,ipc}              namespaces of the Pod (the network's is in /run/netns)
    <root>/pods/<uid>/ns/pid                    there if the Pod may have a PID namespace, and its process
    <root>/pods/<uid>/cgroups                   its cgroups, one a line
    <root>/pods/<uid>/shm                       /dev/shm of a Pod with several containers
    <root>/pods/<uid>/etc/{hosts,hostname,resolv.conf}
    <root>/pods/<uid>/volumes/<name>/
    <root>/pods/<uid>/logs/<container>/<attempt>.log
    <root>/pods/<uid>/containers/<container>/<attempt>/
        container.json                          what it is
        config.json, mount.sh                   what its monitor reads
        rootfs/, scratch/                       mount point and writable layer
        stdin, stdout, stderr                   FIFOs
        monitor, pid, exitcode, crun.log        what its monitor writes
        cgroups, oomkilled                      its cgroups, and whether it ran out of its memory
        mountns                                 its mount namespace, if it shares others' processes
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PodDirectory:
    """The files of one Pod."""

    path: Path

    @property
    def uid(self) -> str:
        return self.path.name

    @property
    def sandbox(self) -> Path:
        return self.path / "sandbox.json"

    def namespace(self, kind: str) -> Path:
        return self.path / "ns" / kind

    @property
    def shm(self) -> Path:
        return self.path / "shm"

    def etc(self, name: str) -> Path:
        return self.path / "etc" / name

    def volume(self, name: str) -> Path:
        return self.path / "volumes" / name

    def log(self, container: str, attempt: int) -> Path:
        return self.path / "logs" / container / f"{attempt}.log"

    def container(self, name: str, attempt: int) -> Path:
        return self.path / "containers" / name / str(attempt)

    def attempts(self, container: str) -> list[int]:
        """The attempts of a container there are files of, oldest first."""
        directory = self.path / "containers" / container
        if not directory.is_dir():
            return []
        return sorted(int(entry.name) for entry in directory.iterdir() if entry.name.isdigit())

    def containers(self) -> list[str]:
        """The names of the containers there are files of."""
        directory = self.path / "containers"
        return sorted(entry.name for entry in directory.iterdir()) if directory.is_dir() else []


@dataclass(frozen=True)
class NodeDirectory:
    """The files of one node agent (``--root-dir``)."""

    path: Path

    def pod(self, uid: str) -> PodDirectory:
        return PodDirectory(self.path / "pods" / uid)

    def pods(self) -> list[PodDirectory]:
        directory = self.path / "pods"
        if not directory.is_dir():
            return []
        return [PodDirectory(entry) for entry in sorted(directory.iterdir()) if entry.is_dir()]
