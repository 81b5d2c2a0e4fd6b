"""What Pods and their containers use, from their cgroups, disks and network interfaces."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clusterip.node.cgroups import files
from clusterip.node.cgroups.files import Usage
from clusterip.node.cgroups.tree import noted
from clusterip.node.layout import PodDirectory
from clusterip.node.pods.slot import Slot
from clusterip.node.pods.storage import disk_usage
from clusterip.node.pods.worker import PodWorker
from clusterip.node.stats import machine
from clusterip.node.stats.machine import Interface
from clusterip.objects.core.pod import Pod

_DISK_SECONDS = 60.0  # how old what is said of disks may be: to find out means to look at every file


@dataclass(frozen=True)
class ContainerUsage:
    """A container that runs. ``written`` is what it has written to its own files, ``logged`` to its logs."""

    name: str
    image: str
    id: str
    started_at: float
    usage: Usage
    written: int = 0
    logged: int = 0


@dataclass(frozen=True)
class PodUsage:
    """A Pod. ``network`` is from its own side; None in the node's network. ``volumes`` are emptyDirs."""

    pod: Pod
    usage: Usage
    network: Interface | None
    containers: list[ContainerUsage]
    volumes: dict[str, int] = field(default_factory=dict)


class Collector:
    """Looks at what the node's Pods use."""

    def __init__(self) -> None:
        self._sizes: dict[Path, tuple[float, int]] = {}

    def collect(self, workers: Iterable[PodWorker], *, disks: bool = False) -> Iterator[PodUsage]:
        """All Pods that have something running; ``disks``: with what is on disks."""
        interfaces = machine.interfaces()
        for worker in workers:
            running = [slot for slot in worker.slots if slot.running]
            if not running:
                continue
            record = worker.sandbox.record if worker.sandbox is not None else None
            link = interfaces.get(record.link) if record is not None and record.link else None
            yield PodUsage(
                pod=worker.pod,
                usage=files.usage(noted(worker.directory.path)),
                network=_other_side(link) if link is not None else None,
                containers=[self._container(slot, worker.directory, disks) for slot in running],
                volumes=self._volumes(worker) if disks else {},
            )

    def _container(self, slot: Slot, directory: PodDirectory, disks: bool) -> ContainerUsage:
        container = slot.container
        assert container is not None
        return ContainerUsage(
            name=slot.name,
            image=container.record.image,
            id=container.record.id,
            started_at=container.started_at.timestamp() if container.started_at else 0.0,
            usage=files.usage(noted(container.directory)),
            written=self._size(container.directory / "scratch/upper") if disks else 0,
            logged=self._size(directory.log(slot.name, 0).parent) if disks else 0,
        )

    def _volumes(self, worker: PodWorker) -> dict[str, int]:
        names = [volume.name for volume in worker.pod.spec.volumes if volume.emptyDir is not None]
        return {name: self._size(worker.directory.volume(name)) for name in names}

    def _size(self, path: Path) -> int:
        now = time.monotonic()
        known = self._sizes.get(path)
        if known is not None and now < known[0]:
            return known[1]
        for old in [each for each, (until, _size) in self._sizes.items() if until < now]:
            del self._sizes[old]
        size = disk_usage(path)
        self._sizes[path] = now + _DISK_SECONDS, size
        return size


def _other_side(link: Interface) -> Interface:
    return Interface("eth0", link.sent, link.send_errors, link.received, link.receive_errors)
