"""DaemonSets, StatefulSets, ReplicationControllers and ControllerRevisions."""

import pytest

from clusterip.objects.apps.controllerrevision import CONTROLLERREVISIONS
from clusterip.objects.apps.daemonset import DAEMONSETS
from clusterip.objects.apps.statefulset import STATEFULSETS
from clusterip.objects.codec import convert, copy, to_tree
from clusterip.objects.core.replicationcontroller import REPLICATIONCONTROLLERS

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
SELECTOR = {"matchLabels": {"app": "web"}}


def made(resource, spec, **meta):
    metadata = {"name": "web", "namespace": "default", "resourceVersion": "1", **meta}
    result = convert({"metadata": metadata, "spec": spec}, resource.type)
    resource.set_defaults(result)
    resource.prepare_create(result)
    return result


def workload(resource, **spec):
    return made(resource, {"selector": SELECTOR, "template": TEMPLATE, **spec})


def texts(errors):
    return [str(error) for error in errors]


def test_defaults():
    spec = to_tree(workload(DAEMONSETS))["spec"]
    assert spec["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
    }
    assert spec["revisionHistoryLimit"] == 10
    spec = to_tree(workload(STATEFULSETS, serviceName="web"))["spec"]
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert spec["podManagementPolicy"] == "OrderedReady"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert (spec["replicas"], spec["revisionHistoryLimit"]) == (1, 10)
    controller = made(REPLICATIONCONTROLLERS, {"template": TEMPLATE})
    assert (controller.spec.replicas, controller.spec.selector) == (1, {"app": "web"})
    assert controller.metadata.labels == {"app": "web"}
    assert REPLICATIONCONTROLLERS.validate(controller) == []


@pytest.mark.parametrize(
    ("resource", "spec", "expected"),
    [
        (DAEMONSETS, {}, []),
        (
            DAEMONSETS,
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}},
            [
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set "
                "when maxUnavailable is "
                "non-zero"
            ],
        ),
        (
            DAEMONSETS,
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}},
            [
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 "
                "when maxSurge is 0"
            ],
        ),
        (
            DAEMONSETS,
            {"selector": {"matchLabels": {"app": "other"}}},
            [
                'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does '
                "not match template "
                "`labels`"
            ],
        ),
        (STATEFULSETS, {}, []),
        (
            STATEFULSETS,
            {"serviceName": "Web"},
            [
                'spec.serviceName: Invalid value: "Web": a lowercase RFC 1123 label must '
                "consist of lower case "
                "alphanumeric characters or '-', and must start and end with an alphanumeric "
                "character (e.g. 'my-name',"
                "  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ],
        ),
        (
            STATEFULSETS,
            {"podManagementPolicy": "Chaos"},
            ["spec.podManagementPolicy: Invalid value: \"Chaos\": must be 'OrderedReady' or 'Parallel'"],
        ),
        (
            STATEFULSETS,
            {"replicas": -1, "ordinals": {"start": -2}},
            [
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                "spec.ordinals.start: Invalid value: -2: must be greater than or equal to 0",
            ],
        ),
        (
            STATEFULSETS,
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "0%"}}},
            ['spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "0%": cannot be 0'],
        ),
        (
            REPLICATIONCONTROLLERS,
            {"template": None, "selector": {}},
            ["spec.selector: Required value", "spec.template: Required value"],
        ),
        (
            REPLICATIONCONTROLLERS,
            {"selector": {"app": "other"}},
            [
                'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does '
                "not match template "
                "`labels`"
            ],
        ),
    ],
)
def test_validation(resource, spec, expected):
    selector = SELECTOR["matchLabels"] if resource is REPLICATIONCONTROLLERS else SELECTOR
    obj = made(resource, {"selector": selector, "template": TEMPLATE, **spec})
    assert texts(resource.validate(obj)) == expected


def claiming(template, claim):
    return workload(STATEFULSETS, template=template, volumeClaimTemplates=[claim])


def test_claims_are_volumes_of_the_template():
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "containers": [
                {"name": "c", "image": "x:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
            ]
        },
    }
    given = {"metadata": {"name": "data"}}
    assert [str(error) for error in STATEFULSETS.validate(claiming(template, given))] == [
        "spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required",
        "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value",
    ]
    given["spec"] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1500m"}}}
    obj = claiming(template, given)
    assert STATEFULSETS.warnings(obj) == [
        'spec.volumeClaimTemplates[0].resources.requests[storage]: fractional byte value "1500m" is invalid, '
        "must be an integer"
    ]
    assert STATEFULSETS.validate(obj) == []
    claim = to_tree(obj)["spec"]["volumeClaimTemplates"][0]
    assert (claim["kind"], claim["spec"]["volumeMode"], claim["status"]) == (
        "PersistentVolumeClaim",
        "Filesystem",
        {"phase": "Pending"},
    )


def test_a_stateful_sets_identity_is_fixed():
    old = workload(STATEFULSETS, serviceName="web")
    new = copy(old)
    new.spec.replicas = 3
    STATEFULSETS.prepare_update(new, old)
    assert STATEFULSETS.validate_update(new, old) == []
    assert new.metadata.generation == 2
    new.spec.serviceName = "other"
    assert texts(STATEFULSETS.validate_update(new, old)) == [
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', "
        "'ordinals', 'template', "
        "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
        "'minReadySeconds' "
        "are forbidden"
    ]


def test_status_counts_agree():
    old = workload(STATEFULSETS)
    new = copy(old)
    new.status.replicas, new.status.readyReplicas = 1, 2
    assert texts(STATEFULSETS.validate_status_update(new, old)) == [
        "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"
    ]
    old = workload(DAEMONSETS)
    new = copy(old)
    new.status.numberReady = -1
    assert texts(DAEMONSETS.validate_status_update(new, old)) == [
        "status.numberReady: Invalid value: -1: must be greater than or equal to 0"
    ]


def test_rows():
    assert DAEMONSETS.row(workload(DAEMONSETS))[:7] == ["web", 0, 0, 0, 0, 0, "<none>"]
    assert STATEFULSETS.row(workload(STATEFULSETS, replicas=2))[:2] == ["web", "0/2"]


def test_revisions_keep_their_data():
    meta = {"name": "r", "namespace": "default", "resourceVersion": "1"}
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "u", "controller": True}
    old = convert(
        {"metadata": {**meta, "ownerReferences": [owner]}, "data": {"a": 1}, "revision": 2},
        CONTROLLERREVISIONS.type,
    )
    assert CONTROLLERREVISIONS.validate(old) == []
    assert CONTROLLERREVISIONS.row(old)[:3] == ["r", "statefulset.apps/web", 2]
    new = copy(old)
    new.data = {"a": 2}
    assert texts(CONTROLLERREVISIONS.validate_update(new, old)) == [
        'data: Invalid value: {"a":2}: field is immutable'
    ]
    new.data = None
    assert texts(CONTROLLERREVISIONS.validate(new)) == ["data: Required value: data is mandatory"]
