"""Times in objects, which anybody may have written."""

from __future__ import annotations

from clusterip.objects import times


def unix_time(text: str | None) -> float | None:
    """The time as Unix time in seconds; None if there is none, or none that can be read.

    One object with a bad time must not keep a controller from its work on it.
    """
    if not text:
        return None
    try:
        return times.parse(text).timestamp()
    except ValueError:
        return None
