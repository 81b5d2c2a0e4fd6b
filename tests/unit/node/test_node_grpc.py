"""The gRPC health check against a real gRPC server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from clusterip.node.pods.checks import CheckFailed
from clusterip.node.pods.grpccheck import check
from clusterip.objects.core.containers import GRPCAction

States = health_pb2.HealthCheckResponse


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that serves, with one service that does not."""
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set("", States.SERVING)
    await servicer.set("down", States.NOT_SERVING)
    await servicer.set("x" * 300, States.SERVING)
    bound = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield bound
    await server.stop(None)


async def test_serving(port: int) -> None:
    await check(GRPCAction(port=port), "127.0.0.1", 5)
    await check(GRPCAction(port=port, service=""), "127.0.0.1", 5)
    await check(GRPCAction(port=port, service="x" * 300), "127.0.0.1", 5)


async def test_not_serving_and_unknown(port: int) -> None:
    with pytest.raises(CheckFailed, match=r'service unhealthy \(responded with "NOT_SERVING"\)'):
        await check(GRPCAction(port=port, service="down"), "127.0.0.1", 5)
    with pytest.raises(CheckFailed, match="error: health rpc probe failed: code 5"):
        await check(GRPCAction(port=port, service="who"), "127.0.0.1", 5)


async def test_a_server_without_the_service() -> None:
    server = grpc.aio.server()
    bound = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with pytest.raises(CheckFailed, match="does not implement the grpc health protocol"):
        await check(GRPCAction(port=bound), "127.0.0.1", 5)
    await server.stop(None)


async def test_nobody_there_or_nobody_who_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        number = silent.getsockname()[1]
        with pytest.raises(CheckFailed, match="timeout: health rpc did not complete within"):
            await check(GRPCAction(port=number), "127.0.0.1", 0.2)
    with pytest.raises(CheckFailed, match=f'failed to connect service "127.0.0.1:{number}"'):
        await check(GRPCAction(port=number), "127.0.0.1", 5)


async def test_a_server_that_speaks_something_else() -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    number = server.sockets[0].getsockname()[1]
    with pytest.raises(CheckFailed, match="error: health rpc probe failed"):
        await check(GRPCAction(port=number), "127.0.0.1", 5)
    server.close()
