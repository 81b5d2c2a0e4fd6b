"""Addresses and CIDRs: lenient reading, strict judging, warnings."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.objects import addresses


@pytest.mark.parametrize(
    ("text", "read", "error", "warning"),
    [
        ("1.2.3.4", "1.2.3.4", "", ""),
        ("::1", "::1", "", ""),
        ("2001:db8::1", "2001:db8::1", "", ""),
        ("2001:DB8:0::1", "2001:db8::1", "", "canonical format"),
        ("001.002.003.004", "1.2.3.4", "must not have leading 0s", "non-standard IP address"),
        ("::ffff:1.2.3.4", "1.2.3.4", "must not be an IPv4-mapped IPv6 address", "non-standard"),
        ("1.2.3", None, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)", ""),
        ("1.2.3.4/32", None, "must be a valid IP address", ""),
        ("fe80::1%eth0", None, "must be a valid IP address", ""),
        ("localhost", None, "must be a valid IP address", ""),
        ("", None, "must be a valid IP address", ""),
        ("None", None, "must be a valid IP address", ""),
    ],
)
def test_ip(text, read, error, warning):
    address = addresses.parse_ip(text)
    assert (str(address) if address else None) == read
    errors = addresses.validate_ip("f", text)
    assert [error in e.body for e in errors] == ([True] if error else [])
    assert addresses.validate_ip("f", text, keep=[text]) == []
    assert [warning in w for w in addresses.warn_ip("f", text)] == ([True] if warning else [])


@pytest.mark.parametrize(
    ("text", "network", "error", "warning"),
    [
        ("1.2.3.0/24", "1.2.3.0/24", "", ""),
        ("::/0", "::/0", "", ""),
        ("1.2.3.4/24", "1.2.3.0/24", "bits set beyond the prefix length", "is ambiguous"),
        ("1.2.3.0/024", "1.2.3.0/24", "leading 0s in IP or prefix", "non-standard CIDR value"),
        ("::ffff:1.2.3.0/120", "1.2.3.0/24", "must not have an IPv4-mapped", "non-standard CIDR value"),
        ("2001:DB8::/64", "2001:db8::/64", "", "canonical format"),
        ("1.2.3.0", None, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)", ""),
        ("1.2.3.0/33", None, "must be a valid CIDR value", ""),
        ("1.2.3.0/", None, "must be a valid CIDR value", ""),
        ("a/b", None, "must be a valid CIDR value", ""),
    ],
)
def test_cidr(text, network, error, warning):
    parsed = addresses.parse_cidr(text)
    assert (str(parsed[1]) if parsed else None) == network
    assert [error in e.body for e in addresses.validate_cidr("f", text)] == ([True] if error else [])
    assert addresses.validate_cidr("f", text, keep=[text]) == []
    assert [warning in w for w in addresses.warn_cidr("f", text)] == ([True] if warning else [])


def test_canonical_forms():
    assert addresses.validate_canonical_ip("f", "2001:db8::1") == []
    (error,) = addresses.validate_canonical_ip("f", "2001:DB8::1")
    assert str(error) == 'f: Invalid value: "2001:DB8::1": must be in canonical form ("2001:db8::1")'
    (error,) = addresses.validate_canonical_cidr("f", "2001:DB8::/64")
    assert error.body.endswith('must be in canonical form ("2001:db8::/64")')


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("10.0.0.1", ""),
        ("2001:db8::1", ""),
        ("224.1.0.1", ""),
        ("0.0.0.0", "may not be unspecified (0.0.0.0)"),
        ("::", "may not be unspecified (::)"),
        ("127.1.2.3", "loopback range"),
        ("::1", "loopback range"),
        ("169.254.169.254", "link-local range"),
        ("fe80::1", "link-local range"),
        ("224.0.0.1", "link-local multicast range"),
        ("ff02::1", "link-local multicast range"),
        ("x", "must be a valid IP address"),
    ],
)
def test_endpoint_ip(text, error):
    assert [error in e.body for e in addresses.validate_endpoint_ip("f", text)] == ([True] if error else [])


def test_families():
    assert addresses.family_of("10.0.0.1") == "IPv4"
    assert addresses.family_of("fd00::1") == "IPv6"
    assert addresses.is_dual_stack(["10.0.0.1", "fd00::1"])
    assert not addresses.is_dual_stack(["10.0.0.1", "10.0.0.2"])


@given(
    st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){2,4}[.\n ]?", fullmatch=True)
    | st.text("0123456789.:f", max_size=16)
)
def test_the_short_way_for_ordinary_addresses_decides_as_the_long_one(text: str) -> None:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        assert not addresses.is_ordinary_ipv4(text)
        return
    assert addresses.parse_ip(text) == address
    assert addresses.validate_ip("f", text) == []
    assert addresses.warn_ip("f", text) == []
    special = (
        address.is_unspecified
        or address.is_loopback
        or address.is_link_local
        or address in ipaddress.ip_network("224.0.0.0/24")
    )
    assert bool(addresses.validate_endpoint_ip("f", text)) == special
    assert not (special and addresses.is_ordinary_ipv4(text))
