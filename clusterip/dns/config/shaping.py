"""``rewrite``, ``template``, ``hosts``, ``acl``, ``log``, ``ttl`` and ``dns64``."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from clusterip.dns.config import values
from clusterip.dns.config.model import (
    AclRule,
    Dns64Options,
    HostsOptions,
    LogOptions,
    Network,
    TemplateOptions,
)
from clusterip.dns.config.source import Directive

_Action = Literal["allow", "block", "filter", "drop"]
_COMMON = (
    '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" '
    "{rcode} {>rflags} {rsize} {duration}"
)
_COMBINED = _COMMON.replace("{>id}", "{>id} {>opcode}", 1)
_LOG_CLASSES = ("success", "denial", "error", "all")


def hosts(line: Directive, server_zones: tuple[bytes, ...], root: str = "") -> HostsOptions:
    """``hosts [FILE [ZONES...]] { [INLINE] ... }``"""
    file = os.path.join(root, line.args[0]) if line.args else "/etc/hosts"
    zones = values.zones(line, line.args[1:]) or server_zones
    options = HostsOptions(file, zones)
    inline: list[str] = []
    for option in line.block:
        match option.name:
            case "ttl":
                options = replace(options, ttl=values.integer(option, option.one(), 1))
            case "reload":
                options = replace(options, reload=values.duration(option, option.one()))
            case "no_reverse":
                options = replace(options, no_reverse=option.flag())
            case "fallthrough":
                options = replace(options, fallthrough=values.zones(option, option.args) or zones)
            case "fallthrough_unsupported":
                options = replace(options, fallthrough_unsupported=option.flag())
            case address:
                try:
                    ipaddress.ip_address(address)
                except ValueError:
                    option.fail("neither an option of hosts nor an address with names")
                inline.append(" ".join((address, *option.some())))
    return replace(options, lines=tuple(inline))


def template(line: Directive, server_zones: tuple[bytes, ...]) -> TemplateOptions:
    """``template CLASS TYPE [ZONES...] { ... }``"""
    if len(line.args) < 2:
        line.fail('needs a class and a type, such as "template IN A"')
    class_ = values.keyword(line, line.args[0], values.CLASSES, "class")
    type_ = values.record_type(line, line.args[1])
    zones = values.zones(line, line.args[2:]) or server_zones
    found: dict[str, list[str]] = {"answer": [], "additional": [], "authority": []}
    options = TemplateOptions(class_, type_, zones, line.where)

    def put(**changes: Any) -> None:
        nonlocal options
        options = replace(options, **changes)

    def record(option: Directive) -> None:
        found[option.name].append(" ".join(option.some()))

    def matches(option: Directive) -> None:
        put(matches=(*options.matches, *(values.pattern(option, text) for text in option.some())))

    def extended(option: Directive) -> None:
        code, *reason = option.some()
        put(extended_error=values.integer(option, code, 0, 65535), extra_reason=" ".join(reason))

    def unknown(option: Directive) -> None:
        option.fail("expressions are not understood here: use match and Go templates")

    values.each(
        line,
        {
            "match": matches,
            "answer": record,
            "additional": record,
            "authority": record,
            "rcode": lambda o: put(rcode=values.keyword(o, o.one(), values.RCODES, "response code")),
            "ederror": extended,
            "fallthrough": lambda o: put(fallthrough=values.zones(o, o.args) or zones),
            "var": unknown,
            "expr": unknown,
        },
    )
    put(**{section: tuple(texts) for section, texts in found.items()})
    return options


def acl(line: Directive, server_zones: tuple[bytes, ...]) -> list[AclRule]:
    """``acl [ZONES...] { ACTION [type TYPE...] [net SOURCE...] ... }``"""
    zones = values.zones(line, line.args) or server_zones
    rules = []
    for option in line.block:
        if option.name not in get_args(_Action):
            option.fail(f"no action of acl; known are {', '.join(get_args(_Action))}")
        groups: dict[str, list[str]] = {"type": [], "net": []}
        current: list[str] | None = None
        for word in option.args:
            if word in groups:
                current = groups[word]
            elif current is None:
                option.fail(f'"{word}" comes before "type" or "net"')
            else:
                current.append(word)
        types = [] if "*" in groups["type"] else groups["type"]
        networks = [] if "*" in groups["net"] else groups["net"]
        rules.append(
            AclRule(
                option.name,  # type: ignore[arg-type]  # it is one of them: see above
                zones,
                frozenset(values.record_type(option, text) for text in types),
                _networks(option, networks),
            )
        )
    return rules


def _networks(option: Directive, texts: Sequence[str]) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        option.fail(str(error))


def log(line: Directive, server_zones: tuple[bytes, ...]) -> LogOptions:
    """``log [NAMES...] [FORMAT] { class CLASSES... }``"""
    args = list(line.args)
    form = "{common}"
    if args and ("{" in args[-1]):
        form = args.pop()
    form = form.replace("{combined}", _COMBINED).replace("{common}", _COMMON)
    options = LogOptions(values.zones(line, args) or server_zones, form)
    classes: set[str] = set()
    for option in line.block:
        if option.name != "class":
            option.fail('log has only the option "class"')
        unknown = set(option.some()) - set(_LOG_CLASSES)
        if unknown:
            option.fail(f"{', '.join(sorted(unknown))}: known are {', '.join(_LOG_CLASSES)}")
        classes.update(option.args)
    return replace(options, classes=frozenset(classes or {"all"}))


def ttl(line: Directive) -> tuple[int, int]:
    """``ttl SECONDS`` or ``ttl MIN-MAX``: bounds for the TTLs of all answers."""
    return ttl_range(line, line.one())


def ttl_range(line: Directive, text: str) -> tuple[int, int]:
    """``30``, ``30-300``, ``-30`` or ``30-``."""
    least, separator, most = text.partition("-")
    low = values.integer(line, least) if least else 0
    if not separator:
        return low, low
    high = values.integer(line, most) if most else (1 << 31) - 1
    if low > high:
        line.fail(f"{text}: the least is greater than the greatest")
    return low, high


def dns64(line: Directive) -> Dns64Options:
    """``dns64 [PREFIX] { prefix PREFIX; translate_all; allow_ipv4 }``"""
    options = Dns64Options()

    def prefix(option: Directive) -> None:
        nonlocal options
        try:
            network = ipaddress.IPv6Network(option.one())
        except ValueError as error:
            option.fail(str(error))
        if network.prefixlen not in (32, 40, 48, 56, 64, 96):
            option.fail(f"{network}: a prefix has 32, 40, 48, 56, 64 or 96 bits (RFC 6052 section 2.2)")
        options = replace(options, prefix=network)

    def put(**changes: bool) -> None:
        nonlocal options
        options = replace(options, **changes)  # type: ignore[arg-type]

    if line.args:
        prefix(Directive(line.name, line.args, line.where))
    values.each(
        line,
        {
            "prefix": prefix,
            "translate_all": lambda o: put(translate_all=o.flag()),
            "allow_ipv4": lambda o: put(allow_ipv4=o.flag()),
        },
    )
    return options
