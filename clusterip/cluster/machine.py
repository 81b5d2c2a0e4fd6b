"""What a machine must have, and what it already uses."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

from clusterip.cluster.errors import ClusterError
from clusterip.kernel.rtnetlink import RouteSocket

_PACKAGES = {"nft": "nftables", "crun": "crun", "script": "bsdutils", "mount": "mount"}
"""Programs that parts run, and the Debian packages they come from."""

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # not on everybody's PATH


def require() -> None:
    """Raises ClusterError, saying what to do, unless this is a machine that a cluster can run on."""
    require_root()
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"
    missing = [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
    if missing:
        raise ClusterError(
            f"programs are missing here. Install them:\n  apt-get install -y {' '.join(sorted(missing))}"
        )


def require_root() -> None:
    """Raises ClusterError unless we are root."""
    if os.geteuid() != 0:
        raise ClusterError(
            "a cluster needs network namespaces and firewall rules, which only root may make: "
            "run this as root, or with sudo"
        )


def networks_in_use() -> list[IPv4Network]:
    """The networks the machine has routes to, the default route aside."""
    with RouteSocket() as routes:
        found = [route.destination for route in routes.routes(family=socket.AF_INET)]
    return [network for network in found if isinstance(network, IPv4Network)]


def uplinks() -> list[str]:
    """The interfaces of the default routes: where the outside is."""
    with RouteSocket() as routes:
        names = {link.index: link.name for link in routes.links()}
        defaults = [r for r in routes.routes(family=socket.AF_INET) if r.destination is None and r.kind == 1]
    return sorted({names[route.link] for route in defaults if route.link in names})


def is_port_free(address: str, port: int) -> bool:
    """Whether TCP ``port`` can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file. Raises ClusterError if another process does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterError(
                "another `clusterip up` or `clusterip down` is at work; try again when it is done"
            ) from None
        yield
    finally:
        os.close(descriptor)
