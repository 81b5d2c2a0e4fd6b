"""``local``: names of this machine are not asked of others (RFC 6761, RFC 6303)."""

from __future__ import annotations

from collections.abc import Sequence

from clusterip.dns import message, names
from clusterip.dns.lookup import Found
from clusterip.dns.message import AAAA, NS, PTR, SOA, A, Query, Record, Reply
from clusterip.dns.plugins.chain import Handler, Outcome, is_in

_TTL = 604_800
_LOCALHOST = names.to_wire("localhost")
_ZONES: Sequence[bytes] = (
    _LOCALHOST,
    *(names.to_wire(f"{number}.in-addr.arpa") for number in (0, 127, 255)),
)
_ONE = names.to_wire("1.0.0.127.in-addr.arpa")
_ADDRESSES = {A: bytes((127, 0, 0, 1)), AAAA: bytes(15) + b"\1"}
_SOA_DATA = (
    _LOCALHOST
    + names.to_wire("root.localhost")
    + b"".join(number.to_bytes(4, "big") for number in (1, 0, 0, 0, _TTL))
)
_IN_ADDR = names.to_wire("in-addr.arpa")
_LABEL = b"\x09localhost"


def local(next_: Handler, *, prefixes: bool) -> Handler:
    """Answer for ``localhost`` and the networks 0/8, 127/8 and 255/8; with ``prefixes`` also for
    ``localhost.`` before any domain, which a search path makes of it."""

    def handle(query: Query) -> Outcome:
        zone = next((zone for zone in _ZONES if is_in(query.name, (zone,))), None)
        prefixed = prefixes and query.name.startswith(_LABEL) and query.name != _LOCALHOST
        if zone is None and not prefixed:
            return next_(query)
        return Found(_answer(query, zone or query.name))

    return handle


def _answer(query: Query, zone: bytes) -> Reply:
    soa = Record(zone, SOA, _TTL, _SOA_DATA)
    records: list[Record] = []
    host = not zone.endswith(_IN_ADDR)
    if not host and query.name not in (zone, _ONE):
        return Reply(message.NXDOMAIN, authoritative=True, authority=[soa])
    if host and query.type in _ADDRESSES:
        records = [Record(query.name, query.type, _TTL, _ADDRESSES[query.type])]
    elif query.name == _ONE and query.type == PTR:
        records = [Record(query.name, PTR, _TTL, _LOCALHOST)]
    elif query.name == zone and query.type == SOA:
        records = [soa]
    elif query.name == zone and query.type == NS:
        records = [Record(zone, NS, _TTL, _LOCALHOST)]
    return Reply(authoritative=True, answer=records, authority=() if records else [soa])
