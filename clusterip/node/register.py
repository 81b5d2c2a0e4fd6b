"""The node's own object: made at the start, kept true, and its lease renewed.

As upstream's ``kubelet_node_status.go`` and ``pkg/kubelet/nodestatus``.
"""

from __future__ import annotations

import asyncio
import os
import platform
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.node.images.manifest import go_architecture
from clusterip.node.images.store import ImageStore
from clusterip.node.options import Options
from clusterip.objects import times
from clusterip.objects.base import Quantity
from clusterip.objects.core.node import (
    ContainerImage,
    DaemonEndpoint,
    Node,
    NodeAddress,
    NodeCondition,
    NodeDaemonEndpoints,
    NodeStatus,
    NodeSystemInfo,
)
from clusterip.objects.meta import ObjectMeta
from clusterip.process import log

_log = log.get("node")

KUBELET_VERSION = "v1.37.0+clusterip"
"""The version of Kubernetes this node keeps to. Never above the API server's, by upstream's skew policy."""

_MAXIMUM_IMAGES = 50  # nodeStatusMaxImages
_STATUS_SECONDS = 300.0  # nodeStatusReportFrequency: the lease says that we live
_RETRY_SECONDS = 0.5
_PRESSURES = {
    "MemoryPressure": (
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    ),
    "DiskPressure": (
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    ),
    "PIDPressure": (
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
    ),
}
_RESERVED_MEMORY = 100 << 20  # what upstream's default eviction threshold leaves out


def find_addresses(options: Options) -> list[str]:
    """The node's own addresses: as told, else that which other machines see.

    Raises:
        OSError: there is no route to anywhere, so none can be found.
    """
    if options.node_ip:
        return list(options.node_ip)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; the kernel picks the source address
        return [str(probe.getsockname()[0])]


def node_name(options: Options) -> str:
    """The node's name: as told, else the host's name."""
    return options.hostname_override or socket.gethostname().lower()


class Registration:
    """Keeps the Node object as this machine is."""

    def __init__(
        self, client: Client, options: Options, addresses: Sequence[str], runtime_version: str
    ) -> None:
        self.name = node_name(options)
        self._client = client
        self._options = options
        self._store = ImageStore(options.image_dir)
        self._addresses = addresses
        self._runtime_version = runtime_version
        self._problem: str | None = "container network is not ready: no podCIDR yet"
        self._has_network = False
        self._pressures: set[str] = set()
        self._changed = asyncio.Event()

    def network_ready(self, problem: str | None = None) -> None:
        """Say that Pods can have a network, or why not."""
        self._problem = problem
        self._has_network = problem is None
        self._changed.set()

    def given_up(self) -> None:
        """Hear that the node is thought to be gone: say at once how it is."""
        self._changed.set()

    def under_pressure(self, condition: str, holds: bool) -> None:
        """Say that the node is short of something (``DiskPressure``), or is no more."""
        (self._pressures.add if holds else self._pressures.discard)(condition)
        self._changed.set()

    async def annotate(self, annotations: Mapping[str, str | None]) -> None:
        """Change annotations of the Node; None removes one. Raises ApiError, Unreachable."""
        await self._client.patch(Node, self.name, "", {"metadata": {"annotations": annotations}})

    async def register(self) -> Node:
        """Make the Node, or bring an earlier one up to date; tries until it is done."""
        while True:
            try:
                return await self._register()
            except Unreachable as error:
                _log.debug("API server not reached yet", error=str(error))
            except ApiError as error:
                _log.warning("node not registered, trying again", node=self.name, error=str(error))
            await asyncio.sleep(_RETRY_SECONDS)

    async def run(self) -> None:
        """Report the node's state when it changes, and now and then."""
        while True:
            self._changed.clear()
            try:
                await self._report()
            except (Unreachable, ApiError) as error:
                _log.warning("node status not written, trying again", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS * 4)
                continue
            try:
                await asyncio.wait_for(self._changed.wait(), _STATUS_SECONDS)
            except TimeoutError:
                continue

    async def _register(self) -> Node:
        labels = self._labels()
        try:
            node = Node(metadata=ObjectMeta(name=self.name, labels=labels))
            node.status = self._status(NodeStatus())
            created = await self._client.create(node)
            _log.info("registered", node=self.name)
            return created
        except ApiError as error:
            if not error.is_already_exists:
                raise
        found = await self._client.get(Node, self.name)
        if not labels.items() <= found.metadata.labels.items():
            found = await self._client.patch(Node, self.name, "", {"metadata": {"labels": labels}})
        return found

    async def _report(self) -> None:
        while True:
            node = await self._client.get(Node, self.name)
            status = self._status(node.status)
            try:
                await self._client.update_status(msgspec.structs.replace(node, status=status))
                return
            except ApiError as error:
                if not error.is_conflict:
                    raise

    def _labels(self) -> dict[str, str]:
        architecture = go_architecture(platform.machine())
        return {
            "beta.kubernetes.io/arch": architecture,
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture,
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            **self._options.node_labels,
        }

    def allocatable(self) -> dict[str, Quantity]:
        """What of the machine Pods may have."""
        memory = f"{max(0, _memory() - _RESERVED_MEMORY) // 1024}Ki"
        return _capacity(self._options.max_pods, self._options.root_dir) | {"memory": memory}

    def _status(self, old: NodeStatus) -> NodeStatus:
        capacity, allocatable = self.allocatable() | {"memory": f"{_memory() // 1024}Ki"}, self.allocatable()
        addresses = [NodeAddress(type="InternalIP", address=address) for address in self._addresses]
        addresses.append(NodeAddress(type="Hostname", address=self.name))
        return msgspec.structs.replace(
            old,
            capacity=capacity,
            allocatable=allocatable,
            addresses=addresses,
            daemonEndpoints=NodeDaemonEndpoints(kubeletEndpoint=DaemonEndpoint(Port=self._options.port)),
            nodeInfo=_system_info(self._runtime_version),
            images=_images(self._store),
            conditions=self._conditions(old),
        )

    def _conditions(self, old: NodeStatus) -> list[NodeCondition]:
        previous = {condition.type: condition for condition in old.conditions}
        now = times.now()
        ready = ("True", "KubeletReady", "kubelet is posting ready status")
        if self._problem:
            ready = ("False", "KubeletNotReady", self._problem)
        wanted = {
            name: (str(name in self._pressures), *words[name in self._pressures])
            for name, words in _PRESSURES.items()
        }
        wanted["Ready"] = ready
        conditions = [c for c in old.conditions if c.type not in wanted]
        if self._has_network and self._options.pod_network_mode != "none":
            conditions = _with_network(conditions, now)
        for type_, (status, reason, message) in wanted.items():
            before = previous.get(type_)
            since = before.lastTransitionTime if before and before.status == status else now
            conditions.append(
                NodeCondition(
                    type=type_,
                    status=status,
                    reason=reason,
                    message=message,
                    lastHeartbeatTime=now,
                    lastTransitionTime=since,
                )
            )
        return conditions


