"""RFC 3339 as Go's ``time.Parse`` reads it, with its messages."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone

_LAYOUT = "2006-01-02T15:04:05%sZ07:00"
_ZONE = re.compile(r"([+-])(\d\d):(\d\d)")


def exact_time(text: str, digits: int = 0) -> str:
    """A time in UTC with exactly so many ``digits`` of a second, which the text must have too if any.

    Raises:
        ValueError: the text is no such time.
    """
    if len(text) == 20 + (digits and digits + 1) and text[-1] == "Z":
        try:  # nearly always it is in that form already
            datetime.fromisoformat(text)
            if text[10] == "T" and (not digits or text[19] == "."):
                return text
        except ValueError:
            pass
    moment, nanoseconds = _parse(text, digits)
    fraction = f".{nanoseconds:09d}"[: digits + 1] if digits else ""
    return f"{moment.year:04d}{moment.strftime('-%m-%dT%H:%M:%S')}{fraction}Z"


class _Reader:
    """Takes a text apart from the left; says what it could not find."""

    def __init__(self, text: str, digits: int) -> None:
        self.text = text
        self.rest = text
        self.layout = _LAYOUT % ("." + "0" * digits if digits else "")

    def bad(self, element: str) -> ValueError:
        return ValueError(
            f'parsing time {_quoted(self.text)} as "{self.layout}": cannot parse {_quoted(self.rest)} '
            f'as "{element}"'
        )

    def out_of_range(self, what: str) -> ValueError:
        return ValueError(f"parsing time {_quoted(self.text)}: {what} out of range")

    def number(self, width: int, element: str, *, fewer: bool = False) -> int:
        match = re.match(rf"[0-9]{{{1 if fewer else width},{width}}}", self.rest)
        if match is None:
            raise self.bad(element)
        self.rest = self.rest[match.end() :]
        return int(match[0])

    def literal(self, text: str) -> None:
        if not self.rest.startswith(text):
            raise self.bad(text)
        self.rest = self.rest[len(text) :]

    def fraction(self, digits: int) -> int:
        """Nanoseconds."""
        if digits:
            match = re.match(rf"[.,]([0-9]{{{digits}}})", self.rest)
            if match is None:
                raise self.bad("." + "0" * digits)
        else:
            match = re.match(r"[.,]([0-9]+)", self.rest)
            if match is None:
                return 0
        self.rest = self.rest[match.end() :]
        return int(match[1].ljust(9, "0")[:9])

    def zone(self) -> timezone:
        if self.rest.startswith("Z"):
            self.rest = self.rest[1:]
            return UTC
        match = _ZONE.match(self.rest)
        if match is None:
            raise self.bad("Z07:00")
        self.rest = self.rest[match.end() :]
        hours, minutes = int(match[2]), int(match[3])
        if hours > 24:
            raise self.out_of_range("time zone offset hour")
        if minutes >= 60:
            raise self.out_of_range("time zone offset minute")
        offset = timedelta(hours=hours, minutes=minutes)
        return timezone(offset if match[1] == "+" else -offset) if hours < 24 else UTC


def _parse(text: str, digits: int) -> tuple[datetime, int]:
    read = _Reader(text, digits)
    year = read.number(4, "2006")
    read.literal("-")
    month = read.number(2, "01")
    if not 1 <= month <= 12:
        raise read.out_of_range("month")
    read.literal("-")
    day = read.number(2, "02")
    read.literal("T")
    hour = read.number(2, "15", fewer=True)
    if hour > 23:
        raise read.out_of_range("hour")
    read.literal(":")
    minute = read.number(2, "04")
    if minute > 59:
        raise read.out_of_range("minute")
    read.literal(":")
    second = read.number(2, "05")
    if second > 59:
        raise read.out_of_range("second")
    nanoseconds = read.fraction(digits)
    zone = read.zone()
    if read.rest:
        raise ValueError(f"parsing time {_quoted(text)}: extra text: {_quoted(read.rest)}")
    if not 1 <= day <= monthrange(year or 4, month)[1]:  # year 0 is a leap year that Python does not know
        raise read.out_of_range("day")
    moment = datetime(max(year, 1), month, day, hour, minute, second, tzinfo=zone)
    try:
        return moment.astimezone(UTC), nanoseconds
    except OverflowError:
        return moment.replace(tzinfo=UTC), nanoseconds


def _quoted(text: str) -> str:
    """As Go's ``time`` quotes: backslashes, quotes and everything beyond printable ASCII escaped."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    if " " <= letter < "\x7f":
        return letter
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "replace"))
