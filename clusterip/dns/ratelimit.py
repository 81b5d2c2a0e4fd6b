"""Response rate limiting: a server that answers forged questions without end is a weapon.

After BIND's RRL: the same answer goes to the same network (an IPv4 /24, an IPv6 /56) only so often per
second. Of the rest, every second one is sent truncated, so that a client who was forged can still ask over
TCP, and the others not at all. Denials and errors count together for each network, for their names vary.
Clients that showed a cookie of ours, and those on TCP, are who they say and not limited.
"""

from __future__ import annotations

import socket
import time

from clusterip.dns import message

_MAX_NETWORKS = 100_000
_TC = message.TC >> 8


class Limiter:
    """``rate`` answers per second, and at most as many at once."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._left: dict[bytes, tuple[float, float, bool]] = {}
        """Answers left, when that was so, and whether the last one over the limit was dropped."""
        self.dropped = 0
        self.truncated = 0

    def limit(self, answer: bytes, client: str) -> bytes | None:
        """What to send of ``answer``: itself, a truncated form, or nothing."""
        key = _network(client) + _kind(answer)
        now = time.monotonic()
        left, since, slip = self._left.get(key, (float(self._rate), now, False))
        left = min(self._rate, left + (now - since) * self._rate) - 1
        if left >= 0:
            if key not in self._left and len(self._left) >= _MAX_NETWORKS:
                self._left.clear()
            self._left[key] = (left, now, slip)
            return answer
        self._left[key] = (left + 1, now, not slip)
        if slip:
            self.truncated += 1
            return _truncated(answer)
        self.dropped += 1
        return None


def _network(client: str) -> bytes:
    if ":" not in client:
        return socket.inet_aton(client)[:3] if client else b""
    address = socket.inet_pton(socket.AF_INET6, client.partition("%")[0])
    return address[12:15] if address.startswith(b"\0" * 10 + b"\xff\xff") else address[:7]


def _kind(answer: bytes) -> bytes:
    """What makes answers the same: the code, and for good ones the question."""
    rcode = answer[3] & 15
    if rcode != message.NOERROR:
        return bytes((rcode,))
    return answer[message.HEADER : _end_of_question(answer)].lower()


def _truncated(answer: bytes) -> bytes:
    end = _end_of_question(answer)
    return answer[:2] + bytes((answer[2] | _TC,)) + answer[3:6] + bytes(6) + answer[message.HEADER : end]


def _end_of_question(answer: bytes) -> int:
    offset = message.HEADER
    if answer[4:6] == b"\0\0":
        return offset
    while length := answer[offset]:
        offset += 1 + length
    return offset + 5
