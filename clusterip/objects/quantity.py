"""Quantities: amounts of CPU, memory and the like, exact and with Kubernetes' suffixes.

``500m`` is half of something, ``1Gi`` is 2^30, ``1G`` is 10^9 and ``1e3`` is 1000
(``k8s.io/apimachinery/pkg/api/resource``).
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Context, Decimal

from clusterip.objects.base import Quantity

_split = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([eEinumkKMGTP]*[-+]?[0-9]*)").fullmatch

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_LARGEST_BINARY = Decimal(2**63 - 1)
_exact = Context(prec=60)

_FORMAT_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def parse(value: Quantity) -> Decimal:
    """The amount, exactly; anything finer than 10^-9 is rounded away from zero.

    Raises:
        ValueError: not a quantity, in upstream's words.
    """
    return _parse(str(value))[0]


def milli(value: Quantity) -> int:
    """The amount in thousandths, rounded up: CPU is counted so. Raises as ``parse`` does."""
    return int((parse(value) * 1000).to_integral_value(ROUND_CEILING))


def whole(value: Quantity) -> int:
    """The amount as an integer, rounded up: bytes are counted so. Raises as ``parse`` does."""
    return int(parse(value).to_integral_value(ROUND_CEILING))


def canonical(value: Quantity) -> str:
    """The amount as the API server stores it: ``0.5`` is ``500m``, ``1024Mi`` is ``1Gi``.

    The mantissa is an integer, the suffix of the same kind as before and as large as may be.
    Raises as ``parse`` does.
    """
    amount, form = _parse(str(value))
    if not amount:
        return "0"
    if form == "binary" and abs(amount) >= 1024:
        return _canonical_binary(amount)
    mantissa, exponent = _integer_mantissa(amount)
    shift = exponent % 3
    mantissa, exponent = mantissa * 10**shift, exponent - shift
    if form == "exponent":
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    while exponent > 18:
        mantissa, exponent = mantissa * 1000, exponent - 3
    return f"{mantissa}{_DECIMAL_SUFFIX[exponent]}"


def _canonical_binary(amount: Decimal) -> str:
    if amount != amount.to_integral_value():
        # A fraction of a byte has no binary suffix; thousandths say it exactly.
        return canonical(str(amount))
    whole_amount, suffix = int(amount), ""
    for name in _BINARY:
        if whole_amount % 1024:
            break
        whole_amount, suffix = whole_amount // 1024, name
    return f"{whole_amount}{suffix}"


def _integer_mantissa(amount: Decimal) -> tuple[int, int]:
    sign, digits, exponent = amount.normalize(_exact).as_tuple()
    mantissa = int("".join(map(str, digits)))
    return (-mantissa if sign else mantissa), int(exponent)


def _parse(text: str) -> tuple[Decimal, str]:
    match = _split(text)
    if match is None:
        raise ValueError(_FORMAT_ERROR)
    number, suffix = Decimal(match[1]), match[2]
    if suffix in _DECIMAL:
        amount, form = _exact.scaleb(number, _DECIMAL[suffix]), "decimal"
    elif suffix in _BINARY:
        amount, form = _exact.multiply(number, Decimal(2 ** _BINARY[suffix])), "binary"
        amount = max(min(amount, _LARGEST_BINARY), -_LARGEST_BINARY)
    elif re.fullmatch(r"[eE][-+]?[0-9]+", suffix):
        amount, form = _exact.scaleb(number, max(min(int(suffix[1:]), 1000), -1000)), "exponent"
    else:
        raise ValueError("unable to parse quantity's suffix")
    nano = _exact.scaleb(amount, 9)
    if nano != nano.to_integral_value():
        rounded = nano.copy_abs().to_integral_value(ROUND_CEILING).copy_sign(nano)
        amount = _exact.scaleb(rounded, -9)
    return amount, form
