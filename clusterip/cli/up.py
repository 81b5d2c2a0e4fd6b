"""``clusterip up``."""

from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
import sys
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clusterip.cli.cluster_options import cluster_options

if TYPE_CHECKING:
    from clusterip.cluster.isolation import Machine
    from clusterip.cluster.paths import Paths
    from clusterip.cluster.up import Request, Result


class Network(click.ParamType[IPv4Network]):
    """An IPv4 network such as 10.96.0.0/16."""

    name = "network"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> IPv4Network:
        try:
            return IPv4Network(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Networks(click.ParamType[tuple[IPv4Network, IPv6Network | None]]):
    """A network of IPv4, or one and another of IPv6: ``10.96.0.0/16,fd00:96::/112``."""

    name = "network[,network]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[IPv4Network, IPv6Network | None]:
        first, comma, second = str(value).partition(",")
        try:
            return IPv4Network(first), IPv6Network(second) if comma else None
        except ValueError as error:
            self.fail(f"{error}: give a network of IPv4, or one and after a comma one of IPv6", param, ctx)


@click.command("up")
@click.option("--nodes", type=int, help="How many nodes.  [default: 3]")
@click.option("--subnet", type=Network(), help="Addresses of nodes.  [default: a free 172.30.N.0/24]")
@click.option("--cluster-cidr", type=Network(), help="Addresses of Pods.  [default: 10.244.0.0/16]")
@click.option(
    "--service-cluster-ip-range", type=Network(), help="Addresses of Services.  [default: 10.96.0.0/16]"
)
@click.option(
    "--proxy-mode", help="How proxies program the kernel, as of `clusterip proxy`.  [default: nftables]"
)
@click.option(
    "--isolated",
    is_flag=True,
    help="In a machine within the machine, which nothing outside it is changed by. Always so without root.",
)
@click.option(
    "--dual-stack",
    is_flag=True,
    default=None,
    help="IPv6 beside IPv4, for nodes, Pods and Services, in networks of its own.",
)
@click.option("-v", "--v", "verbosity", type=int, default=0, help="How much the parts log.")
@cluster_options
def command(
    nodes: int | None,
    subnet: IPv4Network | None,
    cluster_cidr: IPv4Network | None,
    service_cluster_ip_range: IPv4Network | None,
    proxy_mode: str | None,
    isolated: bool,
    dual_stack: bool | None,
    verbosity: int,
    name: str,
    paths: Paths,
) -> None:
    """Start a cluster on this machine, or see that it runs. Harmless to repeat.

    \b
    Examples:
      clusterip up
      clusterip up --nodes=5 --proxy-mode=ebpf
      clusterip up --name=lab --subnet=172.31.0.0/24 --service-cluster-ip-range=10.97.0.0/16
    """
    from clusterip.cluster import places
    from clusterip.cluster.paths import Paths
    from clusterip.cluster.up import Request

    request = Request(
        name=name,
        nodes=nodes,
        subnet=subnet,
        pod_cidr=cluster_cidr,
        service_cidr=service_cluster_ip_range,
        proxy_mode=proxy_mode,
        dual_stack=dual_stack,
        verbosity=verbosity,
    )
    is_usual = not os.environ.get("CLUSTERIP_STATE_DIR") and paths == Paths.of(name)
    if not isolated and not places.is_isolated(paths):
        _up(request, paths, is_usual)
        return

    def work(machine: Machine) -> None:
        _up(dataclasses.replace(request, isolated=True, api_port=machine.port), paths, is_usual, machine)

    sys.exit(places.start(paths, work))


def _up(request: Request, paths: Paths, is_usual: bool, machine: Machine | None = None) -> None:
    from clusterip.cluster.up import up

    result = up(request, paths, lambda line: click.echo(f"  {line}"))
    verb = "runs already" if result.was_running else "is ready"
    click.echo(f"The cluster {verb} ({result.seconds:.2f} s).\n")
    if machine is not None:
        click.echo(f"{machine.describe()}\n")
    click.echo(f"kubeconfig: {result.paths.admin_kubeconfig}\n")
    click.echo("Try:")
    for line in _next_steps(result, is_usual):
        click.echo(f"  {line}")


def _next_steps(result: Result, is_usual: bool) -> list[str]:
    """What to try; ``is_usual`` if the cluster's files are where they are without being told."""
    program = _program()
    options = [] if result.config.name == "clusterip" else [f"--name={result.config.name}"]
    if result.paths.base is not None and not is_usual:
        options.append(f"--state-dir={result.paths.base}")
    kubectl = "kubectl" if shutil.which("kubectl") else "clusterip"
    return [
        f'eval "$({shlex.join([program, "env", *options])})"',
        f"{kubectl} apply -f {_example()}",
        f"{kubectl} get services,pods -o wide",
        f"{kubectl} exec deploy/my-app -- curl -s http://my-service",
        shlex.join(["clusterip", "status", *options]),
        shlex.join(["clusterip", "down", *options]),
    ]


def _program() -> str:
    """How to call us: by name where the shell finds us, else by path."""
    found = shutil.which("clusterip")
    own = Path(sys.argv[0])
    return "clusterip" if found and own.exists() and Path(found).samefile(own) else str(own)


def _example() -> str:
    """Where the example is: in the package if that is installed, else beside it."""
    package = Path(__file__).parents[1]
    found = [parent / "examples" / "my-service.yaml" for parent in (package, package.parent)]
    path = found[0] if found[0].exists() else found[1]
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
