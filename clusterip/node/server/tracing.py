"""``/trace``: follows a connection from this node or one of its Pods, for who may use ``nodes/proxy``.

It runs ``clusterip trace``, as a process of its own: it enters other network namespaces and ends with the
request. Its shape is in ``docs/trace-json.md``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from aiohttp import web

from clusterip.node.options import Options

_AT_ONCE = 2
_SECONDS = 90.0
_BODY_BYTES = 64 << 20
_CALLED_WRONGLY = 2
_REACHED_OR_TOLD = (0, *range(10, 64))


class Traces:
    """Serves ``GET`` and ``POST /trace?from=CLIENT&to=TARGET&timeout=SECONDS``."""

    def __init__(self, options: Options, node: str) -> None:
        self._options = options
        self._node = node
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def serve(self, request: web.Request) -> web.Response:
        """Answers a story as JSON; 400 for what nobody can mean, 422 for what cannot be traced here."""
        target = request.query.get("to", "")
        if not target:
            raise web.HTTPBadRequest(text="/trace?to=TARGET&from=CLIENT: say what to connect to\n")
        given = await request.content.read(_BODY_BYTES)
        command = [
            *(sys.executable, "-P", "-m", "clusterip", "trace", "--output=json"),
            f"--from={request.query.get('from') or f'node/{self._node}'}",
            f"--timeout={request.query.get('timeout') or '3'}",
            f"--kubeconfig={self._options.network_kubeconfig or self._options.kubeconfig}",
        ]
        if namespace := request.query.get("namespace"):
            command.append(f"--namespace={namespace}")
        if self._options.network_kubeconfig:
            command += [f"--pods-kubeconfig={self._options.kubeconfig}", f"--on-node={self._node}"]
        if given:
            command.append("--given=-")
        async with self._turn:
            code, output, complaint = await _run([*command, "--", target], given)
        if code in _REACHED_OR_TOLD:
            return web.Response(body=output, content_type="application/json")
        if code == _CALLED_WRONGLY:
            raise web.HTTPBadRequest(text=complaint)
        raise web.HTTPUnprocessableEntity(text=complaint)


async def _run(command: list[str], given: bytes) -> tuple[int, bytes, str]:
    """Exit code, output and complaint of a process that ends with this call."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(_SECONDS):
            output, complaint = await process.communicate(given)
    except TimeoutError:
        return 1, b"", f"the trace took more than {_SECONDS:.0f} s\n"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, output, complaint.decode(errors="replace")
