"""What a trace is asked for: who connects, and to what."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

_TARGET = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:/\[\]]+))"
    r"(?::(?P<port>[A-Za-z0-9-]+))?"
    r"(?P<rest>/.*)?"
)
_PORTS = {"http": 80, "https": 443, "dns": 53}
_PROTOCOLS: dict[str, Literal["TCP", "UDP"]] = {"tcp": "TCP", "udp": "UDP"}


class BadRequest(ValueError):
    """Nobody can be meant by what was asked for; the text says what to write instead."""


@dataclass(frozen=True)
class Client:
    """Who connects: a Pod, a node's own processes, or this machine as one that is no node."""

    kind: Literal["pod", "node", "external"]
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "pod":
                return f"pod/{self.namespace}/{self.name}"
            case "node":
                return f"node/{self.name}"
        return "external"


@dataclass(frozen=True)
class Target:
    """What to connect to. ``port`` is a number, a port's name, or empty for the Service's only one.

    ``is_absolute``: the name ends with a dot, so no search path is tried.
    """

    text: str
    host: str
    port: str = ""
    protocol: Literal["", "TCP", "UDP"] = ""
    scheme: str = ""
    path: str = "/"
    is_absolute: bool = False

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host if it is an address and no name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


@dataclass(frozen=True)
class Request:
    """A trace to be done. ``seconds``: how long an answer is waited for."""

    client: Client
    target: Target
    seconds: float = 3.0


def parse_client(text: str, namespace: str) -> Client:
    """``pod/NAME``, ``pod/NAMESPACE/NAME``, ``node/NAME``, ``external``. Raises BadRequest."""
    kind, _, rest = text.partition("/")
    if kind == "external" and not rest:
        return Client("external")
    if kind in ("node", "no", "nodes") and rest and "/" not in rest:
        return Client("node", rest)
    if kind in ("pod", "po", "pods") and rest:
        first, slash, last = rest.partition("/")
        if (first and last) if slash else first:
            return Client("pod", last or first, first if slash else namespace)
    raise BadRequest(
        f"--from={text}: nobody can be meant by that; write pod/NAME, pod/NAMESPACE/NAME, node/NAME or"
        " external"
    )


def parse_target(text: str) -> Target:
    """``http://NAME``, ``NAME:PORT``, ``NAME.NAMESPACE:PORTNAME``, ``ADDRESS:PORT/udp``.

    Raises BadRequest.
    """
    match = _TARGET.fullmatch(text)
    if match is None:
        raise BadRequest(
            f"{text}: write a name or an address, with a port where it needs one: http://my-service,"
            " my-service.ns:80, 10.96.0.10:53/udp, [fd00::10]:53"
        )
    scheme, rest = match["scheme"] or "", match["rest"] or ""
    protocol: Literal["", "TCP", "UDP"] = "TCP" if scheme in ("http", "https", "tcp") else ""
    if scheme == "udp":
        protocol = "UDP"
    elif scheme not in ("", "http", "https", "tcp"):
        raise BadRequest(f"{text}: {scheme} is not known; http, https, tcp and udp are")
    if scheme in ("", "tcp", "udp") and rest:
        named = _PROTOCOLS.get(rest[1:].lower())
        if named is None or (protocol and named != protocol):
            raise BadRequest(f"{text}: {rest} is no protocol; write /tcp or /udp")
        protocol, rest = named, ""
    port = match["port"] or (str(_PORTS[scheme]) if scheme in _PORTS else "")
    if port.isdigit() and not 0 < int(port) < 65536:
        raise BadRequest(f"{text}: {port} is no port; they go from 1 to 65535")
    host = match["v6"] or match["host"]
    return Target(text, host.rstrip("."), port, protocol, scheme, rest or "/", host.endswith("."))
