"""DNS messages: reading queries, writing answers (RFC 1035, EDNS0 of RFC 6891, errors of RFC 8914)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clusterip.dns import names
from clusterip.dns.rdata import compressible_names, decompress

# Record types
A, NS, CNAME, SOA, PTR, HINFO, TXT, AAAA, SRV, OPT = 1, 2, 5, 6, 12, 13, 16, 28, 33, 41
IXFR, AXFR, ANY = 251, 252, 255
IN, CH = 1, 3

# Response codes
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
BADVERS, BADCOOKIE = 16, 23

# Header flags
QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
OPCODE = 0x7800

# Extended errors
EDE_STALE, EDE_NOT_READY, EDE_FILTERED, EDE_PROHIBITED = 3, 14, 17, 18
EDE_STALE_NXDOMAIN, EDE_NO_REACHABLE_AUTHORITY = 19, 22

# EDNS options
NSID, SUBNET, COOKIE, PADDING = 3, 8, 10, 12

HEADER = 12
PLAIN_UDP_SIZE = 512
"""What a UDP answer may have if the query says nothing (RFC 1035 section 4.2.1)."""

HEADER_FORMAT = struct.Struct("!6H")
TYPE_CLASS = struct.Struct("!HH")
RECORD = struct.Struct("!HHIH")
OPTION = struct.Struct("!HH")
_opt_options = struct.Struct("!HHH")


class Malformed(Exception):
    """A message that cannot be read. ``answer`` is what to send back, None for nothing."""

    def __init__(self, why: str, answer: bytes | None = None) -> None:
        super().__init__(why)
        self.answer = answer


class Record(NamedTuple):
    """A resource record of its question's class. ``rdata`` holds names uncompressed. ``ttl`` in seconds."""

    owner: bytes
    type: int
    ttl: int
    rdata: bytes


@dataclass(slots=True)
class Query:
    """One question as a client asked it."""

    id: bytes
    flags: int
    question: bytes
    """Name, type and class as sent, the name's letter case included (it must come back so)."""
    name: bytes
    """The name in lower case."""
    type: int
    class_: int
    udp_size: int = PLAIN_UDP_SIZE
    edns: bool = False
    dnssec_ok: bool = False
    plain: bool = True
    """Nothing in it varies from one asking of the same question to the next but ID and letter case."""
    client: str = ""
    """The IP address that asks."""
    cookie: bytes = b""
    """The client's cookie, and the server's if it has one (RFC 7873)."""
    nsid: bool = False
    """It asks for the server's identity (RFC 5001)."""
    port: int = 0
    """The port it was asked from."""
    tcp: bool = False
    size: int = 0
    """Bytes of the message."""
    local: str = ""
    """The address it was asked at."""
    local_port: int = 0
    edns_options: tuple[tuple[int, bytes], ...] = ()
    """The EDNS options it came with."""
    forwarded: bytes = b""
    """EDNS options that upstreams are to be told."""
    meta: Callable[[str], str] | None = None
    """What is known of it by label (``metadata``)."""
    serial: int = -1
    """The version of the zone that an IXFR says the client has."""
    proven: bool = False
    """Its server cookie is one of ours: the client's address is not forged."""
    options: bytes = b""
    """The EDNS options that its answer carries."""


@dataclass(slots=True)
class Reply:
    """What is to be answered, before it is fitted to a query and a size."""

    rcode: int = NOERROR
    authoritative: bool = False
    answer: Sequence[Record] = ()
    authority: Sequence[Record] = ()
    additional: Sequence[Record] = ()
    extended_error: int | None = None
    why: str = ""
    authentic: bool = False
    flags: int = field(default=RA, kw_only=True)
    cleared: int = field(default=0, kw_only=True)
    """Header flags that it must not have, whatever the question had."""


def encode_without_question(query: Query, rcode: int) -> bytes:
    """The answer to a query that has no question."""
    opt = _opt(query, Reply(rcode))
    flags = QR | RA | query.flags & (RD | CD) | rcode & 0xF
    return query.id + HEADER_FORMAT.pack(0, flags, 0, 0, 0, 1)[2:] + opt


