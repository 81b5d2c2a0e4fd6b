"""Joining a client's connection to another one, byte for byte.

So it does not matter here whether WebSocket or SPDY is spoken over an upgraded connection.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from clusterip.process.hijack import Hijacked, hijack

_CHUNK = 64 * 1024


async def relay(
    request: web.BaseRequest, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> web.StreamResponse:
    """Send ``head`` to the client, then pass on everything in both ways until one side has ended.

    Closes both connections.
    """
    try:
        async with hijack(request) as (client_reader, client_writer):
            client_writer.write(head)
            directions = [
                asyncio.create_task(_copy(reader, client_writer)),
                asyncio.create_task(_copy(client_reader, writer)),
            ]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in directions:
                    task.cancel()
                await asyncio.gather(*directions, return_exceptions=True)
    finally:
        writer.close()
    return Hijacked()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
    except OSError:
        return  # one of the two has ended; there is nobody to tell
