"""The functions that every Go template has (``text/template``, ``funcs.go``), and CoreDNS's ``parseInt``."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from clusterip.dns.gotemplate.errors import BadTemplate

_VERB = re.compile(r"%([-+# 0]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")


def truth(value: Any) -> bool:
    """Go's notion: false, zero, nil and what is empty are not true."""
    return bool(value)


def shown(value: Any) -> str:
    """A value as ``{{ . }}`` writes it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case float():
            return f"{value:g}"
        case list() | tuple():
            return "[" + " ".join(map(shown, value)) + "]"
        case dict():
            return "map[" + " ".join(f"{key}:{shown(value[key])}" for key in sorted(value)) + "]"
    return str(value)


def printf(form: Any, *values: Any) -> str:
    """``printf`` with the verbs v, s, q, d, b, o, x, X, c, U, t, e, f, g and ``%%``."""
    left = list(values)

    def one(found: re.Match[str]) -> str:
        flags, width, precision, verb = found.groups()
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        text = _verb(verb, left.pop(0), precision, flags)
        if width is None:
            return text
        if "-" in flags:
            return text.ljust(int(width))
        return text.zfill(int(width)) if "0" in flags else text.rjust(int(width))

    text = _VERB.sub(one, _string(form))
    return text + ("".join(f"%!(EXTRA {shown(each)})" for each in left))


def _verb(verb: str, value: Any, precision: str | None, flags: str) -> str:
    try:
        match verb:
            case "v" | "t":
                return shown(value)
            case "s":
                return shown(value) if precision is None else shown(value)[: int(precision)]
            case "q":
                return json.dumps(shown(value), ensure_ascii=False)
            case "d" | "b" | "o" if isinstance(value, int):
                return format(value, ("+" if "+" in flags else "") + verb)
            case "x" | "X" if isinstance(value, str):
                return value.encode().hex() if verb == "x" else value.encode().hex().upper()
            case "x" | "X":
                return format(value, ("#" if "#" in flags else "") + verb)
            case "c":
                return chr(value)
            case "U":
                return f"U+{value:04X}"
            case "e" | "f" | "g":
                return format(float(value), f".{precision or 6}{verb}" if verb != "g" or precision else "g")
    except (TypeError, ValueError):
        pass
    return f"%!{verb}({shown(value)})"


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise BadTemplate(f"{shown(value)} is no string")
    return value


def _print(*values: Any) -> str:
    """Spaces only between operands neither of which is a string."""
    out = ""
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            out += " "
        out += shown(value)
    return out


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key, "")
            continue
        if not isinstance(value, list | tuple | str) or not isinstance(key, int) or isinstance(key, bool):
            raise BadTemplate(f"index: {shown(value)} has no {shown(key)}")
        if not 0 <= key < len(value):
            raise BadTemplate(f"index: there is no number {key} of {len(value)}")
        value = ord(value[key]) if isinstance(value, str) else value[key]
    return value


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, list | tuple | str) or len(bounds) > 3:
        raise BadTemplate("slice: neither a string nor a list")
    start, end = (*bounds, len(value))[:2] if len(bounds) == 1 else (*bounds, 0, len(value))[:2]
    if not bounds:
        return value
    if not 0 <= start <= end <= len(value):
        raise BadTemplate(f"slice: {start} to {end} of {len(value)}")
    return value[start:end]


def _len(value: Any) -> int:
    if not isinstance(value, str | list | tuple | dict):
        raise BadTemplate(f"len: {shown(value)} has none")
    return len(value.encode()) if isinstance(value, str) else len(value)


def _compared(name: str, test: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    def compare(first: Any, second: Any) -> bool:
        numbers = isinstance(first, int | float) and isinstance(second, int | float)
        if type(first) is not type(second) and not numbers:
            raise BadTemplate(f"{name}: {shown(first)} and {shown(second)} are of different types")
        try:
            return test(first, second)
        except TypeError:
            raise BadTemplate(f"{name}: {shown(first)} cannot be compared") from None

    return compare


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise BadTemplate("eq: what to compare with is missing")
    equal = _compared("eq", lambda a, b: bool(a == b))
    return any(equal(first, other) for other in others)


def _parse_int(text: Any, base: Any, bits: Any) -> int:
    """``strconv.ParseUint``."""
    try:
        value = int(_string(text), base)
    except (ValueError, TypeError):
        raise BadTemplate(f'parseInt: "{shown(text)}" is no number of base {shown(base)}') from None
    if value < 0 or (bits and value >= 1 << bits):
        raise BadTemplate(f'parseInt: "{text}" does not fit into {bits} bits')
    return value


def _call(function: Any, *values: Any) -> Any:
    if not callable(function):
        raise BadTemplate("call: that is no function")
    return function(*values)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "call": _call,
    "eq": _eq,
    "ge": _compared("ge", lambda a, b: bool(a >= b)),
    "gt": _compared("gt", lambda a, b: bool(a > b)),
    "html": lambda *values: (
        html.escape(_print(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    ),
    "index": _index,
    "js": lambda *values: json.dumps(_print(*values))[1:-1],
    "le": _compared("le", lambda a, b: bool(a <= b)),
    "len": _len,
    "lt": _compared("lt", lambda a, b: bool(a < b)),
    "ne": lambda first, second: not _eq(first, second),
    "not": lambda value: not truth(value),
    "parseInt": _parse_int,
    "print": _print,
    "printf": printf,
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "slice": _slice,
    "urlquery": lambda *values: quote_plus(_print(*values)),
}
"""``and`` and ``or`` are not here: they do not look at all of their arguments."""
