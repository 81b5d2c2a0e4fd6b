"""``errors``, ``header``, ``chaos``, ``local``, ``loadbalance`` and ``transfer``."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from clusterip.dns import message, names
from clusterip.dns.config import values
from clusterip.dns.config.model import (
    Chaos,
    Consolidation,
    HeaderRule,
    LoadbalanceOptions,
    Network,
    TransferOptions,
)
from clusterip.dns.config.source import Directive
from clusterip.process.sockets import parse_address

_FLAGS = {"aa": message.AA, "ra": message.RA, "rd": message.RD}
_LEVELS = ("debug", "info", "warning", "error")


def errors(line: Directive) -> tuple[Consolidation, ...]:
    """``errors { stacktrace; consolidate DURATION REGEXP [LEVEL] [show_first] }``"""
    found: list[Consolidation] = []

    def consolidate(option: Directive) -> None:
        if not 2 <= len(option.args) <= 4:
            option.fail("expects DURATION REGEXP [LEVEL] [show_first]")
        seconds = values.duration(option, option.args[0])
        rule = Consolidation(seconds, values.pattern(option, option.args[1]))
        words = option.args[2:]
        if words and words[-1] == "show_first":
            words = words[:-1]
            rule = replace(rule, show_first=True)
        if words:
            if words[0] not in _LEVELS or len(words) > 1:
                option.fail(f'"{" ".join(words)}" is no level; known are {", ".join(_LEVELS)}')
            rule = replace(rule, level=words[0])  # type: ignore[arg-type]  # it is one of them
        found.append(rule)

    # Tracebacks of bugs are always logged.
    values.each(line, {"stacktrace": lambda o: None, "consolidate": consolidate})
    return tuple(found)


def header(line: Directive) -> list[HeaderRule]:
    """``header { query|response set|clear FLAGS... }``"""
    rules = []
    for option in line.block:
        if option.name not in ("query", "response"):
            option.fail("a line of header begins with query or response")
        action, *flags = option.some()
        if action not in ("set", "clear") or not flags:
            option.fail("expects set or clear, and flags")
        bits = 0
        for flag in flags:
            bits |= values.keyword(option, flag, {key.upper(): bit for key, bit in _FLAGS.items()}, "flag")
        rules.append(HeaderRule(option.name == "response", action == "set", bits))
    if not rules:
        line.fail('a rule is missing, such as "response set ra"')
    return rules


def chaos(line: Directive) -> Chaos:
    """``chaos [VERSION] [AUTHORS...]``"""
    version, *authors = line.args or [""]
    return Chaos(version, tuple(authors))


def local(line: Directive) -> Literal["names", "prefixes"]:
    """``local { localhost_prefix on|off }``"""
    mode: Literal["names", "prefixes"] = "prefixes"
    modes: dict[str, Literal["names", "prefixes"]] = {"ON": "prefixes", "OFF": "names"}

    def prefix(option: Directive) -> None:
        nonlocal mode
        mode = values.keyword(option, option.one(), modes, "setting")

    values.each(line, {"localhost_prefix": prefix})
    return mode


def loadbalance(line: Directive, root: str) -> LoadbalanceOptions:
    """``loadbalance [round_robin|weighted FILE] { reload DURATION; prefer NETWORK... }``"""
    options = LoadbalanceOptions()
    match line.args:
        case [] | ["round_robin"]:
            pass
        case ["weighted", file]:
            options = replace(options, weights=os.path.join(root, file))
        case _:
            line.fail('expects round_robin or "weighted FILE"')

    def put(**changes: Any) -> None:
        nonlocal options
        options = replace(options, **changes)

    values.each(
        line,
        {
            "reload": lambda o: put(reload=values.duration(o, o.one())),
            "prefer": lambda o: put(prefer=(*options.prefer, *networks(o, o.some()))),
        },
    )
    return options


def transfer(line: Directive, server_zones: tuple[bytes, ...]) -> TransferOptions:
    """``transfer [ZONES...] { to ADDRESS...; source ADDRESS }``"""
    options = TransferOptions(values.zones(line, line.args) or server_zones)

    def put(**changes: Any) -> None:
        nonlocal options
        options = replace(options, **changes)

    def to(option: Directive) -> None:
        for text in option.some():
            if text == "*":
                put(anyone=True)
            elif "/" in text:
                put(to=(*options.to, *networks(option, [text])))
            else:
                put(to=(*options.to, *networks(option, [_host(option, text)])))

    def source(option: Directive) -> None:
        """Nobody is told of changes: what asks for a whole zone does so when it wants it."""
        networks(option, [option.one()])

    values.each(line, {"to": to, "source": source})
    if not options.anyone and not options.to:
        line.fail('who may have the zone is missing, such as "to 10.0.0.1"')
    return options


def networks(option: Directive, texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks or single addresses. Raises BadConfig."""
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        option.fail(str(error))


def _host(option: Directive, text: str) -> str:
    if names.pack_address(text) is not None:
        return text
    try:
        return parse_address(text)[0]
    except ValueError as error:
        option.fail(str(error))
