"""Container logs: written in the CRI's format, rotated, read back."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from clusterip.node.runtime.logfiles import LogQuery, read
from clusterip.node.runtime.logs import LogFile, LogLimits, OutputReader, rotated
from clusterip.node.runtime.messages import termination_message

LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) ([FP]) (.*)")


def line(text: str, *, second: int = 0, stream: str = "stdout", tag: str = "F") -> bytes:
    return f"2026-01-01T00:00:{second:02d}.000000000Z {stream} {tag} {text}\n".encode()


async def everything(path: Path, query: LogQuery, live: LogFile | None = None) -> bytes:
    return b"".join([piece async for piece in read(path, query, live)])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    path.write_bytes(
        line("one", second=1)
        + line("two", second=2, stream="stderr")
        + line("thr", second=3, tag="P")
        + line("ee", second=3)
        + line("", second=4)
    )
    return path


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (LogQuery(), b"one\ntwo\nthree\n\n"),
        (LogQuery(tail=1), b"\n"),
        (LogQuery(tail=0), b""),
        (LogQuery(limit=5), b"one\nt"),
        (LogQuery(streams=("stderr",)), b"two\n"),
        (LogQuery(since="2026-01-01T00:00:03.000000000Z"), b"three\n\n"),
        (LogQuery(streams=("stderr",), timestamps=True), b"2026-01-01T00:00:02.000000000Z two\n"),
    ],
)
async def test_parts_of_a_log(log: Path, query: LogQuery, text: bytes) -> None:
    assert await everything(log, query) == text


async def test_older_files_come_first(log: Path) -> None:
    rotated(log, 1).write_bytes(line("older"))
    rotated(log, 2).write_bytes(line("oldest"))
    assert await everything(log, LogQuery()) == b"oldest\nolder\none\ntwo\nthree\n\n"
    assert await everything(log, LogQuery(tail=5)) == b"one\ntwo\nthree\n\n"


async def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert await everything(tmp_path / "none.log", LogQuery()) == b""


async def test_files_rotate_and_the_oldest_goes(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "0.log", LogLimits(size=100, files=3))
    for number in range(10):
        log.append(line(str(number)))  # two of them fit
    log.close()
    assert sorted(os.listdir(tmp_path)) == ["0.log", "0.log.1", "0.log.2"]
    assert await everything(log.path, LogQuery()) == b"4\n5\n6\n7\n8\n9\n"


async def test_following_goes_through_rotation_to_the_end(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "0.log", LogLimits(size=100, files=3))
    log.append(line("0"))
    found: list[bytes] = []
    async with asyncio.timeout(5):
        async for piece in read(log.path, LogQuery(follow=True), log):
            found.append(piece)
            if len(found) < 10:
                log.append(line(str(len(found))))
            else:
                log.close()
    assert found == [b"%d\n" % number for number in range(10)]


async def written(tmp_path: Path, *chunks: bytes) -> tuple[list[bytes], list[tuple[str, bytes]]]:
    """What lands in the log, and in a listener, when a container writes ``chunks``."""
    fifo = tmp_path / "stdout"
    os.mkfifo(fifo)
    log = LogFile(tmp_path / "0.log")
    heard: list[tuple[str, bytes]] = []
    reader = OutputReader(fifo, "stdout", log, lambda stream, data: heard.append((stream, data)))
    descriptor = os.open(fifo, os.O_RDWR)
    reader.start()
    for chunk in chunks:
        os.write(descriptor, chunk)
        await asyncio.sleep(0.01)
    os.close(descriptor)
    await asyncio.wait_for(reader.finished.wait(), 5)
    log.close()
    return log.path.read_bytes().splitlines(), heard


async def test_output_becomes_lines_with_times(tmp_path: Path) -> None:
    lines, heard = await written(tmp_path, b"hel", b"lo\nwor", b"ld\nend")
    matches = [LINE.fullmatch(each) for each in lines]
    assert [(m[1], m[2], m[3]) for m in matches if m] == [
        (b"stdout", b"F", b"hello"),
        (b"stdout", b"F", b"world"),
        (b"stdout", b"F", b"end"),
    ]
    assert heard == [("stdout", b"hel"), ("stdout", b"lo\nwor"), ("stdout", b"ld\nend"), ("stdout", b"")]


async def test_long_lines_are_parted(tmp_path: Path) -> None:
    lines, _ = await written(tmp_path, b"x" * 40_000 + b"\n")
    parts = [m for m in map(LINE.fullmatch, lines) if m]
    assert [(m[2], len(m[3])) for m in parts] == [(b"P", 16384), (b"P", 16384), (b"F", 7232)]
    assert await everything(tmp_path / "0.log", LogQuery()) == b"x" * 40_000 + b"\n"


def test_a_message_out_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_bytes(line("first") + line("se", tag="P") + line("cond"))
    assert termination_message(tmp_path / "none", log, fall_back=True) == "first\nsecond\n"
    assert termination_message(tmp_path / "none", log, fall_back=False) == ""
    (tmp_path / "own").write_text("own")
    assert termination_message(tmp_path / "own", log, fall_back=True) == "own"
