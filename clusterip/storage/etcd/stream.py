"""The stream of answers to one watch, from one endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec

from clusterip.storage.etcd.failures import UNAVAILABLE, failure, refused, why
from clusterip.storage.etcd.gateway import CALL_SECONDS, NO_TIMEOUT, Gateway
from clusterip.storage.etcd.messages import Streamed, StreamError, WatchResponse
from clusterip.storage.store import Unavailable

SILENCE_SECONDS = 4.0
"""How long a stream may say nothing before its endpoint is asked whether it is still there.

A member that was stopped, or cut off without its connections being reset, looks from here like one that
has nothing to tell. etcd's own notifications of progress come every ten minutes, and those that a client
may ask for can overtake events before 3.4.25 and 3.5.8.
"""
ANSWER_SECONDS = 4.0

_LINE = msgspec.json.Decoder(Streamed, strict=False)


async def stream(gateway: Gateway, request: Any) -> AsyncIterator[WatchResponse]:
    """The answers to a watch, until the connection breaks or its endpoint falls silent.

    Raises:
        Unavailable: it broke, or could not be made.
        EtcdError: etcd refused it.
        Closed: the store was closed.
    """
    gateway.check_open()
    endpoint = gateway.endpoint
    try:
        # "hasleader" lets etcd end the watch if the member is cut off from its cluster.
        headers = {"Grpc-Metadata-hasleader": "true", **await gateway.token(endpoint)}
        posting = gateway.session.post(
            f"{endpoint}/v3/watch", data=msgspec.json.encode(request), headers=headers, timeout=NO_TIMEOUT
        )
        # etcd answers at once that the watch is there.
        async with await asyncio.wait_for(posting, CALL_SECONDS) as response:
            if response.status != 200:
                raise failure(endpoint, response.status, await response.read())
            async for line in _lines(gateway, endpoint, response.content):
                streamed = _LINE.decode(line)
                if streamed.result is None:
                    error = streamed.error or StreamError(message=repr(line), grpc_code=UNAVAILABLE)
                    raise Unavailable(str(refused(endpoint, error.message, error.grpc_code)))
                gateway.answered()
                yield streamed.result
            raise Unavailable(f"etcd at {endpoint} ended the watch")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        gateway.check_open()
        broken = Unavailable(f"the watch of etcd at {endpoint} broke: {why(error)}")
        gateway.failed(endpoint, broken)
        raise broken from error
    except Unavailable as error:
        gateway.check_open()
        gateway.failed(endpoint, error)
        raise


async def _lines(gateway: Gateway, endpoint: str, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length, which ``StreamReader.readline`` does not take."""
    parts: list[bytes] = []
    while chunk := await _chunk(gateway, endpoint, content):
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            parts.append(line)
            if joined := b"".join(parts):
                yield joined
            parts.clear()
        parts.append(rest)


async def _chunk(gateway: Gateway, endpoint: str, content: aiohttp.StreamReader) -> bytes:
    """What comes next, however long that takes as long as the endpoint lives; nothing at the end."""
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                return await content.readany()
        except TimeoutError:
            gateway.check_open()
            if not await gateway.lives(endpoint, ANSWER_SECONDS):
                raise Unavailable(f"etcd at {endpoint} fell silent") from None
