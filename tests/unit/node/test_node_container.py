"""Following a container by its files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from clusterip.node.runtime.container import Container
from clusterip.node.runtime.inotify import Inotify
from clusterip.node.runtime.record import Record


async def test_files_are_looked_at_where_they_cannot_be_watched(tmp_path: Path) -> None:
    inotify = Inotify()
    inotify.close()  # so that the kernel takes no watch any more
    for name in ("stdout", "stderr"):
        os.mkfifo(tmp_path / name)
    record = Record(id="i", name="main", attempt=0, image="i:1", image_id="i")
    container = Container(tmp_path, record, tmp_path / "logs/0.log", inotify)
    container.open_output()
    monitor = await asyncio.create_subprocess_exec("sleep", "1000")
    try:
        following = asyncio.create_task(container.follow(monitor.pid))
        (tmp_path / "pid").write_text(str(monitor.pid))
        await asyncio.wait_for(following, 20)
        assert (container.running, container.pid) == (True, monitor.pid)
        (tmp_path / "exitcode").write_text("4")
    finally:
        monitor.kill()
    assert (await asyncio.wait_for(container.exited, 20)).code == 4
