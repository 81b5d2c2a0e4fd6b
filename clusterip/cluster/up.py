"""``clusterip up``: from nothing, or from whatever is there, to a cluster that works.

What takes long to import is imported where it is used, after the supervisor was started, so that both
processes import at the same time.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from clusterip.cluster import config as configs
from clusterip.cluster import machine, processes
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.errors import ClusterError
from clusterip.cluster.paths import Paths

if TYPE_CHECKING:
    from clusterip.cluster.plan import Plan

_READY_SECONDS = 60.0


@dataclass(frozen=True)
class Request:
    """What a person asked for; None where they left the choice to us."""

    name: str = configs.DEFAULT_NAME
    nodes: int | None = None
    subnet: IPv4Network | None = None
    pod_cidr: IPv4Network | None = None
    service_cidr: IPv4Network | None = None
    proxy_mode: str | None = None
    isolated: bool = False
    dual_stack: bool | None = None
    api_port: int | None = None
    verbosity: int = 0


@dataclass(frozen=True)
class Result:
    config: ClusterConfig
    paths: Paths
    seconds: float
    was_running: bool


def up(request: Request, paths: Paths, report: Callable[[str], None]) -> Result:
    """Bring a cluster up, or see that it is. Harmless to repeat.

    Raises:
        ClusterError: it cannot be done; the text says why and what to do.
    """
    started = time.monotonic()
    machine.require()
    with machine.exclusive(paths.lock):
        was_running = processes.read(paths.processes).is_supervised
        config = _settle(request, paths, was_running)
        # The parts are imported while their network and certificates are made.
        supervisor = None if was_running else _Supervisor(paths)
        try:
            plan = _prepare(config, paths, request.verbosity)
            report(f"network       {config.subnet}, Services {config.service_cidrs}, Pods {config.pod_cidrs}")
            if supervisor:
                supervisor.go()
            _wait(config, paths, plan, report)
        finally:
            if supervisor:
                supervisor.let_go()
    return Result(config, paths, time.monotonic() - started, was_running)


def _settle(request: Request, paths: Paths, was_running: bool) -> ClusterConfig:
    """The cluster's shape: that of the cluster that is there, else the one asked for."""
    asked = {
        key: value
        for key in ("nodes", "subnet", "pod_cidr", "service_cidr", "proxy_mode", "dual_stack", "api_port")
        if (value := getattr(request, key)) is not None
    }
    try:
        existing = configs.decode(paths.config.read_bytes())
    except FileNotFoundError:
        existing = None
    if existing is not None:
        if existing.isolated != request.isolated:
            raise ClusterError(
                f"there is a cluster that is {'' if existing.isolated else 'not '}isolated. "
                "`clusterip down` removes it; then a new one can be otherwise"
            )
        for key, value in asked.items():
            if getattr(existing, key) != value:
                raise ClusterError(
                    f"there is a cluster with {key.replace('_', ' ')} {getattr(existing, key)}, not {value}. "
                    "`clusterip down` removes it; then a new one can be like that"
                )
        return existing
    taken = machine.networks_in_use()
    asked.setdefault("subnet", configs.free_subnet(taken))
    config = ClusterConfig(name=request.name, isolated=request.isolated, **asked)
    config.check()
    if request.isolated and request.proxy_mode == "ebpf":
        raise ClusterError(
            "eBPF programs at sockets are the whole machine's: an isolated cluster takes another --proxy-mode"
        )
    if config.dual_stack and not Path("/proc/sys/net/ipv6").exists():
        raise ClusterError("this kernel has no IPv6: leave --dual-stack out, or boot without ipv6.disable=1")
    if request.proxy_mode is not None:
        _check_mode(request.proxy_mode)
    for network, option in (
        (config.subnet, "--subnet"),
        (config.pod_cidr, "--cluster-cidr"),
        (config.service_cidr, "--service-cluster-ip-range"),
    ):
        for other in taken:
            if network.overlaps(other):
                raise ClusterError(
                    f"this machine has a route to {other}, which overlaps {network}: "
                    f"choose another network with {option}"
                )
    return config


def _check_mode(name: str) -> None:
    from clusterip.proxy import modes

    try:
        missing = modes.get(name).missing()
    except ValueError as error:
        raise ClusterError(str(error)) from None
    if missing:
        raise ClusterError(f"this machine cannot run proxies with --proxy-mode={name}: {missing}")


def _prepare(config: ClusterConfig, paths: Paths, verbosity: int) -> Plan:
    """Make, or complete, all that the processes need."""
    from clusterip.cluster import plan as plans
    from clusterip.cluster import topology
    from clusterip.cluster.certificates import Certificates, wanted
    from clusterip.cluster.journal import Journal
    from clusterip.cluster.kubeconfigs import write_all
    from clusterip.cluster.steps import Workspace

    paths.make()
    paths.config.write_bytes(configs.encode(config))
    certificates = Certificates(paths.pki)
    certificates.ensure(wanted(config))
    write_all(config, paths, certificates)
    with Workspace() as workspace:
        Journal(paths.journal).run(topology.plan(config, machine.uplinks()), workspace)
    parts = processes.read(paths.processes).parts.values()
    if any(part.process.is_alive for part in parts):
        return plans.read(paths.plan)  # what runs keeps running as it was started
    loopback = config.isolated or machine.is_port_free("127.0.0.1", config.api_port)
    plan = plans.plan(config, paths, verbosity=verbosity, loopback=loopback)
    plans.write(paths.plan, plan)
    return plan


def _wait(config: ClusterConfig, paths: Paths, plan: Plan, report: Callable[[str], None]) -> None:
    import asyncio

    from clusterip.cluster import readiness, topology
    from clusterip.cluster.journal import Journal
    from clusterip.cluster.steps import Workspace

    def add_pod_route(node: str, pod_cidr: str) -> None:
        with Workspace() as workspace:
            Journal(paths.journal).run([topology.pod_route(config, node, pod_cidr)], workspace)

    asyncio.run(readiness.wait(config, paths, plan, report, add_pod_route, seconds=_READY_SECONDS))


class _Supervisor:
    """A supervisor that was started and waits to be told to begin. If we die first, it ends."""

    def __init__(self, paths: Paths) -> None:
        paths.make()
        paths.stopping.unlink(missing_ok=True)
        self._paths = paths
        command = [sys.executable, "-m", "clusterip", "supervise"]
        command += [f"--plan={paths.plan}", f"--log-file={paths.log('supervisor')}"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        records = processes.read(paths.processes)
        records.starting = processes.identify(self._process.pid)
        processes.write(paths.processes, records)

    def go(self) -> None:
        records = processes.read(self._paths.processes)
        records.guardian, records.starting = records.starting, None
        processes.write(self._paths.processes, records)
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()

    def let_go(self) -> None:
        """Close our end; it is on its own from here, and not to be waited for."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.returncode = 0  # or Python would warn of a child that nobody waited for
