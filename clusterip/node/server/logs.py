"""``/containerLogs``: what a container wrote."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from clusterip.node.pods.manager import PodManager
from clusterip.node.pods.slot import Slot
from clusterip.node.runtime.logfiles import LogQuery, read
from clusterip.node.runtime.logs import LogFile
from clusterip.node.server.find import find_slot
from clusterip.objects import times

_TRUE = ("1", "true")


class Logs:
    """Serves containers' logs."""

    def __init__(self, manager: PodManager) -> None:
        self._manager = manager

    async def serve(self, request: web.Request) -> web.StreamResponse:
        query = _query(request)
        worker, slot = await find_slot(request, self._manager)
        previous = request.query.get("previous", "").lower() in _TRUE
        path, live = _log_of(request, worker.directory.log, slot, previous)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        async for piece in read(path, query, live):
            await response.write(piece)
        await response.write_eof()
        return response


def _log_of(
    request: web.Request, place: Callable[[str, int], Path], slot: Slot, previous: bool
) -> tuple[Path, LogFile | None]:
    """Where the log is, and the open log if the container still writes to it. Raises HTTPBadRequest."""
    pod = request.match_info["pod"]
    container = slot.container
    if previous:
        record = slot.past.record if slot.past else None
        if record is None and container is not None and container.exit and slot.waiting:
            record = container.record  # it has ended and waits for its next attempt
        if record is None:
            raise web.HTTPBadRequest(
                text=f'previous terminated container "{slot.name}" in pod "{pod}" not found'
            )
        return place(slot.name, record.attempt), None
    if container is None:
        reason = slot.waiting[0] if slot.waiting else "ContainerCreating"
        if reason in ("ErrImagePull", "ImagePullBackOff"):
            reason = "trying and failing to pull image"
        raise web.HTTPBadRequest(text=f'container "{slot.name}" in pod "{pod}" is waiting to start: {reason}')
    return container.log_path, container.log if container.running else None


def _query(request: web.Request) -> LogQuery:
    given = request.query
    since = ""
    if seconds := given.get("sinceSeconds"):
        since = _stamp(time.time() - _number("sinceSeconds", seconds))
    elif moment := given.get("sinceTime"):
        try:
            since = _stamp(times.parse(moment).timestamp())
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
    stream = given.get("stream", "All").lower()
    return LogQuery(
        timestamps=given.get("timestamps", "").lower() in _TRUE,
        since=since,
        tail=_number("tailLines", given.get("tailLines", "-1")),
        limit=_number("limitBytes", given.get("limitBytes", "0")),
        follow=given.get("follow", "").lower() in _TRUE,
        streams=(stream,) if stream in ("stdout", "stderr") else ("stdout", "stderr"),
    )


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise web.HTTPBadRequest(text=f'{name}: "{text}" is not a number') from None


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
