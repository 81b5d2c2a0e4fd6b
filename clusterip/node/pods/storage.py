"""Pods that fill the node's disk beyond their limits are evicted, as by the kubelet's eviction manager."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from clusterip.node.layout import PodDirectory
from clusterip.objects import quantity
from clusterip.objects.core.containers import Container
from clusterip.objects.core.pod import Pod

_STORAGE = "ephemeral-storage"
_CHECK_SECONDS = 10.0  # the kubelet's interval


class StorageWatch:
    """Looks at what a Pod has written, from time to time, if there is a limit to it."""

    def __init__(self, directory: PodDirectory) -> None:
        self._directory = directory
        self._next = time.monotonic() + _CHECK_SECONDS

    def due_in(self, pod: Pod) -> float | None:
        """Seconds until the next look; None if the Pod may write as much as it likes."""
        return max(0.0, self._next - time.monotonic()) if _is_limited(pod) else None

    async def exceeded(self, pod: Pod) -> str | None:
        """Why the Pod is to be evicted, if it is time to look and it has to be."""
        if self.due_in(pod) != 0.0:
            return None
        self._next = time.monotonic() + _CHECK_SECONDS
        return await asyncio.to_thread(exceeded, pod, self._directory)


def exceeded(pod: Pod, directory: PodDirectory) -> str | None:
    """The kubelet's message about the first limit that a Pod's files exceed; None if there is none.

    Everything in ``emptyDir`` volumes, writable layers and logs counts for the Pod.
    """
    total = 0
    for volume in pod.spec.volumes:
        if volume.emptyDir is None:
            continue
        used = disk_usage(directory.volume(volume.name))
        total += used
        limit = volume.emptyDir.sizeLimit
        if limit is not None and 0 < quantity.whole(limit) < used:
            shown = quantity.canonical(limit)
            return f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{shown}". '
    of_containers = {
        container.name: _written_by(container, directory)
        for container in [*pod.spec.initContainers, *pod.spec.containers]
    }
    total += sum(of_containers.values())
    limits = [_limit(container) for container in pod.spec.containers]
    whole = sum(limits)
    if 0 < whole < total:
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {_shown(whole)}. "
    for container, limit in zip(pod.spec.containers, limits, strict=True):
        if limit and of_containers[container.name] > limit:
            name = container.name
            return f'Container {name} exceeded its local ephemeral storage limit "{_shown(limit)}". '
    return None


def disk_usage(path: Path) -> int:
    """The bytes that files below a path take on the disk, hard links once."""
    total, seen = 0, set[tuple[int, int]]()
    for place, directories, files in os.walk(path):
        for name in (*files, *directories):
            try:
                status = os.lstat(os.path.join(place, name))
            except FileNotFoundError:
                continue  # removed meanwhile
            if status.st_nlink > 1 and (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * 512
    return total


def _written_by(container: Container, directory: PodDirectory) -> int:
    attempts = directory.attempts(container.name)
    layers = sum(disk_usage(directory.container(container.name, n) / "scratch" / "upper") for n in attempts)
    return layers + disk_usage(directory.log(container.name, 0).parent)


def _is_limited(pod: Pod) -> bool:
    return any(_limit(container) for container in pod.spec.containers) or any(
        volume.emptyDir is not None and volume.emptyDir.sizeLimit is not None for volume in pod.spec.volumes
    )


def _limit(container: Container) -> int:
    """In bytes; 0 for none."""
    limit = container.resources.limits.get(_STORAGE)
    return quantity.whole(limit) if limit is not None else 0


def _shown(amount: int) -> str:
    for suffix in ("", "Ki", "Mi", "Gi"):
        if amount % 1024:
            return f"{amount}{suffix}"
        amount //= 1024
    return f"{amount}Ti"
