"""The official Python client, which refuses objects without their required fields, reads what we write."""

import json

import pytest
from kubernetes.client import ApiClient

from clusterip.objects import kinds  # noqa: F401 - registers the kinds
from clusterip.objects.codec import convert, encode
from clusterip.objects.registry import resources

MODELS = {"events": "CoreV1Event", "events.events.k8s.io": "EventsV1Event"}

SPECS = {
    "DaemonSet": {"selector": {"matchLabels": {"a": "b"}}},
    "StatefulSet": {"selector": {"matchLabels": {"a": "b"}}, "volumeClaimTemplates": [{}]},
    "Ingress": {"rules": [{"http": {"paths": [{"pathType": "Exact", "backend": {"service": {}}}]}}]},
    "IngressClass": {"parameters": {}},
    "NetworkPolicy": {"ingress": [{"ports": [{}], "from": [{"ipBlock": {}}]}]},
    "Deployment": {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": [{}]}}},
    "ReplicaSet": {"selector": {"matchLabels": {"a": "b"}}},
    "IPAddress": {"parentRef": {}},
    "Node": {"taints": [{}]},
    "Pod": {
        "containers": [{"ports": [{}], "env": [{}], "volumeMounts": [{}]}],
        "volumes": [{"hostPath": {}}, {"configMap": {"items": [{}]}}],
        "readinessGates": [{}],
        "hostAliases": [{}],
    },
    "Service": {"ports": [{}]},
}
STATUSES = {
    "Deployment": {"conditions": [{}]},
    "Namespace": {"conditions": [{}]},
    "Node": {"conditions": [{}], "addresses": [{}], "daemonEndpoints": {"kubeletEndpoint": {}}},
    "Pod": {
        "conditions": [{}],
        "podIPs": [{}],
        "containerStatuses": [{"state": {"terminated": {}}}],
    },
    "Service": {"conditions": [{"lastTransitionTime": "2026-01-01T00:00:00Z"}]},
}


@pytest.mark.parametrize("resource", list(resources()), ids=lambda r: r.kind)
def test_objects_with_nothing_but_zero_values(resource):
    tree = {"metadata": {"name": "x", "ownerReferences": [{}]}}
    if resource.kind in SPECS:
        tree["spec"] = SPECS[resource.kind]
    if resource.kind in STATUSES:
        tree["status"] = STATUSES[resource.kind]
    if resource.kind == "ControllerRevision":
        tree["data"] = {}
    if resource.kind in ("Role", "ClusterRole"):
        tree["rules"] = [{}]
    if resource.kind in ("RoleBinding", "ClusterRoleBinding"):
        tree["subjects"] = [{}]
    if resource.group == "events.k8s.io":
        tree["eventTime"] = "2026-01-01T00:00:00.000000Z"
    if resource.kind == "EndpointSlice":
        tree["endpoints"] = [{}]
    if resource.kind == "Endpoints":
        tree["subsets"] = [{"addresses": [{}], "ports": [{}]}]
    text = encode(convert(tree, resource.type))
    model = MODELS.get(resource.group_resource, f"V1{resource.kind}")
    read = ApiClient().deserialize(text.decode(), model, "application/json")
    assert read.metadata.name == "x"
    assert json.loads(text)["metadata"]["ownerReferences"] == [
        {"apiVersion": "", "kind": "", "name": "", "uid": ""}
    ]
