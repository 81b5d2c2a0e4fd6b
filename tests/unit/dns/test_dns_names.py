"""Names on the wire, against dnspython's."""

from __future__ import annotations

import dns.name
import dns.reversename
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.dns import names

label = st.binary(min_size=1, max_size=63)
wire_names = (
    st.lists(label, max_size=8)
    .map(lambda found: b"".join(bytes((len(each),)) + each for each in found) + b"\0")
    .filter(lambda name: len(name) <= 255)
)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("", b"\0"),
        (".", b"\0"),
        ("a.bc", b"\1a\2bc\0"),
        ("A.Bc.", b"\1a\2bc\0"),
        ("_http._tcp", b"\5_http\4_tcp\0"),
    ],
)
def test_text_to_wire(text: str, wire: bytes) -> None:
    assert names.to_wire(text) == wire


@pytest.mark.parametrize(
    "text", ["a..b", ".a", "a b", "a.\u00e4", "x" * 64, ".".join(["x" * 60] * 5), "*.a", "a\n"]
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(names.BadName):
        names.to_wire(text)


@given(wire_names)
def test_text_is_that_of_dnspython(name: bytes) -> None:
    expected, _ = dns.name.from_wire(name, 0)
    assert dns.name.from_text(names.to_text(name)) == expected
    assert list(names.labels(name)) == list(expected.labels[:-1])
    assert names.read(name, 0) == (name, len(name))
    assert names.skip(name, 0) == len(name)


def test_below() -> None:
    domain = names.to_wire("cluster.local")
    assert names.is_below(domain, domain)
    assert names.is_below(names.to_wire("a.cluster.local"), domain)
    assert not names.is_below(names.to_wire("xcluster.local"), domain)
    assert not names.is_below(b"\x10x" + domain[:-1] + b"\0", domain)  # one label that ends in those bytes
    assert not names.is_below(b"\0", domain)


@pytest.mark.parametrize(
    ("message", "offset"),
    [
        (b"\xc0\x00", 0),  # itself
        (b"\xc0\x02\xc0\x00", 2),  # each other
        (b"\x01a\xc0\x00", 0),  # its own beginning
        (b"\xc0\x05", 0),  # beyond the end
        (b"\xc0", 0),
        (b"\x05abc", 0),
        (b"\x40a\0", 0),
        (b"\x3f" + b"a" * 63, 0),
        ((b"\x3f" + b"a" * 63) * 4 + b"\0", 0),
    ],
)
def test_hostile_compression(message: bytes, offset: int) -> None:
    with pytest.raises(names.BadName):
        names.read(message, offset)


@given(st.binary(max_size=300), st.integers(0, 20))
def test_reading_rubbish_ends(message: bytes, offset: int) -> None:
    for read in (names.read, names.skip):
        try:
            read(message, offset)
        except names.BadName:
            continue


@pytest.mark.parametrize("text", ["10.3.0.1", "255.0.10.9", "fd00::3", "1234:abcd::1", "::"])
def test_reverse_names(text: str) -> None:
    packed = names.pack_address(text)
    assert packed is not None
    assert names.to_text(names.reverse_name(packed)) == dns.reversename.from_address(text).to_text()


@pytest.mark.parametrize("text", ["", "None", "1.2.3", "1.2.3.4.5", "fd00::g", "a\0b", "1.2.3.4 "])
def test_what_is_no_address(text: str) -> None:
    assert names.pack_address(text) is None
