"""Containers of a Pod in any state, for what is worked out from their states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clusterip.node.pods.slot import Slot
from clusterip.node.runtime.record import Exit, Record

START = datetime(2026, 1, 1, tzinfo=UTC)


class Stub:
    """As much of a running or ended container as a status is made of."""

    def __init__(self, attempt: int = 0, ended: Exit | None = None) -> None:
        self.record = Record(id="c" * 64, name="main", attempt=attempt, image="i:1", image_id="i@sha256:1")
        self.exit = ended
        self.running = ended is None
        self.started_at = START


def ended(code: int, seconds: float = 1.0) -> Exit:
    finished = START + timedelta(seconds=seconds)
    return Exit(code, START, finished, "Completed" if code == 0 else "Error")


def give(slot: Slot, container: Stub, *, ready: bool = False) -> None:
    slot.container = container  # type: ignore[assignment]
    slot.started = slot.ready = ready
