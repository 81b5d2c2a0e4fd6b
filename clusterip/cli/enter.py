"""``clusterip enter``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from clusterip.cli.cluster_options import cluster_options

if TYPE_CHECKING:
    from clusterip.cluster.paths import Paths


@click.command("enter", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--node", help="On that node, instead of on the machine that the nodes are connected to.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@cluster_options
def command(node: str | None, arguments: tuple[str, ...], name: str, paths: Paths) -> None:
    """Run a command (or a shell) where the cluster's Services are reachable.

    That is its machine, which without root or with `up --isolated` is a machine within this one; or one of
    its nodes. It sees this machine's files.

    \b
    Examples:
      clusterip enter -- curl http://10.96.0.100
      clusterip enter --node=node-2 -- nft list ruleset
    """
    from clusterip.cluster import places

    line = list(arguments) or [os.environ.get("SHELL") or "/bin/sh"]
    sys.exit(places.visit(paths, lambda: _run(line, node, name, paths)))


def _run(line: list[str], node: str | None, name: str, paths: Paths) -> None:
    from clusterip.cluster import config as configs
    from clusterip.cluster.errors import ClusterError
    from clusterip.kernel import namespaces

    try:
        config = configs.decode(paths.config.read_bytes())
    except FileNotFoundError:
        raise ClusterError("there is no cluster: run `clusterip up`") from None
    if node is not None:
        if node not in config.node_names:
            raise ClusterError(f"there is no node {node!r}, only {', '.join(config.node_names)}")
        namespaces.join(namespaces.path_of(config.namespace_of(node)))
    os.environ.setdefault("KUBECONFIG", str(paths.admin_kubeconfig))
    os.environ["CLUSTERIP_NAME"] = name
    if paths.base is not None:
        os.environ["CLUSTERIP_STATE_DIR"] = str(paths.base)
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    sys.stdout.flush()
    try:
        os.execvp(line[0], line)
    except OSError as error:
        click.echo(f"clusterip: {line[0]}: {error.strerror}", err=True)
        sys.exit(127)
