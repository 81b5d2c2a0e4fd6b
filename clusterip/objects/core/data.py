"""What ConfigMaps and Secrets share: keys that become files, a size limit, ``immutable``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from clusterip.objects import names
from clusterip.objects.errors import ErrorList, Path, forbidden, invalid, invalid_each, too_long

MAX_SIZE = 1024 * 1024

_IMMUTABLE = "field is immutable when `immutable` is set"


def validate_keys(path: Path, data: Iterable[str]) -> ErrorList:
    errors: ErrorList = []
    for key in data:
        errors += invalid_each(path.key(key), key, names.config_key(key))
    return errors


def validate_size(path: Path, text: Mapping[str, str], encoded: Mapping[str, str]) -> ErrorList:
    """Errors of data that is not base64 where it must be, or is more than 1 MiB in all."""
    errors: ErrorList = []
    size = sum(len(value.encode()) for value in text.values())
    for key, value in encoded.items():
        try:
            size += len(base64.b64decode(value, validate=True))
        except binascii.Error as error:
            errors.append(invalid(path.key(key), "<value omitted>", f"must be base64: {error}"))
    if size > MAX_SIZE:
        errors.append(too_long(path, MAX_SIZE))
    return errors


def validate_immutable(new: Any, old: Any, *fields: str) -> ErrorList:
    """Errors of ``fields`` that changed though ``immutable`` was set; it cannot be unset either."""
    if not old.immutable:
        return []
    errors: ErrorList = []
    if not new.immutable:
        errors.append(forbidden("immutable", _IMMUTABLE))
    for name in fields:
        if getattr(new, name) != getattr(old, name):
            errors.append(forbidden(name, _IMMUTABLE))
    return errors
