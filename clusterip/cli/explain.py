"""``clusterip explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterip.cli import completing
from clusterip.cli.connection import connected
from clusterip.cli.printing import print_json

if TYPE_CHECKING:
    from clusterip.cli.connection import Session


@click.command("explain")
@click.argument("kind", metavar="service", type=click.Choice(["service", "svc", "services"]))
@click.argument("name", shell_complete=completing.services)
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it."
)
@click.option(
    "--node",
    "nodes",
    multiple=True,
    shell_complete=completing.nodes,
    help="Only this node; may be given several times.",
)
@connected
async def command(kind: str, name: str, output: str, nodes: tuple[str, ...], session: Session) -> None:
    """Say who reaches what through a Service, and why.

    For Pods, nodes and machines outside, by each address of the Service: which endpoints, how probable each
    is, why others are left out, and whether endpoints see the client's own address. It is computed by the
    code that programs the kernel, from the objects as they are now; `clusterip trace` shows a real packet.

    \b
    Examples:
      clusterip explain service my-service
      clusterip explain svc my-service -n shop --node node-1
      clusterip explain svc my-service -o json | jq '.ports[].rows[]'
    """
    from clusterip.cli.explaining import gather, show

    found = await gather(session, name, nodes)
    if output == "json":
        print_json(found)
    else:
        show(found)
