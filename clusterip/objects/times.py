"""Times and durations as Kubernetes writes them and ``kubectl`` shows them."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> str:
    """The present as ``metav1.Time``: RFC 3339, whole seconds, UTC (``2026-01-01T00:00:00Z``)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def now_micro() -> str:
    """The present as ``metav1.MicroTime``, for Leases and Events (``2026-01-01T00:00:00.000000Z``)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def format_time(moment: datetime) -> str:
    """An aware ``moment`` in the form of ``now``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: str) -> datetime:
    """An RFC 3339 time, always aware.

    Raises:
        ValueError: the text is not such a time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f'time {text!r} has no zone; write it as RFC 3339, for example "{now()}"')
    return moment


def seconds_since(text: str) -> float:
    """How many seconds ago the time was; negative if it is still to come. Raises as ``parse`` does."""
    return time.time() - parse(text).timestamp()


def age(timestamp: str | None) -> str:
    """The AGE cell of a table: how long ago ``timestamp`` was, or ``<unknown>`` without one."""
    return human_duration(seconds_since(timestamp)) if timestamp else "<unknown>"


def human_duration(seconds: float) -> str:
    """A duration in two or three significant figures: ``5s``, ``3m2s``, ``26h``, ``2d``, ``3y40d``.

    As ``k8s.io/apimachinery/pkg/util/duration``: up to two seconds in the future count as now, since
    clocks differ; more is ``<invalid>``.
    """
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if minutes < 10:
        return _two(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"
