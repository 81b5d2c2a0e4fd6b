"""Plugins of a few lines: ``acl``, ``ttl``, ``any``, ``minimal``, ``header``, ``bufsize`` and ``whoami``."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import replace

from clusterip.dns import message, names
from clusterip.dns.config.model import AclRule, HeaderRule, Network
from clusterip.dns.lookup import Found
from clusterip.dns.message import AAAA, ANY, HINFO, SRV, A, Query, Record, Reply
from clusterip.dns.plugins.chain import Handler, Outcome, is_in, then, unkept, with_records

_NO_ANY = Record(b"\0", HINFO, 8482, b"\x0dANY obsoleted\x0cSee RFC 8482")


def acl(rules: Sequence[AclRule], next_: Handler) -> Handler:
    """Answer only who may ask. The first rule that fits decides; answers are not kept for others."""
    zones = [zone for rule in rules for zone in rule.zones]

    def handle(query: Query) -> Outcome:
        if not is_in(query.name, zones):
            return next_(query)
        for rule in rules:
            if _fits(rule, query):
                return _decided(rule, query, next_)
        return then(next_(query), unkept)

    return handle


def _fits(rule: AclRule, query: Query) -> bool:
    if not is_in(query.name, rule.zones) or (rule.types and query.type not in rule.types):
        return False
    return not rule.networks or is_from(query.client, rule.networks)


def is_from(client: str, networks: Sequence[Network]) -> bool:
    """Whether a client's address is in one of the networks; an IPv4 one on an IPv6 socket counts as IPv4."""
    address = ipaddress.ip_address(client.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


def _decided(rule: AclRule, query: Query, next_: Handler) -> Outcome:
    match rule.action:
        case "allow":
            return then(next_(query), unkept)
        case "block":
            why, code = "blocked by an acl", message.EDE_PROHIBITED
            return Found(Reply(message.REFUSED, extended_error=code, why=why), keep=False)
        case "filter":
            why, code = "filtered by an acl", message.EDE_FILTERED
            return Found(Reply(extended_error=code, why=why), keep=False)
        case "drop":
            return Found(Reply(), keep=False, silent=True)


def ttl(bounds: tuple[int, int], next_: Handler) -> Handler:
    """Hold the TTLs of all answers between two bounds."""
    least, most = bounds

    def change(found: Found) -> Found:
        reply = with_records(found.reply, lambda r: r._replace(ttl=min(max(r.ttl, least), most)))
        return replace(found, reply=reply)

    return lambda query: then(next_(query), change)


def no_any(next_: Handler) -> Handler:
    """``any``: the short answer of RFC 8482 to questions of type ANY."""

    def handle(query: Query) -> Outcome:
        if query.type != ANY:
            return next_(query)
        return Found(Reply(authoritative=True, answer=[_NO_ANY._replace(owner=query.name)]))

    return handle


def minimal(next_: Handler) -> Handler:
    """Leave out of a positive answer what was not asked for; referrals stay whole."""

    def change(found: Found) -> Found:
        reply = found.reply
        if reply.rcode != message.NOERROR or not reply.answer:
            return found
        return replace(found, reply=replace(reply, authority=(), additional=()))

    return lambda query: then(next_(query), change)


def header(rules: Sequence[HeaderRule], next_: Handler) -> Handler:
    """Set and clear flags of questions and answers, in the order of the rules."""

    def handle(query: Query) -> Outcome:
        flags = query.flags
        for rule in rules:
            if not rule.response:
                flags = flags | rule.flags if rule.on else flags & ~rule.flags
        asked = query if flags == query.flags else replace(query, flags=flags)
        return then(next_(asked), change)

    def change(found: Found) -> Found:
        reply = found.reply
        for rule in rules:
            if not rule.response:
                continue
            if rule.on:
                reply = replace(reply, flags=reply.flags | rule.flags, cleared=reply.cleared & ~rule.flags)
            else:
                reply = replace(reply, flags=reply.flags & ~rule.flags, cleared=reply.cleared | rule.flags)
        return replace(found, reply=reply)

    return handle


def bufsize(size: int, next_: Handler) -> Handler:
    """Take clients to allow no larger answers over UDP than ``size``."""

    def handle(query: Query) -> Outcome:
        if query.edns:
            query.udp_size = min(query.udp_size, size)
        return next_(query)

    return handle


def whoami(query: Query) -> Found:
    """The end of a chain that tells clients their address and port, in the additional section."""
    if query.type not in (A, AAAA):
        return Found(Reply(authoritative=True), keep=False)
    text = query.client.partition("%")[0]
    packed = names.pack_address(text.removeprefix("::ffff:") if "." in text else text) or b""
    service = names.label_of("_tcp" if query.tcp else "_udp") + query.name
    port = struct.pack("!3H", 0, 0, query.port) + b"\0"
    additional = [
        Record(query.name, A if len(packed) == 4 else AAAA, 0, packed),
        Record(service if len(service) <= names.MAX_NAME else query.name, SRV, 0, port),
    ]
    return Found(Reply(authoritative=True, additional=additional), keep=False)
