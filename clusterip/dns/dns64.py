"""IPv6 addresses for names that have only IPv4 ones (RFC 6147), for clients behind a NAT64."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from clusterip.dns import message, names
from clusterip.dns.config.model import Dns64Options
from clusterip.dns.lookup import Found
from clusterip.dns.message import AAAA, CNAME, PTR, A, Query, Record
from clusterip.dns.plugins.chain import Handler, Outcome, renamed, then

_MAX_TTL = 600  # where the empty answer has no SOA record to say it (RFC 6147 section 5.1.7)
_PREFIX_SIZES = (32, 40, 48, 56, 64, 96)


def dns64(options: Dns64Options, next_: Handler) -> Handler:
    """Make up AAAA records from the A records of a name that has none.

    As CoreDNS does, only for clients that ask over IPv6 unless ``allow_ipv4``.

    Raises:
        ValueError: the prefix has a length that RFC 6052 does not know.
    """
    if options.prefix.prefixlen not in _PREFIX_SIZES:
        raise ValueError(f"{options.prefix}: the length of a NAT64 prefix is one of {_PREFIX_SIZES}")

    def handle(query: Query) -> Outcome:
        if query.type == PTR and (inner := _inner_name(options, query.name)) is not None:
            return then(next_(renamed(query, inner)), lambda found: pointed(query, inner, found))
        outcome = next_(query)
        if query.type != AAAA or not (options.allow_ipv4 or _over_ipv6(query.client)):
            return outcome
        if query.dnssec_ok and query.flags & message.CD:
            return outcome  # a validating client makes them up itself (section 5.5)
        return then(outcome, lambda found: answered(query, found))

    def pointed(query: Query, inner: bytes, found: Found) -> Found:
        """The name of the IPv4 address, below a CNAME that says where it is from (section 5.3.1)."""
        soa = [each.ttl for each in found.reply.authority if each.type == message.SOA]
        ttl = min([each.ttl for each in found.reply.answer] or soa, default=_MAX_TTL)
        alias = Record(query.name, CNAME, ttl, inner)
        reply = replace(found.reply, answer=[alias, *found.reply.answer], authentic=False)
        return replace(found, reply=reply, lasting=False)

    def answered(query: Query, found: Found) -> Outcome:
        reply = found.reply
        has_some = any(record.type == AAAA for record in reply.answer)
        if found.silent or reply.rcode == message.NXDOMAIN or (has_some and not options.translate_all):
            return replace(found, keep=found.keep and options.allow_ipv4)
        asked = replace(query, question=query.question[:-4] + b"\0\1" + query.question[-2:], type=A)
        return then(next_(asked), lambda old: translated(found, old))

    def translated(found: Found, old: Found) -> Found:
        if old.reply.rcode != message.NOERROR or not any(each.type == A for each in old.reply.answer):
            return replace(found, keep=found.keep and options.allow_ipv4)
        soa = [each.ttl for each in found.reply.authority if each.type == message.SOA]
        ceiling = min(soa, default=_MAX_TTL)
        answer = [made(each, ceiling) for each in old.reply.answer if each.type in (A, CNAME)]
        reply = replace(old.reply, answer=answer, authority=(), additional=(), authentic=False)
        keep = found.keep and old.keep and options.allow_ipv4
        return Found(reply, lasting=found.lasting and old.lasting, keep=keep)

    def made(record: Record, ceiling: int) -> Record:
        if record.type != A:
            return record
        return record._replace(type=AAAA, ttl=min(record.ttl, ceiling), rdata=_embed(options, record.rdata))

    return handle


def _over_ipv6(client: str) -> bool:
    return ":" in client and not client.startswith("::ffff:")


def _inner_name(options: Dns64Options, name: bytes) -> bytes | None:
    """The reverse name of the IPv4 address within the IPv6 one that ``name`` is the reverse name of."""
    packed = names.address_of(name)
    if packed is None or len(packed) != 16:
        return None
    if ipaddress.IPv6Address(packed) not in options.prefix:
        return None
    size = options.prefix.prefixlen // 8
    digits = packed if size == 12 else packed[:8] + packed[9:]
    return names.reverse_name(digits[size : size + 4])


def _embed(options: Dns64Options, address: bytes) -> bytes:
    """An IPv4 address within the prefix; bits 64 to 71 stay zero (RFC 6052 section 2.2)."""
    size = options.prefix.prefixlen // 8
    joined = options.prefix.network_address.packed[:size] + address
    if size < 12:
        joined = joined[:8] + b"\0" + joined[8:]
    return joined + bytes(16 - len(joined))
