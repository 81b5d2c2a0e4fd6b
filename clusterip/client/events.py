"""Telling people what happened to an object: ``kubectl describe`` shows these Events."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass

from clusterip.client.credentials import CredentialsError
from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.objects import times
from clusterip.objects.core.event import Event, EventSource
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.meta import Object, ObjectMeta
from clusterip.objects.registry import resource_of

logger = logging.getLogger(__name__)

_REMEMBERED = 4096  # as client-go's event cache
_WAITING = 1000
_TRIES = 12
_BURST = 25  # as client-go's spam filter: this many Events about one object,
_REFILL_SECONDS = 300.0  # then one every five minutes


@dataclass
class _Allowance:
    tokens: float
    at: float


class EventRecorder:
    """Records Events in the background; the same thing again only raises the count of the first.

    ``run`` sends what ``event`` collects. Events are for people and may get lost: when the API server
    is away for long, or one object has too many.
    """

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        self._client = client
        self._source = EventSource(component=component, host=host)
        self._queue: asyncio.Queue[Event] = asyncio.Queue(_WAITING)
        self._known: OrderedDict[tuple[str, ...], Event] = OrderedDict()
        self._allowances: OrderedDict[str, _Allowance] = OrderedDict()

    def event(self, obj: Object | ObjectReference, type_: str, reason: str, message: str) -> None:
        """Say that something happened. ``type_`` is ``Normal`` or ``Warning``; never blocks or raises."""
        about = obj if isinstance(obj, ObjectReference) else reference(obj)
        if not self._allowed(about):
            return
        now = times.now()
        event = Event(
            metadata=ObjectMeta(
                name=f"{about.name}.{time.time_ns():x}", namespace=about.namespace or "default"
            ),
            involvedObject=about,
            reason=reason,
            message=message[:1024],
            source=self._source,
            firstTimestamp=now,
            lastTimestamp=now,
            count=1,
            type=type_,
            reportingComponent=self._source.component,
            reportingInstance=self._source.host,
        )
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            _log_lost("event dropped", event, "too many wait to be sent")

    @property
    def waiting(self) -> int:
        """How many Events are still to be sent."""
        return self._queue.qsize()

    async def run(self) -> None:
        """Send Events for ever."""
        while True:
            event = await self._queue.get()
            try:
                await self._deliver(event)
            finally:
                self._queue.task_done()

    async def sent(self) -> None:
        """Wait until everything recorded so far has been sent or given up."""
        await self._queue.join()

    async def _deliver(self, event: Event) -> None:
        for attempt in range(_TRIES):
            try:
                await self._send(event)
                break
            except (Unreachable, CredentialsError):
                await asyncio.sleep(min(0.1 * 2**attempt, 10.0))
            except ApiError as error:
                # A namespace that is gone or going takes no Events any more; that is no problem.
                if not (error.is_not_found or error.is_namespace_terminating):
                    _log_lost("event refused", event, str(error))
                break

    async def _send(self, event: Event) -> None:
        about = event.involvedObject
        what = (event.type, event.reason, event.message)
        key = (about.kind, about.namespace, about.name, about.uid, about.fieldPath, *what)
        known = self._known.get(key)
        if known is not None:
            patch = {"count": known.count + 1, "lastTimestamp": event.lastTimestamp}
            try:
                meta = known.metadata
                self._remember(key, await self._client.patch(Event, meta.name, meta.namespace, patch))
                return
            except ApiError as error:
                if not error.is_not_found:
                    raise
                event.count, event.firstTimestamp = known.count + 1, known.firstTimestamp
        try:
            self._remember(key, await self._client.create(event))
        except ApiError as error:
            # Only a retry of a create that had succeeded meets its own name.
            if not error.is_already_exists:
                raise
            self._remember(key, event)

    def _remember(self, key: tuple[str, ...], event: Event) -> None:
        self._known[key] = event
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _allowed(self, about: ObjectReference) -> bool:
        now = time.monotonic()
        allowance = self._allowances.setdefault(about.uid or about.name, _Allowance(_BURST, now))
        allowance.tokens = min(_BURST, allowance.tokens + (now - allowance.at) / _REFILL_SECONDS)
        allowance.at = now
        if len(self._allowances) > _REMEMBERED:
            self._allowances.popitem(last=False)
        if allowance.tokens < 1:
            return False
        allowance.tokens -= 1
        return True


def reference(obj: Object) -> ObjectReference:
    """A reference to the object as it is now."""
    resource = resource_of(type(obj))
    meta = obj.metadata
    return ObjectReference(
        kind=resource.kind,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        apiVersion=resource.api_version,
        resourceVersion=meta.resourceVersion,
    )


def _log_lost(what: str, event: Event, error: str) -> None:
    about = event.involvedObject
    fields = {
        "object": f"{about.kind}/{about.namespace}/{about.name}",
        "reason": event.reason,
        "error": error,
    }
    logger.warning(what, extra={"fields": fields})
