"""Making room on the disk of images: those that came from a registry and that nothing here uses.

As upstream's ``pkg/kubelet/images/image_gc_manager.go``: when more than ``high`` percent of it is in use,
images go, the one whose last use is the longest ago first, until no more than ``low`` percent are.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from clusterip.node.images.store import ImageNotFound, ImageStore
from clusterip.node.pressure.policy import ImagePolicy
from clusterip.node.stats import machine
from clusterip.process import log

_log = log.get("node")


class ImageCollector:
    """Removes images. ``used`` are the names, as the store has them, of all that this node's Pods use."""

    def __init__(self, store: ImageStore, policy: ImagePolicy, used: Callable[[], set[str]]) -> None:
        self._store = store
        self._policy = policy
        self._used = used

    def collect(self) -> str | None:
        """Make room if the disk is too full; why there is too little still, None if that is well."""
        if self._policy.high >= 100 or not self._store.directory.is_dir():
            return None
        disk = machine.disk(self._store.directory)
        if disk.capacity == 0 or 100 - disk.available * 100 // disk.capacity < self._policy.high:
            return None
        wanted = disk.capacity * (100 - self._policy.low) // 100
        freed = self.free(lambda: machine.disk(self._store.directory).available >= wanted)
        left = machine.disk(self._store.directory).available
        if left >= wanted:
            return None
        return (
            "Failed to garbage collect required amount of images. Attempted to free "
            f"{wanted - disk.available} bytes, but only found {freed} bytes eligible to free."
        )

    def free(self, enough: Callable[[], bool] = lambda: False) -> int:
        """Remove images until there is ``enough`` room; the size of what was removed, in bytes."""
        try:
            self._store.remove_remains()
        except BlockingIOError:
            _log.debug("remains of images stay: some are being added")
        used = self._used() | self._store.running()
        self._store.pulled.use(used)
        sizes = {row.name: row.size for row in self._store.list()}
        freed = 0
        for image in self._store.pulled.all():
            if enough():
                break
            if image.name in used or time.time() - image.pulled_at < self._policy.minimum_age:
                continue
            try:
                self._store.remove(image.name)
            except ImageNotFound:
                self._store.pulled.forget(image.name)
                continue
            freed += sizes.get(image.name, 0)
            _log.info("image removed to make room", image=image.name, bytes=sizes.get(image.name, 0))
        return freed
