"""How the commands on objects reach the API server, and how they say what it refused.

Texts and exit codes are those of kubectl (``k8s.io/kubectl/pkg/cmd/util/helpers.go``), since scripts
look at them.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import click

from clusterip.cli import completing

if TYPE_CHECKING:
    from clusterip.client.errors import ApiError
    from clusterip.client.rest import Client


class CommandError(Exception):
    """A command cannot be done; its text is for the person who typed it."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Session:
    """A connection and the namespace that commands mean unless told otherwise."""

    client: Client
    namespace: str


def connected(command: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Add ``--kubeconfig``, ``--context`` and ``--namespace``; run a coroutine that gets a ``session``."""

    @click.option("--kubeconfig", help="Which API server, and as whom.")
    @click.option("--context", help="A context of the kubeconfig.")
    @click.option(
        "-n",
        "--namespace",
        help="Instead of the context's namespace.",
        shell_complete=completing.namespaces,
    )
    @functools.wraps(command)
    def wrapped(
        *args: Any, kubeconfig: str | None, context: str | None, namespace: str | None, **kwargs: Any
    ) -> None:
        async def run() -> None:
            from clusterip.cli.suggesting import similar
            from clusterip.client.config import load
            from clusterip.client.errors import ApiError
            from clusterip.client.rest import Client

            config = load(kubeconfig or local_kubeconfig(), context)
            async with Client(config) as client:
                session = Session(client, namespace or config.namespace)
                try:
                    await command(*args, session=session, **kwargs)
                except ApiError as error:
                    raise CommandError(describe(error) + await similar(session, error)) from error

        _report_errors(run)

    return wrapped


def local_kubeconfig() -> str | None:
    """The kubeconfig of the cluster on this machine, if it runs here and nothing else is asked for."""
    if os.environ.get("KUBECONFIG"):
        return None
    from clusterip.cluster.paths import Paths

    path = Paths.of(os.environ.get("CLUSTERIP_NAME", "clusterip")).admin_kubeconfig
    return str(path) if os.access(path, os.R_OK) else None


def _report_errors(run: Callable[[], Awaitable[None]]) -> None:
    from clusterip.client.config import ConfigError
    from clusterip.client.credentials import CredentialsError
    from clusterip.client.errors import Unreachable

    async def main() -> None:
        await run()

    try:
        asyncio.run(main())
    except CommandError as error:
        _fail(str(error), error.code)
    except (Unreachable, ConfigError, CredentialsError) as error:
        _fail(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `clusterip get pods | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(text: str, code: int = 1) -> NoReturn:
    if text:
        click.echo(text, err=True)
    sys.exit(code)


def describe(error: ApiError, *, doing: str = "") -> str:
    """A refusal as kubectl prints it. ``doing`` is e.g. ``creating "my-service.yaml"``."""
    status = error.status
    if status.reason == "Invalid":
        details = status.details
        if details is None or not details.kind:
            return f"The request is invalid: {status.message}"
        name = f'The {details.kind} "{details.name}" is invalid'
        causes = [f"{c.field}: {c.message}" if c.field else c.message for c in details.causes]
        causes = list(dict.fromkeys(causes)) or [status.message]
        if len(causes) == 1:
            return f"{name}: {causes[0]}"
        return "\n".join([f"{name}: ", *(f"* {cause}" for cause in causes)])
    reason = f" ({status.reason})" if status.reason else ""
    return f"Error from server{reason}: {f'error when {doing}: ' if doing else ''}{status.message}"
