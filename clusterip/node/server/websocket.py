"""Streams of a command over one WebSocket: ``v5.channel.k8s.io`` and the versions before it.

Each message begins with the number of its channel: a byte, or with ``base64`` in the protocol's name a
digit before base64 text. Version 5 adds a message that closes one channel, so that a command can see the
end of its input. See upstream's ``apimachinery/pkg/util/remotecommand/constants.go`` and
``streaming/pkg/httpstream/wsstream``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator

from aiohttp import WSMsgType, web

from clusterip.node.server.channels import RESIZE, STDIN, Channels, Resize, resize_to

_CLOSE = 255
_PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
_MAXIMUM_MESSAGE = 16 << 20


class WebSocketChannels(Channels):
    """The server's side of such a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        protocol = socket.ws_protocol or "channel.k8s.io"
        self._base64 = "base64" in protocol
        self.plain_status = not protocol.startswith("v")

    @classmethod
    async def open(cls, request: web.Request, first: int) -> WebSocketChannels:
        """Accept a WebSocket and say so on channel ``first``, which the client waits for.

        Raises:
            HTTPForbidden: the client knows none of the protocols.
        """
        offered = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        if any(offered) and not set(offered) & set(_PROTOCOLS):
            raise web.HTTPForbidden(
                text=f"unable to upgrade websocket connection: the client supports [{' '.join(offered)}], "
                f"the server accepts [{' '.join(_PROTOCOLS)}]\n"
            )
        socket = web.WebSocketResponse(
            protocols=_PROTOCOLS, max_msg_size=_MAXIMUM_MESSAGE, compress=False, heartbeat=30.0
        )
        await socket.prepare(request)
        channels = cls(socket)
        await channels.send(first, b"")
        return channels

    @property
    def response(self) -> web.WebSocketResponse:
        return self._socket

    async def send(self, channel: int, data: bytes) -> None:
        if self._socket.closed:
            return
        try:
            if self._base64:
                await self._socket.send_str(f"{channel}{base64.b64encode(data).decode()}")
            else:
                await self._socket.send_bytes(bytes((channel,)) + data)
        except (ConnectionError, RuntimeError):
            return  # noticed by the reading side

    async def receive(self, *, resize: Resize) -> AsyncIterator[bytes]:
        async for message in self._socket:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                return
            data = message.data.encode() if message.type == WSMsgType.TEXT else message.data
            if self._base64:
                try:
                    data = bytes((int(data[:1]),)) + base64.b64decode(data[1:], validate=True)
                except (ValueError, binascii.Error):
                    return  # what comes next cannot be understood either
            if not data:
                continue
            channel, content = data[0], data[1:]
            if channel == STDIN and content:
                yield content
            elif channel == _CLOSE and content[:1] == bytes((STDIN,)):
                yield b""
            elif channel == RESIZE:
                resize_to(content, resize)

    async def close(self) -> None:
        if not self._socket.closed:
            await self._socket.close()
