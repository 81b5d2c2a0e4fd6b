"""The steps of a rule: each function builds one expression of the kernel's nftables machine.

The machine has sixteen 32-bit words of registers, named here by their number 0 to 15; a value longer
than four bytes takes the following words too. Registers live for one rule only. A step that does not
match ends the rule, and the next rule of the chain is tried. See
``include/uapi/linux/netfilter/nf_tables.h``.
"""

from __future__ import annotations

import struct

from clusterip.kernel import netlink
from clusterip.kernel.nftables.model import Family

Expression = bytes

ACCEPT, DROP = 1, 0
JUMP, GOTO, RETURN = -3, -4, -5

_REG32_00 = 8
_VERDICT_REGISTER = 0

CT_STATE_INVALID = 1 << 0
CT_STATE_NEW = 1 << 3
CT_STATUS_DST_NAT = 1 << 5
RTN_LOCAL = 2


def _expression(name: str, *attributes: bytes) -> Expression:
    return netlink.nested(1, netlink.string(1, name), netlink.nested(2, *attributes))


def _register(word: int) -> int:
    return _REG32_00 + word


def _value(kind: int, data: bytes) -> bytes:
    return netlink.nested(kind, netlink.attribute(1, data))


def verdict_data(kind: int, code: int, chain: str = "") -> bytes:
    """The attribute of a verdict value: in a rule or as the value of a map's element."""
    parts = [netlink.attribute(1, struct.pack("!i", code))]
    if chain:
        parts.append(netlink.string(2, chain))
    return netlink.nested(kind, netlink.nested(2, *parts))


def verdict(code: int, chain: str = "") -> Expression:
    """End the rule with a verdict: ``ACCEPT``, ``DROP``, or ``JUMP``/``GOTO`` a chain."""
    return _expression("immediate", netlink.be32(1, _VERDICT_REGISTER), verdict_data(2, code, chain))


def _payload(word: int, base: int, offset: int, length: int) -> Expression:
    return _expression(
        "payload",
        netlink.be32(1, _register(word)),
        netlink.be32(2, base),
        netlink.be32(3, offset),
        netlink.be32(4, length),
    )


def source_address(family: Family, word: int) -> Expression:
    """Load the packet's source address (one word for IPv4, four for IPv6)."""
    return _payload(word, 1, 12, 4) if family is Family.IPV4 else _payload(word, 1, 8, 16)


def destination_address(family: Family, word: int) -> Expression:
    """Load the packet's destination address (one word for IPv4, four for IPv6)."""
    return _payload(word, 1, 16, 4) if family is Family.IPV4 else _payload(word, 1, 24, 16)


def destination_port(word: int) -> Expression:
    """Load the destination port of TCP, UDP or SCTP; no match for a packet without a transport header."""
    return _payload(word, 2, 2, 2)


def source_port(word: int) -> Expression:
    """Load the source port of TCP, UDP or SCTP; no match for a packet without a transport header."""
    return _payload(word, 2, 0, 2)


def has_dscp(family: Family, word: int, value: int) -> list[Expression]:
    """Go on only if the packet's differentiated services field (RFC 2474) is ``value`` (0 to 63)."""
    if family is Family.IPV4:
        offset, length, mask, bits = 1, 1, 0xFC, value << 2
    else:
        offset, length, mask, bits = 0, 2, 0x0FC0, value << 6
    return [
        _payload(word, 1, offset, length),
        bitwise(word, mask.to_bytes(length, "big"), bytes(length)),
        equals(word, bits.to_bytes(length, "big")),
    ]


def trace() -> Expression:
    """Let the kernel tell of every rule that the packet matches from here on, in this network namespace."""
    one = _expression("immediate", netlink.be32(1, _register(0)), _value(2, b"\1"))
    return one + _expression("meta", netlink.be32(2, 12), netlink.be32(3, _register(0)))


def add_element(set_name: str, key: int) -> Expression:
    """Put the register into a dynamic set; goes on either way."""
    return _expression(
        "dynset",
        netlink.string(1, set_name),
        netlink.be32(3, _DYNSET_ADD),
        netlink.be32(4, _register(key)),
    )


def layer4_protocol(word: int) -> Expression:
    """Load the number of the transport protocol."""
    return _expression("meta", netlink.be32(1, _register(word)), netlink.be32(2, 16))


INTERFACE_NAME_LENGTH = 16


def input_interface(word: int) -> Expression:
    """Load the name of the interface the packet came in by, padded with zeros; zeros for a local one."""
    return _expression("meta", netlink.be32(1, _register(word)), netlink.be32(2, 6))


def load_mark(word: int) -> Expression:
    """Load the packet's mark."""
    return _expression("meta", netlink.be32(1, _register(word)), netlink.be32(2, 3))


def store_mark(word: int) -> Expression:
    """Set the packet's mark."""
    return _expression("meta", netlink.be32(2, 3), netlink.be32(3, _register(word)))


def load_priority(word: int) -> Expression:
    """Load the packet's queueing priority (``skb->priority``)."""
    return _expression("meta", netlink.be32(1, _register(word)), netlink.be32(2, 2))


def store_priority(word: int) -> Expression:
    """Set the packet's queueing priority."""
    return _expression("meta", netlink.be32(2, 2), netlink.be32(3, _register(word)))


def load_constant(word: int, data: bytes) -> Expression:
    """Load a constant."""
    return _expression("immediate", netlink.be32(1, _register(word)), _value(2, data))


