"""Doing one check of a probe or lifecycle hook: a command, an HTTP request, a connection.

Messages are those of upstream's ``pkg/probe``; they show up in Events.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from clusterip.node.runtime import exec as runtime_exec
from clusterip.node.runtime.container import Container
from clusterip.objects.core.containers import Container as ContainerSpec
from clusterip.objects.core.containers import ExecAction, HTTPGetAction, TCPSocketAction

_MAXIMUM_OUTPUT = 10 * 1024
_TOO_MANY = -1  # redirects, in place of a status
_MAXIMUM_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_USER_AGENT = "kube-probe/1.37"


class CheckFailed(Exception):
    """The check was done and its answer is no; the message is what Events show."""


class CheckErrored(Exception):
    """The check could not be done: there is no answer, neither yes nor no."""


@dataclass(frozen=True)
class Runtime:
    """What running commands in containers takes."""

    crun: str
    state: Path


def resolve_port(port: int | str | None, container: ContainerSpec) -> int:
    """A probe's port, by number or by name. Raises CheckFailed if there is none of that name."""
    if isinstance(port, int):
        return port
    text = port or ""
    if text.isdigit():
        return int(text)
    for each in container.ports:
        if each.name == text:
            return each.containerPort
    raise CheckFailed(f"couldn't find port: {text}")


async def run_command(runtime: Runtime, container: Container, action: ExecAction, seconds: float) -> str:
    """Run a command to its end; its output.

    Raises:
        CheckFailed: it did not exit with 0 in time.
        CheckErrored: it could not be run.
    """
    try:
        execution = await runtime_exec.start(
            container, action.command, crun=runtime.crun, state=runtime.state
        )
    except runtime_exec.ExecFailed as error:
        raise CheckErrored(str(error)) from error
    output = bytearray()

    async def collect() -> int:
        async def read(stream: object) -> None:
            async for data in stream:  # type: ignore[attr-defined]
                output.extend(data[: _MAXIMUM_OUTPUT - len(output)])

        await asyncio.gather(read(execution.stdout()), read(execution.stderr()))
        return await execution.wait()

    try:
        code = await asyncio.wait_for(collect(), seconds)
    except TimeoutError:
        shown = " ".join(action.command)
        raise CheckFailed(f'command timed out: "{shown}" timed out after {_duration(seconds)}') from None
    except runtime_exec.ExecFailed as error:
        raise CheckErrored(str(error)) from error
    finally:
        execution.close()
    text = output.decode(errors="replace")
    if code != 0:
        raise CheckFailed(text)
    return text


async def get(action: HTTPGetAction, container: ContainerSpec, host: str, seconds: float) -> None:
    """Send a GET. Raises CheckFailed unless it is answered with 200 to 399 in time.

    Where the answer leads to another place of the same host, that one's counts, as upstream.
    """
    port = resolve_port(action.port, container)
    host = action.host or host
    scheme = (action.scheme or "HTTP").lower()
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    shown = f"[{host}]" if ":" in host else host
    url = f"{scheme}://{shown}:{port}{path}"
    try:
        status = await asyncio.wait_for(_follow(action, host, url), seconds)
    except TimeoutError:
        reason = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        raise CheckFailed(f'Get "{url}": {reason}') from None
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        raise CheckFailed(f'Get "{url}": {_dial_error(shown, port, error)}') from error
    if status == _TOO_MANY:
        raise CheckFailed(f'Get "{url}": stopped after {_MAXIMUM_REDIRECTS} redirects')
    if not 200 <= status < 400:
        raise CheckFailed(f"HTTP probe failed with statuscode: {status}")


async def connect(action: TCPSocketAction, container: ContainerSpec, host: str, seconds: float) -> None:
    """Open a TCP connection and close it. Raises CheckFailed if that fails."""
    port = resolve_port(action.port, container)
    host = action.host or host
    shown = f"[{host}]" if ":" in host else host
    try:
        _reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), seconds)
    except TimeoutError:
        raise CheckFailed(f"dial tcp {shown}:{port}: i/o timeout") from None
    except OSError as error:
        raise CheckFailed(_dial_error(shown, port, error)) from error
    writer.close()


async def _follow(action: HTTPGetAction, host: str, url: str) -> int:
    for _ in range(_MAXIMUM_REDIRECTS):
        status, location = await _get_status(action, url)
        if status not in _REDIRECTS or not location:
            return status
        target = urljoin(url, location)
        parts = urlsplit(target)
        if parts.hostname != host.lower() or parts.scheme not in ("http", "https"):
            return status  # another host is not this container's health
        url = target
    return _TOO_MANY


async def _get_status(action: HTTPGetAction, url: str) -> tuple[int, str]:
    """The status of an answer, and where it leads."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    context = None
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # as upstream: Pods have certificates of their own making
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        headers = {"Host": f"{host}:{port}", "User-Agent": _USER_AGENT, "Accept": "*/*"}
        for header in action.httpHeaders:
            headers[header.name.title()] = header.value
        headers["Connection"] = "close"
        target = quote(path, safe="/?&=:;,+$!*'()@%-._~#[]")
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join((*lines, "", "")).encode())
        line = await reader.readline()
        words = line.split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            raise ValueError("EOF" if not line else f"malformed HTTP response {line[:40]!r}")
        status = int(words[1])
        return status, await _location(reader) if status in _REDIRECTS else ""
    finally:
        writer.close()


async def _location(reader: asyncio.StreamReader) -> str:
    while line := (await reader.readline()).strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"location":
            return value.strip().decode("latin-1")
    return ""


def _dial_error(host: str, port: int, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT):
        return f"dial tcp {host}:{port}: connect: {os.strerror(number).lower()}"
    return str(error)


def _duration(seconds: float) -> str:
    return f"{seconds:g}s"
