"""Netlink's wire format, without a kernel."""

from __future__ import annotations

import struct

import pytest

from clusterip.kernel import netlink


def test_attributes_are_padded_and_read_back() -> None:
    data = netlink.string(1, "lo") + netlink.u32(2, 7) + netlink.nested(3, netlink.be16(1, 80))
    assert len(data) % 4 == 0
    found = netlink.parse_attributes(data)
    assert netlink.text(found[1]) == "lo"
    assert netlink.number(found[2]) == 7
    assert netlink.be_number(netlink.parse_attributes(found[3])[1]) == 80


def test_a_broken_attribute_ends_the_list() -> None:
    assert netlink.parse_attributes(netlink.u8(1, 1) + struct.pack("=HH", 2, 9)) == {1: b"\x01"}


@pytest.mark.parametrize("capped", [True, False])
def test_errors_explain_themselves(capped: bool) -> None:
    flags = netlink.NLM_F_ACK_TLVS | (netlink.NLM_F_CAPPED if capped else 0)
    echoed = struct.pack("=IHHII", 21, 16, 5, 1, 0) + (b"" if capped else b"hello\0\0\0")
    payload = struct.pack("=i", -17) + echoed + netlink.string(1, "it is there already")
    error = netlink.error_of(netlink.Message(netlink.NLMSG_ERROR, flags, 1, memoryview(payload)), 3)
    assert error is not None
    assert (error.errno, error.message, error.index) == (17, "it is there already", 3)


def test_an_acknowledgement_is_no_error() -> None:
    payload = struct.pack("=i", 0) + bytes(16)
    assert netlink.error_of(netlink.Message(netlink.NLMSG_ERROR, 0, 1, memoryview(payload))) is None
