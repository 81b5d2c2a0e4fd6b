"""``clusterip logs``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from clusterip.cli import completing
from clusterip.cli.connection import connected

if TYPE_CHECKING:
    from clusterip.cli.connection import Session


@click.command("logs")
@click.argument("pod", metavar="POD | TYPE/NAME", shell_complete=completing.pods)
@click.option("-c", "--container", help="Which container; by default the first.")
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written.")
@click.option("-p", "--previous", is_flag=True, help="Of the container's run before this one.")
@click.option("--tail", type=int, default=-1, help="Only that many lines from the end.")
@click.option("--since-seconds", type=int, help="Only what is younger.")
@click.option("--timestamps", is_flag=True, help="When each line was written.")
@connected
async def command(
    pod: str,
    container: str | None,
    follow: bool,
    previous: bool,
    tail: int,
    since_seconds: int | None,
    timestamps: bool,
    session: Session,
) -> None:
    """Print what a Pod's container wrote.

    \b
    Examples:
      clusterip logs my-pod
      clusterip logs -f --tail=20 my-pod -c main
    """
    from clusterip.cli.pods import container_of, pod_of
    from clusterip.objects.core.pod import PODS

    found = await pod_of(session, pod)
    query: dict[str, str | list[str]] = {"container": container_of(found, container)}
    flags = {"follow": follow, "previous": previous, "timestamps": timestamps}
    query.update({name: "true" for name, is_set in flags.items() if is_set})
    if tail >= 0:
        query["tailLines"] = str(tail)
    if since_seconds is not None:
        query["sinceSeconds"] = str(since_seconds)
    path = PODS.path(session.namespace, found.metadata.name, "log")
    async with session.client.stream(path, query=query, accept="*/*") as content:
        while chunk := await content.readany():
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
