"""Small rules that many kinds' validation shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clusterip.objects import names, quantity
from clusterip.objects.base import IntOrString, Quantity
from clusterip.objects.errors import ErrorList, Path, invalid, invalid_each, not_supported, required

PROTOCOLS = ("SCTP", "TCP", "UDP")

NOT_NEGATIVE = "must be greater than or equal to 0"


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
