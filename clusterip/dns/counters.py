"""What the servers count.

The hot path only counts how often each kept answer was sent: everything else about it (its type, code and
size, the zone of its name) is in the answer, and read when somebody wants to know.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from clusterip.dns import names

Tally = dict[bytes, int]
"""How often each answer, without its ID, was sent."""

TIME_BUCKETS = tuple(0.00025 * 2**power for power in range(16))
SIZE_BUCKETS = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000)
"""CoreDNS's (``plugin/plugin.go``, ``plugin/metrics/vars``)."""

MAX_TALLY = 65_536
_OPT_START = b"\0\0\x29\x04\xd0"
"""The root's name, type OPT and the size that we always tell."""


class Histogram:
    """Observations in buckets; the last one has no bound."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, count: int = 1) -> None:
        """``count`` observations of ``value``."""
        self.counts[bisect_left(self.bounds, value)] += count
        self.sum += value * count


class Request(NamedTuple):
    """What is told apart of questions."""

    zone: bytes
    proto: str
    family: int
    """1: IPv4, 2: IPv6."""
    type: int


class Counters:
    """The figures of one address that is served. ``server`` is its name, such as ``dns://:53``."""

    def __init__(self, server: str = "dns://:53", zones: Sequence[bytes] = (b"\0",)) -> None:
        self.server = server
        self.unsent = 0
        """Answers that the network did not take."""
        self.seconds = 0.0
        """Time spent on answers that were kept ready."""
        self.requests: Counter[Request] = Counter()
        self.responses: Counter[tuple[bytes, int]] = Counter()
        """By zone and response code."""
        self.dnssec: Counter[bytes] = Counter()
        """Questions with the DO bit, by zone."""
        self.durations: dict[bytes, Histogram] = {}
        self.request_sizes: dict[tuple[bytes, str], Histogram] = {}
        self.response_sizes: dict[tuple[bytes, str], Histogram] = {}
        self._zones: tuple[bytes, ...] = ()
        self._tallies: dict[tuple[str, int], Tally] = {
            (proto, family): {} for proto in ("udp", "tcp") for family in (1, 2)
        }
        self.serve(zones)

    def serve(self, zones: Sequence[bytes]) -> None:
        """From now on questions are for these zones, and others for none."""
        if self._zones:
            self.fold()
        self._zones = tuple(sorted(zones, key=len, reverse=True))

    def tally(self, proto: str, family: int) -> Tally:
        """Where to count kept answers. Always the same object."""
        return self._tallies[proto, family]

    def answered(self, answer: bytes, proto: str, family: int, size: int, seconds: float) -> None:
        """Count an answer, with its ID, to a question of ``size`` bytes that took so long."""
        self._count(answer[2:], proto, family, 1, size, seconds)

    def fold(self) -> None:
        """Read the answers that have been counted, and forget them."""
        total = sum(sum(tally.values()) for tally in self._tallies.values())
        seconds = self.seconds / total if total else 0.0
        self.seconds = 0.0
        for (proto, family), tally in self._tallies.items():
            counted = list(tally.items())
            tally.clear()
            for answer, count in counted:
                self._count(answer, proto, family, count, None, seconds)

    def _count(
        self, answer: bytes, proto: str, family: int, count: int, size: int | None, seconds: float
    ) -> None:
        zone, end = b"", 10
        if answer[2:4] != b"\0\0":
            end = answer.index(b"\0", 10) + 5
            zone = self._zone_of(answer[10 : end - 4].lower())
        self.requests[Request(zone, proto, family, int.from_bytes(answer[end - 4 : end - 2], "big"))] += count
        self.responses[zone, answer[1] & 15] += count
        opt = answer.rfind(_OPT_START, end) if answer[9] or answer[8] else -1
        if opt >= 0 and answer[opt + 7] & 0x80:
            self.dnssec[zone] += count
        if size is None:  # a kept answer's question had nothing but its name, and OPT if the answer has it
            size = end + 2 + (11 if opt >= 0 else 0)
        key = zone, proto
        _histogram(self.request_sizes, key, SIZE_BUCKETS).observe(size, count)
        _histogram(self.response_sizes, key, SIZE_BUCKETS).observe(len(answer) + 2, count)
        durations = self.durations.get(zone)
        if durations is None:
            durations = self.durations[zone] = Histogram(TIME_BUCKETS)
        durations.observe(seconds, count)

    def _zone_of(self, name: bytes) -> bytes:
        for zone in self._zones:
            if name.endswith(zone) and (zone == b"\0" or names.is_below(name, zone)):
                return zone
        return b""

    @property
    def udp(self) -> int:
        """Questions that came in datagrams."""
        return self._by_proto("udp")

    @property
    def tcp(self) -> int:
        """Questions that came over TCP or TLS."""
        return self._by_proto("tcp")

    def _by_proto(self, proto: str) -> int:
        self.fold()
        return sum(count for request, count in self.requests.items() if request.proto == proto)

    @property
    def rcodes(self) -> list[int]:
        """How many answers had each response code."""
        self.fold()
        found = [0] * 16
        for (_, rcode), count in self.responses.items():
            found[rcode] += count
        return found


def _histogram(
    table: dict[tuple[bytes, str], Histogram], key: tuple[bytes, str], bounds: Sequence[float]
) -> Histogram:
    found = table.get(key)
    if found is None:
        found = table[key] = Histogram(bounds)
    return found
