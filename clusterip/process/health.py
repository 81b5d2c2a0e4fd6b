"""``/healthz``, ``/livez``, ``/readyz`` and ``/metrics`` over a tiny HTTP/1.1 server.

Small enough for every part to have one without an HTTP framework. Answers look like those of
Kubernetes' own components (``k8s.io/apiserver/pkg/server/healthz``), ``?verbose`` and ``?exclude=``
included, and ``/readyz/NAME`` asks one check.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from clusterip.process import log
from clusterip.process.sockets import listen_tcp

Check = Callable[[], str | None]
"""Returns None if all is well, else why not, in words for a person."""

_IDLE_SECONDS = 60.0
_HEAD_LIMIT = 16384
_END = "\r\n"
_TEXT = "text/plain; charset=utf-8"
_reasons = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}

_log = log.get("health")


class Page(NamedTuple):
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = _TEXT
    headers: tuple[tuple[str, str], ...] = ()


Answer = Callable[[dict[str, list[str]]], Awaitable[Page]]
"""Gets a query's parameters."""


class HealthServer:
    """The health and metrics endpoints of one part.

    ``add_check`` is for what only a restart would cure (``/healthz``, ``/livez`` and ``/readyz``);
    ``ready_check`` for what makes traffic go elsewhere for now (``/readyz`` only).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._live: dict[str, Check] = {"ping": lambda: None}
        self._ready: dict[str, Check] = {}
        self._pages: dict[str, Callable[[], Page]] = {"/metrics": metrics_page}
        self._answers: dict[str, Answer] = {}
        self._servers: list[asyncio.Server] = []

    def add_check(self, name: str, check: Check) -> None:
        self._live[name] = check

    def ready_check(self, name: str, check: Check) -> None:
        self._ready[name] = check

    def add_page(self, path: str, page: Callable[[], Page]) -> None:
        """Serve one more path, such as CoreDNS's ``/health``."""
        self._pages[path] = page

    def add_answer(self, path: str, answer: Answer) -> None:
        """Serve one more path that takes a while, or depends on its query."""
        self._answers[path] = answer

    def failures(self, *, ready: bool) -> dict[str, str]:
        """The checks that fail now and why."""
        checks = self._live | self._ready if ready else self._live
        return {name: why for name, check in checks.items() if (why := check()) is not None}

    async def start(self, address: str | socket.socket) -> None:
        """Listen on ``HOST:PORT`` or an open socket; on several, if called again.

        ``""`` and ``"0"`` mean nowhere, as in Kubernetes' own flags.

        Raises:
            ValueError: the address cannot be read.
            OSError: it cannot be bound.
        """
        if address in ("", "0"):
            return
        listening = listen_tcp(address) if isinstance(address, str) else address
        self._servers.append(await asyncio.start_server(self._serve, sock=listening, limit=_HEAD_LIMIT))

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass  # the client went away or sends no HTTP: nobody to tell
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays open."""
        async with asyncio.timeout(_IDLE_SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *headers = head.split("\r\n")
        words = request.split(" ")
        lowered = [header.lower().replace(" ", "") for header in headers]
        if len(words) != 3 or any(_has_body(header) for header in lowered):
            page, keep = Page(400, b"GET only, without a body\n"), False
        else:
            page = await self._answer(words[0], words[1])
            keep = words[2] == "HTTP/1.1" and "connection:close" not in lowered
        answer = (
            f"HTTP/1.1 {page.status} {_reasons.get(page.status, 'Internal Server Error')}\r\n"
            f"Content-Type: {page.content_type}\r\nContent-Length: {len(page.body)}\r\n"
            "Cache-Control: no-cache, private\r\nX-Content-Type-Options: nosniff\r\n"
            f"{''.join(f'{name}: {value}{_END}' for name, value in page.headers)}"
            f"{'' if keep else 'Connection: close' + _END}\r\n"
        )
        writer.write(answer.encode() + (b"" if words[0] == "HEAD" else page.body))
        await writer.drain()
        return keep

    async def _answer(self, method: str, target: str) -> Page:
        url = urlsplit(target)
        answer = self._answers.get(url.path) if method in ("GET", "HEAD") else None
        if answer is None:
            return self.page(method, target)
        try:
            return await answer(parse_qs(url.query, keep_blank_values=True))
        except Exception:  # noqa: BLE001 - as in `page`
            _log.exception("a page raised", path=url.path)
            return Page(500, b"internal error: see the log\n")

    def page(self, method: str, target: str) -> Page:
        """The answer to a request, for parts that serve these paths on a server of their own."""
        if method not in ("GET", "HEAD"):
            return Page(405, b"GET only\n")
        url = urlsplit(target)
        try:
            if url.path in self._pages:
                return self._pages[url.path]()
            endpoint, _, one = url.path.removeprefix("/").partition("/")
            if endpoint not in ("healthz", "livez", "readyz"):
                return Page(404, b"404 page not found\n")
            checks = self._live | self._ready if endpoint == "readyz" else self._live
            if one:
                if one not in checks:
                    return Page(404, b"404 page not found\n")
                why = checks[one]()
                return Page(200, b"ok") if why is None else Page(500, f"{why}\n".encode())
            return _verdict(endpoint, checks, parse_qs(url.query, keep_blank_values=True))
        except Exception:  # noqa: BLE001 - a check's bug is a failed check, and must not end the server
            _log.exception("health check raised", path=url.path)
            return Page(500, b"internal error: see the log\n")


def _has_body(header: str) -> bool:
    return header.startswith("transfer-encoding:") or (
        header.startswith("content-length:") and header != "content-length:0"
    )


def metrics_page() -> Page:
    """The default registry of prometheus_client in its text format."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # only when somebody asks

    return Page(200, generate_latest(), CONTENT_TYPE_LATEST)


def _verdict(endpoint: str, checks: dict[str, Check], query: dict[str, list[str]]) -> Page:
    excluded = query.get("exclude", [])
    lines: list[str] = []
    failed = False
    for name, check in checks.items():
        why = None if name in excluded else check()
        failed = failed or why is not None
        note = "excluded: ok" if name in excluded else "ok"
        lines.append(f"[+]{name} {note}" if why is None else f"[-]{name} failed: {why}")
    if missing := [name for name in excluded if name not in checks]:
        shown = ",".join(f'"{name}"' for name in missing)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {shown}")
    if failed:
        return Page(500, "\n".join([*lines, f"{endpoint} check failed", ""]).encode())
    if "verbose" in query:
        return Page(200, "\n".join([*lines, f"{endpoint} check passed", ""]).encode())
    return Page(200, b"ok")
