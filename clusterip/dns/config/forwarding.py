"""``forward``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from clusterip.dns import names
from clusterip.dns.config import values
from clusterip.dns.config.model import ForwardOptions, Target
from clusterip.dns.config.source import Directive

_POLICIES: dict[str, Literal["random", "round_robin", "sequential"]] = {
    "RANDOM": "random",
    "ROUND_ROBIN": "round_robin",
    "SEQUENTIAL": "sequential",
}


def forward(line: Directive) -> ForwardOptions:
    """``forward FROM TO... { ... }``"""
    if len(line.args) < 2:
        line.fail('needs a zone and where to ask, such as "forward . /etc/resolv.conf"')
    origins = values.zones(line, line.args[:1])
    if len(origins) != 1:
        line.fail(f"{line.args[0]} is several zones: write a forward for each")
    changes: dict[str, Any] = {}

    def put(key: str, value: Any) -> None:
        changes[key] = value

    def health_check(option: Directive) -> None:
        args = list(option.some())
        put("health_check", values.duration(option, args.pop(0)))
        while args:
            word = args.pop(0)
            if word == "no_rec":
                put("health_check_recursive", False)
            elif word == "domain" and args:
                put("health_check_domain", args.pop(0))
            else:
                option.fail(f'"{word}" is neither no_rec nor "domain NAME"')

    def failover(option: Directive) -> None:
        codes = _codes(option)
        if 0 in codes:
            option.fail("NOERROR is no failure")
        put("failover", codes)

    def source_address(option: Directive) -> None:
        if names.pack_address(option.one()) is None:
            option.fail(f'"{option.one()}" is no address')
        put("source_address", option.one())

    def tls(option: Directive) -> None:
        if len(option.args) > 3:
            option.fail("expects [CERT KEY] [CA]")
        put("tls", tuple(option.args))

    def idle_connections(option: Directive) -> None:
        """One connection to each upstream serves all questions."""
        values.integer(option, option.one())

    values.each(
        line,
        {
            "except": lambda o: put("excepted", values.zones(o, o.some())),
            "policy": lambda o: put("policy", values.keyword(o, o.one(), _POLICIES, "policy")),
            "max_fails": lambda o: put("max_fails", values.integer(o, o.one())),
            "health_check": health_check,
            "max_concurrent": lambda o: put("max_concurrent", values.integer(o, o.one())),
            "force_tcp": lambda o: put("force_tcp", o.flag()),
            "prefer_udp": lambda o: put("prefer_udp", o.flag()),
            "expire": lambda o: put("expire", values.duration(o, o.one())),
            "max_idle_conns": idle_connections,
            "read_timeout": lambda o: put("read_timeout", values.duration(o, o.one())),
            "max_connect_attempts": lambda o: put("max_connect_attempts", values.integer(o, o.one())),
            "next": lambda o: put("next_codes", _codes(o)),
            "next_on_nodata": lambda o: put("next_on_nodata", o.flag()),
            "failover": failover,
            "failfast_all_unhealthy_upstreams": lambda o: put("failfast", o.flag()),
            "source_address": source_address,
            "resolver": lambda o: put("resolver", tuple(o.some())),
            "tls": tls,
            "tls_servername": lambda o: put("tls_servername", o.one()),
        },
    )
    targets = tuple(target(line, text) for text in line.args[1:])
    if "tls_servername" in changes and any(each.server_name for each in targets):
        line.fail("tls_servername beside a name of its own (%NAME) for an upstream")
    return replace(ForwardOptions(origins[0], targets, line.where), **changes)


def _codes(option: Directive) -> frozenset[int]:
    return frozenset(values.keyword(option, text, values.RCODES, "response code") for text in option.some())


def target(line: Directive, text: str) -> Target:
    """``ADDRESS[:PORT]``, ``HOST[:PORT]``, a file, ``dns://ADDRESS`` or ``tls://ADDRESS[%NAME][:PORT]``."""
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme not in ("dns", "tls"):
        line.fail(f"{text}: only dns:// and tls:// can be forwarded to")
    if scheme != "tls":
        return Target(rest)
    address, _, server_name = rest.partition("%")
    server_name, _, port = server_name.partition(":")
    if port:
        address = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return Target(address, True, server_name)
