"""Sockets of an isolated cluster's network, for a process that is outside it.

A socket belongs to the network it was made in, whoever uses it. So a process inside makes and connects it,
and passes it out through a Unix socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

from clusterip.cluster.config import ClusterConfig
from clusterip.kernel import namespaces, users

_MS_BIND = 0x1000
_REQUEST_BYTES = 4096
_libc = ctypes.CDLL(None, use_errno=True)


def listen(path: Path) -> socket.socket:
    """The Unix socket by which sockets are asked for."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen(128)
    return listener


def serve(listener: socket.socket, config: ClusterConfig, directory: Path) -> None:
    """Make sockets for who asks, for ever. Names are the cluster's."""
    with contextlib.suppress(OSError):  # /etc/resolv.conf may be a link to nothing
        _use_dns_of(config, directory)
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=_answer, args=(peer, config), daemon=True).start()


def connect(
    path: Path, host: str, port: int, *, kind: str, node: str | None, timeout: float | None
) -> socket.socket:
    """A socket of the cluster's network, connected to ``host`` and ``port``. Raises OSError as connect(2)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.connect(str(path))
        request = {"host": host, "port": port, "kind": kind, "node": node, "timeout": timeout}
        peer.send(json.dumps(request).encode())
        message, descriptors, _flags, _address = socket.recv_fds(peer, _REQUEST_BYTES, 1)
    if not descriptors:
        number, text = json.loads(message) if message else (0, "the cluster has ended")
        raise OSError(number, f"{text}: {host}:{port}")
    made = socket.socket(fileno=descriptors[0])
    made.settimeout(timeout)
    return made


def _answer(peer: socket.socket, config: ClusterConfig) -> None:
    with peer:
        data = peer.recv(_REQUEST_BYTES)
        if not data:
            return
        try:
            made = _connected(json.loads(data), config)
        except OSError as error:
            peer.send(json.dumps([error.errno or 0, error.strerror or str(error)]).encode())
            return
        with made:
            socket.send_fds(peer, [b"ok"], [made.fileno()])


def _connected(request: dict[str, Any], config: ClusterConfig) -> socket.socket:
    kind = socket.SOCK_DGRAM if request["kind"] == "udp" else socket.SOCK_STREAM
    found = socket.getaddrinfo(request["host"], request["port"], type=kind)
    family, kind, protocol, _name, address = found[0]
    node = request["node"]
    place = namespaces.path_of(config.namespace_of(node)) if node else None
    with namespaces.enter(place) if place else contextlib.nullcontext():
        made = socket.socket(family, kind, protocol)
    try:
        made.settimeout(request["timeout"])
        made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


def _use_dns_of(config: ClusterConfig, directory: Path) -> None:
    """Let this process, and what it starts, ask the cluster's DNS. Raises OSError."""
    domain = config.domain
    search = f"default.svc.{domain} svc.{domain} {domain}"
    text = f"nameserver {config.dns_address}\nsearch {search}\noptions ndots:5\n"
    own = directory / "resolv.conf"
    own.write_text(text)
    if _libc.unshare(users.CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    target = os.path.realpath("/etc/resolv.conf")
    if _libc.mount(str(own).encode(), target.encode(), None, _MS_BIND, None) != 0:
        raise OSError(ctypes.get_errno(), "mount")
