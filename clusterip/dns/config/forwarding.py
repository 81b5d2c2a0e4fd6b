"""``forward`` and ``cache``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from clusterip.dns.config import values
from clusterip.dns.config.model import CacheOptions, Capacity, ForwardOptions, Prefetch, Target
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
            "tls": lambda o: put("tls", tuple(o.args)),
            "tls_servername": lambda o: put("tls_servername", o.one()),
        },
    )
    targets = tuple(_target(line, text) for text in line.args[1:])
    return replace(ForwardOptions(origins[0], targets, line.where), **changes)


def _target(line: Directive, text: str) -> Target:
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme not in ("dns", "tls"):
        line.fail(f"{text}: only dns:// and tls:// can be forwarded to")
    address, _, server_name = rest.partition("%") if scheme == "tls" else (rest, "", "")
    return Target(address, scheme == "tls", server_name)


def cache(line: Directive, server_zones: tuple[bytes, ...]) -> CacheOptions:
    """``cache [TTL] [ZONES...] { ... }``"""
    args = list(line.args)
    options = CacheOptions(server_zones)
    if args and args[0].isdecimal():
        ttl = values.integer(line, args.pop(0), 1)
        options = replace(
            options,
            success=replace(options.success, max_ttl=ttl),
            denial=replace(options.denial, max_ttl=ttl),
        )
    if args:
        options = replace(options, zones=values.zones(line, args))

    def change(**changes: Any) -> None:
        nonlocal options
        options = replace(options, **changes)

    def capacity(option: Directive) -> None:
        if not 1 <= len(option.args) <= 3:
            option.fail("expects CAPACITY [TTL [MINTTL]]")
        before = options.success if option.name == "success" else options.denial
        numbers = [values.integer(option, text) for text in option.args]
        now = Capacity(*numbers, *(before.max_ttl, before.min_ttl)[len(numbers) - 1 :])
        change(**{option.name: now})

    def prefetch(option: Directive) -> None:
        args = list(option.some())
        percentage = 10
        if args[-1].endswith("%"):
            percentage = values.integer(option, args.pop()[:-1], 10, 90)
        if not 1 <= len(args) <= 2:
            option.fail("expects AMOUNT [DURATION] [PERCENTAGE%]")
        seconds = values.duration(option, args[1]) if len(args) > 1 else 60.0
        change(prefetch=Prefetch(values.integer(option, args[0]), seconds, percentage))

    def serve_stale(option: Directive) -> None:
        change(serve_stale=values.duration(option, option.args[0]) if option.args else 3600.0)
        if len(option.args) > 1:
            mode = option.args[1].lower()
            if mode not in ("verify", "immediate"):
                option.fail(f'"{mode}" is neither verify nor immediate')
            change(serve_stale_refresh=mode)

    def disable(option: Directive) -> None:
        kind, *texts = option.some()
        if kind not in ("success", "denial"):
            option.fail(f'"{kind}" is neither success nor denial')
        entry = (kind, values.zones(option, texts) or options.zones)
        change(disable=(*options.disable, entry))

    values.each(
        line,
        {
            "success": capacity,
            "denial": capacity,
            "prefetch": prefetch,
            "serve_stale": serve_stale,
            "servfail": lambda o: change(servfail=values.duration(o, o.one())),
            "disable": disable,
            "keepttl": lambda o: change(keepttl=o.flag()),
        },
    )
    return options
