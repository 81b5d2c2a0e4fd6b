"""Resource records in the notation of zone files (RFC 1035 section 5), as ``template`` writes them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from clusterip.dns import names
from clusterip.dns.config.values import CLASSES, TYPES
from clusterip.dns.message import Record

_DEFAULT_TTL = 3600
_MAX_STRING = 255
_word = re.compile(r'"((?:[^"\\]|\\.)*)"|([()])|([^\s()";]+)|(;.*)')
_escape = re.compile(r"\\(\d{3}|.)", re.DOTALL)
_time = re.compile(r"(?i)(?=\d)(?:\d+[wdhms])*(?:\d+)?", re.ASCII)
_units = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "": 1}


class BadRecord(ValueError):
    """A text that is no record."""


def parse_record(text: str) -> Record:
    """``NAME [TTL] [CLASS] TYPE DATA``; the types are those of ``_writers``, or any as ``\\# LENGTH HEX``.

    Raises:
        BadRecord: it is none of these.
    """
    words = [
        quoted if bare == "" else bare
        for quoted, mark, bare, comment in _word.findall(text)
        if not mark and not comment
    ]
    try:
        owner = names.to_wire(words.pop(0))
        ttl = _DEFAULT_TTL
        while not _is_type(words[0]):
            word = words.pop(0)
            if _time.fullmatch(word):
                ttl = seconds(word)
            elif word.upper() not in CLASSES:
                raise BadRecord(f'"{word}" in "{text}" is neither a TTL nor a class nor a known type')
        type_ = words.pop(0).upper()
        number = TYPES.get(type_) or int(type_.removeprefix("TYPE"))
        if words[:1] == ["\\#"]:
            return Record(owner, number, ttl, _opaque(words[1:]))
        writer = _writers.get(type_)
        if writer is None:
            raise BadRecord(f"records of type {type_} cannot be written as text here, but as \\# LENGTH HEX")
        return Record(owner, number, ttl, writer(words))
    except (IndexError, ValueError, struct.error) as error:
        if isinstance(error, BadRecord):
            raise
        raise BadRecord(f'"{text}" is no resource record') from None


def seconds(text: str) -> int:
    """A time such as ``300`` or ``1h30m``. Raises BadRecord."""
    if _time.fullmatch(text) is None:
        raise BadRecord(f'"{text}" is no time')
    return sum(int(number) * _units[unit.lower()] for number, unit in re.findall(r"(\d+)([a-zA-Z]?)", text))


def _is_type(word: str) -> bool:
    upper = word.upper()
    return (upper in TYPES and upper != "ANY") or re.fullmatch(r"TYPE\d{1,5}", upper) is not None


def _opaque(words: list[str]) -> bytes:
    """RFC 3597 section 5."""
    data = bytes.fromhex("".join(words[1:]))
    if len(data) != int(words[0]):
        raise BadRecord("the data is not as long as it says")
    return data


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


def _unescaped(text: str) -> bytes:
    """``\\DDD`` is a byte by its number, ``\\`` before anything else that itself."""
    out = bytearray()
    at = 0
    for found in _escape.finditer(text):
        out += text[at : found.start()].encode()
        out += bytes((int(found[1]) & 255,)) if len(found[1]) == 3 else found[1].encode()
        at = found.end()
    return bytes(out + text[at:].encode())


def _string(text: str) -> bytes:
    data = _unescaped(text)
    if len(data) > _MAX_STRING:
        raise BadRecord(f"a string of more than {_MAX_STRING} bytes")
    return bytes((len(data),)) + data


def _strings(words: list[str]) -> bytes:
    if not words:
        raise BadRecord("a string is missing")
    return b"".join(map(_string, words))


def _soa(words: list[str]) -> bytes:
    server, mailbox, serial, *times = words
    numbers = struct.pack("!5I", int(serial), *map(seconds, times))
    return names.to_wire(server) + names.to_wire(mailbox) + numbers


def _caa(words: list[str]) -> bytes:
    flags, tag, value = words
    return bytes((int(flags),)) + _string(tag) + _unescaped(value)


def _naptr(words: list[str]) -> bytes:
    order, preference, *texts, replacement = words
    if len(texts) != 3:
        raise BadRecord("two numbers, three strings and a name expected")
    return struct.pack("!2H", int(order), int(preference)) + _strings(texts) + names.to_wire(replacement)


def _digest(form: str) -> Callable[[list[str]], bytes]:
    """Numbers, then hexadecimal digits."""
    count = struct.calcsize(form) if form.startswith("!B") else 3

    def write(words: list[str]) -> bytes:
        return struct.pack(form, *map(int, words[:count])) + bytes.fromhex("".join(words[count:]))

    return write


_writers: dict[str, Callable[[list[str]], bytes]] = {
    "A": _address(4),
    "AAAA": _address(16),
    "CNAME": _name,
    "NS": _name,
    "PTR": _name,
    "DNAME": _name,
    "MX": _numbers_and_name(1),
    "SRV": _numbers_and_name(3),
    "TXT": _strings,
    "SPF": _strings,
    "HINFO": _strings,
    "SOA": _soa,
    "CAA": _caa,
    "NAPTR": _naptr,
    "DS": _digest("!HBB"),
    "SSHFP": _digest("!BB"),
    "TLSA": _digest("!BBB"),
}
