"""``clusterip status``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from clusterip.cli.cluster_options import cluster_options
from clusterip.cli.printing import print_json

if TYPE_CHECKING:
    from clusterip.cluster.paths import Paths
    from clusterip.cluster.status import Status


@click.command("status")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it."
)
@cluster_options
def command(output: str, name: str, paths: Paths) -> None:
    """Say what runs and what is wrong. The exit code is 1 if something is.

    \b
    Examples:
      clusterip status
      watch clusterip status
    """
    from clusterip.cluster import places

    sys.exit(places.visit(paths, lambda: _status(output, name, paths)))


def _status(output: str, name: str, paths: Paths) -> None:
    from clusterip.cluster.status import status

    result = status(name, paths)
    if output == "json":
        print_json(result)
    else:
        _print(result)
    sys.exit(1 if result.problems else 0)


def _print(result: Status) -> None:
    from clusterip.cli.tables import align
    from clusterip.objects.times import human_duration

    if result.parts:
        rows = [["PART", "PID", "MEMORY", "RESTARTS", "UP", "STATUS"]]
        for part in result.parts:
            age = human_duration(time.time() - part.since) if part.pid and part.since else ""
            memory = f"{part.memory / 1e6:.0f} MB" if part.memory else ""
            restarts = str(part.restarts) if part.since else ""
            pid = str(part.pid) if part.pid else ""
            rows.append([part.name, pid, memory, restarts, age, part.problem or "ok"])
        click.echo(align(rows))
        click.echo()
    if result.nodes:
        rows = [["NODE", "ADDRESS", "PODS", "STATUS"]]
        rows += [[n.name, n.address, n.pod_cidr, n.problem or "Ready"] for n in result.nodes]
        click.echo(align(rows))
        click.echo()
    if result.api:
        click.echo(f"API server  {result.api}")
        click.echo(f"kubeconfig  {result.kubeconfig}")
        click.echo(f"memory      {result.memory / 1e6:.0f} MB in all")
    click.echo(f"cluster     {result.name} is {result.state}")
    for problem in result.problems:
        click.echo(f"  {problem}")
