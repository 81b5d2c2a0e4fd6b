"""Compares HTTP servers for the API server: speed, and what they let a program see and do.

    python -m venv /tmp/servers
    /tmp/servers/bin/pip install aiohttp cryptography uvloop granian 'uvicorn[standard]'
    /tmp/servers/bin/python bench/http_servers.py [--seconds 5] [SERVER ...]

Needs wrk (``apt install wrk``). Every server runs in one process with uvloop over TLS, asking for (not
requiring) a client certificate where it can, and answers the same paths:

    GET  /json    1 kB of JSON
    GET  /watch   a chunked response that gets a line for each event
    POST /event   makes an event
    GET  /who     the common name in the client's certificate, as the program sees it
    GET  /exec    a WebSocket with the subprotocol v5.channel.k8s.io that echoes
    GET  /raw     "Upgrade: SPDY/3.1": after 101 the connection carries bytes both ways, echoed
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import datetime
import json
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

BODY = json.dumps({"kind": "Service", "padding": ""}).encode().replace(b'""', b'"%s"' % (b"x" * 970))
PROTOCOL = "v5.channel.k8s.io"
WATCHERS = 200
EVENTS = 30
LINE = b'{"type":"MODIFIED","object":{}}\n'

# --- the programs served ---------------------------------------------------------------------------


class Broadcast:
    """Wakes all watchers for an event."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