def ct_state(word: int) -> Expression:
    """Load the connection's state, a bit mask in host order."""
    return _expression("ct", netlink.be32(1, _register(word)), netlink.be32(2, 0))


def ct_status(word: int) -> Expression:
    """Load the connection's status bits, in host order."""
    return _expression("ct", netlink.be32(1, _register(word)), netlink.be32(2, 2))


def fib_address_type(word: int, *, source: bool) -> Expression:
    """Load what the routing table says an address is (``RTN_LOCAL`` …): the source's or destination's."""
    return _expression(
        "fib", netlink.be32(1, _register(word)), netlink.be32(2, 3), netlink.be32(3, 1 if source else 2)
    )


def equals(word: int, data: bytes) -> Expression:
    """Go on only if the register holds ``data``."""
    return _compare(word, 0, data)


def differs(word: int, data: bytes) -> Expression:
    """Go on only if the register does not hold ``data``."""
    return _compare(word, 1, data)


def _compare(word: int, operation: int, data: bytes) -> Expression:
    return _expression("cmp", netlink.be32(1, _register(word)), netlink.be32(2, operation), _value(3, data))


def bitwise(word: int, mask: bytes, xor: bytes) -> Expression:
    """``register = (register & mask) ^ xor``."""
    return _expression(
        "bitwise",
        netlink.be32(1, _register(word)),
        netlink.be32(2, _register(word)),
        netlink.be32(3, len(mask)),
        _value(4, mask),
        _value(5, xor),
    )


def set_bits(word: int, bits: int) -> Expression:
    """Turn on bits of a 32-bit value in host order."""
    return bitwise(word, struct.pack("=I", ~bits & 0xFFFFFFFF), struct.pack("=I", bits))


def clear_bits(word: int, bits: int) -> Expression:
    """Turn off bits of a 32-bit value in host order."""
    return bitwise(word, struct.pack("=I", ~bits & 0xFFFFFFFF), bytes(4))


def keep_bits(word: int, bits: int) -> Expression:
    """Turn off all other bits of a 32-bit value in host order."""
    return bitwise(word, struct.pack("=I", bits), bytes(4))


def lookup(set_name: str, word: int, *, invert: bool = False) -> Expression:
    """Go on only if the register is (``invert``: is not) in the set."""
    parts = [netlink.string(1, set_name), netlink.be32(2, _register(word))]
    if invert:
        parts.append(netlink.be32(5, 1))
    return _expression("lookup", *parts)


def lookup_value(map_name: str, word: int, into: int) -> Expression:
    """Load the map's value for the register; no match if there is none."""
    return _expression(
        "lookup",
        netlink.string(1, map_name),
        netlink.be32(2, _register(word)),
        netlink.be32(3, _register(into)),
    )


def lookup_verdict(map_name: str, word: int) -> Expression:
    """Do what the verdict map says for the register; no match if it says nothing."""
    return _expression(
        "lookup",
        netlink.string(1, map_name),
        netlink.be32(2, _register(word)),
        netlink.be32(3, _VERDICT_REGISTER),
    )


def random_number(word: int, modulus: int) -> Expression:
    """Load a random number from 0 to ``modulus`` - 1, in host order."""
    return _expression(
        "numgen", netlink.be32(1, _register(word)), netlink.be32(2, modulus), netlink.be32(3, 1)
    )


_DYNSET_ADD, _DYNSET_UPDATE, _DYNSET_DELETE = 0, 1, 2


def update_element(map_name: str, key: int, data: int, timeout_ms: int) -> Expression:
    """Put an element into a dynamic map, or start its timeout (milliseconds) anew if it is there."""
    return _expression(
        "dynset",
        netlink.string(1, map_name),
        netlink.be32(3, _DYNSET_UPDATE),
        netlink.be32(4, _register(key)),
        netlink.be32(5, _register(data)),
        netlink.be64(6, timeout_ms),
    )


def delete_element(map_name: str, key: int, data: int) -> Expression:
    """Take an element out of a dynamic map; goes on either way.

    The kernel wants a register for the value too, though it does not look at it.
    """
    return _expression(
        "dynset",
        netlink.string(1, map_name),
        netlink.be32(3, _DYNSET_DELETE),
        netlink.be32(4, _register(key)),
        netlink.be32(5, _register(data)),
    )


_NAT_FLAG_MAP_IPS = 1
_NAT_FLAG_PROTO_SPECIFIED = 2
_NAT_FLAG_PROTO_RANDOM_FULLY = 16


def dnat(family: Family, address: int, port: int) -> Expression:
    """Rewrite the destination to the address and port in the registers; ends the rule."""
    return _expression(
        "nat",
        netlink.be32(1, 1),
        netlink.be32(2, int(family)),
        netlink.be32(3, _register(address)),
        netlink.be32(5, _register(port)),
        netlink.be32(7, _NAT_FLAG_MAP_IPS | _NAT_FLAG_PROTO_SPECIFIED),
    )


def masquerade() -> Expression:
    """Rewrite the source to the outgoing interface's address, with a fully random port."""
    return _expression("masq", netlink.be32(1, _NAT_FLAG_PROTO_RANDOM_FULLY))


def reject_with_reset() -> Expression:
    """Answer with a TCP reset."""
    return _expression("reject", netlink.be32(1, 1), netlink.u8(2, 0))


def reject_unreachable(family: Family) -> Expression:
    """Answer with ICMP "port unreachable"."""
    return _expression("reject", netlink.be32(1, 0), netlink.u8(2, 3 if family is Family.IPV4 else 4))
