"""Server-side apply with kubectl: conflicts, force, what is no longer applied."""

from __future__ import annotations

import json

from tests.support.kubectl import Kubectl

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {a: "1", b: "2"}
"""


def apply(kubectl: Kubectl, text: str, *arguments: str) -> str:
    return kubectl("apply", "--server-side", "-f", "-", *arguments, stdin=text)


def test_create_and_repeat(kubectl: Kubectl) -> None:
    assert apply(kubectl, CONFIG) == "configmap/c serverside-applied\n"
    before = kubectl("get", "cm", "c", "-o", "jsonpath={.metadata.resourceVersion}")
    apply(kubectl, CONFIG)
    assert kubectl("get", "cm", "c", "-o", "jsonpath={.metadata.resourceVersion}") == before


def test_what_is_left_out_goes(kubectl: Kubectl) -> None:
    apply(kubectl, CONFIG)
    apply(kubectl, CONFIG.replace(', b: "2"', ""))
    assert json.loads(kubectl("get", "cm", "c", "-o", "jsonpath={.data}")) == {"a": "1"}


def test_conflict_with_another_applier(kubectl: Kubectl) -> None:
    apply(kubectl, CONFIG)
    other = CONFIG.replace('"1"', '"other"')
    message = kubectl.fails("apply", "--server-side", "--field-manager=m", "-f", "-", stdin=other)
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .data.a' in message
    apply(kubectl, other, "--field-manager=m", "--force-conflicts")
    assert kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}") == "other"


def test_conflict_with_somebody_who_patched(kubectl: Kubectl) -> None:
    apply(kubectl, CONFIG)
    kubectl("patch", "cm", "c", "-p", '{"data":{"a":"patched"}}')
    assert 'conflict with "kubectl-patch" using v1: .data.a' in kubectl.fails(
        "apply", "--server-side", "-f", "-", stdin=CONFIG
    )


def test_owners_are_shown(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=CONFIG)
    (entry,) = json.loads(kubectl("get", "cm", "c", "-o", "json", "--show-managed-fields"))["metadata"][
        "managedFields"
    ]
    assert (entry["manager"], entry["operation"]) == ("kubectl-create", "Update")
    assert entry["fieldsV1"] == {"f:data": {".": {}, "f:a": {}, "f:b": {}}}
