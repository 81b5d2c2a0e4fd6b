"""Words of a Corefile.

As in CoreDNS's (caddy's ``caddyfile`` lexer): separated by white space, ``#`` at the start of a word
begins a comment, double quotes keep white space together and ``\\"`` is a quote in them. ``{$NAME}`` and
``{%NAME%}`` are environment variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from clusterip.dns.config.source import BadConfig, Where

_WORD = re.compile(
    r"""(?P<newline>\n)
    | (?P<space>[^\S\n]+)
    | (?P<comment>\#[^\n]*)
    | "(?P<quoted>(?:[^"\\]|\\.)*)"
    | (?P<open>")
    | (?P<word>\S+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED_QUOTE = re.compile(r'\\"')
_VARIABLE = re.compile(r"\{\$([^{}\s]+)\}|\{%([^{}%\s]+)%\}")


class Token(NamedTuple):
    """A word and its place. ``quoted`` words are never braces."""

    text: str
    where: Where
    quoted: bool = False
    first: bool = False
    """Nothing is before it on its line."""


def tokenize(text: str, file: str, environment: Mapping[str, str] = os.environ) -> list[Token]:
    """The words of a Corefile. Raises BadConfig for a quote that is not closed."""
    line = 1
    first = True
    tokens: list[Token] = []
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    for match in _WORD.finditer(text):
        kind, where = match.lastgroup, Where(file, line)
        line += match.group().count("\n")
        if kind == "open":
            raise BadConfig(where, "the quote that opens here is never closed")
        if kind in ("quoted", "word"):
            word = _ESCAPED_QUOTE.sub('"', match[kind])
            tokens.append(Token(_expand(word, environment), where, kind == "quoted", first))
        first = kind == "newline" or (first and kind == "space")
    return tokens


def _expand(text: str, environment: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: environment.get(match[1] or match[2], ""), text)
