"""Deployments and ReplicaSets."""

import pytest

from clusterip.objects.apps.deployment import DEPLOYMENTS, Deployment
from clusterip.objects.apps.replicaset import REPLICASETS, ReplicaSet
from clusterip.objects.codec import convert, copy, to_tree

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}


def workload(resource, spec=None, **meta):
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE, **(spec or {})}
    metadata = {"name": "web", "namespace": "default", "resourceVersion": "1", **meta}
    result = convert({"metadata": metadata, "spec": spec}, resource.type)
    resource.set_defaults(result)
    resource.prepare_create(result)
    return result


def texts(errors):
    return [str(error) for error in errors]


def test_deployment_defaults():
    tree = to_tree(workload(DEPLOYMENTS))
    template = tree["spec"].pop("template")
    assert tree["spec"] == {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    assert template["spec"]["restartPolicy"] == "Always"
    assert "enableServiceLinks" not in template["spec"]
    assert tree["metadata"]["generation"] == 1
    assert workload(DEPLOYMENTS, {"replicas": 0}).spec.replicas == 0
    assert workload(DEPLOYMENTS, {"strategy": {"type": "Recreate"}}).spec.strategy.rollingUpdate is None


@pytest.mark.parametrize("resource", [DEPLOYMENTS, REPLICASETS])
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"replicas": -1}, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        (
            {"selector": None},
            [
                "spec.selector: Required value",
                'spec.template.metadata.labels: Invalid value: {"app":"web"}: '
                "`selector` does not match template `labels`",
            ],
        ),
        ({"selector": {}}, ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]),
        (
            {"selector": {"matchLabels": {"app": "db"}}},
            [
                'spec.template.metadata.labels: Invalid value: {"app":"web"}: '
                "`selector` does not match template `labels`"
            ],
        ),
        (
            {"template": {**TEMPLATE, "spec": {"containers": []}}},
            ["spec.template.spec.containers: Required value"],
        ),
        (
            {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}},
            ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
        ),
        (
            {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "activeDeadlineSeconds": 5}}},
            [
                "spec.template.spec.activeDeadlineSeconds: Forbidden: "
                "activeDeadlineSeconds in ReplicaSet is not Supported"
            ],
        ),
    ],
)
def test_validation(resource, spec, expected):
    assert texts(resource.validate(workload(resource, spec))) == expected


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}, []),
        ({"rollingUpdate": {"maxUnavailable": "100%", "maxSurge": "150%"}}, []),
        (
            {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}},
            [
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: "
                "may not be 0 when `maxSurge` is 0"
            ],
        ),
        (
            {"rollingUpdate": {"maxUnavailable": "101%"}},
            [
                'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": '
                "must not be greater than 100%"
            ],
        ),
        (
            {"rollingUpdate": {"maxSurge": "many"}},
            [
                'spec.strategy.rollingUpdate.maxSurge: Invalid value: "many": a valid percent string must be '
                "a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation "
                "is '[0-9]+%')"
            ],
        ),
        (
            {"type": "Recreate", "rollingUpdate": {}},
            [
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is "
                "'Recreate'"
            ],
        ),
        (
            {"type": "Canary"},
            [
                'spec.strategy: Unsupported value: {"Type":"Canary","RollingUpdate":null}: '
                'supported values: "Recreate", "RollingUpdate"'
            ],
        ),
    ],
)
def test_strategy(strategy, expected):
    assert texts(DEPLOYMENTS.validate(workload(DEPLOYMENTS, {"strategy": strategy}))) == expected


def test_progress_deadline():
    spec = {"minReadySeconds": 60, "progressDeadlineSeconds": 60}
    assert texts(DEPLOYMENTS.validate(workload(DEPLOYMENTS, spec))) == [
        "spec.progressDeadlineSeconds: Invalid value: 60: must be greater than minReadySeconds"
    ]


@pytest.mark.parametrize("resource", [DEPLOYMENTS, REPLICASETS])
def test_updates(resource):
    old = workload(resource)
    new = copy(old)
    new.status.replicas = 7
    resource.prepare_update(new, old)
    assert new.metadata.generation == 1
    assert new.status.replicas == 0
    new.spec.replicas = 3
    resource.prepare_update(new, old)
    assert new.metadata.generation == 2
    assert resource.validate_update(new, old) == []
    new.spec.selector.matchLabels["b"] = "c"
    new.spec.template.metadata.labels["b"] = "c"
    assert texts(resource.validate_update(new, old)) == [
        'spec.selector: Invalid value: {"matchLabels":{"app":"web","b":"c"}}: field is immutable'
    ]


def test_annotations_count_for_deployments_only():
    for resource, generation in ((DEPLOYMENTS, 2), (REPLICASETS, 1)):
        old = workload(resource)
        new = copy(old)
        new.metadata.annotations["a"] = "b"
        resource.prepare_update(new, old)
        assert new.metadata.generation == generation


@pytest.mark.parametrize("resource", [DEPLOYMENTS, REPLICASETS])
def test_status_updates(resource):
    old = workload(resource)
    new = copy(old)
    new.spec.replicas = 9
    new.status.replicas, new.status.readyReplicas, new.status.availableReplicas = 2, 1, 2
    resource.prepare_status_update(new, old)
    assert new.spec == old.spec
    assert texts(resource.validate_status_update(new, old)) == [
        "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas"
    ]
    new.status.readyReplicas = 3
    assert texts(resource.validate_status_update(new, old)) == [
        "status.readyReplicas: Invalid value: 3: cannot be greater than status.replicas"
    ]


@pytest.mark.parametrize("resource", [DEPLOYMENTS, REPLICASETS])
def test_scale(resource):
    obj = workload(resource, {"replicas": 2})
    obj.status.replicas = 1
    scale = resource.scale
    assert (scale.replicas(obj), scale.current(obj), scale.selector(obj)) == (2, 1, "app=web")
    scale.set_replicas(obj, 5)
    assert obj.spec.replicas == 5


def test_rows():
    deployment = workload(DEPLOYMENTS, {"replicas": 3})
    deployment.status.readyReplicas = 2
    deployment.status.updatedReplicas = 3
    deployment.status.availableReplicas = 1
    assert DEPLOYMENTS.row(deployment) == ["web", "2/3", 3, 1, "<unknown>", "c", "x:1", "app=web"]
    replica_set = workload(REPLICASETS, {"replicas": 3})
    replica_set.status.replicas = 2
    assert REPLICASETS.row(replica_set) == ["web", 3, 2, 0, "<unknown>", "c", "x:1", "app=web"]


def test_warnings():
    (warning,) = DEPLOYMENTS.warnings(workload(DEPLOYMENTS, name="a.b"))
    assert warning.startswith("metadata.name: this is used in Pod names and hostnames, which can result")
    assert isinstance(workload(DEPLOYMENTS), Deployment)
    assert isinstance(workload(REPLICASETS), ReplicaSet)
