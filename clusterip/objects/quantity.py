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
_FAST_DIGITS = 18

_FORMAT_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def parse(value: Quantity) -> Decimal:
    """The amount, exactly; anything finer than 10^-9 is rounded away from zero.

    Raises:
        ValueError: not a quantity, in upstream's words.
    """
    return _parse(str(value).strip())[0]


def milli(value: Quantity) -> int:
    """The amount in thousandths, rounded up: CPU is counted so. Raises as ``parse`` does."""
    return int((parse(value) * 1000).to_integral_value(ROUND_CEILING))


def whole(value: Quantity) -> int:
    """The amount as an integer, rounded up: bytes are counted so. Raises as ``parse`` does."""
    return int(parse(value).to_integral_value(ROUND_CEILING))


def canonical(value: Quantity) -> str:
    """The amount as the API server stores it: ``0.5`` is ``500m``, ``1024Mi`` is ``1Gi``.

    The mantissa is an integer, the suffix of the same kind as before and as large as may be. A text that
    already looks so is kept as it is, even if it has a sign or a point too many, as upstream does.
    Raises as ``parse`` does.
    """
    text = str(value).strip()
    amount, form = _parse(text)
    return text if _looks_canonical(text) else _written(amount, form)


def canonical_milli(value: Quantity) -> str:
    """As ``canonical``, but rounded up to thousandths, as every list of resources is.

    Raises as ``parse`` does.
    """
    text = str(value).strip()
    amount, form = _parse(text)
    milli = _exact.scaleb(amount, 3)
    if milli == milli.to_integral_value():
        return text if _looks_canonical(text) else _written(amount, form)
    rounded = milli.copy_abs().to_integral_value(ROUND_CEILING).copy_sign(milli)
    return _written(_exact.scaleb(rounded, -3), form)


def _looks_canonical(text: str) -> bool:
    """Whether upstream's parser would keep the text (``ParseQuantity``'s fast path)."""
    match = _split(text)
    if match is None:
        return False
    number, suffix = match[1].lstrip("+-").lstrip("0"), match[2]
    whole_part, _, fraction = number.partition(".")
    digits = whole_part + fraction
    if suffix in _BINARY:
        exponent = _BINARY[suffix]
        fits = not fraction and 14 - len(digits) - exponent * 3 // 10 >= 0
        return fits and bool(digits) and int(digits) & 7 != 0
    exponent = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    scale = exponent - len(fraction)
    fits = len(digits) <= _FAST_DIGITS and scale >= -9
    return fits and scale % 3 == 0 and bool(digits) and digits[0] != "0" and not digits.endswith("000")


def _written(amount: Decimal, form: str) -> str:
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
