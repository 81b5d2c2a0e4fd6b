"""From the text of a template to texts and the words of its actions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from clusterip.dns.gotemplate.errors import BadTemplate

_ACTION = re.compile(
    r"\{\{(?P<left>-(?=\s))?\s*(?:/\*.*?\*/\s*|(?P<body>(?:\"(?:[^\"\\]|\\.)*\"|`[^`]*`|'(?:[^'\\]|\\.)*'"
    r"|(?!\}\}|(?<=\s)-\}\}).)*))(?P<right>-)?\}\}",
    re.DOTALL,
)
_WORD = re.compile(
    r"""(?P<space>\s+)
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<raw>`[^`]*`)
    | (?P<char>'(?:[^'\\\n]|\\.)+')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?
        |\.\d+(?:[eE][+-]?\d+)?))
    | (?P<declare>:=)
    | (?P<assign>=)
    | (?P<variable>\$\w*)
    | (?P<field>\.[A-Za-z_]\w*)
    | (?P<dot>\.)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<mark>[|(),])""",
    re.VERBOSE,
)


class Word(NamedTuple):
    """One word of an action."""

    kind: str
    text: str
    joined: bool
    """Nothing stands between it and the word before: ``.a.b`` is one chain, ``.a .b`` are two operands."""


class Piece(NamedTuple):
    """A text, or the words of an action."""

    text: str
    words: list[Word] | None = None


def pieces(template: str) -> Iterator[Piece]:
    """The texts and actions of a template in order. Raises BadTemplate."""
    at = 0
    trim = False
    while True:
        start = template.find("{{", at)
        text = template[at:] if start < 0 else template[at:start]
        found = _ACTION.match(template, start) if start >= 0 else None
        if start >= 0 and found is None:
            raise BadTemplate(f"an action is not closed: {template[start : start + 30]}")
        if trim:
            text = text.lstrip()
        if found is not None and found["left"]:
            text = text.rstrip()
        if text:
            yield Piece(text)
        if found is None:
            return
        if found["body"] is not None:
            yield Piece(found["body"], list(_words(found["body"])))
        trim = bool(found["right"])
        at = found.end()


def _words(body: str) -> Iterator[Word]:
    at = 0
    joined = False
    while at < len(body):
        found = _WORD.match(body, at)
        if found is None:
            raise BadTemplate(f'"{body[at:]}" in an action is not understood')
        at = found.end()
        kind = found.lastgroup or ""
        if kind != "space":
            yield Word(kind, found.group(), joined)
        joined = kind != "space"
