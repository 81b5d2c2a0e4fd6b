"""The next steps of a StatefulSet: in order, one at a time, or all at once for the policy Parallel. Pure.

As ``stateful_set_control.go``: Pods come up in the order of their numbers and go in the reverse order,
each step waits for the one before, and scaling goes before updating.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clusterip.controllers import pods as pod_facts
from clusterip.controllers.scaled import scaled
from clusterip.controllers.statefulset.identity import ordinal_of, ordinals, revision_of
from clusterip.objects.apps.statefulset import StatefulSet
from clusterip.objects.core.pod import Pod


@dataclass
class Steps:
    """The numbers of the Pods to create, and the Pods to delete."""

    create: list[int] = field(default_factory=list)
    delete: list[Pod] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.create or self.delete)


@dataclass(frozen=True)
class View:
    """A StatefulSet as it is; ``now`` is Unix time in seconds, the revisions are names."""

    stateful_set: StatefulSet
    pods: Sequence[Pod]
    current_revision: str
    update_revision: str
    now: float

    @property
    def in_order(self) -> bool:
        return self.stateful_set.spec.podManagementPolicy != "Parallel"

    def available(self, pod: Pod) -> bool:
        wait = pod_facts.seconds_until_available(pod, self.stateful_set.spec.minReadySeconds, self.now)
        return wait == 0 and not terminating(pod)

    def members(self) -> dict[int, Pod]:
        """Its Pods by their numbers."""
        numbered = ((ordinal_of(self.stateful_set, pod), pod) for pod in self.pods)
        return {ordinal: pod for ordinal, pod in numbered if ordinal is not None}


def terminating(pod: Pod) -> bool:
    return pod.metadata.deletionTimestamp is not None


def next_steps(view: View) -> Steps:
    """What to do now; nothing while something has to come true first."""
    members = view.members()
    wanted = ordinals(view.stateful_set)
    steps, blocked = _fill(view, members, wanted)
    if blocked:
        return steps
    surplus, blocked = _shrink(view, members, wanted)
    steps.delete += surplus
    if steps or blocked or view.stateful_set.spec.updateStrategy.type == "OnDelete":
        return steps
    return Steps(delete=_outdated(view, members, wanted))


def starts_with_old(view: View, ordinal: int) -> bool:
    """Whether a Pod of this number is made from the old template: it is below the rollout's partition."""
    spec = view.stateful_set.spec
    if spec.updateStrategy.type != "RollingUpdate":
        return False
    rolling = spec.updateStrategy.rollingUpdate
    old = view.stateful_set.status.currentReplicas if rolling is None else rolling.partition or 0
    return ordinal < ordinals(view.stateful_set).start + old


def _fill(view: View, members: Mapping[int, Pod], wanted: range) -> tuple[Steps, bool]:
    """Create what is missing and restart what has ended; True if the rest has to wait for that."""
    steps = Steps()
    for ordinal in wanted:
        pod = members.get(ordinal)
        if pod is None:
            steps.create.append(ordinal)
        elif pod_facts.is_terminal(pod):
            # It is created again once it is gone: two Pods never have one name.
            if not terminating(pod):
                steps.delete.append(pod)
        elif not view.in_order or view.available(pod):
            continue
        if view.in_order:
            return steps, True
    return steps, False


def _shrink(view: View, members: Mapping[int, Pod], wanted: range) -> tuple[list[Pod], bool]:
    """The Pods with too high (or low) numbers, the highest first; True if updates wait for them."""
    surplus = [members[ordinal] for ordinal in sorted(members, reverse=True) if ordinal not in wanted]
    if not view.in_order:
        return [pod for pod in surplus if not terminating(pod)], False
    if not surplus:
        return [], False
    first = surplus[0]
    if terminating(first):
        return [], True
    troubled = next((pod for pod in reversed(surplus) if not view.available(pod)), None)
    # One that does not work may go before its turn, so that a broken Pod cannot stop the scaling down.
    if not view.available(first) and first is not troubled:
        return [], True
    return [first], True


def _outdated(view: View, members: Mapping[int, Pod], wanted: range) -> list[Pod]:
    """The Pods of an old template to replace now, the highest number first, as many as may be missing."""
    rolling = view.stateful_set.spec.updateStrategy.rollingUpdate
    partition = (rolling.partition or 0) if rolling is not None else 0
    limit = 1
    if rolling is not None and rolling.maxUnavailable is not None:
        limit = max(scaled(rolling.maxUnavailable, len(wanted), up=True), 1)
    missing = sum(ordinal not in members or not view.available(members[ordinal]) for ordinal in wanted)
    candidates = [
        members[ordinal]
        for ordinal in reversed(wanted)
        if ordinal >= wanted.start + partition and ordinal in members
    ]
    old = [p for p in candidates if revision_of(p) != view.update_revision and not terminating(p)]
    return old[: max(limit - missing, 0)]
