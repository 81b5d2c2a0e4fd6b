"""``clusterip node``: run the Pods of this node."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click


def _labels(_context: click.Context, _parameter: click.Parameter, text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{part} is not a label such as zone=a")
        labels[key] = value
    return labels


def _list(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


@click.command("node")
@click.option(
    "--kubeconfig",
    default="",
    metavar="FILE",
    help="How to reach the API server. Default: $KUBECONFIG, then ~/.kube/config.",
)
@click.option(
    "--network-kubeconfig",
    default="",
    metavar="FILE",
    help="How to learn of other nodes' networks, where nodes may not read each other. Default: as above.",
)
@click.option("--hostname-override", default="", metavar="NAME", help="The node's name. Default: the host's.")
@click.option(
    "--node-ip",
    multiple=True,
    callback=_list,
    metavar="IP[,IP]",
    help="The node's address, or an IPv4 and an IPv6 one. Default: that of the default route.",
)
@click.option(
    "--root-dir",
    type=click.Path(path_type=Path, resolve_path=True),
    default="/var/lib/clusterip/node",
    show_default=True,
    metavar="DIR",
    help="Where the node keeps its Pods' files.",
)
@click.option(
    "--image-dir",
    type=click.Path(path_type=Path, resolve_path=True),
    default="/var/lib/clusterip/images",
    show_default=True,
    metavar="DIR",
    help="The image store; nodes of one machine may share it.",
)
@click.option(
    "--cluster-dns",
    multiple=True,
    callback=_list,
    metavar="IP[,IP]",
    help="DNS servers of Pods with dnsPolicy ClusterFirst.",
)
@click.option("--cluster-domain", default="cluster.local", show_default=True, metavar="NAME")
@click.option(
    "--resolv-conf",
    type=click.Path(path_type=Path),
    default="/etc/resolv.conf",
    show_default=True,
    metavar="FILE",
    help="What Pods with dnsPolicy Default use.",
)
@click.option(
    "--address", default="0.0.0.0", show_default=True, metavar="IP", help="Where the kubelet API listens."
)
@click.option("--port", type=click.IntRange(0, 65535), default=10250, show_default=True, help="0: nowhere.")
@click.option(
    "--client-ca-file",
    default="",
    metavar="FILE",
    help="Clients of the kubelet API show a certificate of this CA, or a token that the API server knows.",
)
@click.option("--tls-cert-file", default="", metavar="FILE", help="Default: a self-signed certificate.")
@click.option("--tls-private-key-file", default="", metavar="FILE")
@click.option(
    "--healthz-bind-address",
    default="127.0.0.1:10248",
    show_default=True,
    metavar="ADDRESS:PORT",
    help='Where to serve /healthz, /readyz and /metrics. "0": nowhere.',
)
@click.option(
    "--node-labels",
    callback=_labels,
    default="",
    metavar="KEY=VALUE,...",
    help="Labels the node registers with.",
)
@click.option("--max-pods", type=click.IntRange(0), default=110, show_default=True)
@click.option(
    "--mtu",
    type=click.IntRange(0, 65535),
    default=0,
    help="MTU of Pods' links. 0: what the network between the nodes leaves.",
)
@click.option(
    "--pod-network-mode",
    type=click.Choice(("auto", "host-gw", "vxlan", "none")),
    default="auto",
    show_default=True,
    help="The way to other nodes' Pods: routes by the nodes' own addresses, which need one network "
    "(host-gw); a tunnel (vxlan); the first where it can be, else the second (auto); or none, should "
    "another program see to it.",
)
@click.option(
    "--ip-masq/--no-ip-masq",
    default=True,
    show_default=True,
    help="Give what Pods send out of the Pod network the node's address.",
)
@click.option("--vxlan-vni", type=click.IntRange(1, (1 << 24) - 1), default=4097, show_default=True)
@click.option("--vxlan-port", type=click.IntRange(1, 65535), default=4789, show_default=True)
@click.option(
    "--pod-manifest-path",
    type=click.Path(path_type=Path, resolve_path=True),
    metavar="DIR",
    help="Run the Pods of the files in this directory (static Pods), whether or not there is an API server.",
)
@click.option(
    "--cgroups-per-qos/--no-cgroups-per-qos",
    default=True,
    show_default=True,
    help="Hold Pods to what they ask for and may have, in cgroups, as far as the machine has controllers.",
)
@click.option(
    "--cgroup-root",
    default="",
    metavar="CGROUP",
    help="Below which cgroup Pods get theirs. Default: that in which this command runs.",
)
@click.option("--pod-max-pids", type=int, default=-1, show_default=True, help="Processes of a Pod. -1: any.")
@click.option("-v", "--v", "verbosity", type=int, default=0, metavar="N", help="4 shows debug lines.")
def command(verbosity: int, **settings: Any) -> None:
    """Register this machine as a node and run the Pods that are assigned to it."""
    from clusterip.node.main import main
    from clusterip.node.options import Options
    from clusterip.process import log
    from clusterip.process.run import run

    log.setup(verbosity)
    options = Options(**settings)
    sys.exit(run(lambda: main(options)))


if __name__ == "__main__":
    command()
