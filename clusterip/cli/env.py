"""``clusterip env``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clusterip.cli.cluster_options import cluster_options

if TYPE_CHECKING:
    from clusterip.cluster.paths import Paths


@click.command("env")
@cluster_options
def command(name: str, paths: Paths) -> None:
    """Print shell commands that make kubectl and clusterip use the cluster: eval "$(clusterip env)".

    \b
    Example:
      eval "$(clusterip env)" && kubectl get nodes
    """
    from clusterip.cluster.errors import ClusterError

    if not paths.admin_kubeconfig.exists():
        raise ClusterError("there is no cluster: run `clusterip up`")
    click.echo(f"export KUBECONFIG={shlex.quote(str(paths.admin_kubeconfig))}")
    if name != "clusterip":
        click.echo(f"export CLUSTERIP_NAME={shlex.quote(name)}")
    if paths.base is not None:
        click.echo(f"export CLUSTERIP_STATE_DIR={shlex.quote(str(paths.base))}")
    programs = shlex.quote(str(Path(sys.executable).parent))
    # Last on the path, and only once: the environment's python is not to hide the system's.
    click.echo(f'case ":$PATH:" in *:{programs}:*) ;; *) export PATH="$PATH":{programs} ;; esac')
