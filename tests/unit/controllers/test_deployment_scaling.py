"""Deployments: how far each ReplicaSet grows and shrinks, step by step."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterip.controllers.deployment.limits import max_surge, max_unavailable
from clusterip.controllers.deployment.revisions import DESIRED_REPLICAS, MAX_REPLICAS, REVISION
from clusterip.controllers.deployment.scaling import (
    is_scaling_event,
    new_size,
    rescaled,
    shrunk,
    size,
    surplus,
)
from tests.support.objects import make_deployment, make_replica_set


def rolling(replicas: int, surge: int | str, unavailable: int | str) -> dict[str, object]:
    update = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": update}}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (3, "25%", "25%", (1, 0)),
        (10, "25%", "25%", (3, 2)),
        (4, "25%", "25%", (1, 1)),
        (1, "25%", "25%", (1, 0)),
        (5, 0, "10%", (0, 1)),  # both would round to nothing
        (2, 0, 5, (0, 2)),
        (0, 1, 1, (1, 0)),
        (10, "100%", 0, (10, 0)),
    ],
)
def test_limits(replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]) -> None:
    deployment = make_deployment(**rolling(replicas, surge, unavailable))  # type: ignore[arg-type]
    assert (max_surge(deployment), max_unavailable(deployment)) == expected


def test_recreate_has_no_room_either_way() -> None:
    deployment = make_deployment(strategy={"type": "Recreate"})
    assert (max_surge(deployment), max_unavailable(deployment)) == (0, 0)


def test_the_new_set_grows_by_the_surge() -> None:
    deployment = make_deployment(**rolling(10, 3, 0))  # type: ignore[arg-type]
    old = make_replica_set("old", 10)
    assert new_size(deployment, [old], 0) == 3
    assert new_size(deployment, [old, make_replica_set("new", 3)], 3) == 3, "no more room"
    assert new_size(deployment, [make_replica_set("old", 7), make_replica_set("new", 3)], 3) == 6
    assert new_size(deployment, [], 0) == 10


def test_old_sets_shrink_only_for_what_is_available() -> None:
    deployment = make_deployment(**rolling(3, 1, 0))  # type: ignore[arg-type]
    old = make_replica_set("old", 3)
    assert shrunk(deployment, make_replica_set("new", 1, available=0), [old]) == {}
    assert shrunk(deployment, make_replica_set("new", 1, available=1), [old]) == {"old": 2}


def test_a_rollout_that_does_not_come_up_stops() -> None:
    deployment = make_deployment(**rolling(10, 3, 2))  # type: ignore[arg-type]
    old = make_replica_set("old", 8)
    assert shrunk(deployment, make_replica_set("new", 5, available=0), [old]) == {}


def test_unhealthy_old_pods_go_first() -> None:
    deployment = make_deployment(**rolling(10, 3, 2))  # type: ignore[arg-type]
    older = make_replica_set("older", 5, available=5, created="2026-01-01T00:00:00Z")
    old = make_replica_set("old", 5, available=1, created="2026-01-02T00:00:00Z")
    assert shrunk(deployment, make_replica_set("new", 0), [older, old]) == {"old": 3}


def test_oldest_sets_go_first() -> None:
    deployment = make_deployment(**rolling(4, 0, 2))  # type: ignore[arg-type]
    older = make_replica_set("older", 1, created="2026-01-01T00:00:00Z")
    old = make_replica_set("old", 3, created="2026-01-02T00:00:00Z")
    assert shrunk(deployment, make_replica_set("new", 0), [old, older]) == {"older": 0, "old": 2}


def noted(replicas: int, maximum: int) -> dict[str, str]:
    return {DESIRED_REPLICAS: str(replicas), MAX_REPLICAS: str(maximum)}


def test_scaling_is_told_from_rolling_by_the_annotation() -> None:
    deployment = make_deployment(5)
    assert is_scaling_event(deployment, [make_replica_set("a", 3, annotations=noted(3, 4))])
    assert not is_scaling_event(deployment, [make_replica_set("a", 3, annotations=noted(5, 7))])
    assert not is_scaling_event(deployment, [make_replica_set("a", 3)])
    assert not is_scaling_event(deployment, [make_replica_set("a", 0, annotations=noted(3, 4))])


def test_the_only_active_set_takes_the_new_size() -> None:
    deployment = make_deployment(5)
    new, old = make_replica_set("new", 3), make_replica_set("old", 0)
    assert rescaled(deployment, new, [old]) == ({"new": 5}, False)
    assert rescaled(deployment, make_replica_set("new", 0), [old]) == ({"new": 5}, False)


def test_in_the_middle_of_a_rollout_sets_scale_in_proportion() -> None:
    deployment = make_deployment(**rolling(20, 5, 2))  # type: ignore[arg-type]
    new = make_replica_set("new", 5, created="2026-01-02T00:00:00Z", annotations=noted(10, 15))
    old = make_replica_set("old", 10, annotations=noted(10, 15))
    sizes, note = rescaled(deployment, new, [old])
    assert sizes == {"old": 17, "new": 8}
    assert note
    deployment = make_deployment(**rolling(5, 5, 2))  # type: ignore[arg-type]
    sizes, _ = rescaled(deployment, new, [old])
    assert sizes == {"old": 7, "new": 3}


def test_to_zero() -> None:
    deployment = make_deployment(0)
    new, old = make_replica_set("new", 2, annotations=noted(4, 5)), make_replica_set("old", 3)
    assert rescaled(deployment, new, [old])[0] == {"old": 0, "new": 0}


def test_history_beyond_the_limit_is_surplus() -> None:
    deployment = make_deployment(revisionHistoryLimit=1)
    sets = [make_replica_set(f"r{i}", 0, annotations={REVISION: str(i)}) for i in (3, 1, 2)]
    assert [rs.metadata.name for rs in surplus(deployment, sets)] == ["r1", "r2"]
    sets[1].spec.replicas = 1
    assert [rs.metadata.name for rs in surplus(deployment, sets)] == ["r2"], "still has Pods"


@settings(max_examples=150, deadline=None)
@given(
    replicas=st.integers(0, 12),
    surge=st.integers(0, 5),
    unavailable=st.integers(0, 5),
    broken=st.integers(0, 3),
    pace=st.lists(st.integers(1, 4), min_size=1, max_size=5),
)
def test_a_rollout_ends_and_never_leaves_its_limits(
    replicas: int, surge: int, unavailable: int, broken: int, pace: list[int]
) -> None:
    """Pods become available a few at a time; ``broken`` old ones never were."""
    if surge == unavailable == 0:
        surge = 1
    deployment = make_deployment(**rolling(replicas, surge, unavailable))  # type: ignore[arg-type]
    broken = min(broken, replicas)
    old = make_replica_set("old", replicas, available=replicas - broken)
    new = make_replica_set("new", 0, created="2026-01-02T00:00:00Z")
    lowest = min(replicas - max_unavailable(deployment), replicas - broken)
    for step in range(400):
        new.spec.replicas = new_size(deployment, [old, new], size(new))
        wanted = shrunk(deployment, new, [old]).get("old", size(old))
        # A ReplicaSet deletes Pods that are not available first.
        lost = max(0, old.status.availableReplicas - wanted)
        old.spec.replicas = wanted
        old.status.availableReplicas -= lost
        assert size(old) + size(new) <= replicas + max_surge(deployment)
        assert old.status.availableReplicas + new.status.availableReplicas >= lowest
        coming = size(new) - new.status.availableReplicas
        new.status.availableReplicas += min(coming, pace[step % len(pace)])
        if size(old) == 0 and new.status.availableReplicas == replicas:
            return
    raise AssertionError("the rollout does not end")
