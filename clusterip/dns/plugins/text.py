"""Resource records in the notation of zone files (RFC 1035 section 5), as ``template`` writes them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from clusterip.dns import names
from clusterip.dns.config.values import TYPES
from clusterip.dns.message import Record

_DEFAULT_TTL = 3600
_word = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


class BadRecord(ValueError):
    """A text that is no record."""


def parse_record(text: str) -> Record:
    """``NAME [TTL] [CLASS] TYPE DATA`` of the types A, AAAA, CNAME, NS, PTR, DNAME, MX, SRV, TXT and SOA.

    Raises:
        BadRecord: it is none of these.
    """
    words = [quoted or plain for quoted, plain in _word.findall(text)]
    try:
        owner = names.to_wire(words.pop(0))
        ttl = _DEFAULT_TTL
        while words[0].upper() not in TYPES or words[0].upper() == "ANY":
            word = words.pop(0)
            if word.isdecimal():
                ttl = int(word)
            elif word.upper() != "IN":
                raise BadRecord(f'"{word}" in "{text}" is neither a TTL nor the class IN nor a known type')
        type_ = words.pop(0).upper()
        writer = _writers.get(type_)
        if writer is None:
            raise BadRecord(f"records of type {type_} cannot be written as text here")
        return Record(owner, TYPES[type_], ttl, writer(words))
    except (IndexError, ValueError, struct.error) as error:
        if isinstance(error, BadRecord):
            raise
        raise BadRecord(f'"{text}" is no resource record') from None


def _address(length: int) -> Callable[[list[str]], bytes]:
    def write(words: list[str]) -> bytes:
        (text,) = words
        packed = names.pack_address(text)
        if packed is None or len(packed) != length:
            raise BadRecord(f'"{text}" is no address of this family')
        return packed

    return write


def _name(words: list[str]) -> bytes:
    (text,) = words
    return names.to_wire(text)


def _numbers_and_name(count: int) -> Callable[[list[str]], bytes]:
    def write(words: list[str]) -> bytes:
        *numbers, target = words
        if len(numbers) != count:
            raise BadRecord(f"{count} numbers and a name expected")
        return struct.pack(f"!{count}H", *map(int, numbers)) + names.to_wire(target)

    return write


def _txt(words: list[str]) -> bytes:
    strings = [word.replace('\\"', '"').encode() for word in words]
    return b"".join(bytes((len(string),)) + string for string in strings)


def _soa(words: list[str]) -> bytes:
    server, mailbox, *numbers = words
    return names.to_wire(server) + names.to_wire(mailbox) + struct.pack("!5I", *map(int, numbers))


_writers: dict[str, Callable[[list[str]], bytes]] = {
    "A": _address(4),
    "AAAA": _address(16),
    "CNAME": _name,
    "NS": _name,
    "PTR": _name,
    "DNAME": _name,
    "MX": _numbers_and_name(1),
    "SRV": _numbers_and_name(3),
    "TXT": _txt,
    "SOA": _soa,
}
