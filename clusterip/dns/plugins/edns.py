"""``rewrite edns0``: options that upstreams and answers get beside those of the query."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import replace

from clusterip.dns import message, names
from clusterip.dns.config.model import EdnsRule
from clusterip.dns.message import OPTION, Query

_OURS = (message.COOKIE, message.PADDING)
"""Options between a client and us, not for upstreams."""


def apply(rule: EdnsRule, query: Query) -> Query | None:
    """The query after the rule; None if the rule changes nothing."""
    options = query.edns_options
    there = any(code == rule.code for code, _ in options)
    if rule.action == "unset":
        if not there:
            return None
        return _with(query, tuple(each for each in options if each[0] != rule.code))
    if there if rule.action == "append" else (rule.action == "replace" and not there):
        return None
    data = _data(rule, query)
    if not there:
        return _with(query, (*options, (rule.code, data)))
    return _with(query, tuple((code, data if code == rule.code else old) for code, old in options))


def echoed(before: Query, after: Query, *, reverted: frozenset[int]) -> bytes:
    """The options that the answer carries because rules have put them into the query."""
    known = dict(before.edns_options)
    out = b""
    for code, data in after.edns_options:
        if code in _OURS or code == message.NSID:
            continue
        if code in reverted:
            if code not in known:
                continue
            data = known[code]
        out += OPTION.pack(code, len(data)) + data
    return out


def _with(query: Query, options: tuple[tuple[int, bytes], ...]) -> Query:
    forwarded = b"".join(OPTION.pack(code, len(data)) + data for code, data in options if code not in _OURS)
    return replace(query, edns_options=options, forwarded=forwarded)


def _data(rule: EdnsRule, query: Query) -> bytes:
    match rule.kind:
        case "nsid":
            return b""
        case "subnet":
            return _subnet(rule.prefixes, query.client)
        case "local" if rule.variable:
            return _variable(rule.variable, query)
    return rule.data


def _subnet(prefixes: tuple[int, int], client: str) -> bytes:
    """RFC 7871 section 6: family, source and scope prefix length, and so much of the address."""
    address = ipaddress.ip_address(client.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    bits = prefixes[address.version == 6]
    network = ipaddress.ip_network((address, bits), strict=False)
    family = 1 if address.version == 4 else 2
    return struct.pack("!HBB", family, bits, 0) + network.network_address.packed[: -(-bits // 8)]


def _variable(name: str, query: Query) -> bytes:
    match name:
        case "qname":
            return names.to_text(query.name).encode()
        case "qtype":
            return query.type.to_bytes(2, "big")
        case "client_ip":
            return _packed(query.client)
        case "server_ip":
            return _packed(query.local)
        case "client_port":
            return query.port.to_bytes(2, "big")
        case "server_port":
            return query.local_port.to_bytes(2, "big")
        case "protocol":
            return b"tcp" if query.tcp else b"udp"
    return query.meta(name).encode() if query.meta is not None else b""


def _packed(address: str) -> bytes:
    plain = address.partition("%")[0]
    return names.pack_address(plain.removeprefix("::ffff:") if "." in plain else plain) or b""
