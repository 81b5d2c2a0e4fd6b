"""Plugins of a few lines: ``acl``, ``ttl``, ``log`` and ``errors``."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Sequence
from dataclasses import replace

from clusterip.dns import message, names
from clusterip.dns.config.model import AclRule, LogOptions
from clusterip.dns.config.values import CLASSES, RCODES, TYPES
from clusterip.dns.lookup import Found
from clusterip.dns.message import Query, Reply
from clusterip.dns.plugins.chain import Handler, Outcome, is_in, then, with_records
from clusterip.process import log

_log = log.get("dns")
_types = {number: name for name, number in TYPES.items()}
_classes = {number: name for name, number in CLASSES.items()}
_rcodes = {number: name for name, number in RCODES.items()}


def acl(rules: Sequence[AclRule], next_: Handler) -> Handler:
    """Answer only who may ask. The first rule that fits decides; answers are not kept for others."""

    def handle(query: Query) -> Outcome:
        if not is_in(query.name, [zone for rule in rules for zone in rule.zones]):
            return next_(query)
        for rule in rules:
            if _fits(rule, query):
                return _decided(rule, query, next_)
        return then(next_(query), _unkept)

    return handle


def _fits(rule: AclRule, query: Query) -> bool:
    if not is_in(query.name, rule.zones) or (rule.types and query.type not in rule.types):
        return False
    if not rule.networks:
        return True
    address = ipaddress.ip_address(query.client.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in rule.networks)


def _decided(rule: AclRule, query: Query, next_: Handler) -> Outcome:
    match rule.action:
        case "allow":
            return then(next_(query), _unkept)
        case "block":
            why, code = "blocked by an acl", message.EDE_PROHIBITED
            return Found(Reply(message.REFUSED, extended_error=code, why=why), keep=False)
        case "filter":
            return Found(Reply(), keep=False)
        case "drop":
            return Found(Reply(), keep=False, silent=True)


def _unkept(found: Found) -> Found:
    return replace(found, keep=False, lasting=False)


def ttl(bounds: tuple[int, int], next_: Handler) -> Handler:
    """Hold the TTLs of all answers between two bounds."""
    least, most = bounds

    def change(found: Found) -> Found:
        reply = with_records(found.reply, lambda r: r._replace(ttl=min(max(r.ttl, least), most)))
        return replace(found, reply=reply)

    return lambda query: then(next_(query), change)


def log_queries(options: LogOptions, next_: Handler) -> Handler:
    """Write a line for each query. So none is answered from what is kept."""

    def handle(query: Query) -> Outcome:
        if not is_in(query.name, options.zones):
            return next_(query)
        started = time.perf_counter()

        def answered(found: Found) -> Found:
            if "all" in options.classes or _class_of(found.reply) in options.classes:
                _log.info("query", line=_line(options.format, query, found.reply, started))
            return _unkept(found)

        return then(next_(query), answered)

    return handle


def _class_of(reply: Reply) -> str:
    """CoreDNS's classes (``plugin/pkg/response``): what was answered, denied or went wrong."""
    if reply.rcode == message.NXDOMAIN or (reply.rcode == message.NOERROR and not reply.answer):
        return "denial"
    return "success" if reply.rcode == message.NOERROR else "error"


def _line(form: str, query: Query, reply: Reply, started: float) -> str:
    values = {
        "remote": f"[{query.client}]" if ":" in query.client else query.client,
        "type": _types.get(query.type, f"TYPE{query.type}"),
        "class": _classes.get(query.class_, f"CLASS{query.class_}"),
        "name": names.to_text(query.name),
        "rcode": _rcodes.get(reply.rcode, str(reply.rcode)),
        "duration": f"{time.perf_counter() - started:.9f}s",
        ">id": str(int.from_bytes(query.id, "big")),
        ">do": str(query.dnssec_ok).lower(),
        ">bufsize": str(query.udp_size),
        ">rflags": "qr,aa,rd,ra" if reply.authoritative else "qr,rd,ra",
    }
    for name, value in values.items():
        form = form.replace("{" + name + "}", value)
    for name in ("port", "proto", "size", "rsize"):  # not known where plugins are
        form = form.replace("{" + name + "}", "-")
    return form


def log_failure(query: Query, reply: Reply) -> None:
    """``errors``: write a line for a query that failed."""
    name, type_ = names.to_text(query.name), _types.get(query.type, str(query.type))
    _log.warning("query failed", name=name, type=type_, why=reply.why)
