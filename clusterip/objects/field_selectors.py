"""Field selectors: ``spec.nodeName=node-1,status.phase!=Running``.

As ``k8s.io/apimachinery/pkg/fields/selector.go``: equality only, and a backslash escapes ``,``, ``=``
and itself in a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from clusterip.objects.label_selectors import SelectorError

_terms = re.compile(r"((?:[^\\,]|\\.?)*)(?:,|$)", re.DOTALL)
_term = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL).fullmatch
_ESCAPABLE = "\\,="


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """``field = value``, or ``!=`` if not ``equal``."""

    field: str
    equal: bool
    value: str

    def __str__(self) -> str:
        return f"{self.field}{'=' if self.equal else '!='}{escape(self.value)}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Terms that must all hold; without any it matches everything."""

    terms: tuple[FieldTerm, ...] = ()

    def matches(self, get: Callable[[str], str]) -> bool:
        """Whether the object, whose field ``get`` returns by path, is selected."""
        return all((get(term.field) == term.value) is term.equal for term in self.terms)

    def exact(self, field: str) -> str | None:
        """The one value ``field`` must have, or ``None`` if the selector does not say."""
        for term in self.terms:
            if term.equal and term.field == field:
                return term.value
        return None

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


def parse_field_selector(text: str) -> FieldSelector:
    """The selector that ``text`` means. Whether a kind has these fields is for the caller to check.

    Raises:
        SelectorError: what is wrong with it, in upstream's words.
    """
    terms = []
    for part in sorted(match[1] for match in _terms.finditer(text) if match[1]):
        match = _term(part)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        field, operator, value = match.groups()
        terms.append(FieldTerm(field, operator != "!=", _unescape(value)))
    return FieldSelector(tuple(terms))


def escape(value: str) -> str:
    """``value`` as it may stand in a field selector."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _unescape(value: str) -> str:
    if not any(character in value for character in _ESCAPABLE):
        return value
    result: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if not escaped or escaped not in _ESCAPABLE:
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{escaped}")
            result.append(escaped)
        elif character in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(character)}")
        else:
            result.append(character)
    return "".join(result)
