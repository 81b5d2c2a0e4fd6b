"""Times, amounts and bytes in their one exact form.

A client may write ``2020-01-01T01:00:00+01:00``, ``1024Mi`` or base 64 with line breaks; what is stored and
served is ``2020-01-01T00:00:00Z``, ``1Gi`` and plain base 64, because upstream's decoders keep values, not
texts. Only the parts of a type that hold such scalars are visited.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from typing import Any

from clusterip.objects import quantity
from clusterip.objects.base import RESOURCE_LIST, Quantity, Struct
from clusterip.objects.fields import Field, fields_of, is_struct, item_scalar, item_type
from clusterip.objects.go_time import exact_time
from clusterip.objects.scalars import BASE64, MICRO_TIME, TIME, Scalar

_Exact = Callable[[Any], Any]


def make_exact(obj: Struct) -> None:
    """Rewrite ``obj`` in place.

    Raises:
        ValueError: a text is no time, amount or base 64; the message is that of upstream's decoder.
    """
    for attribute, exact in _plan(type(obj)):
        value = getattr(obj, attribute)
        if value is not None:
            better = exact(value)
            if better is not value:
                setattr(obj, attribute, better)


@cache
def _plan(type_: type[Struct]) -> tuple[tuple[str, _Exact], ...]:
    plan = []
    for field in fields_of(type_).values():
        exact = _of_field(field)
        if exact is not None:
            plan.append((field.attribute, exact))
    return tuple(plan)


def _of_field(field: Field) -> _Exact | None:
    if field.scalar is RESOURCE_LIST:
        return _values(quantity.canonical_milli)
    scalar = _of_scalar(field.type, field.scalar)
    if scalar is not None:
        # Text that is left out is "", where Go tells an absent quantity or time by its own zero.
        return lambda value: scalar(value) if value != "" or field.nullable else value
    return _of_type(field.type)


def _of_type(type_: Any) -> _Exact | None:
    if is_struct(type_):
        return _struct if _plan(type_) else None
    item = item_type(type_)
    if item is None:
        return None
    exact = _of_scalar(item, item_scalar(type_)) or _of_type(item)
    if exact is None:
        return None
    return _values(exact) if hasattr(type_, "__origin__") and type_.__origin__ is dict else _items(exact)


def _of_scalar(type_: Any, scalar: Scalar | None) -> _Exact | None:
    if type_ == Quantity:
        return quantity.canonical
    if scalar is TIME or scalar is MICRO_TIME:
        digits = scalar.digits
        return lambda text: exact_time(text, digits)
    return exact_base64 if scalar is BASE64 else None


def _struct(value: Struct) -> Struct:
    make_exact(value)
    return value


def _items(exact: _Exact) -> _Exact:
    def each(values: list[Any]) -> list[Any]:
        for i, value in enumerate(values):
            values[i] = exact(value)
        return values

    return each


def _values(exact: _Exact) -> _Exact:
    def each(values: dict[str, Any]) -> dict[str, Any]:
        for key, value in values.items():
            values[key] = exact(value)
        return values

    return each


def exact_base64(text: str) -> str:
    """Base 64 without line breaks.

    Raises:
        ValueError: it is not base 64; where the first wrong byte is, counted as Go counts.
    """
    plain = text.replace("\r", "").replace("\n", "")
    try:
        base64.b64decode(plain, validate=True)
    except ValueError:
        raise ValueError(f"illegal base64 data at input byte {_first_wrong_byte(text)}") from None
    return plain


def _first_wrong_byte(text: str) -> int:
    """Where Go's ``base64`` stops: at the start of a group of four that is cut short, or at the byte."""
    group = 0
    for at, letter in enumerate(text):
        if letter in "\r\n":
            continue
        if letter.isascii() and (letter.isalnum() or letter in "+/"):
            group = (group + 1) % 4
            continue
        if letter != "=" or group < 2:
            return at
        rest = text[at + 1 :].lstrip("\r\n")
        if group == 2:
            if not rest:
                return len(text)
            if rest[0] != "=":
                return len(text) - len(rest) - 1
            rest = rest[1:].lstrip("\r\n")
        return len(text) - len(rest)  # there is more after the end
    return len(text) - group