broadcast = Broadcast()


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """The program as uvicorn and granian serve it."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        message = await receive()
        await send({"type": "websocket.send", "bytes": message.get("bytes")})
        return

    async def respond(body: bytes, status: int = 200) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    path = scope["path"]
    if path == "/json":
        await respond(BODY)
    elif path == "/event":
        broadcast.send()
        await respond(b"{}")
    elif path == "/who":
        await respond(str(scope.get("extensions", {}).get("tls", {}).get("client_cert_name", "")).encode())
    elif path == "/watch":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": LINE, "more_body": True})
        while True:
            await broadcast.wait()
            await send({"type": "http.response.body", "body": LINE, "more_body": True})
    elif path == "/raw":
        headers = [(b"upgrade", b"SPDY/3.1"), (b"connection", b"Upgrade")]
        await send({"type": "http.response.start", "status": 101, "headers": headers})
        message = await receive()
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": True})


async def serve_uvicorn(port: int, certificates: Path) -> None:
    import uvicorn

    config = uvicorn.Config(
        asgi,
        port=port,
        http="httptools",
        loop="uvloop",
        access_log=False,
        log_level="error",
        ssl_certfile=certificates / "server.pem",
        ssl_keyfile=str(certificates / "server.key"),
        ssl_ca_certs=str(certificates / "ca.pem"),
        ssl_cert_reqs=ssl.CERT_OPTIONAL,
    )
    await uvicorn.Server(config).serve()


def serve_granian(port: int, certificates: Path) -> None:
    from granian import Granian
    from granian.constants import Interfaces, Loops

    # granian can require client certificates (ssl_client_verify) but not just ask for them.
    Granian(
        "http_servers:asgi",
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        log_enabled=False,
        ssl_cert=certificates / "server.pem",
        ssl_key=certificates / "server.key",
    ).serve()


class Echo(asyncio.Protocol):
    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


async def aiohttp_handler(request: Any) -> Any:
    """The program as aiohttp serves it."""
    from aiohttp import web

    path = request.path
    if path == "/json":
        return web.Response(body=BODY, content_type="application/json")
    if path == "/event":
        broadcast.send()
        return web.Response(body=b"{}")
    if path == "/who":
        certificate = request.transport.get_extra_info("peercert") or {}
        names = dict(pair for part in certificate.get("subject", ()) for pair in part)
        return web.Response(text=names.get("commonName", ""))
    if path == "/exec":
        websocket = web.WebSocketResponse(protocols=[PROTOCOL])
        await websocket.prepare(request)
        await websocket.send_bytes((await websocket.receive()).data)
        return websocket
    if path == "/raw":
        transport = request.transport
        transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n"
        )
        transport.set_protocol(Echo(transport))
        await asyncio.Event().wait()
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(LINE)
    while True:
        await broadcast.wait()
        await response.write(LINE)


async def serve_aiohttp(port: int, certificates: Path) -> None:
    from aiohttp import web

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.verify_mode = ssl.CERT_OPTIONAL
    server = web.Server(aiohttp_handler)  # its own routing is not used: the API server has a router
    await asyncio.get_running_loop().create_server(server, "127.0.0.1", port, ssl=context)
    await asyncio.Event().wait()


def serve(name: str, port: int, certificates: Path) -> None:
    import uvloop

    if name == "granian":
        serve_granian(port, certificates)
    else:
        uvloop.run({"aiohttp": serve_aiohttp, "uvicorn": serve_uvicorn}[name](port, certificates))


# --- the measurements ------------------------------------------------------------------------------


class Client:
    """Speaks HTTP/1.1 by hand, to see exactly what a server does."""

    def __init__(self, port: int, certificates: Path) -> None:
        self.port = port
        self.context = ssl.create_default_context(cafile=certificates / "ca.pem")
        self.context.load_cert_chain(certificates / "client.pem", certificates / "client.key")

    async def open(self, request: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context)
        writer.write(f"{request} HTTP/1.1\r\nHost: localhost\r\n".encode())
        return reader, writer

    async def get(self, request: str) -> tuple[int, str]:
        reader, writer = await self.open(request)
        writer.write(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        answer = (await reader.read()).decode()
        writer.close()
        return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]


async def check_certificate(client: Client) -> bool:
    return (await client.get("GET /who"))[1] == "clusterip-client"


async def check_websocket(client: Client) -> bool:
    reader, writer = await client.open("GET /exec")
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Protocol: v4.channel.k8s.io, {PROTOCOL}\r\n\r\n".encode()
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    writer.write(b"\x82\x84" + bytes(4) + b"ping")  # a masked binary frame, mask 0
    frame = await reader.readexactly(6)
    writer.close()
    return f"sec-websocket-protocol: {PROTOCOL}" in head and frame == b"\x82\x04ping"


async def check_hijack(client: Client) -> bool:
    reader, writer = await client.open("GET /raw")
    writer.write(b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
    try:
        if b" 101 " not in await reader.readuntil(b"\r\n\r\n"):
            return False
        for message in (b"\x80\x03\x00\x01", bytes(range(200)) * 50):
            writer.write(message)
            if await reader.readexactly(len(message)) != message:
                return False
        return True
    finally:
        writer.close()


async def works(check: Callable[[Client], Awaitable[bool]], client: Client) -> str:
    try:
        return "yes" if await asyncio.wait_for(check(client), 3) else "no"
    except (OSError, EOFError, TimeoutError) as error:
        return f"no ({type(error).__name__})"


async def watch_latency(client: Client) -> tuple[float, float]:
    """Milliseconds until the last of all watchers has an event: median and worst."""
    readers = []
    for _ in range(WATCHERS):
        reader, writer = await client.open("GET /watch")
        writer.write(b"\r\n")
        await reader.readuntil(LINE)
        readers.append((reader, writer))
    times = []
    for _ in range(EVENTS):
        arrivals = [asyncio.ensure_future(reader.readuntil(LINE)) for reader, _ in readers]
        await asyncio.sleep(0.02)
        began = time.perf_counter()
        await client.get("POST /event")
        await asyncio.gather(*arrivals)
        times.append((time.perf_counter() - began) * 1000)
    for _, writer in readers:
        writer.close()
    return statistics.median(times), max(times)


def wrk(port: int, seconds: float) -> tuple[float, str]:
    """Requests a second over 16 kept connections, and the 99th percentile's latency."""
    command = ["wrk", "-t1", "-c16", f"-d{seconds:g}", "--latency", f"https://127.0.0.1:{port}/json"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate, p99 = re.search(r"Requests/sec:\s+([\d.]+)", output), re.search(r"99%\s+(\S+)", output)
    if rate is None or p99 is None or "Non-2xx" in output:
        raise RuntimeError(f"wrk: {output}")
    return float(rate[1]), p99[1]


def memory(pid: int) -> float:
    """Megabytes a process and its children hold, shared pages divided among those who share them."""
    tree = [pid]
    for parent in tree:
        tree += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    proportional = (Path(f"/proc/{each}/smaps_rollup").read_text() for each in tree)
    return sum(int(match[1]) for text in proportional for match in re.finditer(r"Pss:\s+(\d+)", text)) / 1024


def make_certificates(directory: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])
    for name in ("ca", "server", "client"):
        key = authority_key if name == "ca" else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"clusterip-{name}")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(authority if name == "ca" else subject)
            .issuer_name(authority)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
        )
        if name == "server":
            import ipaddress

            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        pem = builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        (directory / f"{name}.pem").write_bytes(pem)
        (directory / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_open(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def measure(name: str, seconds: float, certificates: Path) -> list[str]:
    port = free_port()
    command = [sys.executable, __file__, "--serve", name, str(port), str(certificates)]
    server = subprocess.Popen(command, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL)
    try:
        wait_until_open(port)
        client = Client(port, certificates)
        wrk(port, 1)
        rate, p99 = wrk(port, seconds)
        median, worst = asyncio.run(watch_latency(client))
        checks = [asyncio.run(works(c, client)) for c in (check_certificate, check_websocket, check_hijack)]
        return [
            name,
            f"{rate:,.0f}",
            p99,
            f"{median:.1f}",
            f"{worst:.1f}",
            *checks,
            f"{memory(server.pid):.0f}",
        ]
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:  # it waits for the hijacked connection
            server.kill()
            server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("servers", nargs="*", default=["granian", "uvicorn", "aiohttp"])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        name, port, directory = options.serve
        serve(name, int(port), Path(directory))
        return
    print(f"| server | requests/s | p99 | event to {WATCHERS} watches, ms: median | worst "
          "| client certificate | WebSocket subprotocol | raw upgrade | memory, MB |")  # fmt: skip
    print("|---" * 9 + "|")
    with tempfile.TemporaryDirectory() as directory:
        make_certificates(Path(directory))
        for name in options.servers:
            print("| " + " | ".join(measure(name, options.seconds, Path(directory))) + " |", flush=True)


if __name__ == "__main__":
    main()
