import json
from typing import Any

import pytest

from clusterip.apiserver.encoding import ObjectEncoder
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.selection import Selection
from clusterip.apiserver.watching import MOST_HELD, PIECE_BYTES, Change, Watcher
from clusterip.objects.codec import encode
from clusterip.objects.core.configmap import CONFIGMAPS, ConfigMap
from clusterip.objects.meta import ObjectMeta
from clusterip.objects.selectors import parse_label_selector

FRONT = Selection(labels=parse_label_selector("tier=front"))


def entry(revision: int, tier: str = "front", namespace: str = "n") -> Entry:
    meta = ObjectMeta(name="a", namespace=namespace, labels={"tier": tier})
    return Entry(
        CONFIGMAPS,
        namespace,
        "a",
        revision,
        encode(ConfigMap(kind="ConfigMap", apiVersion="v1", metadata=meta)),
    )


class Heard:
    """A watcher and what it was told."""

    def __init__(self, selection: Selection) -> None:
        self.frames: list[bytes] = []
        self.watcher = Watcher(selection, ObjectEncoder(CONFIGMAPS), self.frames.extend, lambda: None)

    @property
    def events(self) -> list[tuple[str, Any]]:
        decoded = [json.loads(frame) for frame in self.frames]
        return [(event["type"], event["object"]["metadata"]["resourceVersion"]) for event in decoded]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, "front", "ADDED"),
        ("back", "front", "ADDED"),
        ("front", "front", "MODIFIED"),
        ("front", "back", "DELETED"),
        ("back", "back", None),
        (None, "back", None),
    ],
)
def test_a_change_seen_through_a_selector(before: str | None, after: str, expected: str | None) -> None:
    previous = entry(1, before) if before else None
    assert Change(entry(2, after), previous, deleted=False).kind_for(FRONT) == expected


@pytest.mark.parametrize(("tier", "expected"), [("front", "DELETED"), ("back", None)])
def test_a_deletion_seen_through_a_selector(tier: str, expected: str | None) -> None:
    assert Change(entry(2, tier), entry(1, tier), deleted=True).kind_for(FRONT) == expected


def test_namespaces_are_selected() -> None:
    heard = Heard(Selection("n"))
    heard.watcher.deliver(
        [Change(entry(2), None, deleted=False), Change(entry(3, namespace="m"), None, deleted=False)]
    )
    assert heard.events == [("ADDED", "2")]


def test_what_left_the_selection_is_told_as_it_last_was_at_the_revision_of_leaving() -> None:
    heard = Heard(FRONT)
    heard.watcher.deliver([Change(entry(9, "back"), entry(4), deleted=False)])
    assert heard.events == [("DELETED", "9")]
    assert b'"tier":"front"' in heard.frames[0]


async def taken() -> None:
    """The client has taken what it was sent."""


async def test_nothing_is_told_twice() -> None:
    heard = Heard(Selection())
    change = Change(entry(5), None, deleted=False)
    await heard.watcher.start([entry(5)], 5, taken)
    heard.watcher.deliver([change])
    assert heard.events == [("ADDED", "5")]


def test_an_event_is_encoded_once_for_all() -> None:
    change = Change(entry(5), None, deleted=False)
    first, second = Heard(Selection()), Heard(Selection("n"))
    first.watcher.deliver([change])
    second.watcher.deliver([change])
    assert first.frames[0] is second.frames[0]


def test_while_it_catches_up_changes_wait() -> None:
    heard = Heard(Selection())
    heard.watcher.hold()
    heard.watcher.deliver([Change(entry(5), None, deleted=False)])
    assert heard.frames == []
    heard.watcher.release()
    assert heard.events == [("ADDED", "5")]


async def test_the_beginning_comes_in_pieces_that_are_taken_one_by_one() -> None:
    heard = Heard(Selection())
    seen: list[int] = []

    async def wait() -> None:
        seen.append(len(heard.frames))
        heard.watcher.deliver([Change(entry(6), entry(5), deleted=False)])

    heard.watcher.hold()
    size = len(ObjectEncoder(CONFIGMAPS).event("ADDED", entry(5)))
    piece = -(-PIECE_BYTES // size)
    await heard.watcher.start([entry(5)] * (piece + 1), 5, wait)
    assert seen == [piece]
    heard.watcher.release()
    assert heard.events[-2:] == [("ADDED", "5"), ("MODIFIED", "6")]


def test_who_does_not_take_the_beginning_is_dropped() -> None:
    heard = Heard(Selection())
    heard.watcher.hold()
    for _ in range(MOST_HELD + 1):
        heard.watcher.deliver([Change(entry(6), entry(5), deleted=False)])
    assert heard.watcher.closed
