"""Where a cluster runs: on this machine, or in a machine within it (``isolation.py``).

What a person asks for as another user than root, or with ``--isolated``, is done by a process inside.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import socket
from collections.abc import Callable

from clusterip.cluster import config as configs
from clusterip.cluster import isolation, machine
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.errors import ClusterError
from clusterip.cluster.isolation import Machine
from clusterip.cluster.paths import Paths
from clusterip.process.sockets import listen_tcp

_PREFERRED_PORT = 6443

Report = Callable[[str], None]


def is_isolated(paths: Paths) -> bool:
    """Whether a cluster is, or can only be, in a machine of its own."""
    existing = _existing(paths)
    if existing is not None:
        return existing.isolated
    return os.geteuid() != 0 or isolation.find(paths) is not None


def start(
    paths: Paths, work: Callable[[Machine], None], *, lifeline: int | None = None, usual_port: bool = True
) -> int:
    """Do ``work`` in the cluster's machine, which is made if it is not there; the exit code.

    Args:
        work: gets the machine.
        lifeline: as of ``isolation.create``.
        usual_port: whether the API server may be at the port where people expect one.
    Raises:
        ClusterError: no machine can be made; the text says what to do.
    """
    paths.make()
    with machine.exclusive(paths.machine_lock):
        found = isolation.find(paths)
        try:
            if found is None:
                with _listen(paths, usual_port) as listener:
                    found = isolation.create(paths, listener, lifeline)
            return isolation.run_in(found, functools.partial(work, found))
        finally:
            if not paths.config.exists():  # refused, so there is nothing to look into
                if found is not None:
                    isolation.remove(paths, found)
                _remove_all(paths)


def visit(paths: Paths, work: Callable[[], None]) -> int:
    """Do ``work`` in the cluster's machine if it has one and that is there, else here; the exit code."""
    found = isolation.find(paths)
    if found is not None:
        return isolation.run_in(found, work)
    work()
    return 0


def with_users(paths: Paths, work: Callable[[], None]) -> int:
    """Do ``work`` as root of the users that files of images belong to, on this machine's network.

    Returns the exit code. Raises ClusterError: there can be no such users; the text says what to do.
    """
    if os.geteuid() == 0:
        work()
        return 0
    paths.make()
    with machine.exclusive(paths.machine_lock):
        found = isolation.find(paths)
        made = None
        if found is None:
            with listen_tcp("127.0.0.1:0") as listener:
                found = made = isolation.create(paths, listener)
        try:
            return isolation.run_in(found, work, network=False)
        finally:
            if made is not None:
                isolation.remove(paths, made)


def stop(paths: Paths, work: Callable[[], None], *, keep_state: bool) -> int:
    """Do ``work``, which takes the cluster down, in its machine, and end that; the exit code.

    A machine that has ended is made once more: files of its users are theirs to remove.
    """
    with machine.exclusive(paths.machine_lock):
        found = isolation.find(paths)
        if found is None:
            with listen_tcp("127.0.0.1:0") as listener:
                found = isolation.create(paths, listener)
        code = isolation.run_in(found, work)
        if code == 0:
            isolation.remove(paths, found)
            shutil.rmtree(paths.run, ignore_errors=True)
            if not keep_state:
                _remove_all(paths)
    return code


def _existing(paths: Paths) -> ClusterConfig | None:
    try:
        return configs.decode(paths.config.read_bytes())
    except FileNotFoundError:
        return None


def _listen(paths: Paths, usual_port: bool) -> socket.socket:
    existing = _existing(paths)
    if existing is not None:
        try:
            return listen_tcp(f"127.0.0.1:{existing.api_port}")
        except OSError as error:
            raise ClusterError(
                f"the API server's port is taken: {error}. End what has it, or remove the cluster with "
                "`clusterip down`; a new one finds another port"
            ) from error
    if usual_port:
        with contextlib.suppress(OSError):
            return listen_tcp(f"127.0.0.1:{_PREFERRED_PORT}")
    return listen_tcp("127.0.0.1:0")


def _remove_all(paths: Paths) -> None:
    for directory in (paths.run, paths.state, paths.logs):
        shutil.rmtree(directory, ignore_errors=True)
    if paths.base is not None:
        is_own = paths == Paths.of(paths.base.name)
        for directory in (paths.base, *([paths.base.parent] if is_own else [])):
            with contextlib.suppress(OSError):
                directory.rmdir()
