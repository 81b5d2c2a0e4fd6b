"""The addresses of upstreams that are given by name: asked for once, before there is an event loop's time."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence

from clusterip.dns import message, names
from clusterip.dns.message import AAAA, HEADER_FORMAT, IN, Malformed, read_records
from clusterip.process import Fatal
from clusterip.process.sockets import parse_address

_SECONDS = 2.0


def addresses_of(host: str, resolvers: Sequence[str] = ()) -> list[str]:
    """The IP addresses of ``host``, asked of ``resolvers`` (``ADDRESS[:PORT]``) or as the system does it.

    Blocks for some seconds at most.

    Raises:
        Fatal: there are none, or nobody knows.
    """
    if not resolvers:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise Fatal(f"--forward {host}: its address is not known: {error.strerror}") from None
        return list(dict.fromkeys(str(each[4][0]) for each in found))
    for resolver in resolvers:
        addresses = [text for type_ in (message.A, AAAA) for text in _ask(resolver, host, type_)]
        if addresses:
            return addresses
    raise Fatal(f"--forward {host}: {', '.join(resolvers)} know no address of it")


def _ask(resolver: str, host: str, type_: int) -> list[str]:
    own, port = (resolver, 53) if names.pack_address(resolver) is not None else parse_address(resolver)
    family = socket.AF_INET6 if ":" in own else socket.AF_INET
    question = names.to_wire(host) + type_.to_bytes(2, "big") + IN.to_bytes(2, "big")
    query = HEADER_FORMAT.pack(secrets.randbits(16), message.RD, 1, 0, 0, 0) + question
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.settimeout(_SECONDS)
            asking.connect((own, port))
            asking.send(query)
            answer = asking.recv(65535)
        if answer[:2] != query[:2] or not answer[2] & 0x80:
            return []
        records = read_records(answer)[2][0]
    except (OSError, Malformed):
        return []
    return [socket.inet_ntop(family_of(each.rdata), each.rdata) for each in records if each.type == type_]


def family_of(packed: bytes) -> socket.AddressFamily:
    """The family of a packed address of 4 or 16 bytes."""
    return socket.AF_INET if len(packed) == 4 else socket.AF_INET6
