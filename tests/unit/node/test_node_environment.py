"""Variables, references in them, and the downward API."""

from __future__ import annotations

from typing import Any

import pytest

from clusterip.node.pods.downward import PodFacts, UnknownField, field_value, resource_value
from clusterip.node.pods.environment import service_variables
from clusterip.node.pods.expansion import expand
from clusterip.node.pods.sources import SlimService
from clusterip.objects import codec
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.references import ResourceFieldSelector


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_service_variables_are_those_of_docker_links() -> None:
    tree = {
        "metadata": {"name": "my-db", "namespace": "default"},
        "spec": {
            "clusterIP": "10.96.1.2",
            "ports": [{"name": "main", "port": 5432}, {"name": "stats", "port": 9, "protocol": "UDP"}],
        },
    }
    assert service_variables([codec.convert(tree, SlimService)]) == {
        "MY_DB_SERVICE_HOST": "10.96.1.2",
        "MY_DB_SERVICE_PORT": "5432",
        "MY_DB_SERVICE_PORT_MAIN": "5432",
        "MY_DB_SERVICE_PORT_STATS": "9",
        "MY_DB_PORT": "tcp://10.96.1.2:5432",
        "MY_DB_PORT_5432_TCP": "tcp://10.96.1.2:5432",
        "MY_DB_PORT_5432_TCP_PROTO": "tcp",
        "MY_DB_PORT_5432_TCP_PORT": "5432",
        "MY_DB_PORT_5432_TCP_ADDR": "10.96.1.2",
        "MY_DB_PORT_9_UDP": "udp://10.96.1.2:9",
        "MY_DB_PORT_9_UDP_PROTO": "udp",
        "MY_DB_PORT_9_UDP_PORT": "9",
        "MY_DB_PORT_9_UDP_ADDR": "10.96.1.2",
    }


def test_headless_services_have_no_variables() -> None:
    tree = {"metadata": {"name": "h"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}
    assert service_variables([codec.convert(tree, SlimService)]) == {}


def facts(**spec: Any) -> PodFacts:
    meta = {"name": "p", "namespace": "ns", "uid": "u", "labels": {"b": '"2"', "a": "1"}}
    pod = codec.convert({"metadata": meta, "spec": spec}, Pod)
    return PodFacts(pod, ["10.0.0.5", "fd00::5"], ["192.0.2.1"], "node-1")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.labels['a']", "1"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", 'a="1"\nb="\\"2\\""'),
        ("status.podIP", "10.0.0.5"),
        ("status.podIPs", "10.0.0.5,fd00::5"),
        ("status.hostIP", "192.0.2.1"),
        ("spec.nodeName", "node-1"),
    ],
)
def test_fields_of_the_downward_api(path: str, value: str) -> None:
    assert field_value(facts(), path) == value


def test_a_field_there_is_not() -> None:
    with pytest.raises(UnknownField, match=r"unsupported fieldPath: spec\.secrets"):
        field_value(facts(), "spec.secrets")


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", None, "2"),  # 1500m, rounded up
        ("limits.cpu", "1m", "1500"),
        ("limits.memory", "1Mi", "64"),
        ("requests.memory", None, "0"),
    ],
)
def test_resources_of_the_downward_api(resource: str, divisor: str | None, value: str) -> None:
    limits = {"cpu": "1500m", "memory": "64Mi"}
    pod = facts(containers=[{"name": "c", "resources": {"limits": limits}}]).pod
    selector = ResourceFieldSelector(resource=resource, divisor=divisor)
    assert resource_value(PodFacts(pod), pod.spec.containers[0], selector) == value


def test_what_is_not_limited_is_all_that_the_node_gives() -> None:
    pod = facts(containers=[{"name": "c"}]).pod
    known = PodFacts(pod, allocatable={"cpu": "2", "memory": "1Gi", "ephemeral-storage": "5Gi"})
    for resource, value in (("cpu", "2"), ("memory", str(1 << 30)), ("ephemeral-storage", str(5 << 30))):
        selector = ResourceFieldSelector(resource=f"limits.{resource}")
        assert resource_value(known, pod.spec.containers[0], selector) == value
    with pytest.raises(UnknownField, match=r"unsupported container resource : limits\.gold"):
        resource_value(known, pod.spec.containers[0], ResourceFieldSelector(resource="limits.gold"))
