"""``clusterip agent``: this machine as a node of a cluster of several machines."""

from __future__ import annotations

from pathlib import Path

import click

from clusterip.cli.machine_options import data_dir_option, run_command, told
from clusterip.cli.node import _labels, _list


@click.command("agent")
@data_dir_option("/var/lib/clusterip-agent")
@click.option(
    "--join",
    "servers",
    multiple=True,
    callback=_list,
    metavar="URL,...",
    help="The servers, or one of them: https://ADDRESS:6443.",
)
@click.option("--token", default="", metavar="TOKEN", envvar="CLUSTERIP_TOKEN", help="What lets it join.")
@click.option(
    "--ca-hash", default="", metavar="sha256:HEX", help="Hash of the cluster's CA, to know its servers by."
)
@click.option("--node-name", default="", metavar="NAME", help="Default: the host's name.")
@click.option(
    "--node-ip",
    "addresses",
    multiple=True,
    callback=_list,
    metavar="IP[,IP]",
    help="The node's address, or an IPv4 and an IPv6 one. Default: that by which it reaches the server.",
)
@click.option(
    "--node-labels", callback=_labels, default="", metavar="KEY=VALUE,...", help="The node's labels."
)
@click.option("-v", "--v", "verbosity", type=int, default=0, help="How much the parts log.")
@told
def command(
    data_dir: Path,
    servers: tuple[str, ...],
    token: str,
    ca_hash: str,
    node_name: str,
    addresses: tuple[str, ...],
    node_labels: dict[str, str],
    verbosity: int,
) -> None:
    """Join this machine to a cluster and run its Pods, in the foreground, until told to end.

    `clusterip server` and `clusterip token create` print the command. Once the machine has joined,
    `clusterip agent` without options goes on. Pods go on while no agent runs.

    \b
    Examples:
      clusterip agent --join=https://10.0.0.1:6443 --token=TOKEN
      clusterip agent
    """
    from clusterip.cli.main import load
    from clusterip.cluster.machines.agent import Request, run
    from clusterip.cluster.machines.layout import paths_in
    from clusterip.cluster.zygote import CommandLine
    from clusterip.process import log

    log.setup(verbosity)
    request = Request(
        paths=paths_in(data_dir),
        servers=servers,
        token=token,
        ca_hash=ca_hash,
        node=node_name,
        addresses=addresses,
        labels=node_labels,
        verbosity=verbosity,
    )
    run(request, CommandLine(load, run_command))
