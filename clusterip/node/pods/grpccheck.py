"""The gRPC health check (``grpc.health.v1.Health/Check``) over HTTP/2 without TLS.

As upstream's ``pkg/probe/grpc``: one call, whose answer has to be SERVING.
"""

from __future__ import annotations

import asyncio
import struct
from typing import NoReturn

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

from clusterip.node.pods.checks import CheckFailed
from clusterip.objects.core.containers import GRPCAction

_PATH = "/grpc.health.v1.Health/Check"
_USER_AGENT = "kube-probe/1.37"
_READ_BYTES = 65_536
_OK, _DEADLINE_EXCEEDED, _UNIMPLEMENTED = "0", "4", "12"
_STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


async def check(action: GRPCAction, host: str, seconds: float) -> None:
    """Raises CheckFailed unless the service says in time that it serves."""
    shown = f"[{host}]:{action.port}" if ":" in host else f"{host}:{action.port}"
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(deadline):
            reader, writer = await asyncio.open_connection(host, action.port)
    except TimeoutError:
        reason = f'failed to connect service "{shown}" within {seconds:g}s: context deadline exceeded'
        raise CheckFailed(f"timeout: {reason}") from None
    except OSError as error:
        # Upstream goes on trying to connect until the time is over, and then says so.
        reason = f'failed to connect service "{shown}" within {seconds:g}s: {error.strerror}'
        raise CheckFailed(f"timeout: {reason}") from error
    try:
        async with asyncio.timeout_at(deadline):
            answer = await _call(reader, writer, shown, action.service or "")
    except TimeoutError:
        raise CheckFailed(f"timeout: health rpc did not complete within {seconds:g}s") from None
    except (OSError, ProtocolError, EOFError) as error:
        raise CheckFailed(f"error: health rpc probe failed: {error}") from error
    finally:
        writer.close()
    if answer != 1:
        raise CheckFailed(f'service unhealthy (responded with "{_STATES.get(answer, str(answer))}")')


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, service: str) -> int:
    """The ``status`` of the answer. Raises CheckFailed for every other answer."""
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    stream = connection.get_next_available_stream_id()
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", _PATH),
        (":authority", host),
        ("content-type", "application/grpc"),
        ("user-agent", _USER_AGENT),
        ("te", "trailers"),
    ]
    connection.send_headers(stream, headers)
    connection.send_data(stream, _request(service), end_stream=True)
    told: dict[str, str] = {}
    body = bytearray()
    while True:
        writer.write(connection.data_to_send())
        await writer.drain()
        data = await reader.read(_READ_BYTES)
        if not data:
            raise EOFError("the connection was closed")
        for event in connection.receive_data(data):
            if _note(connection, event, told, body):
                writer.write(connection.data_to_send())
                return _result(told, bytes(body))


def _note(connection: H2Connection, event: Event, told: dict[str, str], body: bytearray) -> bool:
    """Keep what an event tells; True when the answer is complete."""
    if isinstance(event, ResponseReceived | TrailersReceived):
        told.update((str(name), str(value)) for name, value in event.headers or ())
    elif isinstance(event, DataReceived):
        body += event.data or b""
        connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
    elif isinstance(event, StreamReset):
        raise EOFError(f"the stream was reset with code {event.error_code}")
    return isinstance(event, StreamEnded)


def _request(service: str) -> bytes:
    """A message of gRPC: not compressed, its length, ``HealthCheckRequest{service: 1}``."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return struct.pack("!BI", 0, len(message)) + message


def _result(told: dict[str, str], body: bytes) -> int:
    status = told.get("grpc-status", "")
    if told.get(":status", "200") != "200" and not status:
        raise CheckFailed(f"error: health rpc probe failed: HTTP status {told[':status']}")
    if status not in ("", _OK):
        _refused(status, told.get("grpc-message", ""))
    # ``HealthCheckResponse{status: 1}``; the default value 0 is not written.
    message = body[5:]
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0


def _refused(status: str, message: str) -> NoReturn:
    if status == _UNIMPLEMENTED:
        protocol = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        raise CheckFailed(f"error: {protocol}: {message}")
    if status == _DEADLINE_EXCEEDED:
        raise CheckFailed("timeout: health rpc did not complete in time")
    raise CheckFailed(f"error: health rpc probe failed: code {status}: {message}")


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
