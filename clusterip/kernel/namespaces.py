"""Network namespaces: making named ones, working inside them, opening sockets in them.

A named namespace is a file that the namespace is bind-mounted on, as ``ip netns`` does it, so both see
each other's. The namespace a thread is in decides where its new sockets live and what it sees below
``/proc/sys/net``. See setns(2), network_namespaces(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

DIRECTORY = Path("/run/netns")
"""Where ``ip netns`` keeps named namespaces."""

Namespace = str | os.PathLike[str] | int
"""A namespace: a path (``/run/netns/NAME``, ``/proc/PID/ns/net``) or an open descriptor of one."""

CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_SHARED = 1 << 20
_MNT_DETACH = 2
_OWN = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, action: str, path: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{action}: {os.strerror(number)}", path)


def _mount(source: str, target: str, flags: int, action: str) -> None:
    _check(_libc.mount(source.encode(), target.encode(), b"none", flags, None), action, target)


def path_of(name: str) -> Path:
    """The path of the namespace called ``name``."""
    return DIRECTORY / name


def prepare_directory() -> bool:
    """Make the directory of named namespaces as ``ip netns`` wants it; whether it had to be made.

    It becomes a shared mount point, so that a namespace deleted here goes away in every mount
    namespace. ``remove_directory`` undoes it.
    """
    DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
    if is_mount_point(DIRECTORY):
        return False
    _mount(str(DIRECTORY), str(DIRECTORY), _MS_BIND | _MS_REC, "bind")
    _mount("", str(DIRECTORY), _MS_SHARED | _MS_REC, "share")
    return True


def remove_directory() -> None:
    """Undo ``prepare_directory`` if no named namespace is left."""
    if not DIRECTORY.is_dir() or any(DIRECTORY.iterdir()):
        return
    if is_mount_point(DIRECTORY):
        _check(_libc.umount2(str(DIRECTORY).encode(), _MNT_DETACH), "unmount", str(DIRECTORY))
    with contextlib.suppress(OSError):  # somebody made one just now
        DIRECTORY.rmdir()


def is_mount_point(path: Path) -> bool:
    """Whether something is mounted exactly at ``path`` (also a bind mount within a file system)."""
    wanted = os.fsencode(os.path.realpath(path))
    with open("/proc/self/mountinfo", "rb") as mounts:
        return any(line.split(b" ", 5)[4] == wanted for line in mounts)


def create_named(name: str) -> Path:
    """Make a namespace that ``ip netns`` knows as ``name``; its loopback interface is down.

    Raises:
        FileExistsError: there is one of that name.
    """
    prepare_directory()
    return create_at(path_of(name))


def create_at(path: Path) -> Path:
    """Make a namespace bound to a new file at ``path``. Raises FileExistsError if there is one."""
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))

    def make() -> None:
        _check(_libc.unshare(CLONE_NEWNET), "unshare", str(path))
        _mount(_OWN, str(path), _MS_BIND, "bind")

    try:
        _in_thread(make)
    except BaseException:
        path.unlink()
        raise
    return path


def delete_named(name: str) -> None:
    """Remove a named namespace; it ends once nothing runs in it. Harmless if there is none."""
    delete_at(path_of(name))


def delete_at(path: Path) -> None:
    """Remove a namespace made by ``create_at``. Harmless if there is none."""
    if _libc.umount2(str(path).encode(), _MNT_DETACH) != 0:
        number = ctypes.get_errno()
        # EINVAL: the file is there but nothing is mounted on it, e.g. after a crash while making it.
        if number not in (errno.EINVAL, errno.ENOENT):
            raise OSError(number, f"unmount: {os.strerror(number)}", str(path))
    path.unlink(missing_ok=True)


def names() -> list[str]:
    """The named namespaces."""
    return sorted(entry.name for entry in DIRECTORY.iterdir()) if DIRECTORY.is_dir() else []


def join(namespace: Namespace) -> None:
    """Move the calling thread (in a process with one thread: the process) into a namespace for good."""
    with opened(namespace) as descriptor:
        _check(_libc.setns(descriptor, CLONE_NEWNET), "setns", str(namespace))


@contextlib.contextmanager
def enter(namespace: Namespace) -> Iterator[None]:
    """Let the calling thread work inside a namespace; it is back in its own afterwards.

    Only for code that does not yield to other tasks: a coroutine that awaits in here takes the whole
    event loop into the namespace.
    """
    with opened(_OWN) as own:
        join(namespace)
        try:
            yield
        finally:
            join(own)


def run_in(namespace: Namespace, function: Callable[[], T]) -> T:
    """What ``function`` returns (or raises) when run by a thread of its own inside a namespace."""

    def work() -> T:
        join(namespace)
        return function()

    return _in_thread(work)


def open_socket(
    namespace: Namespace, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, protocol: int = 0
) -> socket.socket:
    """A new socket that belongs to ``namespace``, usable from anywhere."""
    with enter(namespace):
        return socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)


def write_sysctl(name: str, value: str | int, namespace: Namespace | None = None) -> None:
    """Set e.g. ``net.ipv4.ip_forward``, or with slashes ``net/ipv4/conf/eth0.1/forwarding``."""
    path = _sysctl_path(name)
    with enter(namespace) if namespace is not None else contextlib.nullcontext():
        path.write_text(str(value))


def read_sysctl(name: str, namespace: Namespace | None = None) -> str:
    """A sysctl's value. Raises FileNotFoundError if the kernel has none of that name."""
    path = _sysctl_path(name)
    with enter(namespace) if namespace is not None else contextlib.nullcontext():
        return path.read_text().strip()


def _sysctl_path(name: str) -> Path:
    return Path("/proc/sys") / (name if "/" in name else name.replace(".", "/"))


@contextlib.contextmanager
def opened(namespace: Namespace) -> Iterator[int]:
    """An open descriptor of a namespace, closed afterwards (a descriptor given stays open)."""
    if isinstance(namespace, int):
        yield namespace
        return
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _in_thread(function: Callable[[], T]) -> T:
    """Run ``function`` in a thread that ends afterwards, whatever it did to its namespaces."""
    with ThreadPoolExecutor(1, "namespace") as executor:
        return executor.submit(function).result()
