"""What patches and strict decoding learn from the types."""

from clusterip.objects import kinds  # noqa: F401 - registers the kinds
from clusterip.objects.apps.deployment import Deployment, DeploymentSpec
from clusterip.objects.base import Atomic, IntOrString, ListMap, ListSet
from clusterip.objects.core.containers import Container
from clusterip.objects.core.node import NodeSpec
from clusterip.objects.core.pod_spec import PodSpec
from clusterip.objects.core.service import Service, ServicePort, ServiceSpec
from clusterip.objects.fields import (
    field_type,
    fields_of,
    is_struct,
    item_type,
    list_semantics,
    retains_keys,
)
from clusterip.objects.meta import LabelSelector, ListMeta, ObjectMeta
from clusterip.objects.registry import resources
from clusterip.objects.strict import unknown_fields


def test_types_along_a_path():
    assert field_type(Service, "spec") is ServiceSpec
    assert field_type(Service, "metadata") is ObjectMeta
    ports = field_type(ServiceSpec, "ports")
    assert item_type(ports) is ServicePort
    assert field_type(ServicePort, "targetPort") == IntOrString
    assert field_type(DeploymentSpec, "selector") is LabelSelector
    labels = field_type(ObjectMeta, "labels")
    assert field_type(labels, "any-key") is str
    assert field_type(ListMeta, "continue") is str
    assert field_type(Service, "nope") is None
    assert field_type(str, "nope") is None


def test_list_semantics():
    assert list_semantics(ServiceSpec, "ports") == ListMap(("port", "protocol"), merge="port")
    assert list_semantics(Container, "env") == ListMap(("name",), merge="name")
    assert list_semantics(ObjectMeta, "finalizers") == ListSet(merge=True)
    assert list_semantics(NodeSpec, "taints") is None
    assert list_semantics(ServiceSpec, "selector") == Atomic()
    assert list_semantics(DeploymentSpec, "selector") == Atomic()
    assert list_semantics(ServiceSpec, "nope") is None
    assert retains_keys(DeploymentSpec, "strategy")
    assert retains_keys(PodSpec, "volumes")
    assert not retains_keys(PodSpec, "containers")


def test_every_type_of_every_kind_can_be_walked():
    seen = set()

    def walk(type_):
        if type_ in seen or not is_struct(type_):
            return
        seen.add(type_)
        for field in fields_of(type_).values():
            semantics = field.semantics
            item = item_type(field.type)
            if isinstance(semantics, ListMap):
                assert set(semantics.keys) <= fields_of(item).keys(), field
                assert semantics.merge is None or semantics.merge in fields_of(item), field
            walk(item if item is not None else field.type)

    for resource in resources():
        walk(resource.type)
    assert len(seen) > 150


def test_unknown_fields():
    tree = {
        "kind": "Service",
        "extra": {"below": {"is": "not reported"}},
        "metadata": {"labels": {"free": "text"}, "nmae": "x", "managedFields": [{"fieldsV1": {"f:a": {}}}]},
        "spec": {"ports": [{"port": 80}, {"port": 81, "foo": 1}], "selector": {"a": "b"}, "ports2": None},
    }
    assert unknown_fields(tree, Service) == ["extra", "metadata.nmae", "spec.ports[1].foo", "spec.ports2"]
    template = {"spec": {"containers": [{"image": "x", "ports": [{"hostport": 1}]}]}}
    assert unknown_fields({"spec": {"template": template}}, Deployment) == [
        "spec.template.spec.containers[0].ports[0].hostport"
    ]
    assert unknown_fields({"spec": "wrong type"}, Service) == []
