"""``clusterip leave``: the machine as it was before it was a server or a node."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from clusterip.cluster import leftovers, machine, processes
from clusterip.cluster.errors import ClusterError
from clusterip.cluster.machines import foreground, layout, units
from clusterip.cluster.paths import Paths
from clusterip.kernel.nftables import Family
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.member import state
from clusterip.node.network import hostports, masquerade
from clusterip.node.network.bridge import BRIDGE
from clusterip.node.network.podnetwork import ROUTE_PROTOCOL
from clusterip.node.network.vxlan import DEVICE


def leave(paths: Paths, report: Callable[[str], None]) -> None:
    """End what still runs, remove Pods, routes, rules, files and systemd's unit. Harmless where there is
    nothing.

    Raises:
        ClusterError: a server or an agent that systemd did not start runs with these files; or something
            could not be removed.
    """
    machine.require_root()
    uninstalled = units.uninstall(paths.state)
    for line in uninstalled:
        report(line)
    if not paths.state.exists():
        if not uninstalled:
            report(f"there is nothing in {paths.state}")
        return
    paths.run.mkdir(exist_ok=True)
    role = "server" if (paths.pki / "ca.key").exists() else "agent"
    with foreground.alone(paths.lock, f"`clusterip {role}` runs with {paths.state}: end it first"):
        processes.end(processes.read(paths.processes).alive)
        membership = state.read(layout.membership(paths))
        if role == "agent":
            pods = leftovers.remove_pods(paths)
            report(f"removed {pods} Pods")
            _remove_rules()
            _remove_links()
            report("removed its routes, rules and links")
        shutil.rmtree(paths.state)
        report(f"removed {paths.state}")
    if membership is not None:
        report(f"On a server, `kubectl delete node {membership.node}` makes the cluster forget it.")


def _remove_rules() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "clusterip", "proxy", "--cleanup"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ClusterError(f"the proxy's rules could not be removed: {done.stderr.strip()}")
    for family in (Family.IPV4, Family.IPV6):
        hostports.remove(family)
        masquerade.remove(family)


def _remove_links() -> None:
    with RouteSocket() as routes:
        for route in routes.routes():
            if route.protocol == ROUTE_PROTOCOL and route.destination is not None:
                routes.delete_route(route.destination, gateway=route.gateway)
        for name in (DEVICE, BRIDGE):
            if any(link.name == name for link in routes.links()):
                routes.delete_link(name)


def data_dir_of(given: Path | None) -> Path:
    """The directory that is meant where none is given: that of the agent, or else of the server, if there is
    one of them.

    Raises:
        ClusterError: there are both.
    """
    if given is not None:
        return given
    found = [path for path in map(Path, (layout.AGENT_DIRECTORY, layout.SERVER_DIRECTORY)) if path.exists()]
    if len(found) > 1:
        raise ClusterError(f"there are {found[0]} and {found[1]}: say which is meant, with --data-dir")
    return found[0] if found else Path(layout.AGENT_DIRECTORY)
