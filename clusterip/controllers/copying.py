"""Copies of objects, since those in an informer belong to everybody and must not be changed."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from clusterip.objects import codec

S = TypeVar("S", bound=msgspec.Struct)


def deep_copy(value: S) -> S:
    """A copy that shares nothing. By way of JSON, which msgspec does faster than ``copy.deepcopy``."""
    return codec.decode(codec.encode(value), type(value))
