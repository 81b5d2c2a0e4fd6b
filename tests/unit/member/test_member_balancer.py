"""One address for several servers, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from clusterip.member.balancer import Address, Balancer
from clusterip.process.sockets import listen_tcp


@contextlib.asynccontextmanager
async def _server(name: bytes, port: int = 0) -> AsyncIterator[tuple[asyncio.Server, Address]]:
    """Greets with its name, then echoes until the client has said all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield server, server.sockets[0].getsockname()[:2]
    finally:
        server.close()


@contextlib.asynccontextmanager
async def _running(*servers: Address) -> AsyncIterator[tuple[Balancer, Address]]:
    balancer = Balancer(servers)
    listener = listen_tcp("127.0.0.1:0")
    task = asyncio.create_task(balancer.serve(listener))
    try:
        yield balancer, listener.getsockname()[:2]
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _who(address: Address) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        return await reader.read(1)
    finally:
        writer.close()


async def test_bytes_and_ends_pass_both_ways() -> None:
    async with _server(b"1") as (_, first), _running(first) as (_balancer, address):
        reader, writer = await asyncio.open_connection(*address)
        sent = bytes(range(256)) * 4096
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == b"1" + sent
        writer.close()


async def test_the_next_one_takes_over() -> None:
    async with _server(b"2") as (_, second):
        async with _server(b"1") as (_, first), _running(first, second) as (balancer, address):
            assert [await _who(address), await _who(address)] == [b"1", b"1"]
        # Its port is closed now.
        async with _running(first, second) as (balancer, address):
            assert await _who(address) == b"2"
            assert balancer.servers == [second, first]
            async with _server(b"3") as (_, third):
                balancer.follow([third])
                assert await _who(address) == b"3"
                balancer.follow([])
                assert balancer.servers == [third]


async def test_nobody_answers() -> None:
    async with _server(b"1") as (_, gone):
        pass
    async with _running(gone) as (_, address):
        assert await _who(address) == b""


async def test_a_server_is_left() -> None:
    """Its connections break, and come again to another; those to others stay."""
    async with (
        _server(b"1") as (_, first),
        _server(b"2") as (_, second),
        _server(b"3") as (_, third),
        _running(first, second, third) as (balancer, address),
    ):
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.read(1) == b"1"
        assert balancer.used == [first]
        balancer.leave(second, third)
        assert balancer.servers == [third, first, second]
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        balancer.leave(first, third)
        with contextlib.suppress(ConnectionError):
            assert await reader.read(1) == b""
        writer.close()
        assert await _who(address) == b"3"
        assert first not in balancer.used
