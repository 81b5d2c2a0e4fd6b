"""Why JSON does not fit a type, in the words of Go's decoder.

Only asked when something did not fit, so it may take its time: it reads the text once more, keeping numbers
as they were written, and stops at the first thing that is wrong.
"""

from __future__ import annotations

import json
import re
import typing
from typing import Any

from clusterip.objects.base import IntOrString, Quantity
from clusterip.objects.fields import Field, fields_of, is_struct, item_scalar, item_type
from clusterip.objects.scalars import BASE64, INT32, Scalar

_PLAIN = {str: "string", bool: "bool", int: "int64", float: "float64"}
_INTEGER = re.compile(r"-?[0-9]+")
_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


_WITH_REFERENCE = frozenset(
    (
        "ConfigMapEnvSource",
        "ConfigMapKeySelector",
        "ConfigMapProjection",
        "ConfigMapVolumeSource",
        "SecretEnvSource",
        "SecretKeySelector",
        "SecretProjection",
    )
)
"""Structs whose ``name`` is that of a ``LocalObjectReference`` within them."""

_WITHIN = {
    "EphemeralContainer": ("EphemeralContainerCommon", ("targetContainerName",)),
    "IngressRule": ("IngressRuleValue", ("host",)),
    "Probe": (
        "ProbeHandler",
        (
            "failureThreshold",
            "initialDelaySeconds",
            "periodSeconds",
            "successThreshold",
            "terminationGracePeriodSeconds",
            "timeoutSeconds",
        ),
    ),
    "Volume": ("VolumeSource", ("name",)),
}
"""Structs that have another one within them, and the fields that are not in that."""


class Number(str):
    """A number as it was written."""

    __slots__ = ()


def mismatch(tree: Any, type_: type) -> str | None:
    """The first thing in ``tree`` that cannot be decoded as ``type_``; None if all can.

    ``tree`` may hold numbers as ``Number``, so that they are shown as they were written.
    """
    try:
        _Walk("", "").check(tree, type_, None)
    except _MismatchError as error:
        return str(error)
    return None


def with_numbers(body: bytes | str) -> Any:
    """JSON with its numbers as ``Number``. Raises ValueError if it is not JSON."""
    return json.loads(body, parse_int=Number, parse_float=Number)


class _MismatchError(Exception):
    pass


class _Walk:
    """A place in an object: the struct it is in (``owner``) and the path to it, without indices and keys."""

    def __init__(self, owner: str, path: str) -> None:
        self.owner = owner
        self.path = path

    def refuse(self, value: Any, go_type: str, *, shown: bool = False) -> _MismatchError:
        where = f"struct field {self.owner}.{self.path}" if self.path else "value"
        literal = f" {value}" if shown else ""
        return _MismatchError(
            f"json: cannot unmarshal {_go_value(value)}{literal} into Go {where} of type {go_type}"
        )

    def check(self, value: Any, type_: Any, scalar: Scalar | None) -> None:
        if value is None or type_ is Any:
            return
        if is_struct(type_):
            self._struct(value, type_)
        elif type_ == Quantity:
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                raise _MismatchError(_QUANTITY)
        elif type_ == IntOrString:
            if isinstance(value, Number) or not isinstance(value, str):
                self._integer(value, INT32)
        elif type_ is int:
            self._integer(value, scalar)
        elif (item := item_type(type_)) is not None:
            self._items(value, type_, item, scalar)
        elif type_ is str and scalar is BASE64 and isinstance(value, list):
            for each in value:  # Go takes a list of bytes too
                raise self.refuse(each, "uint8")
        elif not _fits(value, type_):
            raise self.refuse(value, scalar.go if scalar else _PLAIN.get(type_, "string"))

    def _struct(self, value: Any, type_: Any) -> None:
        if not isinstance(value, dict):
            raise self.refuse(value, f"v1.{type_.__name__}")
        fields = fields_of(type_)
        for name, each in value.items():
            field: Field | None = fields.get(name)
            if field is not None:
                inside = _embedding(type_.__name__, name)
                path = f"{self.path}.{inside}{name}" if self.path else name
                _Walk(type_.__name__, path).check(each, field.type, field.scalar)

    def _items(self, value: Any, type_: Any, item: Any, scalar: Scalar | None) -> None:
        wanted = dict if typing.get_origin(type_) is dict else list
        if not isinstance(value, wanted):
            raise self.refuse(value, scalar.go if scalar else _go_type(type_))
        for each in value.values() if isinstance(value, dict) else value:
            self.check(each, item, item_scalar(type_))

    def _integer(self, value: Any, scalar: Scalar | None) -> None:
        go_type = scalar.go if scalar else "int64"
        if isinstance(value, bool) or not isinstance(value, Number | int | float):
            raise self.refuse(value, go_type)
        bits = 31 if scalar is INT32 else 63
        if not _INTEGER.fullmatch(str(value)) or not -(2**bits) <= int(value) < 2**bits:
            raise self.refuse(value, go_type, shown=True)


def _embedding(owner: str, field: str) -> str:
    """What Go puts before a field that comes from a struct within the struct; JSON has no such level."""
    if owner in _WITH_REFERENCE:
        return "LocalObjectReference." if field == "name" else ""
    name, own = _WITHIN.get(owner, ("", ()))
    return f"{name}." if name and field not in own else ""


def _fits(value: Any, type_: Any) -> bool:
    if type_ is str:
        return isinstance(value, str) and not isinstance(value, Number)
    if type_ is bool:
        return isinstance(value, bool)
    return not isinstance(value, dict | list)


def _go_value(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) and not isinstance(value, Number) else "number"


def _go_type(type_: Any, scalar: Scalar | None = None) -> str:
    if scalar is not None:
        return scalar.go
    if is_struct(type_):
        return f"v1.{type_.__name__}"
    item = item_type(type_)
    if item is not None:
        start = "map[string]" if typing.get_origin(type_) is dict else "[]"
        return start + _go_type(item, item_scalar(type_))
    return "resource.Quantity" if type_ == Quantity else _PLAIN.get(type_, "string")
