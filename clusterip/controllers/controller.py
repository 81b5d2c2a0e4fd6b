"""The loop that all controllers share: a changed object's key is queued, a worker makes the world match."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar, Generic, TypeVar

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.informer import Informer, Watched, wait_synced
from clusterip.client.workqueue import WorkQueue
from clusterip.controllers.context import Context
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource
from clusterip.process import log

K = TypeVar("K", bound=Hashable)
O = TypeVar("O", bound=Object)  # noqa: E741
W = TypeVar("W", bound=Watched)

ObjectKey = tuple[str, str]
"""Namespace and name."""

_CATCH_UP_SECONDS = 5.0


def key_of(obj: Object) -> ObjectKey:
    return obj.metadata.namespace, obj.metadata.name


class Controller(ABC, Generic[K]):
    """A controller. ``sync`` looks at the informers and acts; it may be called any number of times.

    ``name`` is kube-controller-manager's, as ``--controllers`` takes it; ``component`` is the source of
    the Events. Errors of ``sync`` mean that the key is tried again, later and later.
    """

    name: ClassVar[str]
    component: ClassVar[str]
    workers: ClassVar[int] = 4

    def __init__(self, context: Context) -> None:
        self.context = context
        self.client = context.client
        self.queue: WorkQueue[K] = WorkQueue()
        self.log = log.get(f"controllers.{self.name.removesuffix('-controller')}")
        self.events = context.recorder(self.component)
        self.syncs = 0
        self.sync_errors = 0
        self.sync_seconds = 0.0
        self._informers: list[Informer[Any]] = []
        self._written: dict[K, dict[Informer[Any], str]] = {}

    @abstractmethod
    async def sync(self, key: K) -> None:
        """Make what the key stands for as it should be. Raises ApiError or Unreachable to be called again."""

    def informer(self, resource: Resource[O]) -> Informer[O]:
        """The shared informer of a kind; the controller starts when it has its first list."""
        return self.wait_for(self.context.informer(resource))

    def wait_for(self, informer: Informer[W]) -> Informer[W]:
        """Start only when this informer has its first list."""
        if informer not in self._informers:
            self._informers.append(informer)
        return informer

    def wrote(self, key: K, informer: Informer[Any], written: Object) -> None:
        """The next ``sync`` of the key waits until the informer shows what was written.

        Otherwise it would act on the past and, for example, create the same Pods again.
        """
        versions = self._written.setdefault(key, {})
        version = written.metadata.resourceVersion
        # Answers to requests sent together come in any order; only the last version tells of all.
        if informer not in versions or _number(version) > _number(versions[informer]):
            versions[informer] = version

    async def write_status(self, key: K, informer: Informer[O], changed: O) -> None:
        """Write an object's new status; of one deleted meanwhile nobody will read it. Raises ApiError.

        A conflict is raised too: somebody else was faster, and what was counted may be wrong by now.
        """
        try:
            self.wrote(key, informer, await self.client.update_status(changed))
        except ApiError as error:
            if not error.is_not_found:
                raise

    async def run(self) -> None:
        """Work for ever. Raises what a bug raises outside ``sync``."""
        await wait_synced(*self._informers)
        self.log.debug("started", waiting=len(self.queue))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.background())
                for _ in range(self.workers):
                    group.create_task(self._work())
        finally:
            self.queue.close()

    async def background(self) -> None:
        """Something to do once after the informers are in step, beside the workers."""
        return

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self._try(key)
            finally:
                self.queue.done(key)

    async def _try(self, key: K) -> None:
        started = time.monotonic()
        failed = True
        try:
            await self._catch_up(key)
            await self.sync(key)
        except ApiError as error:
            if error.is_namespace_terminating:
                self.queue.forget(key)  # nothing can be created there any more
                return
            delay = self.queue.add_rate_limited(key)
            # A conflict is the ordinary way to learn that somebody else was faster.
            tell = self.log.debug if error.is_conflict or error.is_not_found else self.log.warning
            tell("sync refused", key=show(key), error=str(error), retry_seconds=delay)
        except Unreachable as error:
            delay = self.queue.add_rate_limited(key)
            self.log.debug("sync interrupted", key=show(key), error=str(error), retry_seconds=delay)
        except Exception:  # a bug met by one object must not stop the work on all others
            delay = self.queue.add_rate_limited(key)
            self.log.exception("sync failed", key=show(key), retry_seconds=delay)
        else:
            failed = False
            self.queue.forget(key)
            if self.log.debugging:
                self.log.debug("synced", key=show(key), seconds=time.monotonic() - started)
        finally:
            self.syncs += 1
            self.sync_errors += failed
            self.sync_seconds += time.monotonic() - started

    async def _catch_up(self, key: K) -> None:
        for informer, version in self._written.pop(key, {}).items():
            try:
                async with asyncio.timeout(_CATCH_UP_SECONDS):
                    await informer.reached(version)
            except TimeoutError:
                # Its watch is broken; what sync then writes meets the server's own checks.
                self.log.warning("cache is behind", resource=informer.resource.group_resource, key=show(key))


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0


def show(key: object) -> str:
    """A key as people write it: ``namespace/name``."""
    return "/".join(str(part) for part in key if part) if isinstance(key, tuple) else str(key)
