"""``log``: a line for each query."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from clusterip.dns import message, names
from clusterip.dns.config.model import LogOptions
from clusterip.dns.config.values import CLASSES, RCODES, TYPES
from clusterip.dns.lookup import Found
from clusterip.dns.message import Query, Reply
from clusterip.dns.plugins.chain import Handler, Outcome, is_in, then, unkept
from clusterip.process import log

_log = log.get("dns")
_types = {number: name for name, number in TYPES.items()}
_classes = {number: name for name, number in CLASSES.items()}
_rcodes = {number: name for name, number in RCODES.items() if name != "BADSIG"}
_FLAGS = (
    (message.QR, "qr"),
    (message.AA, "aa"),
    (message.TC, "tc"),
    (message.RD, "rd"),
    (message.RA, "ra"),
    (message.AD, "ad"),
    (message.CD, "cd"),
)
_PLACE = re.compile(r"\{([^{}]+)\}")


def log_queries(options: LogOptions, next_: Handler) -> Handler:
    """Write a line for each query. So none is answered from what is kept."""

    def handle(query: Query) -> Outcome:
        if not is_in(query.name, options.zones):
            return next_(query)
        started = time.perf_counter()

        def answered(found: Found) -> Found:
            if "all" in options.classes or class_of(found.reply) in options.classes:
                _log.info("query", line=line(options.format, query, found.reply, started))
            return unkept(found)

        return then(next_(query), answered)

    return handle


def class_of(reply: Reply) -> str:
    """CoreDNS's classes (``plugin/pkg/response``): what was answered, denied or went wrong."""
    if reply.rcode == message.NXDOMAIN or (reply.rcode == message.NOERROR and not reply.answer):
        return "denial"
    return "success" if reply.rcode == message.NOERROR else "error"


def type_of(reply: Reply) -> str:
    """What a query got: a code, or NODATA."""
    if reply.rcode == message.NOERROR and not reply.answer:
        return "NODATA"
    return _rcodes.get(reply.rcode, str(reply.rcode))


def line(form: str, query: Query, reply: Reply, started: float) -> str:
    """``form`` with its places filled; ``started`` is when the query came (``time.perf_counter``)."""
    values: dict[str, Callable[[], object]] = {
        "remote": lambda: _address(query.client),
        "local": lambda: _address(query.local),
        "port": lambda: query.port,
        "proto": lambda: "tcp" if query.tcp else "udp",
        "type": lambda: _types.get(query.type, f"TYPE{query.type}"),
        "class": lambda: _classes.get(query.class_, f"CLASS{query.class_}"),
        "name": lambda: names.to_text(query.name),
        "size": lambda: query.size,
        "rcode": lambda: _rcodes.get(reply.rcode, str(reply.rcode)),
        "rsize": lambda: _size(query, reply),
        "duration": lambda: f"{time.perf_counter() - started:.9f}s",
        ">id": lambda: int.from_bytes(query.id, "big"),
        ">opcode": lambda: query.flags >> 11 & 15,
        ">do": lambda: str(query.dnssec_ok).lower(),
        ">bufsize": lambda: query.udp_size,
        ">rflags": lambda: _flags(query, reply),
        "/log/class": lambda: class_of(reply),
        "/log/type": lambda: type_of(reply),
    }

    def fill(place: re.Match[str]) -> str:
        value = values.get(place[1])
        if value is not None:
            return str(value())
        if not place[1].startswith("/"):
            return place.group()
        return (query.meta(place[1][1:]) if query.meta is not None else "") or "-"

    return _PLACE.sub(fill, form)


def _address(text: str) -> str:
    return f"[{text}]" if ":" in text else text


def _flags(query: Query, reply: Reply) -> str:
    flags = message.flags_of(query, reply)
    return ",".join(name for bit, name in _FLAGS if flags & bit)


def _size(query: Query, reply: Reply) -> int:
    """Bytes of the answer without compression of names."""
    size = message.HEADER + len(query.question) + (11 if query.edns else 0)
    for section in (reply.answer, reply.authority, reply.additional):
        size += sum(len(record.owner) + 10 + len(record.rdata) for record in section)
    return size
