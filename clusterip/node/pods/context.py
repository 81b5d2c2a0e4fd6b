"""What all Pods of a node share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clusterip.client.events import EventRecorder, reference
from clusterip.client.rest import Client
from clusterip.node.cgroups.tree import PodCgroups
from clusterip.node.images.store import ImageStore
from clusterip.node.layout import NodeDirectory
from clusterip.node.network.hostports import HostPorts
from clusterip.node.network.ipam import AddressPools
from clusterip.node.pods.admission import Admission, Refusal
from clusterip.node.pods.checks import Runtime
from clusterip.node.pods.puller import ImagePuller
from clusterip.node.pods.sources import Sources
from clusterip.node.runtime.inotify import Inotify
from clusterip.node.runtime.logs import LogLimits
from clusterip.node.sandbox.sandbox import Settings
from clusterip.objects.base import Quantity
from clusterip.objects.core.pod import Pod


@dataclass
class NodeContext:
    """The node's name, addresses and directories, and everything Pods are made with.

    ``hidden`` are the directories that no view of the host's files may show, ``max_processes`` is what each
    Pod may have; None: as many as the machine can. ``admission`` has a say before a Pod begins.
    """

    name: str
    addresses: Sequence[str]
    directory: NodeDirectory
    client: Client
    events: EventRecorder
    images: ImageStore
    puller: ImagePuller
    sources: Sources
    runtime: Runtime
    inotify: Inotify
    pools: AddressPools
    sandboxes: Settings
    host_ports: HostPorts
    hidden: list[Path]
    cgroups: PodCgroups
    max_processes: int | None = None
    allocatable: Mapping[str, Quantity] = field(default_factory=dict)
    admission: Sequence[Admission] = ()
    logs: LogLimits = field(default_factory=LogLimits)

    def refusal(self, pod: Pod) -> Refusal | None:
        """Why a Pod may not begin here now."""
        return next(filter(None, (check(pod) for check in self.admission)), None)

    def event(self, pod: Pod, type_: str, reason: str, message: str, *, container: str = "") -> None:
        """Tell people what happens to a Pod, or to one of its containers."""
        about = reference(pod)
        if container:
            about.fieldPath = _field_path(pod, container)
        self.events.event(about, type_, reason, message)


def _field_path(pod: Pod, container: str) -> str:
    if any(each.name == container for each in pod.spec.initContainers):
        return f"spec.initContainers{{{container}}}"
    if any(each.name == container for each in pod.spec.ephemeralContainers):
        return f"spec.ephemeralContainers{{{container}}}"
    return f"spec.containers{{{container}}}"
