"""``/portForward``: connections to a Pod's ports through the API server.

kubectl speaks SPDY (``spdy/tunnel.py``), in the messages of a WebSocket or, if it is older, directly. Other
clients use a WebSocket with two channels per port, data and errors, each beginning with the port's number
(upstream's ``portforward/websocket.go``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct

from aiohttp import WSCloseCode, WSMsgType, web

from clusterip.kernel import namespaces
from clusterip.node.pods.manager import PodManager
from clusterip.node.pods.worker import PodWorker
from clusterip.node.server.find import find_pod
from clusterip.node.server.spdy import tunnel
from clusterip.node.server.spdy.frames import ProtocolError
from clusterip.node.server.spdy.session import Session, WebSocketLink
from clusterip.node.server.spdy.upgrade import negotiate, spdy, wants_spdy
from clusterip.process.hijack import Hijacked

_TUNNELLED = "SPDY/3.1+portforward.k8s.io"
_CHANNELS = ("v4.channel.k8s.io", "channel.k8s.io")
_CHUNK = 32 * 1024


class PortForward:
    """Serves port forwarding."""

    def __init__(self, manager: PodManager) -> None:
        self._manager = manager

    async def serve(self, request: web.Request) -> web.StreamResponse:
        worker = await find_pod(request, self._manager)
        if worker.sandbox is None:
            pod = request.match_info["pod"]
            raise web.HTTPBadRequest(text=f'unable to forward port because pod "{pod}" is not running')
        connector = _Connector(worker)
        if wants_spdy(request):
            async with spdy(request, negotiate(request, (tunnel.PROTOCOL,))) as session:
                await _run(tunnel.Tunnel(session, connector.connect))
            return Hijacked()
        response = web.WebSocketResponse(
            protocols=(_TUNNELLED, *_CHANNELS), max_msg_size=16 << 20, compress=False
        )
        chosen = response.can_prepare(request)
        if not chosen:
            raise web.HTTPBadRequest(text="unable to upgrade: missing upgrade headers in request")
        ports = [] if chosen.protocol == _TUNNELLED else _ports(request)
        await response.prepare(request)
        if response.ws_protocol == _TUNNELLED:
            if not await _run(tunnel.Tunnel(Session(WebSocketLink(response)), connector.connect)):
                await response.close(code=WSCloseCode.PROTOCOL_ERROR)
        else:
            await _Channels(response, connector).run(ports)
        return response


async def _run(forwarding: tunnel.Tunnel) -> bool:
    """Forward until the client leaves; whether it spoke SPDY all the time."""
    try:
        await forwarding.run()
    except ProtocolError:
        return False
    return True


class _Connector:
    """Opens connections to a Pod's own loopback address, where also private servers listen."""

    def __init__(self, worker: PodWorker) -> None:
        sandbox = worker.sandbox
        assert sandbox
        network = sandbox.record.network
        self._namespace = namespaces.path_of(network) if network else None
        self._uid = worker.pod.metadata.uid

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises OSError, which says what went wrong in upstream's words."""
        failures = []
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            connection = self._open(family)
            connection.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(connection, (address, port))
                return await asyncio.open_connection(sock=connection)
            except OSError as error:
                connection.close()
                shown = f"[{address}]" if family == socket.AF_INET6 else address
                failures.append(f"dial tcp {shown}:{port}: connect: {os.strerror(error.errno or 0).lower()}")
        raise OSError(
            f"error forwarding port {port} to pod {self._uid}: failed to connect to localhost:{port} "
            f"inside its network namespace: {', '.join(failures)}"
        )

    def _open(self, family: int) -> socket.socket:
        if self._namespace is None:
            return socket.socket(family)
        return namespaces.open_socket(self._namespace, family)


class _Channels:
    """Port forwarding over numbered channels: 2N is data of the Nth port, 2N+1 its errors."""

    def __init__(self, response: web.WebSocketResponse, connector: _Connector) -> None:
        self._response = response
        self._connector = connector

    async def run(self, ports: list[int]) -> None:
        writers: dict[int, asyncio.StreamWriter] = {}
        tasks: list[asyncio.Task[None]] = []
        for number, port in enumerate(ports):
            for channel in (2 * number, 2 * number + 1):
                await self._response.send_bytes(bytes((channel,)) + struct.pack("<H", port))
            try:
                reader, writers[2 * number] = await self._connector.connect(port)
            except OSError as error:
                await self._response.send_bytes(bytes((2 * number + 1,)) + str(error).encode())
                continue
            tasks.append(asyncio.create_task(self._copy(reader, 2 * number)))
        try:
            async for message in self._response:
                if message.type != WSMsgType.BINARY or not message.data:
                    break
                if writer := writers.get(message.data[0]):
                    with contextlib.suppress(ConnectionError):
                        writer.write(message.data[1:])
                        await writer.drain()
        finally:
            for task in tasks:
                task.cancel()
            for writer in writers.values():
                writer.close()

    async def _copy(self, reader: asyncio.StreamReader, channel: int) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            while data := await reader.read(_CHUNK):
                await self._response.send_bytes(bytes((channel,)) + data)
            await self._response.close()


def _ports(request: web.Request) -> list[int]:
    """The ports a client asks for in the query. Raises HTTPBadRequest."""
    given = request.query.getall("port", []) + request.query.getall("ports", [])
    if not given:
        raise web.HTTPBadRequest(text='query parameter "port" is required')
    ports = []
    for text in (text for value in given for text in value.split(",")):
        if not (text.isascii() and text.isdigit() and int(text) < 65536):
            raise web.HTTPBadRequest(text=f'unable to parse "{text}" as a port')
        if int(text) == 0:
            raise web.HTTPBadRequest(text=f'port "{text}" must be > 0')
        ports.append(int(text))
    return ports
