"""``clusterip proxy``: the node's Service proxy."""

from __future__ import annotations

import sys

import click


@click.command("proxy")
@click.option(
    "--kubeconfig",
    metavar="FILE",
    help="How to reach the API server. Default: $KUBECONFIG, then "
    "~/.kube/config, then the Pod's service account.",
)
@click.option(
    "--hostname-override",
    default="",
    metavar="NAME",
    help="The name of this node's Node object. Default: the host's name.",
)
@click.option(
    "--proxy-mode", default="nftables", show_default=True, metavar="MODE", help="How to program the kernel."
)
@click.option(
    "--cluster-cidr",
    default="",
    metavar="CIDR[,CIDR]",
    help="The Pods' addresses. Connections to ClusterIPs from elsewhere are masqueraded.",
)
@click.option("--masquerade-all", is_flag=True, help="Masquerade all connections to ClusterIPs.")
@click.option(
    "--nodeport-addresses",
    default="",
    metavar="CIDR[,CIDR]|primary",
    help="On which of the node's addresses node ports answer. Default: the Node's InternalIPs.",
)
@click.option(
    "--healthz-bind-address",
    default="0.0.0.0:10256",
    show_default=True,
    metavar="ADDRESS:PORT",
    help='Where to serve /healthz and /livez. "": nowhere.',
)
@click.option(
    "--metrics-bind-address",
    default="127.0.0.1:10249",
    show_default=True,
    metavar="ADDRESS:PORT",
    help='Where to serve /metrics and /proxyMode. "": nowhere.',
)
@click.option("--cleanup", is_flag=True, help="Remove the proxy's rules and end.")
@click.option(
    "-v", "--v", "verbosity", type=int, default=0, metavar="N", help="Log verbosity; 4 shows debug lines."
)
def command(
    kubeconfig: str | None,
    hostname_override: str,
    proxy_mode: str,
    cluster_cidr: str,
    masquerade_all: bool,
    nodeport_addresses: str,
    healthz_bind_address: str,
    metrics_bind_address: str,
    cleanup: bool,
    verbosity: int,
) -> None:
    """Make connections to Services from and through this node reach their endpoints.

    The rules stay when the proxy ends; --cleanup removes them.
    """
    from clusterip import process
    from clusterip.process import log
    from clusterip.proxy.main import main
    from clusterip.proxy.options import Options

    log.setup(verbosity)
    options = Options(
        kubeconfig=kubeconfig,
        hostname_override=hostname_override,
        proxy_mode=proxy_mode,
        cluster_cidr=_listed(cluster_cidr),
        masquerade_all=masquerade_all,
        nodeport_addresses=_listed(nodeport_addresses),
        healthz_bind_address=healthz_bind_address,
        metrics_bind_address=metrics_bind_address,
        cleanup=cleanup,
    )
    sys.exit(process.run(lambda: main(options)))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
