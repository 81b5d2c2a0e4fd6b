"""The proxy as a process: what it sets, opens, runs and closes."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from clusterip.client.config import Config, ConfigError, load
from clusterip.client.events import EventRecorder
from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.kernel.namespaces import read_sysctl
from clusterip.kernel.nftables import Family
from clusterip.objects.core.node import NODES
from clusterip.objects.core.references import ObjectReference
from clusterip.process import Fatal, log
from clusterip.process.filewatch import FileWatch
from clusterip.process.memory import give_back
from clusterip.proxy import metrics, modes, sysctls, wire
from clusterip.proxy.backend import BackendError, BackendOptions, IpvsOptions
from clusterip.proxy.cleanup import clean_up, clean_up_kube_proxy
from clusterip.proxy.component import Component
from clusterip.proxy.config import ConfigurationError, KubeProxyConfiguration
from clusterip.proxy.config.file import write
from clusterip.proxy.config.types import IPVS
from clusterip.proxy.detection import LocalDetection
from clusterip.proxy.health import Health
from clusterip.proxy.model import ServiceKey
from clusterip.proxy.nodes import NodePortAddresses, own_ranges
from clusterip.proxy.options import Options
from clusterip.proxy.programming import Programming
from clusterip.proxy.servicespage import ServicesPage
from clusterip.proxy.serving import Serving
from clusterip.proxy.sync import Sync
from clusterip.proxy.tracker import Tracker
from clusterip.proxy.traffic import Traffic

_log = log.get("proxy")

_COMPONENT = "kube-proxy"  # whose Events these are, for everybody who looks for them


async def main(options: Options) -> None:
    """Keep the rules of this node as the API server wants them, until cancelled. The rules stay then.

    Raises:
        Fatal: a setting cannot be used, the kernel cannot do it, or the settings have changed.
    """
    for warning in options.warnings:
        _log.warning(warning)
    config = options.config
    if options.write_config_to:
        try:
            write(config, options.write_config_to)
        except ConfigurationError as error:
            raise Fatal(str(error)) from None
        _log.info("wrote the configuration", file=options.write_config_to)
        return
    if options.cleanup:
        clean_up(modes.whole(options.cleanup_modes))
        if options.cleanup_kube_proxy:
            clean_up_kube_proxy()
        return
    if options.init_only:
        for refused in sysctls.apply(config.conntrack):
            _log.warning("cannot change a kernel setting", setting=str(refused))
        return
    api = _api(config, options.master)
    _set_oom_score(config.oomScoreAdj)
    host = urlsplit(api.server).netloc
    async with Client(api) as client:
        client.answered = lambda method, code: metrics.api_requests.labels(code, method, host).inc()
        await _Process(options, client).run()


class _Process:
    """What runs as long as the proxy does."""

    def __init__(self, options: Options, client: Client) -> None:
        self._options = options
        self._config = options.config
        self._client = client
        self._node_name = (self._config.hostnameOverride or socket.gethostname()).strip().lower()
        self._recorder = EventRecorder(client, _COMPONENT, self._node_name)
        self._serving = Serving(self._config, self._node_event, self._recorder.sent)

    async def run(self) -> None:
        nodes = Informer(self._client, NODES, wire.Node, field_selector=f"metadata.name={self._node_name}")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run())
            group.create_task(self._serving.run())
            group.create_task(_until_changed(self._options.config_file))
            refused = self._set_sysctls()
            self._node_event("Normal", "Starting", "")
            detection = LocalDetection(self._config, self._node_name)
            nodes.on_change(detection.node_changed)
            group.create_task(nodes.run())
            sync = await self._open(detection)
            try:
                group.create_task(self._once_synced(sync, refused))
                await self._follow(sync, nodes)
            finally:
                sync.close()

    async def _open(self, detection: LocalDetection) -> Sync:
        families = _families()
        metrics.families = tuple(map(metrics.label_of, families))
        addresses = NodePortAddresses(self._config.nodePortAddresses or ())
        with_nftables = self._config.mode in ("nftables", "ebpf")
        section = self._config.nftables if with_nftables else self._config.iptables
        options = BackendOptions(
            await detection.pods(),
            families=frozenset(families),
            masquerade_all=section.masqueradeAll,
            masquerade_bit=section.masqueradeBit or 0,
            all_node_addresses=addresses.everywhere,
            localhost_node_ports=bool(self._config.iptables.localhostNodePorts),
            ipvs=_ipvs(self._config.ipvs),
            cgroup=Path(self._options.ebpf_cgroup) if self._options.ebpf_cgroup else None,
        )
        try:
            return Sync(Tracker(self._node_name), modes.get(self._config.mode).open(options))
        except BackendError as error:
            raise Fatal(str(error)) from None

    async def _follow(self, sync: Sync, nodes: Informer[wire.Node]) -> None:
        health = Health(sync, 2 * self._config.section.syncPeriod.seconds, _families())
        mode = self._config.mode
        traffic = Traffic(
            sync.tracker.states,
            lambda: own_ranges(health.node),
            at_sockets=mode == "ebpf",
            translates=mode != "ipvs",
        )
        sync.on_written(lambda _: traffic.changed())
        sync.on_trouble(lambda reason, message: self._node_event("Warning", reason, message))
        self._serving.show(health, sync, ServicesPage(mode, sync, Programming(sync), traffic))
        try:
            await Component(self._config, sync, health, self._check_failed).run(self._client, nodes)
        finally:
            traffic.close()

    async def _once_synced(self, sync: Sync, refused: list[sysctls.Refused]) -> None:
        await sync.synced.wait()
        if any(each.missing for each in refused):
            self._set_sysctls()  # our rules have brought in connection tracking
        give_back()
        # What another mode of ours left is in the way.
        try:
            await asyncio.to_thread(lambda: clean_up(modes.left_by_us(self._config.mode)))
        except Fatal as error:
            _log.error(str(error))  # this mode's rules work, whatever else is there
        if self._options.cleanup_kube_proxy:
            await asyncio.to_thread(clean_up_kube_proxy, self._config.mode)

    def _set_sysctls(self) -> list[sysctls.Refused]:
        refused = sysctls.apply(self._config.conntrack)
        told = [each for each in refused if not each.missing]
        if told:
            text = "; ".join(map(str, told))
            _log.warning("connection tracking stays as it is in part", refused=text)
            self._node_event("Warning", "CannotSetSysctl", f"cannot set {text}")
        return refused

    def _node_event(self, type_: str, reason: str, message: str) -> None:
        reference = ObjectReference(kind="Node", apiVersion="v1", name=self._node_name)
        self._recorder.event(reference, type_, reason, message)

    def _check_failed(self, key: ServiceKey, why: str) -> None:
        reference = ObjectReference(kind="Service", apiVersion="v1", namespace=key.namespace, name=key.name)
        message = f"node {self._node_name} {why}"
        self._recorder.event(reference, "Warning", "FailedToStartServiceHealthcheck", message)


def _api(config: KubeProxyConfiguration, master: str) -> Config:
    """Where the API server is. Raises Fatal."""
    connection = config.clientConnection
    try:
        if master and not connection.kubeconfig:
            api = Config(server=master.rstrip("/"))
        else:
            api = load(connection.kubeconfig or None)
    except ConfigError as error:
        raise Fatal(str(error)) from None
    if master:
        api = replace(api, server=master.rstrip("/"))
    # Not contentType, which a configuration of kube-proxy's says to be protobuf without meaning it.
    return replace(api, accept=connection.acceptContentTypes or api.accept)


def _ipvs(section: IPVS) -> IpvsOptions:
    return IpvsOptions(
        section.scheduler or "rr",
        tuple(ipaddress.ip_network(cidr, strict=False) for cidr in section.excludeCIDRs or ()),
        section.strictARP,
        (
            round(section.tcpTimeout.seconds),
            round(section.tcpFinTimeout.seconds),
            round(section.udpTimeout.seconds),
        ),
    )


def _families() -> list[Family]:
    """The families that this machine speaks. Upstream: ``platformCheckSupported``."""
    if not Path("/proc/net/if_inet6").exists():
        return [Family.IPV4]
    try:
        disabled = read_sysctl("net.ipv6.conf.all.disable_ipv6") == "1"
    except OSError:
        disabled = False
    return [Family.IPV4] if disabled else list(Family)


def _set_oom_score(value: int | None) -> None:
    if value is None:
        return
    try:
        Path("/proc/self/oom_score_adj").write_text(str(value))
    except OSError as error:
        _log.debug("cannot set the OOM score", value=value, error=error.strerror)


async def _until_changed(file: str) -> None:
    """Return never; raise Fatal when the configuration file has another content.

    As kube-proxy, which is then started again by whoever started it. Connections notice nothing. A file that
    goes away (a ConfigMap being unmounted) is no change.
    """
    if not file:
        return
    known = _content(file)
    changed = asyncio.Event()
    try:
        watch = FileWatch(changed.set)
    except OSError as error:
        _log.warning("a change of the configuration will not be noticed", error=error.strerror)
        return
    try:
        while True:
            watch.watch([file])
            content = _content(file)
            if content not in (known, None):
                raise Fatal(f"{file} has changed; ending, to be started with what it says now")
            await changed.wait()
            changed.clear()
    finally:
        watch.close()


def _content(file: str) -> bytes | None:
    try:
        return Path(file).read_bytes()
    except FileNotFoundError:
        return None
