"""Every kind is registered completely and survives empty and null-ridden input."""

import pytest

from clusterip.objects import kinds  # noqa: F401 - registers the kinds
from clusterip.objects.codec import convert, copy, decode, encode
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.core.service import SERVICES, Service
from clusterip.objects.errors import Path, go_struct, invalid, not_supported, required
from clusterip.objects.registry import Resource, find, find_kind, register, resource_of, resources

ALL = list(resources())


def test_all_kinds_are_there():
    assert sorted(resource.kind for resource in ALL) == [
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "ControllerRevision",
        "DaemonSet",
        "Deployment",
        "EndpointSlice",
        "Endpoints",
        "Event",
        "Event",
        "IPAddress",
        "Ingress",
        "IngressClass",
        "Lease",
        "Namespace",
        "NetworkPolicy",
        "Node",
        "Pod",
        "PodDisruptionBudget",
        "ReplicaSet",
        "ReplicationController",
        "Role",
        "RoleBinding",
        "Secret",
        "Service",
        "ServiceAccount",
        "ServiceCIDR",
        "StatefulSet",
    ]
    assert sum(resource.status for resource in ALL) == 13
    assert resource_of(Service) is SERVICES
    assert find("", "v1", "services") is SERVICES
    assert find_kind("v1", "Pod") is PODS
    assert find_kind("v2", "Pod") is None
    with pytest.raises(ValueError, match="registered twice"):
        register(Resource(type=Pod, group="", version="v1", plural="pods", namespaced=True))


@pytest.mark.parametrize("resource", ALL, ids=lambda r: r.kind)
def test_an_empty_object_breaks_nothing(resource):
    obj = decode(b"{}", resource.type)
    resource.set_defaults(obj)
    resource.prepare_create(obj)
    assert resource.validate(obj)
    old = copy(obj)
    resource.prepare_update(obj, old)
    resource.validate_update(obj, old)
    if resource.status:
        resource.prepare_status_update(obj, old)
        resource.validate_status_update(obj, old)
    resource.warnings(obj)
    assert len(resource.row(obj)) == len(resource.columns)
    assert all(isinstance(get(obj), str) for get in resource.fields.values())
    assert decode(encode(obj), resource.type) == obj


@pytest.mark.parametrize("resource", ALL, ids=lambda r: r.kind)
def test_defaulting_twice_changes_nothing(resource):
    obj = convert({"metadata": {"name": "x"}}, resource.type)
    resource.set_defaults(obj)
    once = copy(obj)
    resource.set_defaults(obj)
    assert obj == once


def test_nulls_count_as_absent():
    text = b'{"metadata":{"labels":null,"creationTimestamp":null},"spec":{"ports":null,"selector":null}}'
    assert decode(text, Service) == Service()
    text = b'{"spec":{"containers":[{"name":"c","ports":null,"env":[{"name":"A","valueFrom":null}]}]}}'
    assert decode(text, Pod).spec.containers[0].ports == []


def test_paths():
    assert SERVICES.path() == "/api/v1/services"
    assert SERVICES.path("default", "web", "status") == "/api/v1/namespaces/default/services/web/status"
    slices = find("discovery.k8s.io", "v1", "endpointslices")
    assert slices.path("default") == "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    assert slices.group_resource == "endpointslices.discovery.k8s.io"


def test_error_texts():
    path = Path("spec").child("ports").item(0).child("port")
    assert str(invalid(path, 0, "no")) == "spec.ports[0].port: Invalid value: 0: no"
    assert str(invalid("a", None, "no")) == "a: Invalid value: null: no"
    assert str(invalid("a", {"b": 1, "a": 2}, "no")) == 'a: Invalid value: {"a":2,"b":1}: no'
    assert str(invalid("a", go_struct(B=1, A=2), "no")) == 'a: Invalid value: {"B":1,"A":2}: no'
    assert str(required(Path("metadata").child("annotations").key("x/y"))) == (
        "metadata.annotations[x/y]: Required value"
    )
    assert str(not_supported("a", "x", ["b"])) == 'a: Unsupported value: "x": supported values: "b"'
