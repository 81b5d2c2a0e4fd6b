"""Numbers that may be percentages of another (``apimachinery/pkg/util/intstr``)."""

from __future__ import annotations

import math

from clusterip.objects.base import IntOrString


def scaled(value: IntOrString, total: int, *, up: bool) -> int:
    """The number, or that percentage of ``total``, rounded ``up`` or down."""
    if isinstance(value, int):
        return value
    share = int(value.removesuffix("%")) * total / 100
    return math.ceil(share) if up else math.floor(share)
