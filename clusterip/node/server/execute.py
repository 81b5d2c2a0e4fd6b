"""``/exec`` and ``/attach``: commands in containers, and containers' own input and output."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from clusterip.node.pods.checks import Runtime
from clusterip.node.pods.manager import PodManager
from clusterip.node.pods.slot import Slot
from clusterip.node.runtime import exec as runtime_exec
from clusterip.node.runtime.container import Container
from clusterip.node.server.channels import (
    ERROR,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Channels,
    exit_status,
    failure,
    success,
)
from clusterip.node.server.find import find_running
from clusterip.node.server.spdy.channels import PROTOCOLS, SpdyChannels
from clusterip.node.server.spdy.upgrade import negotiate, spdy, wants_spdy
from clusterip.node.server.websocket import WebSocketChannels
from clusterip.process import log
from clusterip.process.hijack import Hijacked

_log = log.get("node")
_TRUE = ("1", "true")
_QUEUED = 256  # pieces of output an attached client may lag behind before it loses some


@dataclass(frozen=True)
class Streams:
    """Which streams the client wants, under kubelet's names or the API's."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @classmethod
    def of(cls, request: web.Request) -> Streams:
        """Raises HTTPBadRequest if the client wants none."""

        def wants(*names: str) -> bool:
            return any(request.query.get(name, "").lower() in _TRUE for name in names)

        tty = wants("tty")
        streams = cls(
            stdin=wants("input", "stdin"),
            stdout=wants("output", "stdout"),
            stderr=wants("error", "stderr") and not tty,
            tty=tty,
        )
        if not (streams.stdin or streams.stdout or streams.stderr):
            raise web.HTTPBadRequest(text="you must specify at least 1 of stdin, stdout, stderr")
        return streams

    @property
    def first(self) -> int:
        """The channel on which the client is told that the connection stands."""
        return STDOUT if self.stdout else STDERR if self.stderr else ERROR

    @property
    def channels(self) -> set[int]:
        """The channels that the client opens, beside that for errors."""
        wanted = {STDIN: self.stdin, STDOUT: self.stdout, STDERR: self.stderr, RESIZE: self.tty}
        return {channel for channel, is_wanted in wanted.items() if is_wanted}


class Execute:
    """Serves exec and attach."""

    def __init__(self, manager: PodManager, runtime: Runtime) -> None:
        self._manager = manager
        self._runtime = runtime

    async def exec(self, request: web.Request) -> web.StreamResponse:
        command = request.query.getall("command", [])
        if not command:
            raise web.HTTPBadRequest(text="you must specify the command to run")
        streams = Streams.of(request)
        _slot, container = await find_running(request, self._manager)
        return await _connected(request, streams, partial(self._exec, container, command, streams))

    async def _exec(
        self, container: Container, command: list[str], streams: Streams, channels: Channels
    ) -> None:
        try:
            execution = await runtime_exec.start(
                container,
                command,
                crun=self._runtime.crun,
                state=self._runtime.state,
                stdin=streams.stdin,
                terminal=streams.tty,
            )
        except runtime_exec.ExecFailed as error:
            await channels.finish(failure(_explained(command, error)))
            return
        try:
            await self._converse(channels, execution, streams, command)
        finally:
            execution.close()

    async def _converse(
        self,
        channels: Channels,
        execution: runtime_exec.Execution,
        streams: Streams,
        command: list[str],
    ) -> None:
        async def feed() -> None:
            async for data in channels.receive(resize=execution.resize):
                if not streams.stdin:
                    continue
                if data:
                    await execution.write(data)
                else:
                    execution.close_input()
            # The client has left; nobody reads any more what the command says.
            execution.kill()

        feeding = asyncio.create_task(feed())
        try:
            await asyncio.gather(
                channels.copy(_if(streams.stdout, execution.stdout()), STDOUT),
                channels.copy(_if(streams.stderr, execution.stderr()), STDERR),
            )
            code = await execution.wait()
            await channels.finish(exit_status(code))
        except runtime_exec.ExecFailed as error:
            await channels.finish(failure(_explained(command, error)))
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding

    async def attach(self, request: web.Request) -> web.StreamResponse:
        streams = Streams.of(request)
        slot, container = await find_running(request, self._manager)
        return await _connected(request, streams, partial(self._attach, slot, container, streams))

    async def _attach(self, slot: Slot, container: Container, streams: Streams, channels: Channels) -> None:
        output: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(_QUEUED)

        def take(stream: str, data: bytes) -> None:
            if data and getattr(streams, stream):
                with contextlib.suppress(asyncio.QueueFull):
                    output.put_nowait((stream, data))

        stop_listening = container.listen(take)
        sending = asyncio.create_task(_send_output(channels, output))
        feeding = asyncio.create_task(_feed_container(channels, container, streams.stdin and slot.spec.stdin))
        try:
            ended = asyncio.ensure_future(asyncio.shield(container.exited))
            await asyncio.wait((ended, feeding), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                await output.join()
                await channels.finish(success())
            ended.cancel()
        finally:
            stop_listening()
            for task in (sending, feeding):
                task.cancel()
            await asyncio.gather(sending, feeding, return_exceptions=True)


async def _connected(
    request: web.Request, streams: Streams, converse: Callable[[Channels], Awaitable[None]]
) -> web.StreamResponse:
    """Accept the upgrade and converse over what the client speaks."""
    if not wants_spdy(request):
        channels = await WebSocketChannels.open(request, streams.first)
        await converse(channels)
        return channels.response
    protocol = negotiate(request, PROTOCOLS)
    async with spdy(request, protocol) as session:
        try:
            await converse(await SpdyChannels.open(session, protocol, streams.channels))
        except (TimeoutError, ConnectionError) as error:
            _log.info("a client did not open its streams", path=request.path, error=str(error))
    return Hijacked()


async def _send_output(channels: Channels, output: asyncio.Queue[tuple[str, bytes]]) -> None:
    while True:
        stream, data = await output.get()
        await channels.send(STDOUT if stream == "stdout" else STDERR, data)
        output.task_done()


async def _feed_container(channels: Channels, container: Container, wanted: bool) -> None:
    """Write what the client sends to the container, until the client leaves."""

    def resize(width: int, height: int) -> None:
        if container.record.terminal:
            with contextlib.suppress(OSError):  # it has just ended
                container.resize(width, height)

    descriptor = container.open_input() if wanted else -1
    try:
        async for data in channels.receive(resize=resize):
            if descriptor < 0:
                continue
            if data:
                await runtime_exec.write_all(descriptor, data)
            else:
                os.close(descriptor)
                descriptor = -1
    finally:
        if descriptor >= 0:
            os.close(descriptor)


async def _if(wanted: bool, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """``source``; read but kept back if nobody wants it, so that the command does not block."""
    async for data in source:
        if wanted:
            yield data


def _explained(command: list[str], error: Exception) -> str:
    """Why a command did not start, in the words people search for."""
    text = str(error)
    if "not found in $PATH" in text:
        text = f'exec: "{command[0]}": executable file not found in $PATH: unknown'
    return f"Internal error occurred: error executing command in container: {text}"
