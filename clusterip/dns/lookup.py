"""From a question to what is to be answered: the zone's part of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from clusterip.dns import message, names
from clusterip.dns.message import (
    AAAA,
    ANY,
    AXFR,
    CNAME,
    HINFO,
    IN,
    IXFR,
    NS,
    OPT,
    PTR,
    SOA,
    SRV,
    A,
    Query,
    Record,
    Reply,
)
from clusterip.dns.records import Node
from clusterip.dns.zone import Zone

_MAX_CHAIN = 8
_MOST_TARGETS = 2000
"""So many SRV records fill even an answer over TCP: there is no room for addresses, nor need to find them."""
_REVERSE = (names.to_wire("in-addr.arpa"), names.to_wire("ip6.arpa"))
_NO_ANY = b"\x07RFC8482\x00"
"""The HINFO data that answers type ANY without telling all (RFC 8482 section 4.2)."""


@dataclass(slots=True)
class Found:
    """An answer from the zone, or as much of it as the zone has."""

    reply: Reply
    elsewhere: bytes | None = None
    """A name outside the zone that the rest of the answer has to be asked for."""
    lasting: bool = False
    """The answer stays right until the zone reports the question's name as changed."""
    keep: bool = True
    """The answer is everybody's, not only this asker's."""
    silent: bool = False
    """No answer is to be sent."""
    options: bytes = b""
    """EDNS options that the answer has besides."""
    parts: Iterable[Sequence[Record]] | None = None
    """The records of a zone transfer, those of each of its messages together; instead of ``reply``."""


def look_up(zone: Zone, query: Query) -> Found:
    """Answer ``query`` from ``zone``, or say under ``elsewhere`` what to ask the upstreams."""
    if query.class_ != IN:
        return Found(Reply(message.REFUSED))
    if query.type in (AXFR, IXFR):
        reply = Reply(message.REFUSED, extended_error=message.EDE_PROHIBITED, why="no zone transfers")
        return Found(reply)
    if query.type == OPT:
        return Found(Reply(message.FORMERR))
    reverse = query.name.endswith(_REVERSE)
    if not reverse and not zone.covers(query.name):
        return Found(Reply(), elsewhere=query.name)
    if not zone.synced:
        # Absence means nothing yet: an NXDOMAIN now would be believed, and remembered.
        return Found(not_ready())
    return _reverse(zone, query) if reverse else _forward(zone, query)


def joined(first: Reply, rest: Reply, query: Query) -> Reply:
    """A chain that starts in the zone with what the upstreams say to its end."""
    authentic = rest.authentic and not first.answer and bool(query.dnssec_ok or query.flags & message.AD)
    # A name of ours whose target cannot be followed: that is a failure, not a refusal.
    refused = rest.rcode == message.REFUSED and first.answer
    rcode = message.SERVFAIL if refused else rest.rcode
    return replace(rest, rcode=rcode, answer=[*first.answer, *rest.answer], authentic=authentic)


def not_ready() -> Reply:
    return Reply(
        message.SERVFAIL,
        extended_error=message.EDE_NOT_READY,
        why="the cluster's Services are not known yet",
    )


def _reverse(zone: Zone, query: Query) -> Found:
    targets = zone.find_reverse(query.name)
    lasting = bool(targets)
    targets = targets or zone.find_endpoints(query.name)
    if not targets:
        return Found(Reply(), elsewhere=query.name)
    if query.type == PTR:
        records = [Record(query.name, PTR, zone.ttl, target) for target in targets]
        return Found(Reply(authoritative=True, answer=records), lasting=lasting)
    # As if the zone were cut right here: no claim on the rest of the reverse tree.
    soa = zone.soa()._replace(owner=query.name)
    return Found(Reply(authoritative=True, authority=[soa]), lasting=lasting)


def _forward(zone: Zone, query: Query) -> Found:
    node = zone.find(query.name)
    chain: list[Record] = []
    name = query.name
    while node and CNAME in node and query.type not in (CNAME, ANY):
        target = node[CNAME][0]
        chain.append(Record(name, CNAME, zone.ttl, target))
        if not zone.covers(target):
            return Found(Reply(authoritative=True, answer=chain), elsewhere=target)
        if len(chain) == _MAX_CHAIN:
            return Found(Reply(message.SERVFAIL, why="ExternalNames in a circle"))
        name, node = target, zone.find(target)
    lasting = not chain and bool(node) and zone.announces(name)
    if node is None:
        missing = Reply(message.NXDOMAIN, authoritative=True, answer=chain, authority=[zone.soa()])
        return Found(missing)
    if query.type == ANY:
        refused = [Record(name, HINFO, zone.ttl, _NO_ANY)]
        return Found(Reply(authoritative=True, answer=refused), lasting=lasting)
    if query.type == SOA and name == zone.domain:
        return Found(Reply(authoritative=True, answer=[zone.soa()]))
    data = node.get(query.type)
    if not data:
        return Found(Reply(authoritative=True, answer=chain, authority=[zone.soa()]), lasting=lasting)
    ttl = zone.ttl_of(name)
    answer = [*chain, *(Record(name, query.type, ttl, each) for each in data)]
    additional = _addresses(zone, query.type, data)
    return Found(Reply(authoritative=True, answer=answer, additional=additional), lasting=lasting)


def _addresses(zone: Zone, type_: int, data: tuple[bytes, ...]) -> list[Record]:
    """The addresses of what SRV and NS records point to."""
    if type_ not in (SRV, NS) or len(data) > _MOST_TARGETS:
        return []
    targets = dict.fromkeys(each[6:] if type_ == SRV else each for each in data)
    found: list[Record] = []
    for target in targets:
        node: Node = zone.find(target) or {}
        for family in (A, AAAA):
            found += [Record(target, family, zone.ttl, address) for address in node.get(family, ())]
    return found
