"""A Pod's network, host name and IPC namespaces, kept alive by files they are mounted on.

No process needs to hold them (upstream's "pause" container), so nothing of a Pod depends on one.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from clusterip.kernel import namespaces

_CLONE_NEWUTS = 0x04000000
_CLONE_NEWIPC = 0x08000000
_MS_BIND = 0x1000

_SYSCTLS = Path("/proc/sys")

_libc = ctypes.CDLL(None, use_errno=True)


def create(
    network: str, uts: Path, ipc: Path, hostname: str, sysctls: Mapping[str, str] | None = None
) -> None:
    """Make all three; ``network`` is a name for ``ip netns``, "" leaves the Pod in the node's network.

    What is left of an earlier attempt at the same places is removed first. ``sysctls`` are those of the IPC
    namespace, by their paths below ``/proc/sys``. Raises OSError.
    """
    delete(network, uts, ipc)
    uts.parent.mkdir(parents=True, exist_ok=True)
    if network:
        namespaces.create_named(network)
    for path in (uts, ipc):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o400))
    failures: list[OSError] = []

    def make() -> None:  # in a thread of its own, which ends with the namespaces it got
        try:
            _check(_libc.unshare(_CLONE_NEWUTS | _CLONE_NEWIPC), "unshare")
            socket.sethostname(hostname)
            for name, value in (sysctls or {}).items():
                (_SYSCTLS / name).write_text(value)
            for kind, path in (("uts", uts), ("ipc", ipc)):
                source = f"/proc/thread-self/ns/{kind}".encode()
                _check(_libc.mount(source, os.fsencode(path), None, _MS_BIND, None), f"mount {path}")
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=make, name="sandbox")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def exist(network: str, uts: Path, ipc: Path) -> bool:
    """Whether all that ``create`` made is still there; a reboot takes it away."""
    paths = [uts, ipc, *([namespaces.path_of(network)] if network else [])]
    return all(path.exists() and namespaces.is_mount_point(path) for path in paths)


def delete(network: str, uts: Path, ipc: Path) -> None:
    """Remove what ``create`` made. Harmless if it is not there."""
    for path in (uts, ipc):
        namespaces.delete_at(path)
    if network:
        namespaces.delete_named(network)


def _check(result: int, action: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{action}: {os.strerror(number)}")
