"""``/portForward``: connections to a Pod's ports through the API server.

kubectl tunnels SPDY (``spdy/tunnel.py``). Other clients use a WebSocket with two channels per port,
data and errors, each beginning with the port's number (upstream's ``portforward/websocket.go``).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from aiohttp import WSMsgType, web

from clusterip.kernel import namespaces
from clusterip.node.pods.manager import PodManager
from clusterip.node.pods.worker import PodWorker
from clusterip.node.server.find import find_pod
from clusterip.node.server.spdy import tunnel

_CHANNELS = "v4.channel.k8s.io"
_CHUNK = 32 * 1024


class PortForward:
    """Serves port forwarding."""

    def __init__(self, manager: PodManager) -> None:
        self._manager = manager

    async def serve(self, request: web.Request) -> web.StreamResponse:
        worker = find_pod(request, self._manager)
        if worker.sandbox is None:
            pod = request.match_info["pod"]
            raise web.HTTPBadRequest(text=f'unable to forward port because pod "{pod}" is not running')
        connector = _Connector(worker)
        response = web.WebSocketResponse(
            protocols=(tunnel.PROTOCOL, _CHANNELS, "channel.k8s.io"), max_msg_size=16 << 20, compress=False
        )
        if not response.can_prepare(request):
            raise web.HTTPBadRequest(text="port forwarding needs a WebSocket")
        await response.prepare(request)
        if response.ws_protocol == tunnel.PROTOCOL:
            await tunnel.Tunnel(response, connector.connect).run()
        else:
            await _Channels(response, connector).run(_ports(request))
        return response


class _Connector:
    """Opens connections to a Pod's own loopback address, where also private servers listen."""

    def __init__(self, worker: PodWorker) -> None:
        sandbox = worker.sandbox
        assert sandbox
        network = sandbox.record.network
        self._namespace = namespaces.path_of(network) if network else None

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises OSError."""
        failure: OSError | None = None
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            connection = self._open(family)
            connection.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(connection, (address, port))
                return await asyncio.open_connection(sock=connection)
            except OSError as error:
                connection.close()
                failure = failure or error
        assert failure
        raise failure

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
                text = f"an error occurred forwarding {port}: {error}"
                await self._response.send_bytes(bytes((2 * number + 1,)) + text.encode())
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
    texts = [text for value in request.query.getall("ports", []) for text in value.split(",")]
    texts += request.query.getall("port", [])
    if not texts or not all(text.isdigit() and 0 < int(text) < 65536 for text in texts):
        raise web.HTTPBadRequest(text='query parameter "ports" must name at least one port')
    return [int(text) for text in texts]
