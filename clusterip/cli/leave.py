"""``clusterip leave``: undo what `clusterip agent` or `clusterip server` made of this machine."""

from __future__ import annotations

from pathlib import Path

import click

from clusterip.cli.machine_options import told


@click.command("leave")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, resolve_path=True),
    metavar="DIR",
    help="Of the server or agent. Default: /var/lib/clusterip-agent or /var/lib/clusterip-server.",
)
@told
def command(data_dir: Path | None) -> None:
    """Remove this machine's Pods, routes, rules and files of a cluster of several machines.

    The server or agent must have been ended. A server's store goes too, unless it is an etcd.

    \b
    Example:
      clusterip leave
    """
    from clusterip.cluster.machines.layout import paths_in
    from clusterip.cluster.machines.leaving import data_dir_of, leave

    leave(paths_in(data_dir_of(data_dir)), click.echo)
