"""Writing a Pod's status to the API server: the newest one, once, whenever it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.node.pods.backoff import Backoff
from clusterip.objects.core.pod import Pod, PodStatus
from clusterip.process import log

_log = log.get("node")


class Reporter:
    """Keeps one Pod's status at the API server as ``compute`` says. ``pod`` is the newest known object.

    Changes that come while a write is under way are written together after it.
    """

    def __init__(self, client: Client, pod: Pod, compute: Callable[[Pod], PodStatus]) -> None:
        self.pod = pod
        self.gone = False
        self._client = client
        self._compute = compute
        self._wanted = asyncio.Event()
        self._written = asyncio.Event()

    @property
    def _name(self) -> str:
        return f"{self.pod.metadata.namespace}/{self.pod.metadata.name}"

    def observe(self, pod: Pod) -> None:
        """Take in a newer object from the API server."""
        if version_of(pod) >= version_of(self.pod):
            self.pod = pod

    def report(self) -> None:
        """Say that the status may have changed."""
        self._written.clear()
        self._wanted.set()

    def stop(self) -> None:
        """The object is gone: write no more."""
        self.gone = True
        self._wanted.set()
        self._written.set()

    async def flush(self) -> None:
        """Return when everything reported has been written, or the Pod is gone."""
        await self._written.wait()

    async def run(self) -> None:
        """Write for ever."""
        backoff = Backoff(0.1, 1.0)
        while not self.gone:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                if not self.gone:
                    await self._write()
                backoff.reset()
            except Unreachable:
                self._wanted.set()
                await asyncio.sleep(backoff.next())
            except ApiError as error:
                self._refused(error)
                if self._wanted.is_set():
                    await asyncio.sleep(backoff.next())
            except Exception:  # noqa: BLE001 - a status that is never written again would be worse
                _log.exception("status not written, trying again", pod=self._name)
                self._wanted.set()
                await asyncio.sleep(backoff.next())
            if not self._wanted.is_set():
                self._written.set()
        self._written.set()

    async def _write(self) -> None:
        """Write until the server has the status; somebody else's change in between is taken in."""
        while True:
            status = self._compute(self.pod)
            if msgspec.json.encode(status) == msgspec.json.encode(self.pod.status):
                return
            try:
                written = await self._client.update_status(msgspec.structs.replace(self.pod, status=status))
            except ApiError as error:
                if not error.is_conflict:
                    raise
                meta = self.pod.metadata
                found = await self._client.get(Pod, meta.name, meta.namespace)
                if found.metadata.uid != meta.uid:
                    self.gone = True
                    return
                self.observe(found)
                continue
            written.metadata.managedFields = []
            self.observe(written)
            return

    def _refused(self, error: ApiError) -> None:
        if error.is_not_found:
            self.gone = True
            return
        _log.warning("status refused", pod=self._name, error=str(error))
        if error.code >= 500 or error.code == 429:
            self._wanted.set()


def version_of(pod: Pod | None) -> int:
    """A Pod's resource version, to put two in order: opaque by contract, but always a number. 0 for none."""
    if pod is None:
        return 0
    version = pod.metadata.resourceVersion
    return int(version) if version.isdigit() else 0
