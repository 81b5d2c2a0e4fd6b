"""Reading what clients ask (RFC 1035, EDNS0 of RFC 6891, cookies alone of RFC 7873)."""

from __future__ import annotations

import struct

from clusterip.dns import names
from clusterip.dns.message import (
    BADVERS,
    COOKIE,
    FORMERR,
    HEADER,
    HEADER_FORMAT,
    NOTIMP,
    NSID,
    OPCODE,
    OPT,
    PLAIN_UDP_SIZE,
    QR,
    RD,
    RECORD,
    SOA,
    TYPE_CLASS,
    Malformed,
    Query,
    Reply,
    encode,
    encode_without_question,
)

_MAX_RECORDS = 8
"""Records that a query may come with: OPT, a signature, the SOA record of an IXFR."""


def parse_query(packet: bytes) -> Query:
    """Read a query.

    Raises:
        Malformed: it is none; with the answer that RFC 1035 and RFC 6891 want, if any.
    """
    if len(packet) < HEADER:
        raise Malformed("shorter than a header")
    _, flags, questions, answers, authorities, additionals = HEADER_FORMAT.unpack_from(packet)
    if flags & QR:
        raise Malformed("a response")  # answering one could start an endless exchange
    if flags & OPCODE:
        raise Malformed("opcode not implemented", _bare(packet, flags, NOTIMP))
    if questions != 1 and (questions or answers or authorities or not additionals):
        raise Malformed("not exactly one question", _bare(packet, flags, FORMERR))
    try:
        if not questions:
            return _without_question(packet, flags, additionals)
        end = names.skip(packet, HEADER) + 4
        name = packet[HEADER : end - 4]
        type_, class_ = TYPE_CLASS.unpack_from(packet, end - 4)
        query = Query(packet[:2], flags, packet[HEADER:end], name.lower(), type_, class_, size=len(packet))
        if answers or authorities or additionals:
            end = _read_rest(query, packet, end, answers + authorities, additionals)
        query.plain = query.plain and end == len(packet)
    except (names.BadName, struct.error) as error:
        raise Malformed(str(error), _bare(packet, flags, FORMERR)) from None
    return query


def _without_question(packet: bytes, flags: int, additionals: int) -> Query:
    """A query that only asks for a cookie (RFC 7873 section 5.4)."""
    query = Query(packet[:2], flags, b"", b"", 0, 0, plain=False, size=len(packet))
    _read_rest(query, packet, HEADER, 0, additionals)
    if not query.cookie:
        raise Malformed("neither question nor cookie", _bare(packet, flags, FORMERR))
    return query


def _read_rest(query: Query, packet: bytes, offset: int, before: int, additionals: int) -> int:
    """Find the OPT record among those after the question; the offset where the last one ends."""
    if before or additionals > 1:
        query.plain = False
    if before + additionals > _MAX_RECORDS:
        raise names.BadName("more records than a question can need")
    for index in range(before + additionals):
        owner, offset = names.read(packet, offset)
        type_, class_, ttl, length = RECORD.unpack_from(packet, offset)
        offset += RECORD.size + length
        if offset > len(packet):
            raise names.BadName("the message ends within a record")
        if type_ != OPT:
            query.plain = False
            if type_ == SOA and length >= 22:
                query.serial = int.from_bytes(packet[offset - 20 : offset - 16], "big")
            continue
        if query.edns or index < before or owner != b"\0":
            raise names.BadName("misplaced or repeated OPT record")
        query.edns = True
        query.udp_size = max(PLAIN_UDP_SIZE, class_)
        query.dnssec_ok = bool(ttl & 0x8000)
        if length:
            query.plain = False
            _read_options(query, packet[offset - length : offset])
        if (ttl >> 16) & 0xFF:
            if not query.question:
                raise Malformed("EDNS version not 0", encode_without_question(query, BADVERS))
            raise Malformed("EDNS version not 0", encode(query, Reply(BADVERS), PLAIN_UDP_SIZE))
    return offset


def _read_options(query: Query, data: bytes) -> None:
    offset = 0
    while offset < len(data):
        code, length = TYPE_CLASS.unpack_from(data, offset)
        value = data[offset + 4 : offset + 4 + length]
        offset += 4 + length
        if len(value) < length:
            raise names.BadName("the OPT record ends within an option")
        query.edns_options += ((code, value),)
        if code == COOKIE and not query.cookie:  # only the first counts (RFC 7873 section 5.2)
            if length != 8 and not 16 <= length <= 40:
                raise names.BadName("a cookie of a length that none has")
            query.cookie = value
        elif code == NSID:
            query.nsid = True


def _bare(packet: bytes, flags: int, rcode: int) -> bytes:
    """An answer of only a header: what can be said to who cannot be understood."""
    return packet[:2] + HEADER_FORMAT.pack(0, QR | flags & (OPCODE | RD) | rcode, 0, 0, 0, 0)[2:]
