"""Events have two versions of the same objects. The rules are those of pkg/apis/core/validation/events.go."""

from __future__ import annotations

from typing import Any

import pytest

from clusterip.objects import kinds  # noqa: F401 - registers the kinds
from clusterip.objects.codec import convert, to_tree
from clusterip.objects.core.event import EVENTS
from clusterip.objects.events.event import EVENTS_V1, Event, from_core, to_core

NOW = "2026-01-01T00:00:00.000000Z"


def event(**fields: Any) -> Event:
    tree = {
        "metadata": {"name": "x", "namespace": "ns"},
        "eventTime": NOW,
        "reportingController": "a.b/c",
        "reportingInstance": "i",
        "action": "act",
        "reason": "why",
        "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
        "type": "Normal",
        **fields,
    }
    return convert(tree, Event)


def test_each_version_has_all_of_the_other() -> None:
    given = event(
        note="text",
        series={"count": 2, "lastObservedTime": NOW},
        related={"kind": "Node", "name": "n"},
        deprecatedSource={"component": "c", "host": "h"},
        deprecatedFirstTimestamp="2026-01-01T00:00:00Z",
        deprecatedLastTimestamp="2026-01-01T00:00:01Z",
        deprecatedCount=3,
    )
    stored = to_core(given)
    assert (stored.message, stored.count, stored.reportingComponent) == ("text", 3, "a.b/c")
    assert (stored.involvedObject.name, stored.source.host) == ("p", "h")
    assert to_tree(from_core(stored)) == to_tree(given) | {"kind": "Event", "apiVersion": "events.k8s.io/v1"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"eventTime": None}, ["eventTime: Required value"]),
        ({"type": "Odd"}, ['type: Invalid value: "": has invalid value: Odd']),
        ({"deprecatedCount": 1}, ['count: Invalid value: "": needs to be unset']),
        ({"deprecatedSource": {"host": "h"}}, ['source: Invalid value: "": needs to be unset']),
        (
            {"deprecatedFirstTimestamp": "2026-01-01T00:00:00Z"},
            ['firstTimestamp: Invalid value: "": needs to be unset'],
        ),
        (
            {"series": {"count": 1}},
            [
                'series.count: Invalid value: "": should be at least 2',
                "series.lastObservedTime: Required value",
            ],
        ),
        ({"reportingInstance": ""}, ["reportingInstance: Required value"]),
        ({"regarding": {}}, ['involvedObject.namespace: Invalid value: "": does not match event.namespace']),
    ],
)
def test_the_newer_version_is_strict(changes: dict[str, Any], expected: list[str]) -> None:
    assert [str(error) for error in EVENTS_V1.validate(event(**changes))] == expected


def test_the_newer_version_lets_nothing_be_changed_but_the_series() -> None:
    old = event()
    old.metadata.resourceVersion = "1"
    new = event(series={"count": 2, "lastObservedTime": NOW})
    new.metadata.resourceVersion = "1"
    assert EVENTS_V1.validate_update(new, old) == []
    new = event(note="other", regarding={"kind": "Pod", "namespace": "ns", "name": "q"})
    new.metadata.resourceVersion = "1"
    fields = [error.field for error in EVENTS_V1.validate_update(new, old)]
    assert fields == ["involvedObject", "message"]


def test_tables_and_selectors() -> None:
    shown = event(note="hello")
    assert EVENTS_V1.row is not None
    assert EVENTS.row is not None
    assert EVENTS_V1.row(shown) == EVENTS.row(to_core(shown))
    assert {name: get(shown) for name, get in EVENTS_V1.fields.items()}["regarding.name"] == "p"
