"""The official Python client, as programs use it."""

from __future__ import annotations

import kubernetes
import pytest
from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api, DiscoveryV1Api
from kubernetes.client.exceptions import ApiException

BODY = {
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}


@pytest.fixture
def core(client: ApiClient) -> CoreV1Api:
    return CoreV1Api(client)


def test_create_read_update_delete(core: CoreV1Api, namespace: str) -> None:
    created = core.create_namespaced_service(namespace, BODY)
    assert created.spec.cluster_ip.startswith("10.96.")
    assert created.metadata.creation_timestamp is not None
    created.spec.ports[0].port = 8080
    updated = core.replace_namespaced_service("web", namespace, created)
    assert updated.spec.cluster_ip == created.spec.cluster_ip
    assert updated.metadata.resource_version != created.metadata.resource_version
    core.delete_namespaced_service("web", namespace)
    with pytest.raises(ApiException) as raised:
        core.read_namespaced_service("web", namespace)
    assert raised.value.status == 404


def test_stale_update_conflicts(core: CoreV1Api, namespace: str) -> None:
    stale = core.create_namespaced_service(namespace, BODY)
    core.patch_namespaced_service("web", namespace, {"metadata": {"labels": {"a": "b"}}})
    stale.spec.ports[0].port = 81
    with pytest.raises(ApiException) as raised:
        core.replace_namespaced_service("web", namespace, stale)
    assert raised.value.status == 409
    assert "the object has been modified; please apply your changes" in raised.value.body


def test_an_update_that_changes_nothing_writes_nothing(core: CoreV1Api, namespace: str) -> None:
    created = core.create_namespaced_service(namespace, BODY)
    same = core.patch_namespaced_service("web", namespace, {"metadata": {"labels": {"app": "web"}}})
    assert same.metadata.resource_version == created.metadata.resource_version


def test_watch_while_changing(core: CoreV1Api, namespace: str) -> None:
    listed = core.list_namespaced_service(namespace)
    core.create_namespaced_service(namespace, BODY)
    core.delete_namespaced_service("web", namespace)
    watch = kubernetes.watch.Watch()
    seen = []
    for event in watch.stream(
        core.list_namespaced_service,
        namespace,
        resource_version=listed.metadata.resource_version,
        timeout_seconds=10,
    ):
        seen.append(event["type"])
        if event["type"] == "DELETED":
            watch.stop()
    assert seen == ["ADDED", "DELETED"]


def test_generate_name(core: CoreV1Api, namespace: str) -> None:
    body = {"metadata": {"generateName": "job-"}}
    names = {core.create_namespaced_config_map(namespace, body).metadata.name for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("job-") and len(name) == 9 for name in names)


def test_deployment_scale(client: ApiClient, namespace: str) -> None:
    apps = AppsV1Api(client)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": "d"}, "spec": spec})
    scale = apps.read_namespaced_deployment_scale("d", namespace)
    assert (scale.spec.replicas, scale.status.selector) == (1, "a=b")
    scale.spec.replicas = 7
    assert apps.replace_namespaced_deployment_scale("d", namespace, scale).spec.replicas == 7
    assert apps.read_namespaced_deployment("d", namespace).spec.replicas == 7


def test_status_and_spec_are_changed_apart(core: CoreV1Api, namespace: str) -> None:
    core.create_namespaced_service(namespace, {**BODY, "spec": {**BODY["spec"], "type": "LoadBalancer"}})
    body = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}, "spec": {"selector": {"a": "b"}}}
    changed = core.patch_namespaced_service_status("web", namespace, body)
    assert changed.spec.selector == {"app": "web"}
    assert changed.status.load_balancer.ingress[0].ip == "192.0.2.9"
    assert changed.status.load_balancer.ingress[0].ip_mode == "VIP"
    again = core.patch_namespaced_service("web", namespace, {"status": {"loadBalancer": {"ingress": None}}})
    assert again.status.load_balancer.ingress[0].ip == "192.0.2.9"


def test_finalizers_hold_an_object(core: CoreV1Api, namespace: str) -> None:
    body = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    core.create_namespaced_config_map(namespace, body)
    core.delete_namespaced_config_map("held", namespace)
    held = core.read_namespaced_config_map("held", namespace)
    assert held.metadata.deletion_timestamp is not None
    core.patch_namespaced_config_map("held", namespace, {"metadata": {"finalizers": None}})
    with pytest.raises(ApiException):
        core.read_namespaced_config_map("held", namespace)


def test_a_scheduled_pod_is_deleted_by_its_kubelet(core: CoreV1Api, namespace: str) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 20}
    core.create_namespaced_pod(namespace, {"metadata": {"name": "p"}, "spec": spec})
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "node-1"}}
    core.create_namespaced_pod_binding("p", namespace, binding, _preload_content=False)
    assert core.read_namespaced_pod("p", namespace).spec.node_name == "node-1"
    with pytest.raises(ApiException) as raised:
        core.create_namespaced_pod_binding("p", namespace, binding, _preload_content=False)
    assert raised.value.status == 409
    core.delete_namespaced_pod("p", namespace)
    assert core.read_namespaced_pod("p", namespace).metadata.deletion_grace_period_seconds == 20
    core.delete_namespaced_pod("p", namespace, grace_period_seconds=0)
    with pytest.raises(ApiException):
        core.read_namespaced_pod("p", namespace)


def test_node_ports_are_given_back(core: CoreV1Api, namespace: str) -> None:
    spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31999}]}
    core.create_namespaced_service(namespace, {"metadata": {"name": "a"}, "spec": spec})
    core.patch_namespaced_service("a", namespace, {"spec": {"type": "ClusterIP"}})
    other = core.create_namespaced_service(namespace, {"metadata": {"name": "b"}, "spec": spec})
    assert other.spec.ports[0].node_port == 31999


def test_endpoint_slices(client: ApiClient, namespace: str) -> None:
    discovery = DiscoveryV1Api(client)
    body = {
        "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"]}],
        "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
    }
    discovery.create_namespaced_endpoint_slice(namespace, body)
    (found,) = discovery.list_namespaced_endpoint_slice(
        namespace, label_selector="kubernetes.io/service-name=web"
    ).items
    assert found.endpoints[0].addresses == ["10.1.2.3"]
