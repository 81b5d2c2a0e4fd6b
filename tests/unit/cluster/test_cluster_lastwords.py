"""What a part said before it ended."""

from __future__ import annotations

from pathlib import Path

from clusterip.cluster import lastwords

LINES = [
    '2026-01-01T00:00:00.000Z ERROR node event="of the one before"\n',
    '2026-01-01T00:00:00.000Z ERROR node event="unexpected error" error="OSError: \\"x\\" full"\n',
    "not a line of a log ERROR\n",
    '2026-01-01T00:00:00.000Z ERROR node event="cannot listen on tcp 10.0.0.1:53: Address already in use"\n',
    '2026-01-01T00:00:00.000Z INFO node event="stopping"\n',
]


def test_the_last_error_since_its_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert lastwords.last_error(str(log), 0) == ""
    log.write_text("".join(LINES[:1]))
    begin = lastwords.size(str(log))
    assert lastwords.last_error(str(log), begin) == ""
    log.write_text("".join(LINES[:2]))
    assert lastwords.last_error(str(log), begin) == 'unexpected error: OSError: "x" full'
    log.write_text("".join(LINES) + "x" * 10_000)
    said = "cannot listen on tcp 10.0.0.1:53: Address already in use"
    assert lastwords.last_error(str(log), begin) == said
