"""All Pods of the node: a worker for each, from the API server's list and from what is on disk."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec

from clusterip.client.informer import Informer
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import NftablesError
from clusterip.node.files import remove_tree
from clusterip.node.images.reference import InvalidReference
from clusterip.node.layout import PodDirectory
from clusterip.node.pods.context import NodeContext
from clusterip.node.pods.removal import delete_object, remove_files
from clusterip.node.pods.static.directory import StaticDirectory
from clusterip.node.pods.static.mirror import mirrored
from clusterip.node.pods.status import TERMINAL
from clusterip.node.pods.termination import Deadline
from clusterip.node.pods.worker import PodWorker
from clusterip.node.runtime.container import adopt
from clusterip.node.runtime.exec import remove_leftovers
from clusterip.node.runtime.process import processes_run_with
from clusterip.node.sandbox import sandbox as sandboxes
from clusterip.objects.core.pod import Pod
from clusterip.process import log

_log = log.get("node")

_RESTART_SECONDS = 5.0
_POLL_SECONDS = 0.1


class _CrunStatus(msgspec.Struct):
    pid: int
    bundle: str


def _name(pod: Pod) -> tuple[str, str]:
    return pod.metadata.namespace, pod.metadata.name


class PodManager:
    """Runs the Pods that ``pods`` (an informer of this node's) says are here, and the static ones.

    ``complete`` is set once ``workers`` has all of those that the API server knows.
    """

    def __init__(self, context: NodeContext, pods: Informer[Pod]) -> None:
        self.workers: dict[str, PodWorker] = {}
        self.complete = asyncio.Event()
        self._context = context
        self._pods = pods
        self._tasks: set[asyncio.Task[None]] = set()
        self._static: Mapping[str, Pod] = {}
        self._withdrawn: set[str] = set()

    def prepare(self, static: StaticDirectory | None = None) -> None:
        """Find out what is here, once, before any Pod is looked after."""
        self._restore_host_ports()
        self._remove_runtime_leftovers()
        if static is not None:
            self._static = static.read()

    async def run_static(self, static: StaticDirectory) -> None:
        """Look after the static Pods for ever; no API server is needed. Cancelled, it leaves them running."""
        try:
            await static.follow(self._context.inotify, self._take_static)
        finally:
            await self._leave()

    async def run(self) -> None:
        """Look after the node's other Pods for ever. Cancelled, it leaves them running."""
        await self._pods.synced.wait()
        try:
            self._spawn(self._remove_orphans())
            self._pods.on_change(self._change)
            self.complete.set()
            await asyncio.Event().wait()
        finally:
            await self._leave()

    async def _leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of a Pod by name."""
        for uid, pod in self._static.items():
            if (pod.metadata.namespace, pod.metadata.name) == (namespace, name):
                return self.workers.get(uid)
        found = self._pods.get(namespace, name)
        return self.workers.get(found.metadata.uid) if found else None

    def beside(self, pod: Pod) -> list[Pod]:
        """The other Pods that have their place here."""
        uid = pod.metadata.uid
        return [each.pod for each in self.workers.values() if each.admitted and each.pod.metadata.uid != uid]

    def images(self) -> set[str]:
        """The names, as the image store has them, of all that the Pods here need."""
        found = set()
        for worker in list(self.workers.values()):
            for slot in worker.slots:
                with contextlib.suppress(InvalidReference):
                    found.add(self._context.images.full_name(slot.spec.image))
        return found

    def reserve_addresses(self) -> None:
        """Before any Pod gets one: those that Pods on disk have."""
        for directory in self._context.directory.pods():
            record = sandboxes.read_record(directory)
            if record is None:
                continue
            self._context.pools.reserve(ip_address(address) for address in record.addresses)

    # Static Pods

    def _take_static(self, pods: Mapping[str, Pod]) -> None:
        gone = [self.workers[uid] for uid in self._static if uid not in pods and uid in self.workers]
        self._static = pods
        for worker in gone:
            worker.remove()
        for uid, pod in pods.items():
            if uid not in self.workers:
                self._spawn(self._begin_static(pod))

    async def _begin_static(self, pod: Pod) -> None:
        """Run a static Pod, once the one that had its name, by an older file, has ended."""
        meta = pod.metadata
        while any(_name(worker.pod) == _name(pod) for worker in self.workers.values()):
            await asyncio.sleep(_POLL_SECONDS)
            if meta.uid not in self._static:
                return
        worker = PodWorker(self._context, pod, self._context.directory.pod(meta.uid))
        self.workers[meta.uid] = worker
        mirror = self._pods.get(meta.namespace, meta.name)
        if mirror is not None and mirrored(mirror) == meta.uid:
            worker.mirror_changed(mirror)
        await self._live(meta.uid, worker)
        mirror = self._pods.get(meta.namespace, meta.name)
        if mirror is not None and mirrored(mirror) == meta.uid:
            await self._withdraw(mirror)

    def _mirror_changed(self, old: Pod | None, new: Pod | None) -> None:
        mirror = new or old
        assert mirror is not None
        worker = self.workers.get(mirrored(mirror))
        if worker is not None:
            worker.mirror_changed(new)
        elif new is not None and mirrored(new) not in self._static:
            self._spawn(self._withdraw(new))

    async def _withdraw(self, mirror: Pod) -> None:
        """Delete the mirror of a static Pod that is no more."""
        meta = mirror.metadata
        if meta.uid in self._withdrawn:
            return
        self._withdrawn.add(meta.uid)
        try:
            await delete_object(self._context, mirror, lambda: False)
        finally:
            self._withdrawn.discard(meta.uid)

    # Pods of the API server

    def _change(self, old: Pod | None, new: Pod | None) -> None:
        if any(each is not None and mirrored(each) for each in (old, new)):
            self._mirror_changed(old, new)
            return
        if new is None:
            if old is not None and (worker := self.workers.get(old.metadata.uid)):
                worker.remove()
            return
        new.metadata.managedFields = []  # of no use here, and often the larger part of a Pod
        worker = self.workers.get(new.metadata.uid)
        if worker is not None:
            worker.update(new)
            return
        directory = self._context.directory.pod(new.metadata.uid)
        if (
            new.status.phase in TERMINAL
            and not new.metadata.deletionTimestamp
            and not directory.path.exists()
        ):
            return  # it was over before we came to know it
        worker = self.workers[new.metadata.uid] = PodWorker(self._context, new, directory)
        self._spawn(self._live(new.metadata.uid, worker))

    async def _live(self, uid: str, worker: PodWorker) -> None:
        meta = worker.pod.metadata
        try:
            while True:
                try:
                    await worker.run()
                    return
                except Exception:  # noqa: BLE001 - one Pod's trouble must not end the others
                    _log.exception("pod not handled, trying again", pod=f"{meta.namespace}/{meta.name}")
                    await asyncio.sleep(_RESTART_SECONDS)
                    worker = self.workers[uid] = PodWorker(self._context, worker.pod, worker.directory)
                    if uid not in self._static and self._pods.get(meta.namespace, meta.name) is None:
                        worker.remove()
        finally:
            if self.workers.get(uid) is worker:
                del self.workers[uid]

    def _restore_host_ports(self) -> None:
        found = {}
        for directory in self._context.directory.pods():
            sandbox = sandboxes.load(directory)
            if sandbox is not None:
                found[directory.uid] = sandbox.record.host_ports, sandbox.addresses
        try:
            self._context.host_ports.restore(found)
        except (NftablesError, NetlinkError) as error:
            _log.error("hostPorts of earlier pods not set up", error=str(error))

    async def _remove_orphans(self) -> None:
        """Remove Pods that were deleted while no agent ran."""
        known = {pod.metadata.uid for pod in self._pods.objects.values()}
        known |= self._static.keys() | self.workers.keys()
        for directory in self._context.directory.pods():
            if directory.uid not in known:
                self._spawn(self._remove_orphan(directory))

    def _remove_runtime_leftovers(self) -> None:
        """Remove what crun keeps of containers that ended without it, when the machine did, and what
        commands in containers left."""
        remove_leftovers()
        with contextlib.suppress(OSError):  # others may be adding images
            self._context.images.remove_remains()
        state = self._context.runtime.state
        for entry in state.iterdir() if state.is_dir() else ():
            try:
                status = msgspec.json.decode((entry / "status").read_bytes(), type=_CrunStatus)
            except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
                continue  # just being made or removed
            # As long as its monitor lives, crun is there to do that itself.
            runs = Path(f"/proc/{status.pid}").exists()
            if not runs and next(processes_run_with(status.bundle), None) is None:
                remove_tree(entry)

    async def _remove_orphan(self, directory: PodDirectory) -> None:
        _log.info("removing a pod that was deleted meanwhile", uid=directory.uid)
        record = sandboxes.read_record(directory)
        deadline = Deadline(max(1, record.grace_seconds) if record else 1)
        for name in directory.containers():
            for attempt in directory.attempts(name):
                place = directory.container(name, attempt)
                container = await adopt(place, directory.log(name, attempt), self._context.inotify)
                if container is None or container.exit is not None:
                    continue
                container.kill(signal.SIGTERM)
                if not await deadline.wait_for(container):
                    container.kill(signal.SIGKILL)
                    await container.exited
        self._context.host_ports.remove(directory.uid)
        sandboxes.delete(directory, self._context.pools)
        await asyncio.to_thread(remove_files, directory)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
