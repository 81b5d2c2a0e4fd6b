"""``cache``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clusterip.dns.config import values
from clusterip.dns.config.model import CacheOptions, Capacity, Prefetch
from clusterip.dns.config.source import Directive

_MAX_SERVFAIL = 300.0


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
        """``[DURATION [immediate|verify [VERIFY_TIMEOUT]] [RESPONSE_TTL [FAILURE_RECHECK]]]``"""
        args = list(option.args)
        change(serve_stale=values.duration(option, args.pop(0)) if args else 3600.0)
        if not args:
            return
        mode = args.pop(0).lower()
        if mode not in ("verify", "immediate"):
            option.fail(f'"{mode}" is neither verify nor immediate')
        change(serve_stale_refresh=mode)
        if mode == "verify" and args:
            change(verify_timeout=values.duration(option, args.pop(0)))
        if args:
            change(stale_ttl=int(values.duration(option, args.pop(0))))
        if args:
            change(failure_recheck=values.duration(option, args.pop(0)))
        if args:
            option.fail(f'"{" ".join(args)}" is too much')

    def servfail(option: Directive) -> None:
        seconds = values.duration(option, option.one())
        if seconds > _MAX_SERVFAIL:
            option.fail("at most 5m")
        change(servfail=seconds)

    def policy(option: Directive) -> None:
        if option.one() != "prefer_positive":
            option.fail("the only policy is prefer_positive")
        change(prefer_positive=True)

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
            "serve_stale_policy": policy,
            "servfail": servfail,
            "disable": disable,
            "keepttl": lambda o: change(keepttl=o.flag()),
        },
    )
    return options
