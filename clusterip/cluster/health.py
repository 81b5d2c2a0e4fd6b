"""Asking a part how it is, over plain HTTP, without a client library."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

_LIMIT = 1 << 16


async def problem(url: str, *, seconds: float = 2.0) -> str | None:
    """None if the part at a ``http://`` health URL says it is well, else what is wrong."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                answer = await reader.read(_LIMIT)
            finally:
                writer.close()
    except TimeoutError:
        return f"does not answer at {url}"
    except OSError as error:
        return f"cannot be reached at {url}: {error.strerror or error}"
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] == [b"200"]:
        return None
    failed = [line for line in body.decode(errors="replace").splitlines() if line.startswith("[-]")]
    return "; ".join(failed) or body.decode(errors="replace").strip() or "answers with an error"
