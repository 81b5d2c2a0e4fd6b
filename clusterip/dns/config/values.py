"""Values in directives: numbers, durations, zones, patterns. A bad one raises BadConfig with its place."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from clusterip.dns import names
from clusterip.dns.config.goregex import compile_go
from clusterip.dns.config.source import Directive

T = TypeVar("T")

TYPES = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "HINFO": 13,
    "MX": 15,
    "TXT": 16,
    "AAAA": 28,
    "SRV": 33,
    "RP": 17,
    "LOC": 29,
    "NAPTR": 35,
    "DNAME": 39,
    "DS": 43,
    "SSHFP": 44,
    "RRSIG": 46,
    "NSEC": 47,
    "DNSKEY": 48,
    "NSEC3": 50,
    "TLSA": 52,
    "SVCB": 64,
    "HTTPS": 65,
    "SPF": 99,
    "IXFR": 251,
    "AXFR": 252,
    "ANY": 255,
    "CAA": 257,
}
CLASSES = {"IN": 1, "CH": 3, "HS": 4, "ANY": 255}
RCODES = {
    "NOERROR": 0,
    "FORMERR": 1,
    "SERVFAIL": 2,
    "NXDOMAIN": 3,
    "NOTIMP": 4,
    "REFUSED": 5,
    "YXDOMAIN": 6,
    "YXRRSET": 7,
    "NXRRSET": 8,
    "NOTAUTH": 9,
    "NOTZONE": 10,
    "BADVERS": 16,
    "BADSIG": 16,
    "BADKEY": 17,
    "BADTIME": 18,
    "BADMODE": 19,
    "BADNAME": 20,
    "BADALG": 21,
    "BADTRUNC": 22,
    "BADCOOKIE": 23,
}
MAX_WEIGHT = 255
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def integer(directive: Directive, text: str, least: int = 0, most: int = 1 << 31) -> int:
    if not re.fullmatch(r"\d+", text, re.ASCII) or not least <= int(text) <= most:
        directive.fail(f'"{text}" is not a number from {least} to {most}')
    return int(text)


def duration(directive: Directive, text: str, *, bare: bool = False) -> float:
    """Seconds of a Go duration such as ``1m30s``; ``bare``: a plain number is seconds."""
    if bare and text.isdecimal():
        return float(text)
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        directive.fail(f'"{text}" is not a duration such as 30s or 1m30s')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def name(directive: Directive, text: str) -> bytes:
    """A domain name in wire format. Only a zone may also be written as a network (``zones``)."""
    try:
        return names.to_wire(text)
    except names.BadName as error:
        directive.fail(str(error))


def zones(directive: Directive, texts: Sequence[str]) -> tuple[bytes, ...]:
    """Zones; networks in CIDR notation become the reverse zones that hold them."""
    found: dict[bytes, None] = {}
    for text in texts:
        if "/" in text:
            found |= dict.fromkeys(_reverse_zones(directive, text))
        else:
            found[name(directive, text)] = None
    return tuple(found)


def _reverse_zones(directive: Directive, text: str) -> list[bytes]:
    """A prefix that ends within a label becomes several zones, as CoreDNS does it."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        directive.fail(f'"{text}" is neither a zone nor a network: {error}')
    step = 8 if network.version == 4 else 4
    rounded = min(-(-network.prefixlen // step) * step, network.max_prefixlen)
    found = []
    for part in network.subnets(new_prefix=rounded):
        wire = names.reverse_name(part.network_address.packed)
        for _ in range((network.max_prefixlen - rounded) // step):
            wire = names.parent(wire)
        found.append(wire)
    return found


def keyword(directive: Directive, text: str, table: dict[str, T], what: str) -> T:
    """A value by its name, case aside."""
    found = table.get(text.upper())
    if found is None:
        directive.fail(f'"{text}" is no {what}; known are {", ".join(table)}')
    return found


def record_type(directive: Directive, text: str) -> int:
    if re.fullmatch(r"(?i)TYPE\d{1,5}", text):
        return int(text[4:])
    return keyword(directive, text, TYPES, "record type")


def pattern(directive: Directive, text: str) -> re.Pattern[str]:
    """A regular expression in Go's notation."""
    try:
        return compile_go(text)
    except ValueError as error:
        directive.fail(f'"{text}" is not a regular expression: {error}')


def each(directive: Directive, readers: dict[str, Callable[[Directive], None]]) -> None:
    """Read the block of a directive, each line by the reader of its name."""
    for line in directive.block:
        reader = readers.get(line.name)
        if reader is None:
            line.fail(f"{directive.name} has no such option; known are {', '.join(sorted(readers))}")
        reader(line)
