"""The client of a trace: a process in the client's network namespace and cgroup that makes one connection.

It reads commands from its standard input and answers each on its standard output, one JSON object a line, so
that who started it can look at everything while the connection is open. It imports as little as it can: it
starts once for every trace.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

from clusterip.kernel import namespaces

_REFUSED = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
}
_REFUSED |= {errno.ECONNRESET: "reset", errno.EPERM: "forbidden", errno.EACCES: "forbidden"}
_TYPES = {4: 1, 6: 28}  # A, AAAA
_CNAME = 5
_READ_BYTES = 65536


def main() -> None:
    """``probe NAMESPACE CGROUP``; the cgroup, which has to be there, may be empty."""
    namespace, cgroup = sys.argv[1:3]
    if cgroup:
        (Path(cgroup) / "cgroup.procs").write_text(str(os.getpid()))
    namespaces.join(namespace)
    probe = Probe()
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(probe, command.pop("do"))(**command)
        print(json.dumps(answer), flush=True)


class Probe:
    """The commands. A connection is opened with ``open`` and made with ``connect``."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._protocol = ""

    def wait(self) -> dict[str, Any]:
        """Answer that this has begun."""
        return {}

    def open(self, version: int, protocol: str, mark: int) -> dict[str, Any]:
        """A socket whose packets have ``mark`` as their differentiated services field."""
        kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
        self._socket = made = socket.socket(_family(version), kind)
        self._protocol = protocol
        if version == 4:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, mark << 2)
        else:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, mark << 2)
        made.setblocking(False)
        made.bind(("", 0))
        return {"port": made.getsockname()[1]}

    def connect(self, address: str, port: int, send: str, seconds: float) -> dict[str, Any]:
        """Connect, send text, wait for the beginning of an answer.

        ``result``: ``answered``, ``silent`` (connected; nothing came back), ``timeout``, or why not.
        Times are ``time.monotonic()``, which all processes of a machine share.
        """
        made = self._socket
        assert made is not None
        found: dict[str, Any] = {"begun": time.monotonic()}
        end = found["begun"] + seconds
        try:
            with contextlib.suppress(BlockingIOError):
                made.connect((address, port))
            if self._protocol == "TCP":
                if not select.select([], [made], [], seconds)[1]:
                    return found | self._seen() | {"result": "timeout", "ended": time.monotonic()}
                if error := made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(error, os.strerror(error))
                found["connected"] = time.monotonic()
            if send:
                made.send(send.encode("latin-1"))
            answer = b""
            if send and select.select([made], [], [], max(end - time.monotonic(), 0.05))[0]:
                answer = made.recv(_READ_BYTES)
            result = "answered" if answer else "silent"
            text = answer.decode("latin-1")
            return found | self._seen() | {"result": result, "answer": text, "ended": time.monotonic()}
        except OSError as error:
            result = _REFUSED.get(error.errno or 0, "failed")
            seen = {"result": result, "error": str(error.strerror), "ended": time.monotonic()}
            return found | self._seen() | seen

    def close(self) -> dict[str, Any]:
        if self._socket is not None:
            self._socket.close()
        return {}

    def _seen(self) -> dict[str, Any]:
        """The socket's ends as it says them, and as the kernel has them (after programs at sockets)."""
        made = self._socket
        assert made is not None
        local = made.getsockname()
        seen: dict[str, Any] = {"local": list(local[:2])}
        with contextlib.suppress(OSError):
            seen["peer"] = list(made.getpeername()[:2])
        table = f"{self._protocol.lower()}{'6' if made.family == socket.AF_INET6 else ''}"
        if remote := _remote(table, os.fstat(made.fileno()).st_ino):
            seen["remote"] = remote
        return seen

    def lookup(self, name: str, version: int, servers: list[str], seconds: float) -> dict[str, Any]:
        """Ask name servers in their order for the addresses of one name, as a resolver does it."""
        tries = []
        for server in servers:
            asked = _ask(name, version, server, seconds)
            tries.append(asked)
            if asked["result"] == "answered" and asked["rcode"] in (0, 3):
                break
        return {"tries": tries}


def _family(version: int) -> socket.AddressFamily:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _remote(table: str, inode: int) -> list[Any] | None:
    """The far end of a socket from ``/proc/self/net``."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] == str(inode):
                address, _, port = fields[2].partition(":")
                return [_address(address), int(port, 16)]
    return None


def _address(text: str) -> str:
    """An address of ``/proc/net/tcp``: 32-bit words in host order."""
    words = (int(text[at : at + 8], 16) for at in range(0, len(text), 8))
    packed = b"".join(struct.pack("=I", word) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _ask(name: str, version: int, server: str, seconds: float) -> dict[str, Any]:
    identity = os.urandom(2)
    question = identity + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0)
    question += _encoded(name) + struct.pack("!HH", _TYPES[version], 1)
    begun = time.monotonic()
    found: dict[str, Any] = {"server": server, "name": name, "begun": begun}
    with socket.socket(_family(6 if ":" in server else 4), socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((server, 53))
            found["local"] = list(asking.getsockname()[:2])
            found["remote"] = _remote("udp6" if ":" in server else "udp", os.fstat(asking.fileno()).st_ino)
            asking.send(question)
            while True:
                left = begun + seconds - time.monotonic()
                if left <= 0 or not select.select([asking], [], [], left)[0]:
                    return found | {"result": "timeout", "ended": time.monotonic()}
                answer = asking.recv(4096)
                if answer[:2] == identity and len(answer) >= 12:
                    break
        except OSError as error:
            result = _REFUSED.get(error.errno or 0, "failed")
            return found | {"result": result, "error": str(error.strerror), "ended": time.monotonic()}
    parsed = {"rcode": answer[3] & 15, "answers": _answers(answer)}
    return found | {"result": "answered", "ended": time.monotonic(), **parsed}


def _encoded(name: str) -> bytes:
    labels = [label.encode("idna") if not label.isascii() else label.encode() for label in name.split(".")]
    return b"".join(bytes((len(label),)) + label for label in labels if label) + b"\0"


def _answers(message: bytes) -> list[str]:
    """The addresses and aliases in an answer."""
    questions, count = struct.unpack_from("!HH", message, 4)
    at = 12
    for _ in range(questions):
        at = _skip_name(message, at) + 4
    found = []
    for _ in range(count):
        at = _skip_name(message, at)
        kind, _, _, length = struct.unpack_from("!HHIH", message, at)
        at += 10
        if kind in _TYPES.values():
            family = socket.AF_INET if kind == 1 else socket.AF_INET6
            found.append(socket.inet_ntop(family, message[at : at + length]))
        elif kind == _CNAME:
            found.append(f"alias of {_name(message, at)}")
        at += length
    return found


def _skip_name(message: bytes, at: int) -> int:
    while message[at]:
        if message[at] & 0xC0:
            return at + 2
        at += message[at] + 1
    return at + 1


def _name(message: bytes, at: int) -> str:
    labels = []
    for _ in range(128):  # compression may point in circles
        size = message[at]
        if not size:
            break
        if size & 0xC0:
            at = (size & 0x3F) << 8 | message[at + 1]
            continue
        labels.append(message[at + 1 : at + 1 + size].decode("latin-1"))
        at += size + 1
    return ".".join(labels)


if __name__ == "__main__":
    main()
