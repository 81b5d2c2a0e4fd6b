"""DNS cookies (RFC 7873) in the form that all servers of one address can check (RFC 9018)."""

from __future__ import annotations

import secrets
import socket
import struct
import time

CLIENT_SIZE = 8
_SERVER_SIZE = 16
_VERSION = 1
_OLDEST = 3600
_RENEW = 1800
_FUTURE = 300  # clocks of several servers differ (RFC 9018 section 4.3)
_MASK = 0xFFFF_FFFF_FFFF_FFFF


class Cookies:
    """Makes and checks server cookies with a secret of 16 bytes."""

    def __init__(self, secret: bytes = b"") -> None:
        """Without a secret one is made up: cookies are then worth nothing after a restart."""
        if secret and len(secret) != 16:
            raise ValueError("a cookie secret has 16 bytes (32 hexadecimal digits)")
        self.secret = secret or secrets.token_bytes(16)

    def answer(self, cookie: bytes, client: str) -> tuple[bytes, bool]:
        """The cookie to send back for the one received, and whether the received one proves who asks.

        ``client`` is the asker's IP address.
        """
        now = int(time.time())
        own, theirs = cookie[:CLIENT_SIZE], cookie[CLIENT_SIZE:]
        if len(theirs) == _SERVER_SIZE and theirs[0] == _VERSION:
            (made,) = struct.unpack_from("!I", theirs, 4)
            age = now - made
            if -_FUTURE <= age <= _OLDEST and secrets.compare_digest(theirs, self._make(own, made, client)):
                return (cookie if age <= _RENEW else own + self._make(own, now, client)), True
        return own + self._make(own, now, client), False

    def _make(self, own: bytes, made: int, client: str) -> bytes:
        start = struct.pack("!B3xI", _VERSION, made & 0xFFFF_FFFF)
        return start + siphash24(self.secret, own + start + _packed(client))


def _packed(client: str) -> bytes:
    """4 or 16 bytes; an IPv4 client of a dual-stack socket counts as what it is."""
    if ":" not in client:
        return socket.inet_aton(client) if client else b""
    address = socket.inet_pton(socket.AF_INET6, client.partition("%")[0])
    return address[12:] if address.startswith(b"\0" * 10 + b"\xff\xff") else address


def siphash24(key: bytes, data: bytes) -> bytes:
    """SipHash-2-4 (Aumasson and Bernstein 2012): 8 bytes, least significant first."""
    k0, k1 = struct.unpack("<2Q", key)
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    padded = data + bytes(-(len(data) + 1) % 8) + bytes((len(data) & 0xFF,))
    words = struct.unpack(f"<{len(padded) // 8}Q", padded)

    def rounds(count: int) -> None:
        nonlocal v0, v1, v2, v3
        for _ in range(count):
            v0 = (v0 + v1) & _MASK
            v1 = _rotate(v1, 13) ^ v0
            v0 = _rotate(v0, 32)
            v2 = (v2 + v3) & _MASK
            v3 = _rotate(v3, 16) ^ v2
            v0 = (v0 + v3) & _MASK
            v3 = _rotate(v3, 21) ^ v0
            v2 = (v2 + v1) & _MASK
            v1 = _rotate(v1, 17) ^ v2
            v2 = _rotate(v2, 32)

    for word in words:
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 0xFF
    rounds(4)
    return struct.pack("<Q", v0 ^ v1 ^ v2 ^ v3)


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _MASK
