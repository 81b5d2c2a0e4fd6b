"""``clusterip dns``: the DNS server."""

from __future__ import annotations

import sys
from typing import Any

import click

from clusterip.cli.dns_options import check, server_options


@click.command("dns")
@click.option(
    "--kubeconfig",
    metavar="FILE",
    help="How to reach the API server. Default: $KUBECONFIG, then "
    "~/.kube/config, then the Pod's service account.",
)
@click.option(
    "--conf",
    "-conf",
    metavar="COREFILE|FILE.yaml",
    help="A configuration as CoreDNS has it, or the same as YAML. Beside it only --kubeconfig, --dns.port, "
    "--max-udp-size, --rate-limit, --server-id, --cookie-secret, --workers, --local-interface and -v count.",
)
@click.option(
    "--dns.port",
    "-dns.port",
    "port",
    type=click.IntRange(1, 65535),
    default=53,
    show_default=True,
    metavar="PORT",
    help="The port of those zones in --conf that name none.",
)
@click.option(
    "--bind",
    multiple=True,
    default=(":53",),
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where to answer over UDP and TCP. May be repeated.",
)
@click.option(
    "--cluster-domain",
    default="cluster.local",
    show_default=True,
    metavar="NAME",
    help="The domain of the cluster's names.",
)
@click.option(
    "--forward",
    multiple=True,
    default=("/etc/resolv.conf",),
    show_default=True,
    metavar="ADDRESS[:PORT]|FILE",
    help="Name servers to ask for all other names, in order, or a file "
    'that lists them. May be repeated. "none" refuses all other names.',
)
@click.option(
    "--ttl",
    type=click.IntRange(0, 3600),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="How long a client may keep an answer about the cluster.",
)
@click.option(
    "--max-udp-size",
    type=click.IntRange(512, 4096),
    default=1232,
    show_default=True,
    metavar="BYTES",
    help="The largest answer over UDP; longer ones are asked again over TCP.",
)
@click.option(
    "--healthz-bind-address",
    default=":8080",
    show_default=True,
    metavar="ADDRESS:PORT",
    help='Where to serve /healthz, /readyz, /health and /ready. "0": nowhere.',
)
@click.option(
    "--metrics-bind-address",
    default=":9153",
    show_default=True,
    metavar="ADDRESS:PORT",
    help='Where to serve /metrics. "0": nowhere.',
)
@click.option(
    "-v", "--v", "verbosity", type=int, default=0, metavar="N", help="Log verbosity; 4 shows debug lines."
)
@server_options
def command(
    kubeconfig: str | None,
    conf: str | None,
    port: int,
    bind: tuple[str, ...],
    cluster_domain: str,
    forward: tuple[str, ...],
    ttl: int,
    max_udp_size: int,
    healthz_bind_address: str,
    metrics_bind_address: str,
    verbosity: int,
    **server: Any,
) -> None:
    """Answer DNS questions about Services and Pods, and forward all others.

    \b
    Examples:
      clusterip dns --kubeconfig=/etc/clusterip/dns.yaml --bind=10.96.0.10:53 --forward=/etc/resolv.conf
      clusterip dns --conf=/etc/coredns/Corefile
    """
    from clusterip.dns.options import Options
    from clusterip.dns.serve import serve
    from clusterip.process import log

    check(server)
    log.setup(verbosity)
    options = Options(
        kubeconfig=kubeconfig,
        conf=conf,
        port=port,
        bind=bind,
        cluster_domain=cluster_domain,
        forward=tuple(element for element in forward if element != "none"),
        ttl=ttl,
        max_udp_size=max_udp_size,
        healthz_bind_address=healthz_bind_address,
        metrics_bind_address=metrics_bind_address,
        **server,
    )
    sys.exit(serve(options))
