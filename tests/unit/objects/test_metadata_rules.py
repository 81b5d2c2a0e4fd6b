"""Validation of the metadata that all objects share."""

import msgspec
import pytest

from clusterip.objects import names
from clusterip.objects.errors import Path
from clusterip.objects.meta import (
    LabelSelector,
    LabelSelectorRequirement,
    ManagedFieldsEntry,
    ObjectMeta,
    OwnerReference,
)
from clusterip.objects.metadata import (
    validate_label_selector,
    validate_object_meta,
    validate_object_meta_update,
)

META = ObjectMeta(name="x", namespace="default", resourceVersion="1", uid="u")
OWNER = OwnerReference(apiVersion="apps/v1", kind="ReplicaSet", name="rs", uid="1", controller=True)


def texts(errors):
    return [str(error) for error in errors]


def validated(namespaced=True, **changes):
    meta = msgspec.structs.replace(META, **changes)
    return texts(validate_object_meta(meta, namespaced=namespaced, name_rule=names.dns_label))


def test_valid():
    assert validated(labels={"a/b": "c"}, annotations={"A": "any text"}, ownerReferences=[OWNER]) == []
    assert validated(namespaced=False, namespace="") == []
    assert validated(name="", generateName="web-") == [
        "metadata.name: Required value: name or generateName is required"
    ]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": ""}, "metadata.name: Required value: name or generateName is required"),
        ({"name": "a.b"}, 'metadata.name: Invalid value: "a.b": must not contain dots'),
        ({"generateName": "AB-"}, 'metadata.generateName: Invalid value: "AB-": '),
        ({"namespace": ""}, "metadata.namespace: Required value"),
        ({"namespace": "A"}, 'metadata.namespace: Invalid value: "A": '),
        ({"generation": -1}, "metadata.generation: Invalid value: -1: must be greater than or equal to 0"),
        ({"labels": {"-a": "b"}}, 'metadata.labels: Invalid value: "-a": name part must consist of'),
        ({"labels": {"a": "b "}}, 'metadata.labels: Invalid value: "b ": a valid label must be'),
        ({"annotations": {"a b": ""}}, 'metadata.annotations: Invalid value: "a b": name part must'),
        (
            {"annotations": {"a": "x" * 262144}},
            "metadata.annotations: Too long: may not be more than 262144 bytes",
        ),
        ({"finalizers": ["a/b c"]}, 'metadata.finalizers: Invalid value: "a/b c": name part must'),
        (
            {"finalizers": ["mine"]},
            (
                'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name '
                "nor is it"
            ),
        ),
        (
            {"ownerReferences": [OwnerReference(apiVersion="a/b/c", kind="K", name="n", uid="u")]},
            'metadata.ownerReferences.apiVersion: Invalid value: "a/b/c": version must not be empty',
        ),
        (
            {"finalizers": ["orphan", "foregroundDeletion"]},
            'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: '
            "finalizer orphan and foregroundDeletion cannot be both set",
        ),
        (
            {"ownerReferences": [OWNER, OWNER]},
            "Only one reference can have Controller set to true. "
            'Found "true" in references for ReplicaSet/rs and ReplicaSet/rs',
        ),
        (
            {"ownerReferences": [msgspec.structs.replace(OWNER, uid="")]},
            'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
        ),
        (
            {"managedFields": [ManagedFieldsEntry(operation="Patch")]},
            'metadata.managedFields[0].operation: Invalid value: "Patch": must be `Apply` or `Update`',
        ),
    ],
)
def test_errors(changes, error):
    (found,) = validated(**changes)
    assert error in found


def test_cluster_scoped_objects_have_no_namespace():
    assert validated(namespaced=False) == ["metadata.namespace: Forbidden: not allowed on this type"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "y"}, 'metadata.name: Invalid value: "y": field is immutable'),
        ({"namespace": "other"}, 'metadata.namespace: Invalid value: "other": field is immutable'),
        ({"uid": "v"}, 'metadata.uid: Invalid value: "v": field is immutable'),
        (
            {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            'metadata.deletionTimestamp: Invalid value: "2026-01-01T00:00:00Z": field is immutable',
        ),
        (
            {"resourceVersion": ""},
            'metadata.resourceVersion: Invalid value: "": must be specified for an update',
        ),
        ({"generation": -1}, "metadata.generation: Invalid value: -1: must not be decremented"),
    ],
)
def test_update_errors(changes, error):
    new = msgspec.structs.replace(META, **changes)
    assert texts(validate_object_meta_update(new, META)) == [error]


def test_no_finalizers_are_added_to_what_is_being_deleted():
    old = msgspec.structs.replace(META, deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["a/b"])
    assert validate_object_meta_update(msgspec.structs.replace(old, finalizers=[]), old) == []
    new = msgspec.structs.replace(old, finalizers=["a/b", "a/c"])
    assert texts(validate_object_meta_update(new, old)) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"a/c"}'
    ]


def test_label_selectors():
    def requirement(operator, *values, key="k"):
        return LabelSelectorRequirement(key=key, operator=operator, values=list(values))

    selector = LabelSelector(
        matchLabels={"a": "b"},
        matchExpressions=[
            requirement("In", "x"),
            requirement("In"),
            requirement("Exists", "x"),
            requirement("Like"),
            requirement("NotIn", "-"),
        ],
    )
    assert [e.partition(" (")[0] for e in texts(validate_label_selector(selector, Path("s")))] == [
        "s.matchExpressions[1].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        "s.matchExpressions[2].values: Forbidden: may not be specified when `operator` is 'Exists' or "
        "'DoesNotExist'",
        's.matchExpressions[3].operator: Invalid value: "Like": not a valid selector operator',
        's.matchExpressions[4].values[0]: Invalid value: "-": a valid label must be an empty string or '
        "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        "alphanumeric character",
    ]
