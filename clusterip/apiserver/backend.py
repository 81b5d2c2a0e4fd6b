"""HTTP/1.1 connections to what requests are passed on to: kubelets, Pods and Services' endpoints.

One connection carries one request. It is spoken here rather than through a client library because a
proxy must neither add nor change headers, must begin to answer while the request's body still comes, and
must be able to give the connection away after an upgrade.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

DIAL_SECONDS = 30.0
"""How long a connection may take to come about, as upstream's dialer has it."""

Header = tuple[str, str]

_HEAD_LIMIT = 1024 * 1024
_CHUNK = 64 * 1024
_REASONS = {
    errno.ECONNREFUSED: "connect: connection refused",
    errno.EHOSTUNREACH: "connect: no route to host",
    errno.ENETUNREACH: "connect: network is unreachable",
    errno.ETIMEDOUT: "connect: connection timed out",
    errno.EACCES: "connect: permission denied",
    errno.EINVAL: "connect: invalid argument",
}


class BackendError(Exception):
    """What is behind the proxy cannot be reached, or does not speak HTTP. Says so as Go does."""


@dataclass(frozen=True)
class Address:
    """Where to connect to; ``port`` may be text that is no port, as it comes from a request."""

    host: str
    port: str
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class Head:
    """The beginning of an answer; ``raw`` is how it came."""

    code: int
    reason: str
    headers: Sequence[Header]
    raw: bytes

    def get(self, name: str) -> str:
        """The first header of that name (in lower case), or nothing."""
        return next((value for key, value in self.headers if key.lower() == name), "")


class Connection:
    """A connection that carries one request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, address: Address) -> Connection:
        """Connect.

        Raises:
            BackendError: that is not possible.
        """
        if not address.port.isdigit():
            raise BackendError(f"dial tcp: lookup tcp/{address.port}: unknown port")
        if int(address.port) > 65535:
            raise BackendError(f"dial tcp: address {address.port}: invalid port")
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                reader, writer = await asyncio.open_connection(
                    address.host, int(address.port), ssl=address.tls, limit=_HEAD_LIMIT
                )
        except ssl.SSLCertVerificationError as error:
            raise BackendError(f"tls: failed to verify certificate: {error.verify_message}") from error
        except ssl.SSLError as error:
            if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
                raise BackendError("tls: first record does not look like a TLS handshake") from error
            raise BackendError(f"remote error: tls: {error.reason or error}") from error
        except TimeoutError as error:
            raise BackendError(f"dial tcp {address}: i/o timeout") from error
        except OSError as error:
            reason = _REASONS.get(error.errno or 0) or (error.strerror or str(error)).lower()
            raise BackendError(f"dial tcp {address}: {reason}") from error
        return cls(reader, writer)

    def send_head(self, method: str, target: str, headers: Iterable[Header]) -> None:
        """Begin the request."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape"))

    async def read_head(self) -> Head:
        """The next head that comes, which may be an interim one (below 200).

        Raises:
            BackendError: none comes, or it is no HTTP.
        """
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise BackendError(_malformed(error.partial)) from error
            raise BackendError("EOF") from error
        except asyncio.LimitOverrunError as error:
            raise BackendError(f"server response headers exceeded {_HEAD_LIMIT} bytes; aborted") from error
        except ConnectionResetError as error:
            raise BackendError("read: connection reset by peer") from error
        except OSError as error:
            raise BackendError(str(error)) from error
        return _parse(raw)

    async def body(self, head: Head, method: str) -> AsyncIterator[bytes]:
        """The pieces of an answer's body as they come, without its framing.

        Raises:
            asyncio.IncompleteReadError: it ended before its end.
            OSError: the connection was lost.
        """
        if method == "HEAD" or head.code in (204, 304):
            return
        if "chunked" in head.get("transfer-encoding").lower():
            async for chunk in self._chunks():
                yield chunk
            return
        length = head.get("content-length")
        left = int(length) if length.isdigit() else None
        while left is None or left > 0:
            data = await self.reader.read(_CHUNK if left is None else min(left, _CHUNK))
            if not data:
                if left:
                    raise asyncio.IncompleteReadError(b"", left)
                return
            left = None if left is None else left - len(data)
            yield data

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            line = await self.reader.readuntil(b"\n")
            try:
                left = int(line.partition(b";")[0].strip(), 16)
            except ValueError:
                raise asyncio.IncompleteReadError(line, None) from None
            if left == 0:
                while (await self.reader.readuntil(b"\n")).strip():
                    pass  # a trailer
                return
            while left:
                data = await self.reader.read(min(left, _CHUNK))
                if not data:
                    raise asyncio.IncompleteReadError(b"", left)
                left -= len(data)
                yield data
            await self.reader.readuntil(b"\n")

    def close(self) -> None:
        self.writer.close()


def _parse(raw: bytes) -> Head:
    first, *lines = raw.decode("utf-8", "surrogateescape").split("\r\n")
    version, _, rest = first.partition(" ")
    code, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or len(code) != 3 or not code.isdigit():
        raise BackendError(_malformed(raw))
    headers = [
        (name.strip(), value.strip())
        for name, colon, value in (line.partition(":") for line in lines)
        if colon
    ]
    return Head(int(code), reason, headers, raw)


def _malformed(raw: bytes) -> str:
    first = raw.splitlines()[0].decode("latin-1")[:64]
    escaped = first.encode("unicode_escape").decode().replace('"', '\\"')
    return f'malformed HTTP response "{escaped}"'
