"""Calls of etcd's JSON gateway, at whichever endpoint answers.

The gateway is part of every etcd since 3.0 and on by default, so a client of it needs nothing but HTTP.
Measured against one etcd 3.4 with 32 transactions under way (1 kB each, two cores for everything):
2,000 to 3,600/s and 2.5 MB of memory; grpcio 6,400/s and 19 MB; grpclib 2,800/s and 3 MB. What an API server
asks stays far below any of them, so memory and one dependency less decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from ssl import SSLContext
from typing import Any, TypeVar

import aiohttp
import msgspec

from clusterip.storage.etcd.messages import Failure, Streamed, WatchResponse
from clusterip.storage.store import Closed, StoreError

T = TypeVar("T")

CONNECT_SECONDS = 3.0
CALL_SECONDS = 10.0
"""How long one endpoint may take; etcd itself gives up on a request after 7 seconds."""
PATIENCE_SECONDS = 30.0
"""How long a call goes on trying: enough for an election, or for a member to be started again."""
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
CLOSING_SECONDS = 5.0
KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
"""Seconds: a watch of a machine that vanished is noticed after half a minute."""

UNAVAILABLE = 14
"""gRPC's code for a member without a leader, a leader that changes, a server that stops."""

_encode = msgspec.json.encode
_LINE = msgspec.json.Decoder(Streamed, strict=False)


class Unavailable(StoreError):
    """An endpoint could not answer; another, or the same one later, may."""


class EtcdError(StoreError):
    """etcd refused a call. ``code`` is gRPC's."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Gateway:
    """A connection pool to one etcd cluster. All calls go to one endpoint until it fails."""

    def __init__(self, endpoints: Sequence[str], context: SSLContext | None) -> None:
        self._endpoints = list(endpoints)
        self._current = 0
        connector = aiohttp.TCPConnector(limit=0, ssl=context or True)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        self._calls = 0
        self._idle = asyncio.Event()
        self.closed = asyncio.Event()

    def check_open(self) -> None:
        """Raises Closed if the store was closed."""
        if self.closed.is_set():
            raise Closed("the store is closed")

    async def call(self, path: str, request: Any, reply: type[T]) -> tuple[T, bool]:
        """Call until some endpoint answers; the answer, and whether an earlier attempt may have worked.

        Raises:
            EtcdError: etcd refused it.
            Unavailable: no endpoint answered for a long time.
            Closed: the store was closed.
        """
        self.check_open()
        body = _encode(request)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        pause = FIRST_PAUSE
        repeated = False
        self._calls += 1
        try:
            while True:
                endpoint = self._endpoints[self._current]
                try:
                    return await self._call(endpoint, path, body, reply), repeated
                except Unavailable as error:
                    self.check_open()
                    if loop.time() > deadline:
                        raise
                    # A connection that was never made cannot have carried anything.
                    repeated |= not isinstance(error.__cause__, aiohttp.ClientConnectorError)
                    self.leave(endpoint)
                    await self._sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def _call(self, endpoint: str, path: str, body: bytes, reply: type[T]) -> T:
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS)
        try:
            async with self._session.post(endpoint + path, data=body, timeout=timeout) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"etcd at {endpoint} does not answer: {_why(error)}") from error
        if response.status == 200:
            return msgspec.json.decode(answer, type=reply, strict=False)
        raise _failure(endpoint, response.status, answer)

    def leave(self, endpoint: str) -> None:
        """Use another endpoint from now on, unless that was already decided."""
        if self._endpoints[self._current] == endpoint:
            self._current = (self._current + 1) % len(self._endpoints)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.closed.wait(), seconds)
        self.check_open()

    async def stream(self, request: Any) -> AsyncIterator[WatchResponse]:
        """The answers to a watch, until the connection breaks.

        Raises:
            Unavailable: it broke, or could not be made.
            Closed: the store was closed.
        """
        self.check_open()
        endpoint = self._endpoints[self._current]
        # "hasleader" lets etcd end the watch if the member is cut off from its cluster.
        headers = {"Grpc-Metadata-hasleader": "true"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        try:
            async with self._session.post(
                f"{endpoint}/v3/watch", data=_encode(request), headers=headers, timeout=timeout
            ) as response:
                if response.status != 200:
                    raise _failure(endpoint, response.status, await response.read())
                _keep_alive(response)
                async for line in _lines(response.content):
                    streamed = _LINE.decode(line)
                    if streamed.result is None:
                        error = streamed.error
                        raise Unavailable(f"etcd at {endpoint}: {error.message if error else line!r}")
                    yield streamed.result
                raise Unavailable(f"etcd at {endpoint} ended the watch")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.check_open()
            self.leave(endpoint)
            raise Unavailable(f"the watch of etcd at {endpoint} broke: {_why(error)}") from error
        except Unavailable:
            self.check_open()
            self.leave(endpoint)
            raise

    async def pause(self) -> None:
        """A moment before a watch is begun again."""
        await self._sleep(FIRST_PAUSE)

    async def close(self) -> None:
        """Let calls that were begun finish, and end watches."""
        if self.closed.is_set():
            return
        self.closed.set()
        if self._calls:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), CLOSING_SECONDS)
        await self._session.close()


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length, which ``StreamReader.readline`` does not take."""
    parts: list[bytes] = []
    async for chunk in content.iter_any():
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            parts.append(line)
            if joined := b"".join(parts):
                yield joined
            parts.clear()
        parts.append(rest)


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    transport = response.connection.transport if response.connection else None
    sock = transport.get_extra_info("socket") if transport else None
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _failure(endpoint: str, status: int, answer: bytes) -> StoreError:
    try:
        failure = msgspec.json.decode(answer, type=Failure, strict=False)
    except msgspec.MsgspecError:
        text = answer[:200].decode(errors="replace").strip()
        if status == 404:
            return EtcdError(f"{endpoint} has no /v3 API ({text}); etcd 3.4 or newer is needed", 12)
        return Unavailable(f"etcd at {endpoint} answers {status}: {text}")
    if failure.code == UNAVAILABLE:
        return Unavailable(f"etcd at {endpoint}: {failure.message}")
    return EtcdError(f"etcd at {endpoint}: {failure.message}", failure.code)


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
