"""``bind``, ``tls`` and ``timeouts``: where and how a server block listens."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clusterip.dns.config import values
from clusterip.dns.config.model import TcpLimits, TlsOptions
from clusterip.dns.config.source import Directive
from clusterip.kernel.rtnetlink import RouteSocket

_CLIENT_AUTH = ("nocert", "request", "require", "verify_if_given", "require_and_verify")


def bind(line: Directive) -> list[str]:
    """``bind ADDRESS|INTERFACE... { except ADDRESS|INTERFACE... }``: the addresses."""
    excluded: set[str] = set()
    values.each(line, {"except": lambda o: excluded.update(_addresses(o, o.some()))})
    return [address for address in _addresses(line, line.some()) if address not in excluded]


def _addresses(line: Directive, texts: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    interfaces = {name for _, name in socket.if_nameindex()}
    for text in texts:
        if text in interfaces:
            found |= dict.fromkeys(_addresses_of(text))
            continue
        try:
            found[str(ipaddress.ip_address(text))] = None
        except ValueError:
            line.fail(f'"{text}" is neither an address nor an interface of this machine')
    return list(found)


def _addresses_of(interface: str) -> list[str]:
    """The addresses of an interface, but link-local ones: those need the interface with them."""
    with RouteSocket() as sockets:
        addresses = [each.address.ip for each in sockets.addresses(interface)]
    return [str(address) for address in addresses if address.version == 4 or not address.is_link_local]


def tls(line: Directive, root: str) -> TlsOptions:
    """``tls CERT KEY [CA] { client_auth POLICY; keylog FILE }``; files may be relative to ``root``."""
    if any(option.name == "acme" for option in line.block):
        line.fail("certificates are not obtained by ACME here: name the files of one")
    if not 2 <= len(line.args) <= 3:
        line.fail("expects CERT KEY [CA]")
    certificate, key, authority = (os.path.join(root, file) if file else "" for file in (*line.args, "")[:3])
    options = TlsOptions(certificate, key, authority)

    def put(**changes: Any) -> None:
        nonlocal options
        options = replace(options, **changes)

    def client_auth(option: Directive) -> None:
        policy = option.one()
        if policy not in _CLIENT_AUTH:
            option.fail(f'"{policy}" is no policy; known are {", ".join(_CLIENT_AUTH)}')
        put(client_auth=policy)

    values.each(line, {"client_auth": client_auth, "keylog": lambda o: put(keylog=o.one())})
    return options


def timeouts(line: Directive) -> TcpLimits:
    """``timeouts { read, write, idle DURATION; maxtcpqueries N }``.

    Reading and writing have no limit apart from the idle one: a connection that neither sends a whole
    question nor takes an answer is idle.
    """
    limits = TcpLimits()
    if not line.block:
        line.fail("at least one of read, write, idle and maxtcpqueries is needed")

    def idle(option: Directive) -> None:
        nonlocal limits
        limits = replace(limits, idle=values.duration(option, option.one(), bare=True))
        if not 1 <= limits.idle <= 86400:
            option.fail("from 1s to 24h")

    def queries(option: Directive) -> None:
        nonlocal limits
        number = 0 if option.one() == "-1" else values.integer(option, option.one(), 1)
        limits = replace(limits, queries=number)

    def accepted(option: Directive) -> None:
        values.duration(option, option.one(), bare=True)

    values.each(line, {"read": accepted, "write": accepted, "idle": idle, "maxtcpqueries": queries})
    return limits
