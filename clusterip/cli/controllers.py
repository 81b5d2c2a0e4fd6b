"""``clusterip controllers``: run the controllers and the scheduler."""

from __future__ import annotations

import sys
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any, TextIO

import click

from clusterip.cli.durations import seconds

if TYPE_CHECKING:
    from clusterip.controllers.certificates.authority import Authority
    from clusterip.controllers.leaderelection.settings import LeaderElection


def _networks(
    _context: click.Context, parameter: click.Parameter, text: str
) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        networks = tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if len({network.version for network in networks}) != len(networks):
        raise click.BadParameter(f"{text} has two networks of one family; at most one IPv4 and one IPv6")
    return networks


def _seconds_or_none(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    return None if text is None else seconds(context, parameter, text)


def _names(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@click.command("controllers")
@click.option(
    "--kubeconfig",
    default="",
    metavar="FILE",
    help="How to reach the API server. Default: $KUBECONFIG, then ~/.kube/config, then the Pod's "
    "service account.",
)
@click.option(
    "--controllers",
    callback=_names,
    default="*",
    show_default=True,
    metavar="NAMES",
    help="Which to run: '*' for all, 'name' for one, '-name' for all but one; separated by commas.",
)
@click.option(
    "--cluster-cidr",
    "cluster_cidrs",
    callback=_networks,
    default="10.244.0.0/16",
    show_default=True,
    metavar="CIDRS",
    help="Networks that nodes get their Pod networks from: one, or an IPv4 and an IPv6 one.",
)
@click.option("--allocate-node-cidrs/--no-allocate-node-cidrs", default=True, help="Give nodes Pod networks.")
@click.option(
    "--node-cidr-mask-size", type=click.IntRange(1, 128), help="Prefix length of a node's Pod network."
)
@click.option("--node-cidr-mask-size-ipv4", type=click.IntRange(1, 32), default=24, show_default=True)
@click.option("--node-cidr-mask-size-ipv6", type=click.IntRange(1, 128), default=64, show_default=True)
@click.option(
    "--service-cluster-ip-range",
    "service_cluster_ip_ranges",
    callback=_networks,
    default="",
    metavar="CIDRS",
    help="Networks of ClusterIPs, which no node gets.",
)
@click.option("--max-endpoints-per-slice", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.option(
    "--endpointslice-updates-batch-period",
    callback=_seconds_or_none,
    metavar="DURATION",
    help="How long changes of Pods are collected before a Service's EndpointSlices are written. "
    "Default: not at all for up to 100 Pods, 500ms for 1,000 and more, and in between.",
)
@click.option(
    "--endpoint-updates-batch-period",
    callback=_seconds_or_none,
    metavar="DURATION",
    help="The same for Endpoints.",
)
@click.option(
    "--node-monitor-grace-period",
    callback=seconds,
    default="40s",
    show_default=True,
    metavar="DURATION",
    help="How long a node may be silent before it counts as gone.",
)
@click.option("--terminated-pod-gc-threshold", type=int, default=12500, show_default=True)
@click.option(
    "--root-ca-file",
    type=click.File(encoding="ascii"),
    help="CA that Pods check the API server with. Default: the kubeconfig's.",
)
@click.option(
    "--service-account-private-key-file",
    default="",
    metavar="FILE",
    help="Key that signs the service account tokens in Secrets. Default: none are made.",
)
@click.option(
    "--cluster-signing-cert-file",
    default="",
    metavar="FILE",
    help="CA that signs requests for certificates. Default: nobody does.",
)
@click.option("--cluster-signing-key-file", default="", metavar="FILE", help="Its key.")
@click.option(
    "--cluster-signing-duration",
    callback=seconds,
    default="8760h",
    show_default=True,
    metavar="DURATION",
    help="How long what it signs is good at most.",
)
@click.option(
    "--leader-elect",
    type=bool,
    is_flag=False,
    flag_value=True,
    default=True,
    show_default=True,
    help="Work only while this process leads, if several run; the Lease says which one does.",
)
@click.option(
    "--leader-elect-lease-duration",
    callback=seconds,
    default="15s",
    show_default=True,
    metavar="DURATION",
    help="How long the leader may be silent before another one takes over.",
)
@click.option(
    "--leader-elect-renew-deadline",
    callback=seconds,
    default="10s",
    show_default=True,
    metavar="DURATION",
    help="How long the leader tries to renew the Lease before it stops.",
)
@click.option(
    "--leader-elect-retry-period",
    callback=seconds,
    default="2s",
    show_default=True,
    metavar="DURATION",
    help="The time between two tries to take or renew the Lease.",
)
@click.option(
    "--leader-elect-resource-lock",
    type=click.Choice(["leases"]),
    default="leases",
    show_default=True,
    expose_value=False,
    help="What kind of object the lock is.",
)
@click.option(
    "--leader-elect-resource-name",
    default="kube-controller-manager",
    show_default=True,
    metavar="NAME",
    help="The Lease's name.",
)
@click.option(
    "--leader-elect-resource-namespace",
    default="kube-system",
    show_default=True,
    metavar="NAMESPACE",
    help="The Lease's namespace.",
)
@click.option("--healthz-bind-address", default="127.0.0.1:10257", show_default=True, metavar="HOST:PORT")
@click.option("--metrics-bind-address", default="", metavar="HOST:PORT", help="Serve metrics here as well.")
@click.option("-v", "--v", "verbosity", type=int, default=0, help="Log verbosity; 4 shows each sync.")
def command(
    verbosity: int,
    node_cidr_mask_size: int | None,
    node_cidr_mask_size_ipv4: int,
    node_cidr_mask_size_ipv6: int,
    root_ca_file: TextIO | None,
    leader_elect: bool,
    service_account_private_key_file: str,
    cluster_signing_cert_file: str,
    cluster_signing_key_file: str,
    cluster_signing_duration: float,
    **settings: Any,
) -> None:
    """Run the controllers and the scheduler.

    \b
    Examples:
      clusterip controllers --kubeconfig=/etc/clusterip/controllers.yaml --leader-elect=true
      clusterip controllers --controllers=endpointslice,endpoints
    """
    from clusterip.controllers.main import main
    from clusterip.controllers.options import Options
    from clusterip.process import jwt, log, run

    sizes = (node_cidr_mask_size_ipv4, node_cidr_mask_size_ipv6)
    if node_cidr_mask_size is not None:
        if len(settings["cluster_cidrs"]) > 1:
            raise click.UsageError(
                "--node-cidr-mask-size is for one family; "
                "use --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6"
            )
        sizes = (node_cidr_mask_size, node_cidr_mask_size)
    for network in settings["cluster_cidrs"]:
        size = sizes[0] if network.version == 4 else sizes[1]
        if not network.prefixlen <= size <= network.max_prefixlen:
            raise click.UsageError(f"no network of /{size} fits into --cluster-cidr {network}")
        if size - network.prefixlen > 16:
            raise click.UsageError(
                f"--cluster-cidr {network} has too many networks of /{size}: 65536 at most"
            )
    election = _election(settings)
    log.setup(verbosity)
    root_ca = root_ca_file.read() if root_ca_file is not None else ""
    signer = None
    if service_account_private_key_file:
        try:
            signer = jwt.Signer(jwt.read_private(service_account_private_key_file))
        except jwt.BadKey as error:
            raise click.UsageError(f"--service-account-private-key-file: {error}") from None
    authority = _authority(cluster_signing_cert_file, cluster_signing_key_file, cluster_signing_duration)
    options = Options(
        node_cidr_mask_sizes=sizes,
        root_ca=root_ca,
        token_signer=signer,
        signing_authority=authority,
        leader_election=election if leader_elect else None,
        **settings,
    )
    sys.exit(run(lambda: main(options)))


def _authority(certificate: str, key: str, seconds: float) -> Authority | None:
    from clusterip.controllers.certificates.authority import Authority, BadAuthority

    if bool(certificate) != bool(key):
        raise click.UsageError("--cluster-signing-cert-file and --cluster-signing-key-file go together")
    if not certificate:
        return None
    try:
        return Authority.read(certificate, key, timedelta(seconds=seconds))
    except BadAuthority as error:
        raise click.UsageError(f"--cluster-signing-cert-file: {error}") from None


def _election(settings: dict[str, Any]) -> LeaderElection:
    """Take the settings that are about leader election out of all settings."""
    from clusterip.controllers.leaderelection.settings import LeaderElection

    start = "leader_elect_"
    own = {name.removeprefix(start): settings.pop(name) for name in list(settings) if name.startswith(start)}
    try:
        return LeaderElection(**own)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


if __name__ == "__main__":
    command()
