"""Deployments: which ReplicaSet is the current one, and what its annotations say."""

from __future__ import annotations

from clusterip.controllers.copying import deep_copy
from clusterip.controllers.deployment.revisions import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    REVISION,
    REVISION_HISTORY,
    annotate_new,
    find_new,
)
from clusterip.controllers.deployment.templates import template_hash
from tests.support.objects import make_deployment, make_replica_set


def test_the_current_set_is_the_oldest_with_the_template() -> None:
    deployment = make_deployment()
    other = make_replica_set("other", 1, image="another")
    later = make_replica_set("later", 1, created="2026-01-03T00:00:00Z")
    first = make_replica_set("first", 1, created="2026-01-02T00:00:00Z")
    assert find_new(deployment, [other, later, first]) is first
    assert find_new(deployment, [other]) is None


def test_the_hash_names_the_template_and_not_its_own_label() -> None:
    template = make_deployment().spec.template
    labelled = deep_copy(template)
    labelled.metadata.labels["pod-template-hash"] = "x"
    changed = deep_copy(template)
    changed.spec.containers[0].image = "another"
    digest = template_hash(template, None)
    assert digest == template_hash(labelled, 0)
    assert digest != template_hash(changed, None)
    assert digest != template_hash(template, 1), "a collision gets another name"
    assert len(digest) == 10


def test_order_of_labels_does_not_matter() -> None:
    a, b = make_deployment().spec.template, make_deployment().spec.template
    a.metadata.labels = {"x": "1", "y": "2"}
    b.metadata.labels = {"y": "2", "x": "1"}
    assert template_hash(a, None) == template_hash(b, None)


def test_annotations_of_a_new_set() -> None:
    deployment = make_deployment(4)
    deployment.metadata.annotations = {
        "team": "shop",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        REVISION: "7",
    }
    replica_set = make_replica_set("new", 4)
    assert annotate_new(deployment, replica_set, 3, exists=False)
    assert replica_set.metadata.annotations == {
        "team": "shop",
        REVISION: "3",
        DESIRED_REPLICAS: "4",
        MAX_REPLICAS: "5",
    }
    assert not annotate_new(deployment, replica_set, 3, exists=True), "nothing to do again"


def test_a_rollback_remembers_the_old_revisions() -> None:
    replica_set = make_replica_set("old", 0, annotations={REVISION: "1"})
    annotate_new(make_deployment(), replica_set, 3, exists=True)
    annotate_new(make_deployment(), replica_set, 5, exists=True)
    assert replica_set.metadata.annotations[REVISION] == "5"
    assert replica_set.metadata.annotations[REVISION_HISTORY] == "1,3"


def test_a_revision_never_falls() -> None:
    replica_set = make_replica_set("new", 0, annotations={REVISION: "9"})
    assert not annotate_new(make_deployment(), replica_set, 2, exists=True)
    assert replica_set.metadata.annotations[REVISION] == "9"
