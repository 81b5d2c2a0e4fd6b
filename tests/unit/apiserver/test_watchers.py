"""Who is looked at when an object changes."""

from __future__ import annotations

from clusterip.apiserver.encoding import ObjectEncoder
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.selection import Selection
from clusterip.apiserver.watchers import Watchers
from clusterip.apiserver.watching import Change, Watcher
from clusterip.objects.codec import encode
from clusterip.objects.core.pod import PODS, Pod, PodSpec
from clusterip.objects.meta import ObjectMeta
from clusterip.objects.selectors import parse_field_selector


def entry(name: str, node: str) -> Entry:
    meta = ObjectMeta(name=name, namespace="n")
    pod = Pod(kind="Pod", apiVersion="v1", metadata=meta, spec=PodSpec(nodeName=node, containers=[]))
    return Entry(PODS, "n", name, 7, encode(pod))


def watcher(fields: str = "") -> Watcher:
    selection = Selection(fields=parse_field_selector(fields) if fields else None)
    return Watcher(selection, ObjectEncoder(PODS), lambda frames: None, lambda: None)


def test_only_those_are_looked_at_whom_a_change_may_concern() -> None:
    watchers = Watchers()
    everything, unequal = watcher(), watcher("spec.nodeName!=a")
    a, other_a, b, named = (
        watcher("spec.nodeName=a"),
        watcher("spec.nodeName=a,status.phase!=Failed"),
        watcher("spec.nodeName=b"),
        watcher("metadata.name=x"),
    )
    for each in (everything, unequal, a, other_a, b, named):
        watchers.add(each)
        watchers.add(each)
    assert len(watchers) == 6

    def concerned(*changes: Change) -> set[Watcher]:
        found = watchers.concerned(changes)
        assert len(found) == len(set(found))
        return set(found)

    always = {everything, unequal}
    assert concerned(Change(entry("y", "a"), None, deleted=False)) == {*always, a, other_a}
    assert concerned(Change(entry("x", "c"), None, deleted=False)) == {*always, named}
    assert concerned(Change(entry("y", "b"), entry("y", "a"), deleted=False)) == {*always, a, other_a, b}
    both = Change(entry("y", "a"), None, deleted=False), Change(entry("z", "a"), None, deleted=True)
    assert concerned(*both) == {*always, a, other_a}
    for each in (a, other_a, everything, a):
        watchers.discard(each)
    assert concerned(Change(entry("y", "a"), None, deleted=False)) == {unequal}
    assert set(watchers) == {unequal, b, named}
    watchers.clear()
    assert concerned(Change(entry("x", "b"), None, deleted=False)) == set()
