"""Passing requests on to the kubelets: logs as they come, upgraded connections byte for byte."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.call import Call
from clusterip.apiserver.options import Options
from clusterip.apiserver.relay import Hijacked, Relay
from clusterip.objects.core.node import NODES, Node
from clusterip.process.run import Fatal

PORT = 10250
_CONNECT_SECONDS = 30.0
_HEAD_LIMIT = 64 * 1024
_CHUNK = 64 * 1024
_HOP = frozenset(("host", "authorization", "content-length", "x-forwarded-for", "accept-encoding"))
_PREFERRED = ("InternalIP", "ExternalIP", "Hostname")


class Kubelets:
    """Finds nodes' kubelets."""

    def __init__(self, options: Options, cache: WatchCache) -> None:
        self._cache = cache
        self._tls = _client_context(options)

    def of(self, node_name: str) -> Kubelet:
        """The kubelet of a node.

        Raises:
            StatusError: 404 if there is no such node, 500 if it has no address.
        """
        entry = self._cache.of(NODES).get("", node_name)
        if entry is None:
            raise status.not_found(NODES, node_name)
        node: Node = entry.decode()
        port = node.status.daemonEndpoints.kubeletEndpoint.Port or PORT
        addresses = {address.type: address.address for address in reversed(node.status.addresses)}
        for kind in _PREFERRED:
            if kind in addresses:
                return Kubelet(addresses[kind], port, self._tls)
        raise status.internal(f"no preferred addresses found; known addresses: {list(addresses.values())}")


class Kubelet:
    """One node's kubelet API."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        self.host = host
        self.port = port
        self._tls = tls

    async def stream(self, call: Call, target: str) -> web.StreamResponse:
        """Answer with what the kubelet sends, as it comes."""
        reader, writer, head = await self._request(call, "GET", target, {})
        try:
            code, headers = _parse_head(head)
            if code != 200:
                raise _failure(code, await _read_body(reader, headers))
            response = web.StreamResponse(headers={"Content-Type": headers.get("content-type", "text/plain")})
            response.enable_chunked_encoding()
            await response.prepare(call.request)
            lost = asyncio.Event()
            call.server.on_lost(call.request, lost.set)
            watching = asyncio.create_task(_close_when(lost, writer))
            try:
                async for chunk in _body(reader, headers):
                    await response.write(chunk)
            finally:
                watching.cancel()
                call.server.forget_lost(call.request)
            return response
        finally:
            writer.close()

    async def upgrade(self, call: Call, target: str) -> web.StreamResponse:
        """Hand the client's connection over to the kubelet, if it agrees to the upgrade."""
        request = call.request
        if "upgrade" not in request.headers.get("Connection", "").lower():
            raise status.bad_request("Upgrade request required")
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        reader, writer, head = await self._request(call, request.method, target, headers)
        code, answered = _parse_head(head)
        if code != 101:
            try:
                raise _failure(code, await _read_body(reader, answered))
            finally:
                writer.close()
        await Relay(request, reader, writer).run(head)
        return Hijacked()

    async def _request(
        self, call: Call, method: str, target: str, headers: dict[str, str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        """Send a request; the connection and the head of the answer."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    self.host, self.port, ssl=self._tls, limit=_HEAD_LIMIT
                )
        except (OSError, TimeoutError) as error:
            raise status.internal(
                f"error dialing backend: dial tcp {self.host}:{self.port}: {error}"
            ) from None
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if method != "GET" and "Content-Length" not in headers:
            lines.append("Content-Length: 0")
        if not headers:
            lines.append("Connection: close")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        try:
            return reader, writer, await reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            writer.close()
            raise status.internal(f"the kubelet at {self.host}:{self.port} did not answer: {error}") from None


async def _close_when(lost: asyncio.Event, writer: asyncio.StreamWriter) -> None:
    """A client that leaves ends a log that is followed, though nothing is written to it."""
    await lost.wait()
    writer.close()


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        code = int(first.split(" ", 2)[1])
    except (IndexError, ValueError):
        raise status.internal(f"the kubelet's answer is not HTTP: {first}") from None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return code, headers


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """The chunks of an answer's body."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while True:
            size = int((await reader.readline()).partition(b";")[0] or b"0", 16)
            if size == 0:
                return
            yield await reader.readexactly(size)
            await reader.readexactly(2)
    left = int(headers["content-length"]) if "content-length" in headers else None
    while left is None or left > 0:
        chunk = await reader.read(_CHUNK if left is None else min(left, _CHUNK))
        if not chunk:
            return
        if left is not None:
            left -= len(chunk)
        yield chunk


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> str:
    body = b""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            async for chunk in _body(reader, headers):
                body += chunk
                if len(body) > _HEAD_LIMIT:
                    break
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        pass  # an explanation cut short is better than none
    return body.decode(errors="replace").strip()


def _failure(code: int, message: str) -> status.StatusError:
    """A kubelet's refusal as the API tells it."""
    if code == 400:
        return status.bad_request(message)
    if code == 404:
        return status.failure(404, "NotFound", message or "the server could not find the requested resource")
    return status.internal(message or f"the kubelet answered {code}")


def _client_context(options: Options) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if options.kubelet_certificate_authority:
        try:
            context.load_verify_locations(options.kubelet_certificate_authority)
        except (OSError, ssl.SSLError) as error:
            raise Fatal(f"cannot use --kubelet-certificate-authority: {error}") from None
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.kubelet_client_certificate:
        try:
            context.load_cert_chain(options.kubelet_client_certificate, options.kubelet_client_key or None)
        except (OSError, ssl.SSLError) as error:
            raise Fatal(f"cannot use --kubelet-client-certificate: {error}") from None
    return context
