"""ReplicaSets: which Pods go first, and what the status counts."""

from __future__ import annotations

from clusterip.controllers.pods import next_available
from clusterip.controllers.replicaset.ranking import to_delete
from clusterip.controllers.replicaset.status import status_of
from clusterip.objects import times
from clusterip.objects.core.pod import Pod
from tests.support.objects import CREATED, make_pod, make_replica_set

NOW = times.parse(CREATED).timestamp() + 100_000


def order(*pods: Pod, related: tuple[Pod, ...] = ()) -> list[str]:
    return [pod.metadata.name for pod in to_delete(pods, related, len(pods), NOW)]


def test_pods_that_serve_nobody_go_first() -> None:
    ready = make_pod("ready")
    starting = make_pod("starting", ready=False)
    pending = make_pod("pending", ready=False, phase="Pending")
    homeless = make_pod("homeless", ready=False, phase="Pending", node="")
    assert order(ready, starting, pending, homeless) == ["homeless", "pending", "starting", "ready"]


def test_the_cheaper_pod_goes_first() -> None:
    dear = make_pod("a", meta={"annotations": {"controller.kubernetes.io/pod-deletion-cost": "10"}})
    cheap = make_pod("b", meta={"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-10"}})
    assert order(dear, make_pod("c"), cheap) == ["b", "c", "a"]


def test_crowded_nodes_lose_first() -> None:
    pods = (make_pod("a", node="n1"), make_pod("b", node="n2"), make_pod("c", node="n2"))
    assert order(*pods, related=pods)[-1] == "a"


def test_younger_pods_go_first_by_powers_of_two() -> None:
    def ready_at(name: str, seconds_ago: float) -> Pod:
        pod = make_pod(name)
        since = times.format_time(times.datetime.fromtimestamp(NOW - seconds_ago, times.UTC))
        pod.status.conditions[0].lastTransitionTime = since
        return pod

    assert order(ready_at("old", 90_000), ready_at("young", 10)) == ["young", "old"]
    # About the same age: the UID decides, so not always the same node loses.
    assert order(ready_at("b", 75_000), ready_at("a", 90_000)) == ["a", "b"]


def test_restarts_count() -> None:
    def restarted(name: str, count: int) -> Pod:
        return make_pod(name, status={"containerStatuses": [{"name": "c", "restartCount": count}]})

    assert order(restarted("a", 0), restarted("b", 3)) == ["b", "a"]


def test_status_counts() -> None:
    replica_set = make_replica_set("rs", 4)
    replica_set.spec.minReadySeconds = 30
    replica_set.spec.template.metadata.labels = {"app": "web", "extra": "x"}
    fresh = make_pod("fresh", meta={"labels": {"app": "web", "extra": "x"}})
    fresh.status.conditions[0].lastTransitionTime = times.format_time(
        times.datetime.fromtimestamp(NOW - 10, times.UTC)
    )
    pods = [make_pod("a"), fresh, make_pod("b", ready=False)]
    status = status_of(replica_set, pods, 1, None, NOW)
    assert (status.replicas, status.fullyLabeledReplicas) == (3, 1)
    assert (status.readyReplicas, status.availableReplicas) == (2, 1)
    assert status.terminatingReplicas == 1
    assert next_available(pods, replica_set.spec.minReadySeconds, NOW) == 20
    assert next_available(pods[:1], replica_set.spec.minReadySeconds, NOW) is None


def test_a_failure_shows_until_it_is_over() -> None:
    replica_set = make_replica_set("rs", 4)
    replica_set.status = status_of(replica_set, [], 0, ValueError("quota"), NOW)
    [failure] = replica_set.status.conditions
    assert (failure.type, failure.reason, failure.message) == ("ReplicaFailure", "FailedCreate", "quota")
    again = status_of(replica_set, [], 0, ValueError("other"), NOW)
    assert again.conditions == [failure], "one failure after another is one condition"
    assert status_of(replica_set, [], 0, None, NOW).conditions == []
