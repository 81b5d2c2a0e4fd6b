"""``clusterip ui``."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import click

from clusterip.cli.connection import CommandError, connected

if TYPE_CHECKING:
    from clusterip.cli.connection import Session


@click.command("ui")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of loopback; 0 takes a free one.")
@click.option("--open/--no-open", "opens", default=True, help="Whether to open a browser.")
@connected
async def command(port: int, opens: bool, session: Session) -> None:
    """Show the cluster in a browser, as whom the kubeconfig names.

    The page shows Services, their endpoints and nodes live, what each node's kernel has of them, traffic,
    DNS and events, and changes what you may change. It is served on this machine's loopback address until
    Ctrl-C. The URL has a key in it: whoever knows it has your rights.

    The API server has the same page under /ui/, for who has a token or a client certificate.

    \b
    Examples:
      clusterip ui
      clusterip ui --no-open --port 8001       # over SSH: ssh -L 8001:127.0.0.1:8001 HOST
      clusterip ui --context production
    """
    from clusterip.ui.local import LocalServer
    from clusterip.ui.opening import opened
    from clusterip.ui.upstream import Upstream

    async with Upstream(session.client.config) as upstream:
        server = LocalServer(upstream)
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(server.serving(port))
            except OSError as error:
                raise CommandError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
            has_browser = stack.enter_context(opened(server.url)) if opens else False
            click.echo(server.url)
            click.echo("Ctrl-C ends it." if has_browser else "Open this URL. Ctrl-C ends it.", err=True)
            await asyncio.Event().wait()
