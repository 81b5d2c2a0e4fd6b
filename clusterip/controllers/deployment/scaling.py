"""How large each ReplicaSet of a Deployment should be. Pure arithmetic on what is known of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from clusterip.controllers.deployment.limits import is_rolling, max_surge, max_unavailable, replicas_of
from clusterip.controllers.deployment.revisions import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    by_age,
    noted_number,
    revision_of,
)
from clusterip.objects.apps.deployment import Deployment
from clusterip.objects.apps.replicaset import ReplicaSet

Sizes = dict[str, int]
"""The wanted ``spec.replicas`` by ReplicaSet name."""


def size(replica_set: ReplicaSet) -> int:
    return replica_set.spec.replicas if replica_set.spec.replicas is not None else 1


def active(sets: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    return [rs for rs in sets if size(rs) > 0]


def new_size(deployment: Deployment, sets: Sequence[ReplicaSet], current: int) -> int:
    """How large the current ReplicaSet, now of size ``current``, may be; ``sets`` are all of them."""
    wanted = replicas_of(deployment)
    if not is_rolling(deployment):
        return wanted
    room = wanted + max_surge(deployment) - sum(map(size, sets))
    return current if room <= 0 else current + min(room, wanted - current)


def shrunk(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Sizes:
    """How far the old ReplicaSets may shrink now without too few Pods being available.

    First those Pods go that are not available anyway, whichever set they are in; then others, oldest
    set first. New Pods that are not available yet count as missing, so a rollout that does not come up
    stops before it takes the old version down.
    """
    minimum = replicas_of(deployment) - max_unavailable(deployment)
    new_unavailable = size(new) - new.status.availableReplicas
    total = sum(map(size, old)) + size(new)
    allowed = total - minimum - new_unavailable
    sizes: Sizes = {}
    if allowed <= 0 or not active(old):
        return sizes
    ordered = by_age(active(old))
    unhealthy_left = allowed
    for rs in ordered:
        unhealthy = min(unhealthy_left, size(rs) - rs.status.availableReplicas)
        if unhealthy > 0:
            sizes[rs.metadata.name] = size(rs) - unhealthy
            unhealthy_left -= unhealthy
    available = sum(rs.status.availableReplicas for rs in old) + new.status.availableReplicas
    spare = available - minimum
    for rs in ordered:
        if spare <= 0:
            break
        current = sizes.get(rs.metadata.name, size(rs))
        count = min(current, spare)
        if count > 0:
            sizes[rs.metadata.name] = current - count
            spare -= count
    return sizes


def is_scaling_event(deployment: Deployment, sets: Sequence[ReplicaSet]) -> bool:
    """Whether somebody changed the Deployment's size since its ReplicaSets were last scaled."""
    noted = (noted_number(rs, DESIRED_REPLICAS) for rs in active(sets))
    return any(number is not None and number != replicas_of(deployment) for number in noted)


def rescaled(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> tuple[Sizes, bool]:
    """The sizes after the Deployment's own size changed, or while it is paused.

    In the middle of a rollout each ReplicaSet grows or shrinks in proportion, so that the risk stays what
    it was. The second value says whether to note the new size on sets that keep theirs.
    """
    everything = [*old, new] if new is not None else list(old)
    wanted = replicas_of(deployment)
    only = _active_or_latest(new, old, active(everything))
    if only is not None:
        return {only.metadata.name: wanted}, False
    if new is not None and _is_saturated(deployment, new):
        return {rs.metadata.name: 0 for rs in active(old)}, False
    if is_rolling(deployment):
        return _proportional(deployment, active(everything)), True
    return {}, False


def surplus(deployment: Deployment, old: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    """The old ReplicaSets beyond the history limit that may be deleted, oldest revision first."""
    limit = deployment.spec.revisionHistoryLimit
    if limit is None or limit == 2**31 - 1:
        return []
    alive = sorted((rs for rs in old if rs.metadata.deletionTimestamp is None), key=revision_of)
    return [
        rs
        for rs in alive[: max(0, len(alive) - limit)]
        if size(rs) == 0
        and rs.status.replicas == 0
        and rs.metadata.generation <= rs.status.observedGeneration
    ]


def _active_or_latest(
    new: ReplicaSet | None, old: Sequence[ReplicaSet], running: Sequence[ReplicaSet]
) -> ReplicaSet | None:
    if len(running) == 1:
        return running[0]
    if running:
        return None
    return new if new is not None else next(reversed(by_age(old)), None)


def _is_saturated(deployment: Deployment, rs: ReplicaSet) -> bool:
    wanted = replicas_of(deployment)
    noted = noted_number(rs, DESIRED_REPLICAS)
    return size(rs) == wanted and noted == wanted and rs.status.availableReplicas == wanted


def _proportional(deployment: Deployment, sets: Sequence[ReplicaSet]) -> Sizes:
    wanted = replicas_of(deployment)
    allowed = wanted + max_surge(deployment) if wanted > 0 else 0
    to_add = allowed - sum(map(size, sets))
    ordered = by_age(sets)
    if to_add > 0:
        ordered.reverse()  # among equals the newer grow first and the older shrink first
    ordered.sort(key=size, reverse=True)
    sizes: Sizes = {}
    added = 0
    for rs in ordered:
        share = _share(deployment, rs, to_add, added)
        sizes[rs.metadata.name] = size(rs) + share
        added += share
    if ordered and to_add:
        largest = ordered[0].metadata.name
        sizes[largest] = max(0, sizes[largest] + to_add - added)
    return sizes


def _share(deployment: Deployment, rs: ReplicaSet, to_add: int, added: int) -> int:
    left = to_add - added
    if left == 0:
        return 0
    fraction = _fraction(deployment, rs)
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(deployment: Deployment, rs: ReplicaSet) -> int:
    wanted = replicas_of(deployment)
    if wanted == 0:
        return -size(rs)
    before = noted_number(rs, MAX_REPLICAS) or deployment.status.replicas
    if before == 0:
        return 0
    scaled = size(rs) * (wanted + max_surge(deployment)) / before
    return math.floor(scaled + 0.5) - size(rs)
