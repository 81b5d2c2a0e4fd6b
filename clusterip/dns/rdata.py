"""Names inside record data.

Only the types of RFC 1035 may be compressed when written; those and a few later ones must be understood
compressed when read (RFC 3597 section 4). Everything else is opaque.
"""

from __future__ import annotations

from clusterip.dns import names

_NAME = -1
_STRING = -2
_REST = -3

# What the data of a type consists of: so many bytes, a name, a character string, the rest.
_layouts: dict[int, tuple[int, ...]] = {
    2: (_NAME,),  # NS
    5: (_NAME,),  # CNAME
    6: (_NAME, _NAME, 20),  # SOA
    7: (_NAME,),  # MB
    8: (_NAME,),  # MG
    9: (_NAME,),  # MR
    12: (_NAME,),  # PTR
    14: (_NAME, _NAME),  # MINFO
    15: (2, _NAME),  # MX
    17: (_NAME, _NAME),  # RP
    18: (2, _NAME),  # AFSDB
    21: (2, _NAME),  # RT
    24: (18, _NAME, _REST),  # SIG
    26: (2, _NAME, _NAME),  # PX
    30: (_NAME, _REST),  # NXT
    33: (6, _NAME),  # SRV
    35: (4, _STRING, _STRING, _STRING, _NAME),  # NAPTR
    36: (2, _NAME),  # KX
    39: (_NAME,),  # DNAME
}

_written_compressed = {2: (0, 1), 5: (0, 1), 6: (0, 2), 12: (0, 1), 15: (2, 1)}
"""Bytes before the names and number of names, of NS, CNAME, SOA, PTR and MX."""


def compressible_names(type_: int, rdata: bytes) -> tuple[bytes, list[bytes], bytes] | None:
    """Split data into what precedes the names, the names and what follows; None if none may be compressed."""
    shape = _written_compressed.get(type_)
    if shape is None:
        return None
    before, count = shape
    offset = before
    found = []
    for _ in range(count):
        end = names.skip(rdata, offset)
        found.append(rdata[offset:end])
        offset = end
    return rdata[:before], found, rdata[offset:]


def split_names(type_: int, rdata: bytes) -> list[tuple[bytes, bool]]:
    """Data in parts, and of each whether it is a name. Data of unknown types, or malformed, is one part."""
    parts: list[tuple[bytes, bool]] = []
    offset = 0
    try:
        for part in _layouts.get(type_, ()):
            if part == _NAME:
                end = names.skip(rdata, offset)
            elif part == _STRING:
                end = offset + 1 + rdata[offset]
            else:
                end = len(rdata) if part == _REST else offset + part
            parts.append((rdata[offset:end], part == _NAME))
            offset = end
    except (names.BadName, IndexError):
        return [(rdata, False)]
    return parts if offset == len(rdata) else [(rdata, False)]


def decompress(message: bytes, type_: int, offset: int, length: int) -> bytes:
    """The data at ``offset`` of ``message`` with its names uncompressed.

    Raises:
        BadName: the data is not what its type says.
    """
    layout = _layouts.get(type_)
    end = offset + length
    if layout is None:
        return message[offset:end]
    parts: list[bytes] = []
    for part in layout:
        if part == _NAME:
            name, offset = names.read(message, offset)
            parts.append(name)
            continue
        if part == _REST:
            size = max(0, end - offset)
        elif part == _STRING:
            size = 1 + (message[offset] if offset < end else 0)
        else:
            size = part
        parts.append(message[offset : offset + size])
        offset += size
    if offset != end:
        raise names.BadName("record data of the wrong length")
    return b"".join(parts)
