"""Watch events and those who wait for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from clusterip.apiserver.entry import Entry
from clusterip.apiserver.selection import Selection

ADDED, MODIFIED, DELETED, BOOKMARK = "ADDED", "MODIFIED", "DELETED", "BOOKMARK"

PIECE_BYTES = 64 * 1024
"""How much of what is there at the beginning is sent at once."""

MOST_HELD = 10_000
"""How many changes wait for a watcher that does not take its beginning; then it is dropped."""


class Change:
    """One change of one object, as the watch cache saw it.

    ``entry`` is the object after the change; of a deleted one, its last state at the revision of the
    deletion. ``frames`` keeps what was encoded of it, so that it is encoded once for all watchers.
    """

    __slots__ = ("deleted", "entry", "frames", "previous")

    def __init__(self, entry: Entry, previous: Entry | None, *, deleted: bool) -> None:
        self.entry = entry
        self.previous = previous
        self.deleted = deleted
        self.frames: dict[tuple[str, object], bytes] = {}

    @property
    def revision(self) -> int:
        return self.entry.revision

    def kind_for(self, selection: Selection) -> str | None:
        """What this change is to a watcher of ``selection``: a change that takes an object into the
        selection adds it, one that takes it out deletes it. None if it is none of its business.
        """
        previous = self.previous
        if selection.everything:
            if self.deleted:
                return DELETED
            return MODIFIED if previous is not None else ADDED
        was = previous is not None and selection.matches(previous)
        if self.deleted:
            return DELETED if was else None
        if selection.matches(self.entry):
            return MODIFIED if was else ADDED
        return DELETED if was else None


class Encoder(Protocol):
    """Writes events in the form one client asked for. ``key`` tells equal forms apart."""

    key: object

    def event(self, kind: str, entry: Entry) -> bytes: ...

    def bookmark(self, entry_revision: int, *, initial_events_end: bool) -> bytes: ...


class Watcher:
    """Someone watching a selection of one resource.

    Events go to ``sink`` at once, as encoded bytes, in order; nothing is queued here. ``revision`` is
    up to where the watcher has seen everything. ``ended`` is called once when no more will come.
    """

    __slots__ = ("bookmarks", "closed", "encoder", "ended", "pending", "revision", "selection", "sink")

    def __init__(
        self,
        selection: Selection,
        encoder: Encoder,
        sink: Callable[[list[bytes]], None],
        ended: Callable[[], None],
        *,
        bookmarks: bool = False,
    ) -> None:
        self.selection = selection
        self.encoder = encoder
        self.sink = sink
        self.ended = ended
        self.bookmarks = bookmarks
        self.revision = 0
        self.closed = False
        self.pending: list[Change] | None = None

    def deliver(self, changes: Sequence[Change]) -> None:
        """Send what of ``changes`` concerns this watcher (holding it back while it catches up)."""
        if self.pending is not None:
            self.pending.extend(changes)
            if len(self.pending) > MOST_HELD:
                self.close()
            return
        frames = []
        for change in changes:
            if change.revision <= self.revision:
                continue
            kind = change.kind_for(self.selection)
            if kind is not None:
                frames.append(self._frame(kind, change))
        if changes:
            self.revision = max(self.revision, changes[-1].revision)
        if frames:
            self.sink(frames)

    def _frame(self, kind: str, change: Change) -> bytes:
        key = (kind, self.encoder.key)
        frame = change.frames.get(key)
        if frame is None:
            entry = change.entry
            if kind == DELETED and not change.deleted and change.previous is not None:
                # It left the selection: what is told is its last selected state, at this revision.
                entry = change.previous.at(change.revision)
            frame = change.frames[key] = self.encoder.event(kind, entry)
        return frame

    def hold(self) -> None:
        """Hold back what comes from now on."""
        self.pending = []

    def release(self) -> None:
        """Tell what was held back, and from now on everything at once."""
        pending, self.pending = self.pending, None
        self.deliver(pending or [])

    async def start(
        self, entries: Sequence[Entry], revision: int, taken: Callable[[], Awaitable[None]]
    ) -> None:
        """Begin with the objects as they are at ``revision``: in pieces, each once the last is ``taken``.

        A buffer that once held a whole collection would stay as large, a thousand times for a thousand
        watchers.
        """
        self.revision = revision
        event = self.encoder.event
        frames: list[bytes] = []
        size = 0
        for entry in entries:
            frames.append(event(ADDED, entry))
            size += len(frames[-1])
            if size >= PIECE_BYTES:
                self.sink(frames)
                frames, size = [], 0
                await taken()
        if frames:
            self.sink(frames)

    def bookmark(self, revision: int, *, initial_events_end: bool = False) -> None:
        """Say up to which revision everything was told."""
        self.sink([self.encoder.bookmark(revision, initial_events_end=initial_events_end)])

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.ended()
