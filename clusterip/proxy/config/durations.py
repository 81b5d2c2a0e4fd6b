"""Durations as Go writes them: ``1m30s``. Upstream: ``time.ParseDuration``, ``Duration.String``."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_SECOND = _UNITS["s"]


class Duration:
    """A span of time, to the nanosecond."""

    __slots__ = ("nanoseconds",)

    def __init__(self, nanoseconds: int = 0) -> None:
        self.nanoseconds = nanoseconds

    @classmethod
    def of(cls, seconds: float) -> Duration:
        return cls(round(seconds * _SECOND))

    @classmethod
    def parse(cls, text: str) -> Duration:
        """``1h2m3.5s``, ``-4ms`` or ``0``.

        Raises:
            ValueError: it is none; the message is Go's.
        """
        sign = -1 if text.startswith("-") else 1
        rest = text[1:] if text[:1] in ("-", "+") else text
        if rest == "0":
            return cls(0)
        total, position = Decimal(0), 0
        while part := _PART.match(rest, position):
            total += Decimal(part[1]) * _UNITS[part[2]]
            position = part.end()
        if not rest or position != len(rest):
            raise ValueError(f'time: invalid duration "{text}" (write 30s, 1m30s or 2h)')
        return cls(sign * int(total))

    @property
    def seconds(self) -> float:
        return self.nanoseconds / _SECOND

    def __str__(self) -> str:
        rest = abs(self.nanoseconds)
        sign = "-" if self.nanoseconds < 0 else ""
        if rest == 0:
            return "0s"
        if rest < _SECOND:
            unit = "ns" if rest < 1_000 else "µs" if rest < 1_000_000 else "ms"
            return f"{sign}{_plain(Decimal(rest) / _UNITS[unit])}{unit}"
        minutes, rest = divmod(rest, _UNITS["m"])
        hours, minutes = divmod(minutes, 60)
        text = f"{_plain(Decimal(rest) / _SECOND)}s"
        if hours:
            return f"{sign}{hours}h{minutes}m{text}"
        return f"{sign}{minutes}m{text}" if minutes else f"{sign}{text}"

    def __repr__(self) -> str:
        return f"Duration({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.nanoseconds == other.nanoseconds

    def __hash__(self) -> int:
        return hash(self.nanoseconds)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
