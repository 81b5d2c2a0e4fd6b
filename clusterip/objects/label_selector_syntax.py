"""The text form of label selectors: ``app=web,tier in (front,back),!canary``.

The grammar is in the documentation of ``Parse`` in ``k8s.io/apimachinery/pkg/labels/selector.go``:
``in`` and ``notin`` are words only where an operator stands, a set may hold empty values, and a key
alone asks that the label exists.
"""

from __future__ import annotations

import re

from clusterip.objects import names
from clusterip.objects.errors import invalid
from clusterip.objects.label_selectors import Requirement, Selector, SelectorError, requirement

_token = re.compile(r"[ \t\r\n]*(?:(==|!=|[=!(),<>])|([^=!(),<> \t\r\n]+)|$)")
_SYMBOLS = frozenset(("=", "==", "!=", "!", "(", ")", ",", "<", ">"))
_OPERATORS = {"in": "in", "notin": "notin", "=": "=", "==": "==", "!=": "!=", ">": "gt", "<": "lt"}
_END = ""


def parse_label_selector(text: str) -> Selector:
    """The selector that ``text`` means.

    Raises:
        SelectorError: what is wrong with it, in upstream's words.
    """
    return Selector(tuple(_Parser(text).requirements())) if text else Selector()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        position = 0
        while match := _token.match(text, position):
            if match.lastindex is None:
                break
            self._tokens.append(match[match.lastindex])
            position = match.end()
        self._position = 0

    def _next(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else _END

    def _take(self) -> str:
        token = self._next()
        self._position += 1
        return token

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while token := self._next():
            if token in _SYMBOLS and token != "!":
                raise SelectorError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            separator = self._take()
            if separator == _END:
                break
            if separator != ",":
                raise SelectorError(f"found '{separator}', expected: ',' or 'end of string'")
            following = self._next()
            if following == _END or (following in _SYMBOLS and following != "!"):
                raise SelectorError(f"found '{following}', expected: identifier after ','")
        return found

    def _requirement(self) -> Requirement:
        key = self._take()
        absent = key == "!"
        if absent:
            key = self._take()
        if key == _END or key in _SYMBOLS:
            raise SelectorError(f"found '{key}', expected: identifier")
        if problems := names.label_key(key):
            raise SelectorError(str(invalid("<nil>", key, "; ".join(problems))))
        if absent:
            return requirement(key, "!")
        if self._next() in (_END, ","):
            return requirement(key, "exists")
        word = self._take()
        operator = _OPERATORS.get(word)
        if operator is None:
            raise SelectorError(f"found '{word}', expected: in, notin, =, ==, !=, gt, lt")
        values = self._set() if operator in ("in", "notin") else {self._single()}
        return requirement(key, operator, tuple(sorted(values)))

    def _single(self) -> str:
        if self._next() in (_END, ","):
            return ""
        value = self._take()
        if value in _SYMBOLS:
            raise SelectorError(f"found '{value}', expected: identifier")
        return value

    def _set(self) -> set[str]:
        opening = self._take()
        if opening != "(":
            raise SelectorError(f"found '{opening}' expected: '('")
        values: set[str] = set()
        value_expected = True
        while True:
            token = self._take()
            if token == ")":
                if value_expected:
                    values.add("")
                return values
            if token == ",":
                if value_expected:
                    values.add("")
                value_expected = True
            elif token == _END or token in _SYMBOLS:
                wanted = "',' or ')'" if not token and not value_expected else "',', ')' or identifier"
                raise SelectorError(f"found '{token}', expected: {wanted}")
            elif not value_expected:
                raise SelectorError(f"found '{token}', expected: ',' or ')'")
            else:
                values.add(token)
                value_expected = False
