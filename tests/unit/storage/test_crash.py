"""A store survives ``kill -9``: what it confirmed is there, what it announced is there, nothing is torn."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from clusterip.storage.open import open_store

WRITER = Path(__file__).with_name("crash_writer.py")


async def _write_until_killed(url: str, lines: int) -> list[tuple[str, str, int]]:
    """Let the writer run until it has said so many lines, then kill it. Returns what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WRITER), url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = []
    async for line in process.stdout:
        said.append(line)
        if len(said) == lines:
            process.kill()
    await process.wait()
    return [
        (what.decode(), key.decode(), int(revision))
        for what, key, revision in (line.split() for line in said if line.endswith(b"\n"))
    ]


async def test_nothing_acknowledged_or_watched_is_lost(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/store.db"
    newest = 0
    for round_ in range(6):
        said = await _write_until_killed(url, lines=200 + 157 * round_)
        store = await open_store(url)
        try:
            assert await store.revision() >= max(revision for _, _, revision in said)
            assert min(revision for _, _, revision in said) > newest
            for what, key, revision in said:
                if key.startswith("-"):
                    assert await store.get(key[1:], revision) is None
                    assert await store.get(key[1:]) is None
                elif what == "acknowledged":
                    there = await store.get(key, revision)
                    assert there is not None
                    assert (there.mod_revision, there.create_revision) == (revision, revision)
            happened = {
                (event.key, event.revision)
                for events in [await anext(store.watch("/", newest))]
                for event in events
            }
            watched = {(key, revision) for what, key, revision in said if what == "watched"}
            assert watched
            assert {pair for pair in watched if pair[1] <= max(r for _, r in happened)} <= happened
            pairs = (await store.list("/pair/")).items
            for a, b in zip(pairs[::2], pairs[1::2], strict=True):
                assert (a.value, a.mod_revision) == (b.value, b.mod_revision)
            newest = await store.revision()
        finally:
            await store.close()
