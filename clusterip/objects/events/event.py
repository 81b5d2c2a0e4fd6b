"""Event of ``events.k8s.io``: the same objects as ``v1``'s, with newer names and stricter rules.

An object that one of the two wrote can be read, watched and changed by the other.
"""

from __future__ import annotations

import msgspec

from clusterip.objects import names
from clusterip.objects.base import Struct, always
from clusterip.objects.core import event as core
from clusterip.objects.core.event import EVENTS, EventSource
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.errors import ErrorList, Path, invalid, required
from clusterip.objects.meta import Object
from clusterip.objects.metadata import (
    immutable,
    validate_object_meta,
    validate_object_meta_update,
)
from clusterip.objects.registry import Resource, View, register
from clusterip.objects.scalars import Int32, MicroTime, Time


class EventSeries(Struct):
    """How often an event repeated itself."""

    count: Int32 = always(0)
    lastObservedTime: MicroTime | None = always(None)


class Event(Object):
    eventTime: MicroTime | None = always(None)
    series: EventSeries | None = None
    reportingController: str = ""
    reportingInstance: str = ""
    action: str = ""
    reason: str = ""
    regarding: ObjectReference = msgspec.field(default_factory=ObjectReference)
    related: ObjectReference | None = None
    note: str = ""
    type: str = ""
    deprecatedSource: EventSource = msgspec.field(default_factory=EventSource)
    deprecatedFirstTimestamp: Time | None = always(None)
    deprecatedLastTimestamp: Time | None = always(None)
    deprecatedCount: Int32 = 0


_SAME = ("eventTime", "reportingInstance", "action", "reason", "related", "type")
_RENAMED = {
    "reportingController": "reportingComponent",
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_NAMES = {name: name for name in _SAME} | _RENAMED


def to_core(event: Event) -> core.Event:
    """The event as it is stored."""
    fields = {theirs: getattr(event, ours) for ours, theirs in _NAMES.items()}
    series = event.series
    if series is not None:
        fields["series"] = core.EventSeries(count=series.count, lastObservedTime=series.lastObservedTime)
    return core.Event(kind="Event", apiVersion="v1", metadata=event.metadata, **fields)


def from_core(event: core.Event) -> Event:
    """A stored event in this version."""
    fields = {ours: getattr(event, theirs) for ours, theirs in _NAMES.items()}
    series = event.series
    if series is not None:
        fields["series"] = EventSeries(count=series.count, lastObservedTime=series.lastObservedTime)
    return Event(kind="Event", apiVersion="events.k8s.io/v1", metadata=event.metadata, **fields)


def _validate(event: Event) -> ErrorList:
    errors = core.validate_rules(to_core(event), "reportingController")
    errors += validate_object_meta(event.metadata, namespaced=True, name_rule=names.dns_subdomain)
    errors += _validate_series(event)
    if not event.eventTime:
        errors.append(required("eventTime"))
    if event.type not in ("Normal", "Warning"):
        errors.append(invalid("type", "", f"has invalid value: {event.type}"))
    for name in ("FirstTimestamp", "LastTimestamp", "Count", "Source"):
        value = getattr(event, f"deprecated{name}")
        if value and value != EventSource():
            errors.append(invalid(name[0].lower() + name[1:], "", "needs to be unset"))
    return errors


def _validate_series(event: Event) -> ErrorList:
    errors: ErrorList = []
    if event.series is not None:
        if event.series.count < 2:
            errors.append(invalid("series.count", "", "should be at least 2"))
        if not event.series.lastObservedTime:
            errors.append(required("series.lastObservedTime"))
    return errors


def _validate_update(new: Event, old: Event) -> ErrorList:
    errors = core.validate_rules(to_core(new), "reportingController")
    errors += validate_object_meta_update(new.metadata, old.metadata)
    if new.series != old.series:
        errors += _validate_series(new)
    for name in (
        "regarding",
        "reason",
        "note",
        "deprecatedSource",
        "deprecatedFirstTimestamp",
        "deprecatedLastTimestamp",
        "deprecatedCount",
        "reason",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingController",
        "reportingInstance",
    ):
        shown = "reportingController" if name == "reportingController" else _NAMES[name]
        errors += immutable(getattr(new, name), getattr(old, name), Path(shown))
    return errors


EVENTS_V1 = register(
    Resource(
        type=Event,
        group="events.k8s.io",
        version="v1",
        plural="events",
        namespaced=True,
        singular="event",
        short_names=("ev",),
        validate=_validate,
        validate_update=_validate_update,
        columns=EVENTS.columns,
        row=lambda event: core.row(to_core(event)),
        fields={
            "reason": lambda event: event.reason,
            "regarding.kind": lambda event: event.regarding.kind,
            "regarding.namespace": lambda event: event.regarding.namespace,
            "regarding.name": lambda event: event.regarding.name,
            "regarding.uid": lambda event: event.regarding.uid,
            "regarding.apiVersion": lambda event: event.regarding.apiVersion,
            "regarding.resourceVersion": lambda event: event.regarding.resourceVersion,
            "regarding.fieldPath": lambda event: event.regarding.fieldPath,
            "reportingController": lambda event: event.reportingController,
            "type": lambda event: event.type,
        },
        view=View(EVENTS, read=from_core, write=to_core),
    )
)
