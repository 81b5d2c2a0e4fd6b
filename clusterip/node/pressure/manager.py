"""Looking at what is left of memory, disks and PIDs, and doing something before it is nothing.

As upstream's ``pkg/kubelet/eviction/eviction_manager.go``: what is short is a condition of the Node, which
keeps Pods away; unused images go first, then the Pods, one at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from clusterip.client.events import EventRecorder
from clusterip.node.pods.admission import Refusal, is_critical
from clusterip.node.pods.manager import PodManager
from clusterip.node.pods.worker import PodWorker
from clusterip.node.pressure import ranking
from clusterip.node.pressure.images import ImageCollector
from clusterip.node.pressure.thresholds import Observed, Patience, Threshold
from clusterip.node.stats import machine
from clusterip.node.stats.collect import Collector, PodUsage
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.pod.quality import quality_of_service
from clusterip.objects.core.references import ObjectReference
from clusterip.process import log

_log = log.get("node")

_FAILURE_SECONDS = 300.0  # how often it is said that there are not enough images to remove
_GONE_SECONDS = 30.0  # what an evicted Pod gets to be gone before the next is looked for
_MEMORY_TAINT = "node.kubernetes.io/memory-pressure"
_STATES = {
    "MemoryPressure": ("NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
    "DiskPressure": ("NodeHasDiskPressure", "NodeHasNoDiskPressure"),
    "PIDPressure": ("NodeHasInsufficientPID", "NodeHasSufficientPID"),
}


class Pressure:
    """The conditions of a node that is short of something. ``conditions`` are those that hold."""

    def __init__(self, seconds: float, changed: Callable[[str, bool], None]) -> None:
        """A condition stays for ``seconds`` after it was so last; ``changed`` is told of each change."""
        self._seconds = seconds
        self._changed = changed
        self._met_at: dict[str, float] = {}

    @property
    def conditions(self) -> list[str]:
        return sorted(self._met_at)

    def update(self, met: set[str]) -> None:
        """Take in which conditions are so now."""
        now = time.monotonic()
        for condition in met:
            is_new = condition not in self._met_at
            self._met_at[condition] = now
            if is_new:
                self._changed(condition, True)
        for condition, at in list(self._met_at.items()):
            if now - at >= self._seconds and condition not in met:
                del self._met_at[condition]
                self._changed(condition, False)

    def refuses(self, pod: Pod) -> Refusal | None:
        """Why a Pod may not begin on this node now."""
        if not self._met_at or is_critical(pod):
            return None
        if self.conditions == ["MemoryPressure"]:
            tolerates = any(
                each.effect in ("", "NoSchedule")
                for each in pod.spec.tolerations
                if each.key == _MEMORY_TAINT or (each.operator == "Exists" and not each.key)
            )
            if tolerates or quality_of_service(pod.spec) != "BestEffort":
                return None
        return Refusal("Evicted", f"The node had condition: [{' '.join(self.conditions)}]. ")


class PressureManager:
    """Watches over a node."""

    def __init__(
        self,
        *,
        node: str,
        root: Path,
        thresholds: Sequence[Threshold],
        pressure: Pressure,
        images: ImageCollector,
        image_directory: Path,
        pods: PodManager,
        events: EventRecorder,
        interval: float,
        soft_grace: float = 0.0,
    ) -> None:
        """``soft_grace``: the seconds a Pod gets at most, when it has to go by a soft threshold."""
        self._soft_grace = soft_grace
        self._patience = Patience()
        self._node = ObjectReference(kind="Node", name=node, uid=node)
        self._root = root
        self._image_directory = image_directory
        self._thresholds = thresholds
        self._pressure = pressure
        self._images = images
        self._pods = pods
        self._events = events
        self._interval = interval
        self._collector = Collector()
        self._complained = -_FAILURE_SECONDS

    async def run(self) -> None:
        """Look now and then, for ever."""
        while True:
            try:
                await self._collect_images()
                evicted = await self._relieve()
            except Exception:  # noqa: BLE001 - a look that fails must not be the last one
                _log.exception("what is left of memory and disks not seen, trying again")
                evicted = None
            if evicted is not None:
                await self._gone(evicted)
            await asyncio.sleep(self._interval)

    async def _collect_images(self) -> None:
        problem = await asyncio.to_thread(self._images.collect)
        if problem is not None and time.monotonic() - self._complained >= _FAILURE_SECONDS:
            self._complained = time.monotonic()
            _log.warning("too few images to remove", problem=problem)
            self._events.event(self._node, "Warning", "FreeDiskSpaceFailed", problem)

    async def _relieve(self) -> PodWorker | None:
        """Do something against the first thing that is short; the Pod that had to go."""
        met = await asyncio.to_thread(self._met)
        self._pressure.update({threshold.condition for threshold, _observed in met})
        due = self._patience.over((threshold for threshold, _observed in met), time.monotonic())
        met = [each for each in met if each[0] in due]
        if not met:
            return None
        threshold, observed = met[0]
        resource = threshold.resource
        _log.warning(
            "too little left", signal=threshold.signal, least=threshold.text, available=observed.available
        )
        text = f"Attempting to reclaim {resource}"
        self._events.event(self._node, "Warning", "EvictionThresholdMet", text)
        if threshold.condition == "DiskPressure":
            await asyncio.to_thread(self._images.free)
            if not any(each is threshold for each, _observed in await asyncio.to_thread(self._met)):
                return None
        workers = list(self._pods.workers.values())
        usages = await asyncio.to_thread(lambda: list(self._collector.collect(workers, disks=True)))
        return self._evict(ranking.ranked(usages, resource), threshold, observed)

    def _evict(
        self, candidates: Sequence[PodUsage], threshold: Threshold, observed: Observed
    ) -> PodWorker | None:
        for found in candidates:
            worker = self._pods.workers.get(found.pod.metadata.uid)
            if worker is not None:
                grace = None if threshold.patience is None else self._soft_grace
                worker.evict(ranking.message(threshold, observed, found), grace)
                return worker
        _log.warning("no pod to evict", signal=threshold.signal)
        return None

    async def _gone(self, worker: PodWorker) -> None:
        try:
            await asyncio.wait_for(worker.over.wait(), _GONE_SECONDS)
        except TimeoutError:
            _log.warning("evicted pod not gone yet", pod=worker.pod.metadata.name)

    def _met(self) -> list[tuple[Threshold, Observed]]:
        seen = self._observe()
        return [(each, seen[each.signal]) for each in self._thresholds if each.is_met(seen[each.signal])]

    def _observe(self) -> dict[str, Observed]:
        total = machine.memory_fields()["MemTotal"]
        disk = machine.disk(self._root)
        images = machine.disk(self._image_directory) if self._image_directory.is_dir() else disk
        largest, count = machine.processes()
        return {
            "memory.available": Observed(total, max(0, total - (machine.usage().working_set or 0))),
            "nodefs.available": Observed(disk.capacity, disk.available),
            "nodefs.inodesFree": Observed(disk.inodes, disk.inodes_free),
            "imagefs.available": Observed(images.capacity, images.available),
            "imagefs.inodesFree": Observed(images.inodes, images.inodes_free),
            "pid.available": Observed(largest, max(0, largest - count)),
        }


def state_of(condition: str, holds: bool) -> str:
    """The reason of the Event that tells of a condition's change."""
    return _STATES[condition][0 if holds else 1]
