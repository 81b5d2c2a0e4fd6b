"""The client's side of ``exec``: a WebSocket of subprotocol ``v5.channel.k8s.io``.

Every message starts with a byte that says which channel it belongs to. See upstream's
``k8s.io/apimachinery/pkg/util/remotecommand`` and KEP-4006.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import termios
import tty as terminals
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clusterip.cli.connection import CommandError
from clusterip.client.rest import Client
from clusterip.objects import codec
from clusterip.objects.core.pod import PODS
from clusterip.objects.meta import Status

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

PROTOCOL = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_CHUNK = 32768


async def execute(
    client: Client,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    stdin: bool,
    tty: bool,
) -> int:
    """Run a command with our standard input, output and error; its exit code.

    Raises:
        CommandError: it could not be run.
        ApiError: the server refused.
    """
    tty = tty and sys.stdin.isatty()
    query: dict[str, str | list[str]] = {"command": list(command), "container": container, "stdout": "true"}
    if stdin:
        query["stdin"] = "true"
    query["tty" if tty else "stderr"] = "true"
    path = PODS.path(namespace, pod, "exec")
    async with client.websocket(path, query=query, protocols=(PROTOCOL,)) as connection:
        with _raw_terminal() if tty else contextlib.nullcontext():
            senders: list[asyncio.Task[None]] = []
            if stdin:
                senders.append(asyncio.create_task(_send_input(connection)))
            if tty:
                senders.append(asyncio.create_task(_send_sizes(connection)))
            try:
                return await _receive(connection)
            finally:
                for sender in senders:
                    sender.cancel()


async def _receive(connection: ClientWebSocketResponse) -> int:
    """Print what comes until the command's status does."""
    from aiohttp import WSMsgType

    status: Status | None = None
    async for message in connection:
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            continue
        data = message.data if isinstance(message.data, bytes) else message.data.encode()
        channel, payload = data[0], data[1:]
        if channel in (STDOUT, STDERR):
            output = sys.stdout.buffer if channel == STDOUT else sys.stderr.buffer
            output.write(payload)
            output.flush()
        elif channel == ERROR:
            status = codec.decode(payload, Status)
            break
    if status is None:
        raise CommandError("error: the connection ended before the command did")
    return _exit_code(status)


def _exit_code(status: Status) -> int:
    if status.status == "Success":
        return 0
    for cause in status.details.causes if status.details else []:
        if cause.reason == "ExitCode" and cause.message.isdigit():
            return int(cause.message)
    raise CommandError(f"error: {status.message}")


async def _send_input(connection: ClientWebSocketResponse) -> None:
    """Send standard input until it ends; then close the command's, too."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    while chunk := await reader.read(_CHUNK):
        await connection.send_bytes(bytes([STDIN]) + chunk)
    await connection.send_bytes(bytes([CLOSE, STDIN]))


async def _send_sizes(connection: ClientWebSocketResponse) -> None:
    """Tell the terminal's size, now and whenever it changes."""
    changed = asyncio.Event()
    changed.set()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, changed.set)
    try:
        while await changed.wait():
            changed.clear()
            size = os.get_terminal_size(sys.stdin.fileno())
            text = json.dumps({"Width": size.columns, "Height": size.lines})
            await connection.send_bytes(bytes([RESIZE]) + text.encode())
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes to the command, also Ctrl-C."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    terminals.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
