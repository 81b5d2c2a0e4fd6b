"""Domain names in wire format (RFC 1035 section 3.1): length-prefixed labels and a closing zero byte.

Names are ``bytes`` throughout. Those of the zone are in lower case, so a question's name is compared
after ``bytes.lower``: length bytes are at most 63 and no letters, so lower-casing leaves them alone.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

MAX_NAME = 255
MAX_LABEL = 63
_MAX_POINTERS = 126
"""Compression pointers in one name: more than labels fit would be a way to keep us busy."""

_plain_label = re.compile(r"[A-Za-z0-9_-]{1,63}", re.ASCII)


class BadName(ValueError):
    """Not a domain name, or not where one should be in a message."""


def to_wire(text: str) -> bytes:
    """``a.b.c`` or ``a.b.c.`` as a wire name in lower case.

    Raises:
        BadName: a label is empty, too long or not of letters, digits, ``-`` and ``_``; the name is too long.
    """
    labels = text.removesuffix(".").split(".") if text not in ("", ".") else []
    for label in labels:
        if not _plain_label.fullmatch(label):
            raise BadName(f'"{text}" is not a domain name: "{label}" is not a label of it')
    wire = b"".join(bytes((len(label),)) + label.lower().encode() for label in labels) + b"\0"
    if len(wire) > MAX_NAME:
        raise BadName(f'"{text}" is longer than the {MAX_NAME} bytes that a domain name may have')
    return wire


def label_of(text: str) -> bytes:
    """One label on the wire, to be put before a name. Raises BadName."""
    if not _plain_label.fullmatch(text):
        raise BadName(f'"{text}" is not a label of a domain name')
    return bytes((len(text),)) + text.lower().encode()


def to_text(name: bytes) -> str:
    """A wire name for people, with a trailing dot and RFC 1035's escapes."""
    return ".".join(map(_escape, labels(name))) + "."


def _escape(label: bytes) -> str:
    return "".join(
        chr(byte) if 0x21 <= byte <= 0x7E and byte not in b'."\\();@$' else f"\\{byte:03d}" for byte in label
    )


def labels(name: bytes) -> Iterator[bytes]:
    """The labels of a wire name from left to right, without the root's."""
    offset = 0
    while length := name[offset]:
        yield name[offset + 1 : offset + 1 + length]
        offset += 1 + length


def parent(name: bytes) -> bytes:
    """``b.c.`` of ``a.b.c.``; the root's parent is the root."""
    return name[1 + name[0] :] if name[0] else name


def is_below(name: bytes, ancestor: bytes) -> bool:
    """Whether ``name`` is ``ancestor`` or below it (both lower case)."""
    if not name.endswith(ancestor):
        return False
    # The suffix could begin in the middle of a label whose bytes look like lengths.
    while len(name) > len(ancestor):
        name = parent(name)
    return name == ancestor


def skip(message: bytes, offset: int) -> int:
    """Where an uncompressed name that starts at ``offset`` ends.

    Raises:
        BadName: it is compressed, too long, or the message ends before.
    """
    start = offset
    try:
        while length := message[offset]:
            if length > MAX_LABEL:
                raise BadName("compressed or extended label where a plain name belongs")
            offset += 1 + length
    except IndexError:
        raise BadName("the message ends within a name") from None
    if offset + 1 - start > MAX_NAME:
        raise BadName("name longer than 255 bytes")
    return offset + 1


def read(message: bytes, offset: int) -> tuple[bytes, int]:
    """The name at ``offset``, decompressed, and where what follows it starts.

    Raises:
        BadName: pointers do not lead strictly backwards, there are too many, the name is too long, or the
            message ends before.
    """
    parts: list[bytes] = []
    total = 1
    after = -1
    barrier = offset
    pointers = 0
    try:
        while length := message[offset]:
            if length >= 0xC0:
                target = (length & 0x3F) << 8 | message[offset + 1]
                if after < 0:
                    after = offset + 2
                if target >= barrier:  # only backwards: this is what ends every loop
                    raise BadName("compression pointer that does not point backwards")
                pointers += 1
                if pointers > _MAX_POINTERS:
                    raise BadName("more compression pointers than a name can need")
                offset = barrier = target
                continue
            if length > MAX_LABEL:
                raise BadName("unknown label type")
            total += 1 + length
            if total > MAX_NAME:
                raise BadName("name longer than 255 bytes")
            parts.append(message[offset : offset + 1 + length])
            offset += 1 + length
    except IndexError:
        raise BadName("the message ends within a name") from None
    return b"".join(parts) + b"\0", (offset + 1 if after < 0 else after)


def reverse_name(address: bytes) -> bytes:
    """The name below ``in-addr.arpa`` or ``ip6.arpa`` of a packed address of 4 or 16 bytes."""
    if len(address) == 4:
        return b"".join([_OCTETS[byte] for byte in reversed(address)]) + _IN_ADDR
    return b"".join([b"\1" + digit for digit in _digits(address)]) + _IP6


def address_of(name: bytes) -> bytes | None:
    """The packed address that ``name`` (lower case) is the reverse name of, or None."""
    if name.endswith(_IN_ADDR):
        found = list(labels(name[: -len(_IN_ADDR)] + b"\0"))
        text = b".".join(reversed(found)).decode("latin-1")
        return pack_address(text) if len(found) == 4 and ":" not in text else None
    if not name.endswith(_IP6) or len(name) != 2 * 32 + len(_IP6):
        return None
    try:
        return bytes.fromhex(name[1 : 2 * 32 : 2][::-1].decode("ascii"))
    except ValueError:
        return None


def _digits(address: bytes) -> list[bytes]:
    text = address.hex().encode()
    return [text[at : at + 1] for at in range(len(text) - 1, -1, -1)]


def pack_address(text: str) -> bytes | None:
    """An IPv4 or IPv6 address as 4 or 16 bytes, or None if ``text`` is none."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return None


_OCTETS = [label_of(str(byte)) for byte in range(256)]
_IN_ADDR = to_wire("in-addr.arpa")
_IP6 = to_wire("ip6.arpa")
