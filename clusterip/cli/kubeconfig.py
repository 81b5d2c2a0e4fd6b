"""``clusterip kubeconfig``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterip.cli.cluster_options import cluster_options

if TYPE_CHECKING:
    from clusterip.cluster.paths import Paths


@click.command("kubeconfig")
@cluster_options
def command(name: str, paths: Paths) -> None:
    """Print the administrator's kubeconfig.

    \b
    Example:
      clusterip kubeconfig > ~/.kube/config
    """
    from clusterip.cluster.errors import ClusterError

    try:
        click.echo(paths.admin_kubeconfig.read_text(), nl=False)
    except FileNotFoundError:
        raise ClusterError("there is no cluster: run `clusterip up`") from None
