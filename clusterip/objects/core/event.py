"""Event: what happened to an object, for people to read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.base import Struct, always
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.errors import ErrorList, FieldError, Path, invalid, invalid_each, required
from clusterip.objects.meta import Object
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.scalars import Int32, MicroTime, Time
from clusterip.objects.tables import NAME_COLUMN, wide


class EventSeries(Struct):
    """How often an event repeated itself."""

    count: Int32 = 0
    lastObservedTime: MicroTime | None = always(None)


class EventSource(Struct):
    component: str = ""
    host: str = ""


class Event(Object):
    involvedObject: ObjectReference = msgspec.field(default_factory=ObjectReference)
    reason: str = ""
    message: str = ""
    source: EventSource = msgspec.field(default_factory=EventSource)
    firstTimestamp: Time | None = always(None)
    lastTimestamp: Time | None = always(None)
    count: Int32 = 0
    type: str = ""
    eventTime: MicroTime | None = always(None)
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reportingComponent: str = always("")
    reportingInstance: str = always("")


NAME_LIMIT = 128
MESSAGE_LIMIT = 1024


def _validate(event: Event) -> ErrorList:
    return validate_rules(event, "reportingComponent")


def validate_rules(event: Event, reporter: str) -> ErrorList:
    """The rules of every version, which hardly ask for anything of events without ``eventTime``.

    ``reporter`` is the version's name for who reports.
    """
    errors = _validate_modern(event, Path(reporter)) if event.eventTime else _validate_legacy(event)
    namespace = event.metadata.namespace
    return errors + invalid_each("namespace", namespace, names.dns_subdomain(namespace))


def _validate_update(new: Event, _old: Event) -> ErrorList:
    return _validate(new)


def _validate_legacy(event: Event) -> ErrorList:
    involved, own = event.involvedObject.namespace, event.metadata.namespace
    allowed = (involved,) if involved else ("", "default")
    return [] if own in allowed else [_mismatch(involved)]


def _validate_modern(event: Event, component: Path) -> ErrorList:
    errors: ErrorList = []
    if not event.involvedObject.namespace and event.metadata.namespace not in ("default", "kube-system"):
        errors.append(_mismatch(""))
    if not event.reportingComponent:
        errors.append(required(component))
    errors += invalid_each(component, event.reportingComponent, names.label_key(event.reportingComponent))
    for name in ("reportingInstance", "action", "reason"):
        value = getattr(event, name)
        if not value:
            errors.append(required(name))
        if len(value) > NAME_LIMIT:
            errors.append(invalid(name, "", f"can have at most {NAME_LIMIT} characters"))
    if len(event.message) > MESSAGE_LIMIT:
        errors.append(invalid("message", "", f"can have at most {MESSAGE_LIMIT} characters"))
    return errors


def _mismatch(namespace: str) -> FieldError:
    return invalid("involvedObject.namespace", namespace, "does not match event.namespace")


def row(event: Event) -> list[Any]:
    involved = event.involvedObject
    first = times.age(event.firstTimestamp or event.eventTime)
    last = times.age(event.lastTimestamp) if event.lastTimestamp else first
    count = event.count or 1
    if event.series is not None:
        last, count = times.age(event.series.lastObservedTime), event.series.count
    kind = involved.kind.lower()
    return [
        last,
        event.type,
        event.reason,
        f"{kind}/{involved.name}" if involved.name else kind,
        involved.fieldPath,
        _source(event),
        event.message.strip(),
        first,
        count,
        event.metadata.name,
    ]


def _source(event: Event) -> str:
    component = event.source.component or event.reportingComponent
    host = event.source.host or event.reportingInstance
    return f"{component}, {host}" if host else component


EVENTS = register(
    Resource(
        type=Event,
        group="",
        version="v1",
        plural="events",
        namespaced=True,
        singular="event",
        short_names=("ev",),
        validate=_validate,
        validate_update=_validate_update,
        columns=(
            Column("Last Seen", description="How long ago it happened last."),
            Column("Type", description="Normal or Warning."),
            Column("Reason", description="Why, in one word for programs."),
            Column("Object", description="What it happened to."),
            wide("Subobject", "Which part of that."),
            wide("Source", "Who reported it."),
            Column("Message", description="What happened."),
            wide("First Seen", "How long ago it happened first."),
            wide("Count", "How often it happened."),
            replace(NAME_COLUMN, priority=1),
        ),
        row=row,
        fields={
            "involvedObject.kind": lambda event: event.involvedObject.kind,
            "involvedObject.namespace": lambda event: event.involvedObject.namespace,
            "involvedObject.name": lambda event: event.involvedObject.name,
            "involvedObject.uid": lambda event: event.involvedObject.uid,
            "involvedObject.apiVersion": lambda event: event.involvedObject.apiVersion,
            "involvedObject.resourceVersion": lambda event: event.involvedObject.resourceVersion,
            "involvedObject.fieldPath": lambda event: event.involvedObject.fieldPath,
            "reason": lambda event: event.reason,
            "reportingComponent": lambda event: event.reportingComponent,
            "source": lambda event: event.source.component or event.reportingComponent,
            "type": lambda event: event.type,
        },
    )
)
