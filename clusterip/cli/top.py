"""``clusterip top``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterip.cli.connection import connected

if TYPE_CHECKING:
    from clusterip.cli.connection import Session

_SORTS = ("connections", "bytes", "open", "latency", "name")


@click.command("top")
@click.argument("what", type=click.Choice(["services", "nodes", "dns"]), default="services")
@click.option("--once", is_flag=True, help="Print once and end.")
@click.option("--interval", type=click.FloatRange(1.0), default=2.0, help="Seconds.  [default: 2]")
@click.option("--sort", type=click.Choice(_SORTS), default="connections", help="By which column.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Services of all namespaces.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="json: a line each time."
)
@connected
async def command(
    what: str,
    once: bool,
    interval: float,
    sort: str,
    all_namespaces: bool,
    output: str,
    session: Session,
) -> None:
    """Show live which Services, nodes and DNS servers are busy.

    Services: connections begun and bytes a second, open connections, endpoints, and how long the last change
    took from the proxy to the kernel. The proxies count while this asks, in connection tracking; nothing is
    counted else. Through the API server, so it works from anywhere. End it with Ctrl-C.

    \b
    Examples:
      clusterip top
      clusterip top services -A --sort bytes
      clusterip top nodes --once
      clusterip top dns -o json --interval 10
    """
    from clusterip.cli.topping import Top

    await Top(session, what, sort, all_namespaces=all_namespaces).run(
        interval, once=once, as_json=output == "json"
    )
