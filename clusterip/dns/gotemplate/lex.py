"""From the text of a template to texts and the words of its actions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from clusterip.dns.gotemplate.errors import BadTemplate

_COMMENT = re.compile(r"\s*/\*.*?\*/\s*", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)
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
        if trim:
            text = text.lstrip()
        if start < 0:
            if text:
                yield Piece(text)
            return
        end = _end_of(template, start + 2)
        body = template[start + 2 : end]
        if body[:1] == "-" and body[1:2].isspace():
            text, body = text.rstrip(), body[1:]
        if text:
            yield Piece(text)
        trim = body[-1:] == "-" and body[-2:-1].isspace()
        if trim:
            body = body[:-1]
        if _COMMENT.fullmatch(body) is None:
            yield Piece(body.strip(), list(_words(body)))
        at = end + 2


def _end_of(template: str, at: int) -> int:
    """Where the ``}}`` of an action is; one within quotes or a comment is not it. Raises BadTemplate."""
    start = at
    comment = re.compile(r"(?:-\s)?\s*/\*").match(template, at)
    if comment is not None:
        at = template.find("*/", comment.end()) + 2
        if at < 2:
            raise BadTemplate("a comment is not closed")
    while at < len(template):
        if template.startswith("}}", at):
            return at
        quoted = _QUOTED.match(template, at)
        at = quoted.end() if quoted is not None else at + 1
    raise BadTemplate(f"an action is not closed: {{{{{template[start : start + 30]}")


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
