"""What the client of a trace sends, so that a server has something to answer."""

from __future__ import annotations

import struct

from clusterip.trace.request import Target
from clusterip.trace.story import join

_DNS = 53


def payload(target: Target, protocol: str, port: int) -> str:
    """Bytes as latin-1: an HTTP request for ``http://``, a DNS question to port 53, else next to nothing.

    TCP without ``http://`` sends nothing: that the connection is made is enough. A datagram has to be sent
    for anything to happen.
    """
    if target.scheme == "http":
        host = target.host if target.address is None else join(target.host, port)
        lines = [f"GET {target.path} HTTP/1.1", f"Host: {host}", "User-Agent: clusterip-trace"]
        return "\r\n".join([*lines, "Connection: close", "", ""])
    if protocol == "UDP" and port == _DNS:
        labels = b"".join(
            bytes((len(each),)) + each for each in (b"kubernetes", b"default", b"svc", b"cluster", b"local")
        )
        question = (
            struct.pack("!HHHHHH", 0x7472, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)
        )
        return question.decode("latin-1")
    return "clusterip trace\n" if protocol == "UDP" else ""
