"""Small rules that many kinds' validation shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clusterip.objects import quantity
from clusterip.objects.base import Quantity
from clusterip.objects.errors import ErrorList, Path, invalid, not_supported, required

PROTOCOLS = ("SCTP", "TCP", "UDP")

NOT_NEGATIVE = "must be greater than or equal to 0"


def one_of(path: Path, value: str, allowed: Sequence[str]) -> ErrorList:
    """Errors of a required field that has one of a few values."""
    if not value:
        return [required(path)]
    return [] if value in allowed else [not_supported(path, value, allowed)]


def not_negative(path: Path, value: int | None) -> ErrorList:
    return [] if value is None or value >= 0 else [invalid(path, value, NOT_NEGATIVE)]


def not_negative_fields(path: Path, struct: Any, *names: str) -> ErrorList:
    """Errors of those of a struct's number fields that are negative."""
    errors: ErrorList = []
    for name in names:
        errors += not_negative(path.child(name), getattr(struct, name))
    return errors


def valid_quantity(path: Path, value: Quantity) -> ErrorList:
    """Errors of an amount that is none, or is negative."""
    try:
        amount = quantity.parse(value)
    except ValueError as error:
        return [invalid(path, value, str(error))]
    return [] if amount >= 0 else [invalid(path, str(value), NOT_NEGATIVE)]
