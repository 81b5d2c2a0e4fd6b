"""Event: its fields and its place in the API."""

from __future__ import annotations

import msgspec

from clusterip.objects.base import Struct
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register


class EventSeries(Struct):
    count: int = 0
    lastObservedTime: str | None = None


class EventSource(Struct):
    component: str = ""
    host: str = ""


class Event(Object):
    involvedObject: ObjectReference = msgspec.field(default_factory=ObjectReference)
    reason: str = ""
    message: str = ""
    source: EventSource = msgspec.field(default_factory=EventSource)
    firstTimestamp: str | None = None
    lastTimestamp: str | None = None
    count: int = 0
    type: str = ""
    eventTime: str | None = None
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reportingComponent: str = ""
    reportingInstance: str = ""


EVENTS = register(
    Resource(
        type=Event,
        group="",
        version="v1",
        plural="events",
        namespaced=True,
        singular="event",
        short_names=("ev",),
    )
)
