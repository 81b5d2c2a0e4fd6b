"""``clusterip down``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from clusterip.cli.cluster_options import cluster_options

if TYPE_CHECKING:
    from clusterip.cluster.paths import Paths


@click.command("down")
@click.option("--keep-state", is_flag=True, help="Keep database, certificates and images for the next up.")
@cluster_options
def command(keep_state: bool, name: str, paths: Paths) -> None:
    """Stop the cluster and remove every process, namespace, rule and route it made.

    \b
    Examples:
      clusterip down
      clusterip down --name=lab
    """
    from clusterip.cluster import places

    if not places.is_isolated(paths):
        _down(keep_state, paths)
    elif paths.run.exists() or paths.state.exists():
        sys.exit(places.stop(paths, lambda: _down(keep_state, paths), keep_state=keep_state))
    else:
        click.echo("There is no cluster.")


def _down(keep_state: bool, paths: Paths) -> None:
    from clusterip.cluster.down import down

    result = down(paths, keep_state=keep_state, report=lambda line: click.echo(f"  {line}"))
    for problem in result.problems:
        click.echo(f"clusterip: could not remove {problem}", err=True)
    if result.problems:
        click.echo("clusterip: not everything is gone; run `clusterip down` again", err=True)
        sys.exit(1)
    click.echo("The cluster is gone." if result.found else "There is no cluster.")
