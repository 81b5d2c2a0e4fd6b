"""``clusterip server``: the control plane of a cluster of several machines."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import click

from clusterip.cli.durations import seconds
from clusterip.cli.machine_options import data_dir_option, run_command, told
from clusterip.cli.node import _list
from clusterip.cli.up import Networks


@click.command("server")
@data_dir_option("/var/lib/clusterip-server")
@click.option(
    "--advertise-address",
    default="",
    metavar="IP",
    help="Where other machines reach this server. Default: the address of the default route.",
)
@click.option("--secure-port", type=click.IntRange(1, 65535), default=6443, show_default=True)
@click.option(
    "--tls-san",
    "names",
    multiple=True,
    callback=_list,
    metavar="NAME,...",
    help="Further names and addresses that this server is reached by.",
)
@click.option(
    "--store",
    default="",
    metavar="URL",
    help="Where objects live: etcd://HOST:PORT,... for more than one server. Default: a file of SQLite.",
)
@click.option("--etcd-cafile", default="", metavar="FILE", help="CA to check etcd's certificates with.")
@click.option("--etcd-certfile", default="", metavar="FILE", help="Certificate to show to etcd.")
@click.option("--etcd-keyfile", default="", metavar="FILE", help="Its key.")
@click.option(
    "--pki-from",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="A copy of the first server's DIR/pki (ca.crt, ca.key, sa.key, sa.pub), for a further server.",
)
@click.option(
    "--cluster-cidr",
    type=Networks(),
    default="10.244.0.0/16",
    show_default=True,
    help="Addresses of Pods; of both families: 10.244.0.0/16,fd00:244::/56.",
)
@click.option(
    "--service-cluster-ip-range",
    type=Networks(),
    default="10.96.0.0/16",
    show_default=True,
    help="Addresses of Services; of both families: 10.96.0.0/16,fd00:96::/112.",
)
@click.option("--cluster-domain", default="cluster.local", show_default=True, metavar="NAME")
@click.option("--proxy-mode", default="nftables", show_default=True, help="How nodes' proxies work.")
@click.option(
    "--pod-network-mode",
    type=click.Choice(("auto", "host-gw", "vxlan", "none")),
    default="auto",
    show_default=True,
    help="The way between nodes' Pods, as of `clusterip node`.",
)
@click.option(
    "--node-monitor-grace-period",
    "grace",
    callback=seconds,
    default="40s",
    show_default=True,
    metavar="DURATION",
    help="How long a node may be silent before its Pods get no more connections. Nodes speak every 10 s.",
)
@click.option("-v", "--v", "verbosity", type=int, default=0, help="How much the parts log.")
@told
def command(
    data_dir: Path,
    advertise_address: str,
    secure_port: int,
    names: tuple[str, ...],
    store: str,
    etcd_cafile: str,
    etcd_certfile: str,
    etcd_keyfile: str,
    pki_from: Path | None,
    cluster_cidr: tuple[IPv4Network, IPv6Network | None],
    service_cluster_ip_range: tuple[IPv4Network, IPv6Network | None],
    cluster_domain: str,
    proxy_mode: str,
    pod_network_mode: str,
    grace: float,
    verbosity: int,
) -> None:
    """Run API server and controllers on this machine, in the foreground, until told to end.

    The first time it prints the command by which other machines become nodes.

    \b
    Examples:
      clusterip server
      clusterip server --store=etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379
    """
    from clusterip.cli.main import load
    from clusterip.cluster.machines.layout import paths_in
    from clusterip.cluster.machines.server import Request, run
    from clusterip.cluster.zygote import CommandLine
    from clusterip.member.clusterinfo import Settings
    from clusterip.process import log
    from clusterip.storage.etcd.endpoints import Tls

    log.setup(verbosity)
    if (cluster_cidr[1] is None) != (service_cluster_ip_range[1] is None):
        raise click.UsageError(
            "Pods and Services have the same families: give a network of IPv6 to both --cluster-cidr and "
            "--service-cluster-ip-range, or to neither"
        )
    settings = Settings(
        domain=cluster_domain,
        pod_cidr=cluster_cidr[0],
        pod_cidr_ipv6=cluster_cidr[1],
        service_cidr=service_cluster_ip_range[0],
        service_cidr_ipv6=service_cluster_ip_range[1],
        proxy_mode=proxy_mode,
        pod_network_mode=pod_network_mode,
    )
    request = Request(
        paths=paths_in(data_dir),
        settings=settings,
        address=advertise_address,
        port=secure_port,
        names=names,
        store=store,
        etcd=Tls(etcd_cafile, etcd_certfile, etcd_keyfile),
        pki_from=pki_from,
        grace_seconds=grace,
        verbosity=verbosity,
    )
    run(request, CommandLine(load, run_command))
