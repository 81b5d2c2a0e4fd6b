"""What else on the machine wants the same packets or addresses."""

from __future__ import annotations

import ipaddress
import json
import shutil
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clusterip.cluster import steps
from clusterip.cluster.doctor.findings import Findings
from clusterip.cluster.doctor.patient import Patient
from clusterip.cluster.journal import Journal
from clusterip.kernel.rtnetlink import RouteSocket

_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
_FAMILIES = ("ip", "ip6", "inet")
_CILIUM = ("cilium_host", "cilium_net", "cilium_vxlan")


def check(patient: Patient, found: Findings) -> None:
    ruleset = _nft("list", "ruleset")
    if ruleset is None:
        found.info("firewall rules", "cannot be read: it takes root and the program nft")
    else:
        tables = [item["table"] for item in ruleset if "table" in item]
        chains = [item["chain"] for item in ruleset if "chain" in item]
        _proxies(tables, chains, found)
        _firewalls(tables, chains, found)
    _legacy(found)
    _interfaces(found)
    _ranges(patient, found)


def _proxies(tables: Iterable[Any], chains: Iterable[Any], found: Findings) -> None:
    names = {table["name"] for table in tables}
    held = {(chain["table"], chain["name"]) for chain in chains}
    remedy = "stop it, then remove its rules: clusterip proxy --cleanup --cleanup-kube-proxy"
    own = ("mangle", "CLUSTERIP-PROXY") in held
    clash = False
    if "kube-proxy" in names:
        found.error("kube-proxy", "has a table in nftables here; two proxies undo each other's work", remedy)
        clash = True
    if ("nat", "KUBE-SERVICES") in held and not own:
        found.error("kube-proxy", "has chains in iptables here; two proxies undo each other's work", remedy)
        clash = True
    if not clash:
        found.ok("other proxies", "no kube-proxy has rules here")


def _firewalls(tables: Iterable[Any], chains: Iterable[Any], found: Findings) -> None:
    known = {"firewalld": "firewalld", "ufw": "ufw"}
    names = {table["name"] for table in tables}
    for name, program in known.items():
        if name in names:
            found.warning(
                program,
                "filters packets here; it must let those between nodes, Pods and Services pass",
                "add the nodes', Pods' and Services' ranges to a zone that is trusted:"
                " firewall-cmd --zone=trusted --add-source=RANGE"
                if program == "firewalld"
                else "ufw route allow to RANGE, and ufw allow from RANGE",
            )
    dropping = [
        f"{chain['family']} {chain['table']} {chain['name']}"
        for chain in chains
        if chain.get("policy") == "drop" and chain.get("hook") in ("forward", "input")
        if chain["family"] in _FAMILIES
    ]
    if dropping:
        found.warning(
            "firewall policy",
            f"packets that no rule accepts are dropped by {', '.join(dropping)}",
            "accept those from and to the nodes' and the Pods' ranges, as for Docker:"
            " iptables -I DOCKER-USER -s RANGE -j ACCEPT",
        )
    else:
        found.ok("firewall policy", "no chain of nftables drops what it does not know")


def _legacy(found: Findings) -> None:
    """The older kind of iptables, whose rules nftables does not show."""
    try:
        names = Path("/proc/net/ip_tables_names").read_text().split()
    except OSError:
        return
    program = shutil.which("iptables-legacy", path=_PATH)
    if "filter" not in names or program is None:
        return
    done = subprocess.run([program, "-S", "FORWARD"], capture_output=True, text=True, check=False)
    if "-P FORWARD DROP" in done.stdout:
        found.warning(
            "iptables-legacy",
            "drops forwarded packets that no rule accepts",
            "iptables-legacy -I FORWARD -s RANGE -j ACCEPT, and the same with -d",
        )


def _interfaces(found: Findings) -> None:
    with RouteSocket() as routes:
        names = {link.name for link in routes.links()}
    cilium = [name for name in _CILIUM if name in names]
    if cilium:
        found.warning(
            "cilium",
            f"has interfaces here ({', '.join(cilium)}); it may serve Services itself",
            "set kubeProxyReplacement=false in Cilium, or run no other proxy",
        )


def _ranges(patient: Patient, found: Findings) -> None:
    """Routes and addresses of others within our ranges."""
    config = patient.config
    if config is None:
        return
    own = {(step.destination, step.link) for step in _steps(patient) if isinstance(step, steps.Route)}
    links = {step.link for step in _steps(patient) if isinstance(step, steps.Veth) and not step.namespace}
    clash = False
    with RouteSocket() as routes:
        names = {link.index: link.name for link in routes.links()}
        for route in routes.routes(family=socket.AF_INET):
            network, link = route.destination, names.get(route.link, "")
            if not isinstance(network, ipaddress.IPv4Network) or (str(network), link) in own or link in links:
                continue
            for what, ours in (
                ("Services", config.service_cidr),
                ("Pods", config.pod_cidr),
                ("nodes", config.subnet),
            ):
                if network.overlaps(ours):
                    clash = True
                    found.error(
                        "overlapping ranges",
                        f"this machine has a route to {network} by {link}, within the {what}' {ours}",
                        f"ip route delete {network} dev {link}, or start the cluster with other ranges",
                    )
    if not clash:
        found.ok("ranges", f"no route of others leads into {config.service_cidr} or {config.pod_cidr}")


def _steps(patient: Patient) -> list[Any]:
    try:
        return list(Journal(patient.paths.journal).entries())
    except (OSError, ValueError):
        return []


def _nft(*arguments: str) -> list[Any] | None:
    program = shutil.which("nft", path=_PATH)
    if program is None:
        return None
    # Terse: elements are of no interest, and there may be very many.
    done = subprocess.run([program, "-j", "-t", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    answer: list[Any] = json.loads(done.stdout)["nftables"]
    return answer