def encode(query: Query, reply: Reply, limit: int) -> bytes:
    """``reply`` as an answer to ``query`` of at most ``limit`` bytes.

    Answers or authorities that do not fit set TC; additional records are left out silently (RFC 2181
    section 9).
    """
    opt = _opt(query, reply)
    limit -= len(opt)
    out = bytearray(HEADER) + query.question
    suffixes: dict[bytes, int] = {}
    _learn(suffixes, query.name, HEADER)
    flags = flags_of(query, reply)
    counts = [0, 0, 0]
    for section, records in enumerate((reply.answer, reply.authority, reply.additional)):
        for record in records:
            if not _append(out, suffixes, record, query.class_, limit):
                flags |= TC if section < 2 else 0
                break
            counts[section] += 1
        if flags & TC:
            break
    HEADER_FORMAT.pack_into(out, 0, 0, flags, 1, counts[0], counts[1], counts[2] + (1 if opt else 0))
    out[0:2] = query.id
    out += opt
    return bytes(out)


def flags_of(query: Query, reply: Reply) -> int:
    """The flags and code in the header of an answer that is not truncated."""
    flags = QR | query.flags & (RD | CD) | reply.flags | (reply.rcode & 0xF)
    flags |= (AA if reply.authoritative else 0) | (AD if reply.authentic else 0)
    return flags & ~reply.cleared


def _append(out: bytearray, suffixes: dict[bytes, int], record: Record, class_: int, limit: int) -> bool:
    """Add a record unless that makes ``out`` longer than ``limit``; whether it was added."""
    start = len(out)
    learned: list[bytes] = []
    _put_name(out, suffixes, record.owner, learned)
    rdata = record.rdata
    out += RECORD.pack(record.type, class_, record.ttl, len(rdata))
    parts = compressible_names(record.type, rdata)
    if parts is None:
        out += rdata
    else:
        data = len(out)
        before, inner, after = parts
        out += before
        for name in inner:
            _put_name(out, suffixes, name, learned)
        out += after
        struct.pack_into("!H", out, data - 2, len(out) - data)
    if len(out) <= limit:
        return True
    del out[start:]
    for suffix in learned:
        del suffixes[suffix]
    return False


def _put_name(out: bytearray, suffixes: dict[bytes, int], name: bytes, learned: list[bytes]) -> None:
    """Write a name, its longest known suffix as a pointer."""
    suffix = name
    while suffix[0]:
        key = suffix.lower()
        known = suffixes.get(key)
        if known is not None:
            out += (0xC000 | known).to_bytes(2, "big")
            return
        if len(out) < 0x4000:
            suffixes[key] = len(out)
            learned.append(key)
        length = 1 + suffix[0]
        out += suffix[:length]
        suffix = suffix[length:]
    out += b"\0"


def _learn(suffixes: dict[bytes, int], name: bytes, offset: int) -> None:
    while name[0]:
        suffixes[name] = offset
        offset += 1 + name[0]
        name = name[1 + name[0] :]


def _opt(query: Query, reply: Reply) -> bytes:
    """Our OPT record, if the query had one."""
    if not query.edns:
        return b""
    options = query.options
    if reply.extended_error is not None:
        text = reply.why.encode()[:128]
        options += _opt_options.pack(15, 2 + len(text), reply.extended_error) + text
    flags = (reply.rcode >> 4) << 24 | (0x8000 if query.dnssec_ok else 0)
    return b"\0" + RECORD.pack(OPT, 1232, flags, len(options)) + options


def read_records(message: bytes) -> tuple[int, int, tuple[list[Record], list[Record], list[Record]]]:
    """Flags, extended response code and the three sections of a response; OPT is left out.

    Raises:
        Malformed: it cannot be read.
    """
    try:
        _, flags, questions, *counts = HEADER_FORMAT.unpack_from(message)
        offset = HEADER
        for _ in range(questions):
            offset = names.read(message, offset)[1] + 4
        rcode = flags & 0xF
        sections: tuple[list[Record], list[Record], list[Record]] = ([], [], [])
        for section, count in zip(sections, counts, strict=True):
            for _ in range(count):
                owner, offset = names.read(message, offset)
                type_, class_, ttl, length = RECORD.unpack_from(message, offset)
                offset += RECORD.size
                if offset + length > len(message):
                    raise Malformed("the message ends within a record")
                if type_ == OPT:
                    rcode |= (ttl >> 24) << 4
                elif class_ == IN:
                    # A TTL with its top bit set counts as zero (RFC 2181 section 8).
                    data = decompress(message, type_, offset, length)
                    section.append(Record(owner, type_, 0 if ttl >> 31 else ttl, data))
                offset += length
    except (names.BadName, struct.error) as error:
        raise Malformed(str(error)) from None
    return flags, rcode, sections
