"""Small rules that many kinds' validation shares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from clusterip.objects import names, quantity
from clusterip.objects.base import IntOrString, Quantity
from clusterip.objects.errors import ErrorList, Path, invalid, invalid_each, not_supported, required

PROTOCOLS = ("SCTP", "TCP", "UDP")

NOT_NEGATIVE = "must be greater than or equal to 0"

_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


def one_of(path: Path, value: str, allowed: Sequence[str]) -> ErrorList:
    """Errors of a required field that has one of a few values."""
    if not value:
        return [required(path)]
    return [] if value in allowed else [not_supported(path, value, allowed)]


def not_negative(path: Path, value: int | None) -> ErrorList:
    return [] if value is None or value >= 0 else [invalid(path, value, NOT_NEGATIVE)]


def not_negative_fields(path: Path, struct: Any, *fields: str) -> ErrorList:
    """Errors of those of a struct's number fields that are negative."""
    errors: ErrorList = []
    for name in fields:
        errors += not_negative(path.child(name), getattr(struct, name))
    return errors


def valid_quantity(path: Path, value: Quantity) -> ErrorList:
    """Errors of an amount that is none, or is negative."""
    try:
        amount = quantity.parse(value)
    except ValueError as error:
        return [invalid(path, value, str(error))]
    return [] if amount >= 0 else [invalid(path, str(value), NOT_NEGATIVE)]


def port_number_or_name(path: Path, port: IntOrString | None) -> ErrorList:
    """Errors of a port given by number or by a container port's name."""
    value = 0 if port is None else port
    rule = names.port_number(value) if isinstance(value, int) else names.port_name(value)
    return invalid_each(path, value, rule)


def file_mode(path: Path, mode: int | None) -> ErrorList:
    if mode is None or 0 <= mode <= 0o777:
        return []
    return [invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")]


def no_backsteps(path: Path, value: str) -> ErrorList:
    """Errors of a file's path that leads upwards."""
    return [invalid(path, value, "must not contain '..'")] if ".." in value.split("/") else []


def descending_path(path: Path, value: str) -> ErrorList:
    """Errors of a file's path that must stay below where it starts."""
    absolute = [invalid(path, value, "must be a relative path")] if value.startswith("/") else []
    return absolute + no_backsteps(path, value)


def file_path(path: Path, value: str) -> ErrorList:
    """Errors of a path that a volume's file shall have; the volume itself uses names with two dots."""
    errors = descending_path(path, value)
    if value.startswith("..") and not value.startswith("../"):
        errors.append(invalid(path, value, "must not start with '..'"))
    return errors


def int_or_percent(path: Path, value: IntOrString | None) -> ErrorList:
    """Errors of a number of Pods, or of a share of them."""
    if isinstance(value, str):
        return invalid_each(path, value, names.percent(value))
    return not_negative(path, value)


def at_most_all(path: Path, value: IntOrString | None) -> ErrorList:
    """An error of a share above 100%."""
    if isinstance(value, str) and amount(value) > 100:
        return [invalid(path, value, "must not be greater than 100%")]
    return []


def amount(value: IntOrString | None) -> int:
    """The number before the percent sign, or the number itself; 0 of what is neither."""
    if isinstance(value, str):
        return 0 if names.percent(value) else int(value.removesuffix("%"))
    return value or 0


def domain_prefixed_path(path: Path, value: str) -> ErrorList:
    """Errors of a name such as ``acme.io/foo``."""
    if not value:
        return [required(path)]
    host, _, rest = value.partition("/")
    if not host or not rest:
        return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = invalid_each(path, host, names.dns_subdomain(host))
    if not re.fullmatch(_HTTP_PATH, rest):
        errors.append(invalid(path, rest, f"Invalid path (regex used for validation is '{_HTTP_PATH}')"))
    return errors
