"""Reading a container's log back: the last lines, those since a time, those still to come."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from clusterip.node.runtime.logs import LogFile, rotated

_MAXIMUM_FILES = 64


@dataclass(frozen=True)
class LogQuery:
    """What of a log is wanted.

    ``since`` is a time as log lines have it; ``tail`` a number of lines (-1: all); ``limit`` a number
    of bytes (0: all); ``streams`` those wanted.
    """

    timestamps: bool = False
    since: str = ""
    tail: int = -1
    limit: int = 0
    follow: bool = False
    streams: tuple[str, ...] = ("stdout", "stderr")


async def read(path: Path, query: LogQuery, live: LogFile | None) -> AsyncIterator[bytes]:
    """The wanted part of a log, in pieces. With ``follow``, also what is written to ``live`` later."""
    left = query.limit or None
    async for piece in _pieces(path, query, live):
        if left is None:
            yield piece
            continue
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return


async def _pieces(path: Path, query: LogQuery, live: LogFile | None) -> AsyncIterator[bytes]:
    changed = asyncio.Event()
    stop = live.listen(changed.set) if live and query.follow else None
    try:
        try:
            current = _open(path)
        except FileNotFoundError:
            return
        try:
            past: Iterator[bytes] = _selected(_older(path), query)
            lines = deque(_chain(past, current, query), None if query.tail < 0 else query.tail)
            if lines:
                yield b"".join(lines)
            while live is not None and query.follow:
                changed.clear()
                if lines_now := b"".join(_selected(current, query)):
                    yield lines_now
                elif _replaced(path, current):
                    current.close()
                    current = _open(path)
                elif live.closed:
                    return
                else:
                    await changed.wait()
        finally:
            current.close()
    finally:
        if stop:
            stop()


def _open(path: Path) -> IO[bytes]:
    return open(path, "rb")


def _chain(past: Iterator[bytes], current: IO[bytes], query: LogQuery) -> Iterator[bytes]:
    if query.tail == 0:
        current.seek(0, os.SEEK_END)
        return
    yield from past
    yield from _selected(current, query)


def _older(path: Path) -> Iterator[bytes]:
    """The lines of the log's older files, oldest first."""
    numbers = [number for number in range(1, _MAXIMUM_FILES) if rotated(path, number).exists()]
    for number in reversed(numbers):
        with open(rotated(path, number), "rb") as file:
            yield from file


def _selected(lines: IO[bytes] | Iterator[bytes], query: LogQuery) -> Iterator[bytes]:
    since = query.since.encode()
    streams = tuple(stream.encode() for stream in query.streams)
    for line in lines:
        parts = line.split(b" ", 3)
        if len(parts) != 4 or parts[0] < since or parts[1] not in streams:
            continue
        text = parts[3] if parts[2] == b"F" else parts[3][:-1]
        yield parts[0] + b" " + text if query.timestamps else text


def _replaced(path: Path, current: IO[bytes]) -> bool:
    try:
        return path.stat().st_ino != os.fstat(current.fileno()).st_ino
    except FileNotFoundError:
        return False