def _with_network(conditions: list[NodeCondition], now: str) -> list[NodeCondition]:
    """As flannel and others who make the Pod network say it, once: not the kubelet's own condition."""
    if any(c.type == "NetworkUnavailable" and c.status == "False" for c in conditions):
        return conditions
    available = NodeCondition(
        type="NetworkUnavailable",
        status="False",
        reason="PodNetworkIsUp",
        message="The Pod network is running on this node",
        lastHeartbeatTime=now,
        lastTransitionTime=now,
    )
    return [available, *(c for c in conditions if c.type != "NetworkUnavailable")]


def _images(store: ImageStore) -> list[ContainerImage]:
    """The largest images here, which a scheduler may like to know."""
    found: dict[str, ContainerImage] = {}
    try:
        rows = [row for row in store.list() if row.id]
    except (OSError, msgspec.DecodeError):  # one is just being removed
        return []
    for row in rows:
        found.setdefault(row.id, ContainerImage(sizeBytes=row.size)).names.append(row.name)
    return sorted(found.values(), key=lambda image: (-image.sizeBytes, image.names))[:_MAXIMUM_IMAGES]


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _capacity(max_pods: int, directory: Path) -> dict[str, str | int | float]:
    while not directory.exists():
        directory = directory.parent
    disk = os.statvfs(directory)
    return {
        "cpu": str(os.cpu_count() or 1),
        "ephemeral-storage": f"{disk.f_blocks * disk.f_frsize // 1024}Ki",
        "memory": f"{_memory() // 1024}Ki",
        "pods": str(max_pods),
    }


def _system_info(runtime_version: str) -> NodeSystemInfo:
    return NodeSystemInfo(
        machineID=_first_line("/etc/machine-id"),
        systemUUID=_first_line("/sys/class/dmi/id/product_uuid"),
        bootID=_first_line("/proc/sys/kernel/random/boot_id"),
        kernelVersion=platform.release(),
        osImage=_os_image(),
        containerRuntimeVersion=runtime_version,
        kubeletVersion=KUBELET_VERSION,
        operatingSystem="linux",
        architecture=go_architecture(platform.machine()),
    )


def _os_image() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
