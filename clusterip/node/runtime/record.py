"""What is kept on disk of a container beside what its monitor writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec


class Record(msgspec.Struct, kw_only=True):
    """``container.json``: what a container is. ``spec_hash`` tells whether the Pod still wants it so.

    ``shares_processes``: its first process is not the first of a PID namespace, so that its end does not end
    the others that the container has.
    """

    id: str
    name: str
    attempt: int
    image: str
    image_id: str
    spec_hash: str = ""
    created_at: str = ""
    stdin: bool = False
    stdin_once: bool = False
    terminal: bool = False
    stop_signal: str = ""
    message_from_log: bool = False
    shares_processes: bool = False


@dataclass(frozen=True)
class Exit:
    """How a container ended. ``code`` is 128 + N after signal N, as a shell has it.

    ``started_at`` is None if it never ran; ``reason`` then says why in one word, ``message`` in full.
    """

    code: int
    started_at: datetime | None
    finished_at: datetime
    reason: str
    message: str = ""
