"""Competing for a Lease, keeping it and giving it back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.events import EventRecorder
from clusterip.client.rest import Client
from clusterip.controllers.leaderelection.settings import JITTER, LeaderElection
from clusterip.objects import times
from clusterip.objects.coordination.lease import Lease, LeaseSpec
from clusterip.objects.meta import ObjectMeta
from clusterip.process import log

UNHEALTHY_SECONDS = 20.0
"""How long after the end of its lease a leader that goes on counts as broken, as upstream has it."""
EVENT_SECONDS = 1.0

_log = log.get("leaderelection")

Leading = Callable[[], Coroutine[Any, Any, None]]


class LeadershipLost(Exception):
    """Somebody else leads, or soon may: whatever only a leader does must have ended."""


class LeaderElector:
    """A candidate. ``leads`` says whether it leads, ``leader`` who does as far as it knows.

    Clocks need not agree: the others' times are only compared with themselves, and a lease counts as
    run out when it has not changed for its duration by the own clock.
    """

    def __init__(self, client: Client, settings: LeaderElection, component: str) -> None:
        self.settings = settings
        self._client = client
        self._recorder = EventRecorder(client, component)
        self._lease: Lease | None = None
        self._seen: LeaseSpec = LeaseSpec()
        self._seen_at = 0.0
        self.leads = False
        self.slow_renewals = 0

    @property
    def leader(self) -> str:
        return self._seen.holderIdentity or ""

    async def run(self, lead: Leading) -> None:
        """Wait for the leadership, then do ``lead()`` for as long as it is ours; release it at the end.

        Raises:
            LeadershipLost: it could not be kept. ``lead()`` has been cancelled and has ended.
        """
        recording = asyncio.create_task(self._recorder.run())
        try:
            await self._acquire()
            leading = asyncio.create_task(lead())
            renewing = asyncio.create_task(self._renew())
            try:
                await asyncio.wait((leading, renewing), return_when=asyncio.FIRST_COMPLETED)
            finally:
                self.leads = False
                await _end(leading)
                await _end(renewing)
                await self._release()
                await self._send_events()
            for task in (leading, renewing):
                if not task.cancelled():
                    task.result()
        finally:
            await _end(recording)

    def check(self) -> str | None:
        """For health: why this process should be ended, if it should."""
        late = time.monotonic() - self._seen_at - (self._seen.leaseDurationSeconds or 0)
        if self.leads and late > UNHEALTHY_SECONDS:
            return f"failed election to renew leadership on lease {self._name}"
        return None

    @property
    def _name(self) -> str:
        return f"{self.settings.resource_namespace}/{self.settings.resource_name}"

    async def _acquire(self) -> None:
        _log.info("waiting for the leadership", lease=self._name, identity=self.settings.identity)
        known = ""
        while not await self._try():
            if self.leader != known:
                known = self.leader
                _log.info("another one leads", lease=self._name, leader=known)
            await asyncio.sleep(self.settings.retry_period * (1 + JITTER * random.random()))
        self.leads = True
        _log.info("leading", lease=self._name, identity=self.settings.identity)
        self._record("became leader")

    async def _renew(self) -> None:
        """Renew the lease until that is no longer possible."""
        while True:
            await asyncio.sleep(self.settings.retry_period)
            try:
                async with asyncio.timeout(self.settings.renew_deadline):
                    while not await self._try():
                        if self.leader != self.settings.identity:
                            raise LeadershipLost(f"lease {self._name} was taken by {self.leader or 'nobody'}")
                        await asyncio.sleep(self.settings.retry_period)
            except TimeoutError:
                raise LeadershipLost(
                    f"could not renew lease {self._name} within {self.settings.renew_deadline:g} s"
                ) from None

    async def _try(self) -> bool:
        """Take or renew the lease if that is possible now; whether it is ours after that."""
        try:
            return await self._renew_at_once() or await self._read_and_take()
        except (ApiError, Unreachable) as error:
            _log.warning("cannot take or renew the lease", lease=self._name, error=str(error))
            return False

    async def _renew_at_once(self) -> bool:
        """Renew without reading it first, which works as long as nobody else writes it."""
        if self._lease is None or not self._is_ours() or not self._is_valid():
            return False
        try:
            await self._write(self._lease, self._seen)
        except ApiError as error:
            self.slow_renewals += 1
            _log.debug("the lease is another one than expected", lease=self._name, error=str(error))
            return False
        return True

    async def _read_and_take(self) -> bool:
        settings = self.settings
        try:
            lease = await self._client.get(Lease, settings.resource_name, settings.resource_namespace)
        except ApiError as error:
            if not error.is_not_found:
                raise
            return await self._create()
        if lease.spec != self._seen:
            self._observe(lease.spec)
        if self.leader and self._is_valid() and not self._is_ours():
            return False
        await self._write(lease, self._seen)
        return True

    def _is_ours(self) -> bool:
        return self.leader == self.settings.identity

    def _is_valid(self) -> bool:
        return time.monotonic() < self._seen_at + (self._seen.leaseDurationSeconds or 0)

    async def _create(self) -> bool:
        settings = self.settings
        now = times.now_micro()
        spec = self._claim(now, now, 0)
        meta = ObjectMeta(name=settings.resource_name, namespace=settings.resource_namespace)
        self._lease = await self._client.create(Lease(metadata=meta, spec=spec))
        self._observe(spec)
        return True

    async def _write(self, lease: Lease, before: LeaseSpec) -> None:
        """Put our claim into the lease as it was read; refused if somebody else has written it since."""
        now = times.now_micro()
        transitions = before.leaseTransitions or 0
        if self._is_ours():
            spec = self._claim(now, before.acquireTime or now, transitions)
        else:
            spec = self._claim(now, now, transitions + 1)
        lease.spec = spec
        self._lease = None  # until the answer is here it is not known what the server has
        self._lease = await self._client.update(lease)
        self._observe(spec)

    def _claim(self, renewed: str, acquired: str, transitions: int) -> LeaseSpec:
        return LeaseSpec(
            holderIdentity=self.settings.identity,
            leaseDurationSeconds=int(self.settings.lease_duration),
            acquireTime=acquired,
            renewTime=renewed,
            leaseTransitions=transitions,
        )

    def _observe(self, spec: LeaseSpec) -> None:
        self._seen = spec
        self._seen_at = time.monotonic()

    async def _release(self) -> None:
        """Let others take the lease at once, instead of after its duration."""
        settings = self.settings
        try:
            async with asyncio.timeout(settings.renew_deadline):
                lease = await self._client.get(Lease, settings.resource_name, settings.resource_namespace)
                if lease.spec.holderIdentity != settings.identity:
                    return
                now = times.now_micro()
                lease.spec = LeaseSpec(
                    holderIdentity="",
                    leaseDurationSeconds=1,
                    acquireTime=now,
                    renewTime=now,
                    leaseTransitions=lease.spec.leaseTransitions,
                )
                self._lease = await self._client.update(lease)
                self._observe(lease.spec)
        except (ApiError, Unreachable, TimeoutError) as error:
            _log.warning("cannot release the lease", lease=self._name, error=str(error))
        else:
            self._record("stopped leading")
            _log.info("released the leadership", lease=self._name)

    def _record(self, what: str) -> None:
        if self._lease is not None:
            self._recorder.event(self._lease, "Normal", "LeaderElection", f"{self.settings.identity} {what}")

    async def _send_events(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVENT_SECONDS):
                await self._recorder.sent()


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended, whatever came of it."""
    task.cancel()
    await asyncio.wait((task,))
