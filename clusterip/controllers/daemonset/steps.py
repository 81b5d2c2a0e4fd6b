"""From the daemon Pods that are to those that should be. Pure.

``manage`` keeps one Pod on each node; ``roll`` replaces those of an old template, no more at once than the
strategy allows (``pkg/controller/daemon``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from clusterip.controllers import pods as pod_facts
from clusterip.controllers.daemonset.placement import Placement
from clusterip.controllers.history import HASH_LABEL
from clusterip.controllers.scaled import scaled
from clusterip.objects.apps.daemonset import ROLLING_UPDATE, DaemonSet
from clusterip.objects.core.pod import Pod

PodsByNode = Mapping[str, Sequence[Pod]]


@dataclass
class Steps:
    """The nodes to create a Pod on, the Pods to delete, and of these the ones that have ended."""

    create: list[str] = field(default_factory=list)
    delete: list[Pod] = field(default_factory=list)
    ended: list[Pod] = field(default_factory=list)


@dataclass(frozen=True)
class View:
    """A DaemonSet as it is: where its Pods should be and are, and which revision is current.

    ``by_node`` holds Pods of nodes that are gone too; ``now`` is Unix time in seconds.
    """

    daemon_set: DaemonSet
    places: Mapping[str, Placement]
    by_node: PodsByNode
    hashed: str
    now: float

    @property
    def desired(self) -> int:
        return sum(place.run for place in self.places.values())

    def living(self, node: str) -> list[Pod]:
        return [pod for pod in self.by_node.get(node, ()) if pod.metadata.deletionTimestamp is None]

    def updated(self, pod: Pod) -> bool:
        return pod.metadata.labels.get(HASH_LABEL) == self.hashed

    def available(self, pod: Pod) -> bool:
        return pod_facts.seconds_until_available(pod, self.daemon_set.spec.minReadySeconds, self.now) == 0


def max_surge(daemon_set: DaemonSet, desired: int) -> int:
    strategy = daemon_set.spec.updateStrategy
    rolling = strategy.rollingUpdate
    if strategy.type != ROLLING_UPDATE or rolling is None or rolling.maxSurge is None:
        return 0
    return scaled(rolling.maxSurge, desired, up=True)


def max_unavailable(daemon_set: DaemonSet, desired: int) -> int:
    rolling = daemon_set.spec.updateStrategy.rollingUpdate
    if rolling is None or rolling.maxUnavailable is None:
        return 1
    return scaled(rolling.maxUnavailable, desired, up=True)


def manage(view: View) -> Steps:
    """One Pod on each node that should have one; two where a new one comes before the old one goes."""
    steps = Steps()
    surging = max_surge(view.daemon_set, view.desired) > 0
    for node, place in view.places.items():
        present = view.by_node.get(node, ())
        if place.run and not present:
            steps.create.append(node)
        elif place.stay:
            _manage_node(view, node, place, surging, steps)
        else:
            steps.delete += view.living(node)
    for node, orphaned in view.by_node.items():
        if node not in view.places:
            # Not bound to a node that exists, so nobody else will ever remove them.
            steps.delete += [pod for pod in orphaned if not pod.spec.nodeName and pod in view.living(node)]
    return steps


def roll(view: View) -> Steps:
    """The next steps towards Pods of the current revision only. For the strategy RollingUpdate."""
    surge = max_surge(view.daemon_set, view.desired)
    return _surge(view, surge) if surge else _replace(view)


def _manage_node(view: View, node: str, place: Placement, surging: bool, steps: Steps) -> None:
    running = []
    for pod in view.living(node):
        if pod_facts.is_terminal(pod):
            steps.ended.append(pod)
        else:
            running.append(pod)
    running.sort(key=seniority)
    if not surging:
        steps.delete += running[1:]
        return
    if not running and place.run:
        steps.create.append(node)
    new = next((pod for pod in running if view.updated(pod)), None)
    old = next((pod for pod in running if not view.updated(pod)), None)
    steps.delete += [pod for pod in running if pod is not new and pod is not old]
    if new is not None and old is not None and (not pod_facts.is_ready(old) or view.available(new)):
        steps.delete.append(old)


def _replace(view: View) -> Steps:
    """Delete old Pods, those first that serve nobody; ``manage`` then starts new ones."""
    unavailable = 0
    useless: list[Pod] = []
    candidates: list[Pod] = []
    for node in _nodes(view):
        new, old, clear = _pair(view, node)
        if not clear or (new is None) == (old is None):
            unavailable += 1  # being created or cleaned up
        elif new is not None:
            unavailable += not view.available(new)
        elif old is not None and not view.available(old):
            useless.append(old)
            unavailable += 1
        elif old is not None:
            candidates.append(old)
    limit = max_unavailable(view.daemon_set, view.desired) or 1
    return Steps(delete=useless + candidates[: max(limit - unavailable, 0)])


def _surge(view: View, limit: int) -> Steps:
    """Start new Pods beside old ones, which go when the new ones are available."""
    steps = Steps()
    surging = available = 0
    candidates: list[str] = []
    misplaced: list[Pod] = []
    for node in _nodes(view):
        new, old, clear = _pair(view, node)
        if not clear:
            surging += 1
            continue
        oldest = old or new
        available += oldest is not None and view.available(oldest)
        if old is None:
            continue
        if new is not None:
            if view.available(new):
                steps.delete.append(old)
            else:
                surging += 1
            continue
        runs_here = node in view.places and view.places[node].run
        if not view.available(old):
            (steps.create.append(node) if runs_here else steps.delete.append(old))
        elif not runs_here:
            misplaced.append(old)
        else:
            candidates.append(node)
    # Who asks for a surge wants nothing missing: what runs in the wrong place goes when others serve.
    steps.delete += misplaced[: max(available - view.desired, 0)]
    steps.create += candidates[: max(limit - surging, 0)]
    return steps


def _nodes(view: View) -> Iterable[str]:
    return {**{node: None for node, place in view.places.items() if place.run}, **dict.fromkeys(view.by_node)}


def _pair(view: View, node: str) -> tuple[Pod | None, Pod | None, bool]:
    """The new and the old Pod of a node, and whether there is at most one of each."""
    living = view.living(node)
    new = [pod for pod in living if view.updated(pod)]
    old = [pod for pod in living if not view.updated(pod)]
    if len(new) > 1 or len(old) > 1:
        return None, None, False
    return (new[0] if new else None), (old[0] if old else None), True


def seniority(pod: Pod) -> tuple[bool, str, str]:
    """Bound ones before others, then the oldest first."""
    meta = pod.metadata
    return not pod.spec.nodeName, meta.creationTimestamp or "", meta.name
