"""What is wrong with text that is not JSON, in the words of Go's ``encoding/json`` scanner."""

from __future__ import annotations

import json
import re
from typing import Any

from clusterip.objects.go_text import quoted

MAX_DEPTH = 10_000

_SPACE = b" \t\r\n"
_DIGITS = re.compile(rb"[0-9]*")
_LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_ESCAPES = b'"\\/bfnrt'
_ENDED = "unexpected end of JSON input"


class _SyntaxError(Exception):
    pass


def syntax_error(text: bytes) -> str:
    """The message for ``text``, which is not JSON; empty if the scanner finds nothing wrong with it."""
    try:
        _scan(text)
    except _SyntaxError as error:
        return str(error)
    return ""


def loads_leniently(text: bytes) -> Any:
    """JSON whose bytes are not all UTF-8, or that spells half of a surrogate pair: U+FFFD stands in for them.

    Raises:
        ValueError: it is not JSON even so.
        RecursionError: it is nested too deeply.
    """
    tree = json.loads(text.decode("utf-8", "replace"), parse_constant=_no_constant)
    return _without_surrogates(tree)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _without_surrogates(tree: Any) -> Any:
    if isinstance(tree, str):
        return tree if tree.isascii() else re.sub("[\ud800-\udfff]", "\ufffd", tree)
    if isinstance(tree, dict):
        return {_without_surrogates(key): _without_surrogates(value) for key, value in tree.items()}
    return [_without_surrogates(value) for value in tree] if isinstance(tree, list) else tree


def _unexpected(text: bytes, at: int, where: str) -> _SyntaxError:
    if at >= len(text):
        return _SyntaxError(_ENDED)
    letter = chr(text[at])
    shown = {"'": r"'\''", '"': "'\"'"}.get(letter) or f"'{quoted(letter)[1:-1]}'"
    return _SyntaxError(f"invalid character {shown} {where}")


def _skip_space(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _scan(text: bytes) -> None:
    """Read one value and make sure that nothing follows; nesting is kept on a stack of closing brackets."""
    open_: list[int] = []
    at = _skip_space(text, 0)
    while True:
        # Here a value begins.
        letter = text[at] if at < len(text) else -1
        if letter in (ord("{"), ord("[")):
            open_.append(letter + 2)  # } and ] stand two after their openings
            if len(open_) > MAX_DEPTH:
                raise _SyntaxError("exceeded max depth")
            at = _skip_space(text, at + 1)
            if at < len(text) and text[at] == open_[-1]:
                at += 1
                open_.pop()
            else:
                at = _key(text, at) if letter == ord("{") else at
                continue
        else:
            at = _scalar(text, at, letter)
        # Here one has ended.
        while True:
            at = _skip_space(text, at)
            if not open_:
                if at < len(text):
                    raise _unexpected(text, at, "after top-level value")
                return
            if at < len(text) and text[at] == open_[-1]:
                open_.pop()
                at += 1
                continue
            break
        in_object = open_[-1] == ord("}")
        if at >= len(text) or text[at] != ord(","):
            raise _unexpected(text, at, "after object key:value pair" if in_object else "after array element")
        at = _skip_space(text, at + 1)
        if in_object:
            at = _key(text, at)


def _key(text: bytes, at: int) -> int:
    """Past a key and its colon, to where the value begins."""
    if at >= len(text) or text[at] != ord('"'):
        raise _unexpected(text, at, "looking for beginning of object key string")
    at = _skip_space(text, _string(text, at))
    if at >= len(text) or text[at] != ord(":"):
        raise _unexpected(text, at, "after object key")
    return _skip_space(text, at + 1)


def _scalar(text: bytes, at: int, letter: int) -> int:
    if letter == ord('"'):
        return _string(text, at)
    if letter in _LITERALS:
        word = _LITERALS[letter]
        for i in range(1, len(word)):
            if text[at + i : at + i + 1] != word[i : i + 1]:
                expected = f"in literal {word.decode()} (expecting '{chr(word[i])}')"
                raise _unexpected(text, at + i, expected)
        return at + len(word)
    if letter >= 0 and letter in b"-0123456789":
        return _number(text, at)
    raise _unexpected(text, at, "looking for beginning of value")


def _string(text: bytes, at: int) -> int:
    at += 1
    while at < len(text):
        letter = text[at]
        if letter == ord('"'):
            return at + 1
        if letter < 0x20:
            raise _unexpected(text, at, "in string literal")
        if letter == ord("\\"):
            at += 1
            if text[at : at + 1] == b"u":
                for _ in range(4):
                    at += 1
                    if chr(text[at] if at < len(text) else 0) not in "0123456789abcdefABCDEF":
                        raise _unexpected(text, at, "in \\u hexadecimal character escape")
            elif at >= len(text) or text[at] not in _ESCAPES:
                raise _unexpected(text, at, "in string escape code")
        at += 1
    raise _SyntaxError(_ENDED)


def _number(text: bytes, at: int) -> int:
    if text[at] == ord("-"):
        at += 1
    if text[at : at + 1] == b"0":
        at += 1
    else:
        at = _digits(text, at, "in numeric literal")
    if text[at : at + 1] == b".":
        at = _digits(text, at + 1, "after decimal point in numeric literal")
    if text[at : at + 1] in (b"e", b"E"):
        at += 1
        if text[at : at + 1] in (b"+", b"-"):
            at += 1
        at = _digits(text, at, "in exponent of numeric literal")
    return at


def _digits(text: bytes, at: int, where: str) -> int:
    match = _DIGITS.match(text, at)
    if match is None or match.end() == at:
        raise _unexpected(text, at, where)
    return match.end()
