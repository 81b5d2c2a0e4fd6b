"""``clusterip node``: run the Pods of this node."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from clusterip.cli.durations import seconds
from clusterip.node.pressure.policy import ImagePolicy
from clusterip.node.pressure.thresholds import DEFAULT, RESOURCES, InvalidThreshold, Threshold, parse, soften
from clusterip.objects import quantity


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


def _bytes(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    try:
        amount = quantity.whole(text)
    except ValueError:
        amount = 0
    if amount <= 0:
        raise click.BadParameter(f"{text} is not a size such as 10Mi")
    return amount


def _thresholds(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[Threshold, ...]:
    try:
        return parse(text)
    except InvalidThreshold as error:
        raise click.BadParameter(str(error)) from None


def _periods(context: click.Context, parameter: click.Parameter, text: str) -> dict[str, float]:
    found = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        signal, _, duration = each.partition("=")
        if signal not in RESOURCES:
            raise click.BadParameter(f"{each!r} is no SIGNAL=DURATION, of one of: {', '.join(RESOURCES)}")
        found[signal] = seconds(context, parameter, duration)
    return found


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
@click.option(
    "--allowed-unsafe-sysctls",
    multiple=True,
    callback=_list,
    metavar="NAME,...",
    help="Sysctls of their own that Pods may set beside the safe ones; net.core.* stands for many.",
)
@click.option(
    "--container-log-max-size",
    callback=_bytes,
    default="10Mi",
    show_default=True,
    metavar="SIZE",
    help="How large a container's log grows before a new file is begun.",
)
@click.option("--container-log-max-files", type=click.IntRange(2), default=5, show_default=True)
@click.option(
    "--image-gc-high-threshold",
    type=click.IntRange(0, 100),
    default=85,
    show_default=True,
    metavar="PERCENT",
    help="How full the images' disk may be before those go that were pulled and nobody uses. 100: none goes.",
)
@click.option(
    "--image-gc-low-threshold",
    type=click.IntRange(0, 100),
    default=80,
    show_default=True,
    metavar="PERCENT",
    help="How full it is to be after that.",
)
@click.option(
    "--minimum-image-ttl-duration",
    callback=seconds,
    default="2m",
    show_default=True,
    metavar="DURATION",
    help="How long an image stays at least.",
)
@click.option(
    "--eviction-hard",
    callback=_thresholds,
    default=DEFAULT,
    show_default=True,
    metavar="SIGNAL<AMOUNT,...",
    help='What must be left of memory and disks; else Pods have to go. "": they never have to.',
)
@click.option(
    "--eviction-soft",
    callback=_thresholds,
    default="",
    metavar="SIGNAL<AMOUNT,...",
    help="The same, but Pods have to go only once it was so for a while, and may take their time.",
)
@click.option(
    "--eviction-soft-grace-period",
    "soft_periods",
    callback=_periods,
    default="",
    metavar="SIGNAL=DURATION,...",
    help="For each of --eviction-soft: how long.",
)
@click.option(
    "--eviction-max-pod-grace-period",
    "eviction_max_pod_grace_seconds",
    type=click.IntRange(min=0),
    default=0,
    metavar="SECONDS",
    help="How long a Pod may take to end at most, when it has to go by --eviction-soft.",
)
@click.option(
    "--eviction-pressure-transition-period",
    callback=seconds,
    default="5m",
    show_default=True,
    metavar="DURATION",
    help="How long a node counts as short of something after it was.",
)
@click.option(
    "--housekeeping-interval",
    callback=seconds,
    default="10s",
    show_default=True,
    metavar="DURATION",
    help="How often the node looks at what is left.",
)
@click.option("-v", "--v", "verbosity", type=int, default=0, metavar="N", help="4 shows debug lines.")
def command(verbosity: int, **settings: Any) -> None:
    """Register this machine as a node and run the Pods that are assigned to it.

    \b
    Example:
      clusterip node --kubeconfig=/etc/clusterip/node.yaml --node-ip=10.0.0.2 --cluster-dns=10.96.0.10
    """
    from clusterip.node.main import main
    from clusterip.node.options import Options
    from clusterip.node.runtime.logs import LogLimits
    from clusterip.process import log
    from clusterip.process.run import run

    log.setup(verbosity)
    try:
        soft = soften(settings.pop("eviction_soft"), settings.pop("soft_periods"))
    except InvalidThreshold as error:
        raise click.BadParameter(f"{error}: give --eviction-soft-grace-period") from None
    options = Options(
        eviction_soft=soft,
        log_limits=LogLimits(settings.pop("container_log_max_size"), settings.pop("container_log_max_files")),
        images=ImagePolicy(
            settings.pop("image_gc_high_threshold"),
            settings.pop("image_gc_low_threshold"),
            settings.pop("minimum_image_ttl_duration"),
        ),
        pressure_seconds=settings.pop("eviction_pressure_transition_period"),
        housekeeping_seconds=settings.pop("housekeeping_interval"),
        **settings,
    )
    sys.exit(run(lambda: main(options)))


if __name__ == "__main__":
    command()
