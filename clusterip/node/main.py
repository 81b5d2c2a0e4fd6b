"""The node agent: registers the machine as a node and runs the Pods assigned to it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from clusterip.client import config
from clusterip.client.events import EventRecorder
from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.kernel.netlink import NetlinkError
from clusterip.node.cgroups.tree import WANTED, PodCgroups
from clusterip.node.images.store import ImageStore
from clusterip.node.layout import NodeDirectory
from clusterip.node.lease import renew_for_ever
from clusterip.node.network.announce import ANNOUNCED_BY, Announced, Announcer
from clusterip.node.network.bridge import ensure_bridge
from clusterip.node.network.clash import clash
from clusterip.node.network.hostports import HostPorts
from clusterip.node.network.ipam import AddressPools, Network
from clusterip.node.network.peers import Peer
from clusterip.node.network.podnetwork import PodNetwork
from clusterip.node.network.podnetwork import Settings as NetworkSettings
from clusterip.node.network.remembered import remember, remembered
from clusterip.node.options import Options
from clusterip.node.pods.admission import room, sysctls
from clusterip.node.pods.checks import Runtime
from clusterip.node.pods.context import NodeContext
from clusterip.node.pods.manager import PodManager
from clusterip.node.pods.puller import ImagePuller
from clusterip.node.pods.sources import SlimService, Sources
from clusterip.node.pods.static.directory import StaticDirectory
from clusterip.node.pressure.images import ImageCollector
from clusterip.node.pressure.manager import Pressure, PressureManager, state_of
from clusterip.node.register import Registration, find_addresses
from clusterip.node.runtime.inotify import Inotify
from clusterip.node.sandbox.sandbox import Settings
from clusterip.objects.core.node import NODES, Node
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.core.service import SERVICES
from clusterip.process import log
from clusterip.process.health import HealthServer
from clusterip.process.run import Fatal

_log = log.get("node")

_CLASH_SECONDS = 1.0  # how often it is looked whether somebody has mended it


async def main(options: Options) -> None:
    """Run the node agent until cancelled. Pods go on without it.

    Raises:
        Fatal: something that only a person can mend is missing; the message says what.
    """
    crun, version = _find_crun()
    try:
        addresses = find_addresses(options)
    except OSError as error:
        raise Fatal(f"cannot find this node's address ({error}); give it with --node-ip") from error
    for directory in (options.root_dir, options.runtime_root):
        directory.mkdir(parents=True, exist_ok=True)
    try:
        configuration = config.load(options.kubeconfig or None)
        network_configuration = config.load(options.network_kubeconfig or options.kubeconfig or None)
    except config.ConfigError as error:
        raise Fatal(str(error)) from error
    async with Client(configuration) as client, Client(network_configuration) as network:
        registration = Registration(client, options, addresses, version)
        runtime = Runtime(crun, options.runtime_root)
        await _Agent(options, client, network, registration, runtime, addresses).run()


class _Agent:
    """All the parts of a node agent, put together."""

    def __init__(
        self,
        options: Options,
        client: Client,
        network: Client,
        registration: Registration,
        runtime: Runtime,
        addresses: list[str],
    ) -> None:
        self._options = options
        self._client = client
        self._registration = registration
        name = registration.name
        # Where somebody else sees to the rest, the node's own Pod network is all it needs to know.
        own = f"metadata.name={name}" if options.pod_network_mode == "none" else ""
        self._nodes: Informer[Peer] = Informer(network, NODES, Peer, field_selector=own)
        self._nodes.on_change(self._still_here)
        self._services: Informer[SlimService] = Informer(client, SERVICES, SlimService)
        self._services.add_index("namespace", lambda service: [service.metadata.namespace])
        self._pods: Informer[Pod] = Informer(client, PODS, field_selector=f"spec.nodeName={name}")
        self._announced: Informer[Announced] = Informer(
            client, SERVICES, Announced, label_selector=f"{ANNOUNCED_BY}={name}"
        )
        self._events = EventRecorder(client, "kubelet", name)
        images = ImageStore(options.image_dir)
        self._context = NodeContext(
            name=name,
            addresses=addresses,
            directory=NodeDirectory(options.root_dir),
            client=client,
            events=self._events,
            images=images,
            puller=ImagePuller(images),
            sources=Sources(client, self._services),
            runtime=runtime,
            inotify=_inotify(),
            pools=AddressPools([]),
            sandboxes=Settings(
                node_name=name,
                cluster_dns=options.cluster_dns,
                cluster_domain=options.cluster_domain,
                resolv_conf=options.resolv_conf,
                mtu=options.mtu,
            ),
            host_ports=HostPorts(),
            hidden=options.hidden_dirs,
            cgroups=PodCgroups(options.cgroup_root, enabled=options.cgroups_per_qos),
            max_processes=options.pod_max_pids if options.pod_max_pids > 0 else None,
            logs=options.log_limits,
            allocatable=registration.allocatable(),
        )
        self._manager = PodManager(self._context, self._pods)
        self._pressure = Pressure(options.pressure_seconds, self._pressure_changed)
        self._context.admission = (
            self._pressure.refuses,
            sysctls(options.allowed_unsafe_sysctls),
            room(self._context.allocatable, self._manager.beside),
        )
        self._reporting: asyncio.Task[None] | None = None
        path = options.pod_manifest_path
        self._static = StaticDirectory(path, name, self._bad_manifest) if path else None

    async def run(self) -> None:
        health = self._health()
        if self._options.healthz_bind_address:
            await health.start(self._options.healthz_bind_address)
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._serve(tasks, health)
                self._manager.prepare(self._static)
                if self._static is not None:
                    cidrs = remembered(self._options.root_dir)
                    if cidrs and not clash([ip_network(cidr) for cidr in cidrs]):
                        self._open_network(cidrs)
                    tasks.create_task(self._manager.run_static(self._static))
                node = await self._registration.register()
                self._say_what_is_not_enforced(node)
                for work in (
                    renew_for_ever(self._client, node),
                    self._events.run(),
                    self._nodes.run(),
                    self._services.run(),
                    self._pods.run(),
                    self._announced.run(),
                ):
                    tasks.create_task(work)
                await self._set_up_network(tasks)
                await self._services.synced.wait()
                # Not before: a node that is back must not be told unready for the blink it needs to see so.
                self._registration.network_ready()
                self._report_node(tasks)
                tasks.create_task(self._manager.run())
                tasks.create_task(self._housekeeping().run())
                tasks.create_task(Announcer(self._announced, self._context.addresses).run())
                _log.info("ready", node=self._registration.name)
        finally:
            await health.close()

    async def _serve(self, tasks: asyncio.TaskGroup, health: HealthServer) -> None:
        if not self._options.port:
            return
        from clusterip.node.server.main import KubeletServer

        server = KubeletServer(self._options, self._context, self._manager, health)
        await server.start()
        tasks.create_task(server.run())

    async def _set_up_network(self, tasks: asyncio.TaskGroup) -> None:
        """Wait for the node's podCIDR, then make the bridge and the ways to other nodes."""
        found = asyncio.get_running_loop().create_future()

        def look(_old: Peer | None, node: Peer | None) -> None:
            if node is None or node.metadata.name != self._registration.name or found.done():
                return
            cidrs = node.spec.podCIDRs or [node.spec.podCIDR]
            if cidrs[0]:
                found.set_result(cidrs)

        self._nodes.on_change(look)
        cidrs: list[str] = await found
        await self._until_free(tasks, cidrs)
        networks = self._open_network(cidrs)
        if self._options.pod_network_mode != "none":
            await self._nodes.synced.wait()  # or the routes that are there would go, to come back at once
            network = self._network(networks)
            network.sync()
            tasks.create_task(network.run())
        remember(self._options.root_dir, cidrs)
        _log.info("network ready", podCIDRs=",".join(cidrs))

    def _still_here(self, _old: Peer | None, node: Peer | None) -> None:
        """Who is back after a while away is not unready until the next ordinary report."""
        if node is not None and node.metadata.name == self._registration.name and node.is_given_up:
            self._registration.given_up()

    async def _until_free(self, tasks: asyncio.TaskGroup, cidrs: list[str]) -> None:
        """Wait for as long as the machine is itself in the network that Pods are to have, and say so."""
        told = ""
        while problem := clash([ip_network(cidr) for cidr in cidrs]):
            if problem != told:
                told = problem
                _log.error("no network for pods", problem=problem)
                node = ObjectReference(kind="Node", name=self._context.name, uid=self._context.name)
                message = f"{problem}; give the cluster another range, or the machine another address"
                self._events.event(node, "Warning", "PodCIDRClash", message)
                self._registration.network_ready(f"container network is not ready: {problem}")
                self._report_node(tasks)
            await asyncio.sleep(_CLASH_SECONDS)

    def _report_node(self, tasks: asyncio.TaskGroup) -> None:
        """Keep the Node's status from now on."""
        if self._reporting is None:
            self._reporting = tasks.create_task(self._registration.run())

    def _open_network(self, cidrs: list[str]) -> list[Network]:
        """Let Pods have addresses of these podCIDRs. Raises Fatal."""
        networks = [ip_network(cidr) for cidr in cidrs]
        if networks == [pool.network for pool in self._context.pools.pools]:
            return networks
        try:
            ensure_bridge(networks, mtu=self._options.mtu)
        except NetlinkError as error:
            raise Fatal(f"cannot make the Pods' bridge: {error.message}") from error
        self._context.pools = AddressPools(networks)
        self._manager.reserve_addresses()
        return networks

    def _say_what_is_not_enforced(self, node: Node) -> None:
        if not self._options.cgroups_per_qos:
            return
        for name, why in self._context.cgroups.missing.items():
            message = f"{WANTED.get(name, name)} of Pods are not enforced: {why}"
            _log.warning("no cgroup controller", controller=name, problem=message)
            self._events.event(node, "Warning", "CgroupControllerMissing", message)

    def _housekeeping(self) -> PressureManager:
        options, context = self._options, self._context
        return PressureManager(
            node=context.name,
            root=options.root_dir,
            thresholds=(*options.eviction_hard, *options.eviction_soft),
            soft_grace=options.eviction_max_pod_grace_seconds,
            pressure=self._pressure,
            images=ImageCollector(context.images, options.images, self._manager.images),
            image_directory=options.image_dir,
            pods=self._manager,
            events=self._events,
            interval=options.housekeeping_seconds,
        )

    def _pressure_changed(self, condition: str, holds: bool) -> None:
        self._registration.under_pressure(condition, holds)
        node = ObjectReference(kind="Node", name=self._context.name, uid=self._context.name)
        reason = state_of(condition, holds)
        self._events.event(node, "Normal", reason, f"Node {node.name} status is now: {reason}")

    def _bad_manifest(self, path: Path, problem: str) -> None:
        _log.error("no static pod made of a file", file=str(path), problem=problem)
        node = ObjectReference(kind="Node", name=self._context.name, uid=self._context.name)
        self._events.event(node, "Warning", "InvalidStaticPod", f"{path}: {problem}")

    def _network(self, networks: list[Network]) -> PodNetwork:
        options, context = self._options, self._context

        def set_mtu(mtu: int) -> None:
            # For Pods to come; those that are there are told by the kernel what is too big for a way.
            context.sandboxes = replace(context.sandboxes, mtu=mtu)

        settings = NetworkSettings(
            name=context.name,
            mode=options.pod_network_mode,
            networks=networks,
            addresses=context.addresses,
            masquerades=options.ip_masq,
            mtu=options.mtu,
            vni=options.vxlan_vni,
            port=options.vxlan_port,
        )
        return PodNetwork(settings, self._nodes, self._registration.annotate, set_mtu)

    def _health(self) -> HealthServer:
        health = HealthServer("node")

        def following(informer: Informer[Any]) -> str | None:
            if informer.connected:
                return None
            return informer.last_error or "not connected to the API server yet"

        health.add_check("ping", lambda: None)
        health.ready_check("pods", lambda: following(self._pods))
        health.ready_check("services", lambda: following(self._services))
        return health


def _inotify() -> Inotify:
    try:
        return Inotify()
    except OSError as error:
        raise Fatal(
            f"files cannot be followed ({error}); allow more: sysctl fs.inotify.max_user_instances=1024"
        ) from error


def _find_crun() -> tuple[str, str]:
    """Where crun is, and its name and version as a Node shows them."""
    path = shutil.which("crun")
    if path is None:
        raise Fatal("crun is not installed; it runs the containers. On Debian: apt install crun")
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    words = shown.split()
    return path, f"crun://{words[2] if len(words) > 2 else 'unknown'}"
