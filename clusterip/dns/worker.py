"""One of several processes that serve together, or the only one."""

from __future__ import annotations

from dataclasses import dataclass, field

from clusterip.dns.board import Board
from clusterip.dns.loop import LoopProbe


@dataclass(frozen=True)
class Worker:
    """``index`` 0 also serves health and metrics."""

    index: int = 0
    board: Board | None = None
    """None: it is the only one."""
    probe: LoopProbe = field(default_factory=LoopProbe)
    """One for all: it may come back to another worker than the one that sent it."""
