"""Quantities: exact amounts and their canonical form."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.objects import quantity


@pytest.mark.parametrize(
    ("text", "canonical", "amount"),
    [
        ("0", "0", "0"),
        ("0Ki", "0", "0"),
        ("100m", "100m", "0.1"),
        ("0.1", "100m", "0.1"),
        (0.5, "500m", "0.5"),
        (2, "2", "2"),
        ("1.5", "1500m", "1.5"),
        ("1000", "1k", "1000"),
        ("1e3", "1e3", "1000"),
        ("12E6", "12E6", "12000000"),
        ("1E", "1E", "1000000000000000000"),
        ("1024", "1024", "1024"),
        ("1Ki", "1Ki", "1024"),
        ("1024Mi", "1Gi", "1073741824"),
        ("1.5Gi", "1536Mi", "1610612736"),
        ("0.5Ki", "512", "512"),
        ("1.1Ki", "1126400m", "1126.4"),
        ("-2.5Gi", "-2560Mi", "-2684354560"),
        ("+5", "+5", "5"),
        (".5", "500m", "0.5"),
        ("5.", "5.", "5"),
        ("00100", "00100", "100"),
        ("0.1n", "1n", "0.000000001"),
        ("9.2G", "9200M", "9200000000"),
        ("9Ei", "9223372036854775807", "9223372036854775807"),
    ],
)
def test_parse_and_canonical(text, canonical, amount):
    assert quantity.canonical(text) == canonical
    assert quantity.parse(text) == Decimal(amount)
    assert quantity.canonical(canonical) == canonical


@pytest.mark.parametrize("text", ["", ".", "-", "Ki", "1.2.3", "1mi", "1 Ki", "1Kib", "0x5", "1e", "ten"])
def test_rejects(text):
    with pytest.raises(ValueError, match=r"quantit(y|ies)"):
        quantity.parse(text)


def test_rounding_is_upwards():
    assert quantity.milli("0.0001") == 1
    assert quantity.whole("1500m") == 2
    assert quantity.whole("1Gi") == 2**30


@given(st.integers(-(10**12), 10**12), st.sampled_from(["n", "u", "m", "", "k", "M", "Ki", "Mi", "Gi"]))
def test_canonical_form_loses_nothing(number, suffix):
    text = f"{number}{suffix}"
    assert quantity.parse(quantity.canonical(text)) == quantity.parse(text)
