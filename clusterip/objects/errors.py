"""Field errors: what is wrong with which field of an object, in Kubernetes' own words.

The wording is that of ``k8s.io/apimachinery/pkg/util/validation/field/errors.go``, since people and
programs match on it: ``spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from clusterip.objects.base import Struct
from clusterip.objects.go_text import quoted


class Path(str):
    """Where a field is: ``Path("spec").child("ports").item(0)`` is ``spec.ports[0]``."""

    __slots__ = ()

    def child(self, *names: str) -> Path:
        return Path(".".join((self, *names)) if self else ".".join(names))

    def item(self, i: int) -> Path:
        return Path(f"{self}[{i}]")

    def key(self, key: str) -> Path:
        return Path(f"{self}[{key}]")


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with one field. ``reason`` is the cause's reason in a ``Status``."""

    reason: str
    field: str
    body: str

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


ErrorList = list[FieldError]


def _shown(value: Any) -> str:
    """A bad value as Go prints it in an error: strings quoted, structures as JSON."""
    if isinstance(value, str):
        return quoted(value)
    return msgspec.json.encode(_as_go(value), order="deterministic").decode()


def _as_go(value: Any) -> Any:
    """A structure with Go's names, and null for empty lists, which are nil there.

    What all groups share (``meta/v1``) has no internal form and keeps its names.
    """
    if isinstance(value, Struct) and not type(value).__module__.endswith("objects.meta"):
        fields = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        return go_struct(**{go_name(name): _as_go(getattr(value, attribute)) for name, attribute in fields})
    if isinstance(value, list):
        return [_as_go(item) for item in value] if value else None
    if isinstance(value, dict):
        return {key: _as_go(item) for key, item in value.items()}
    return value


_INITIALS = re.compile(
    r"api|aws|cidr|csi|dns|fc|fs|gce|grpc|http|iscsi|ip|nfs|pid|pod(?=IP)|rbd|se(?=Linux)|tcp|tls|uid|url"
)


def go_name(name: str) -> str:
    """The name of a field in Go: ``clusterIP`` is ``ClusterIP`` and ``apiGroup`` is ``APIGroup``."""
    match = _INITIALS.match(name)
    if match and (len(name) == match.end() or name[match.end()].isupper()):
        start = match[0]
        return ("Pod" if start == "pod" else start.upper()) + name[match.end() :]
    return name[:1].upper() + name[1:]


def go_struct(**fields: Any) -> Any:
    """A value that upstream shows as its internal struct: Go's field names, all of them, in order."""
    type_ = msgspec.defstruct("GoStruct", list(fields))
    return type_(**fields)


def required(field: str, detail: str = "") -> FieldError:
    return FieldError(
        "FieldValueRequired", field, f"Required value: {detail}" if detail else "Required value"
    )


def invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", field, f"Invalid value: {_shown(value)}: {detail}")


def not_supported(field: str, value: Any, valid: Iterable[str]) -> FieldError:
    supported = ", ".join(_shown(v) for v in valid)
    return FieldError(
        "FieldValueNotSupported", field, f"Unsupported value: {_shown(value)}: supported values: {supported}"
    )


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", field, f"Duplicate value: {_shown(value)}")


def not_found(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueNotFound", field, f"Not found: {_shown(value)}")


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", field, f"Forbidden: {detail}")


def too_long(field: str, maximum: int) -> FieldError:
    return FieldError("FieldValueTooLong", field, f"Too long: may not be more than {maximum} bytes")


def too_many(field: str, actual: int, maximum: int) -> FieldError:
    return FieldError("FieldValueTooMany", field, f"Too many: {actual}: must have at most {maximum} items")


def too_few(field: str, actual: int, minimum: int) -> FieldError:
    return FieldError("FieldValueTooFew", field, f"Too few: {actual}: must have at least {minimum} items")


def invalid_each(field: str, value: Any, details: Iterable[str]) -> ErrorList:
    """An ``invalid`` error for each message of a rule in ``names``."""
    return [invalid(field, value, detail) for detail in details]


def internal(field: str, detail: str) -> FieldError:
    return FieldError("InternalError", field, f"Internal error: {detail}")
