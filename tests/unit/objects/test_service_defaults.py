"""What a Service gets for fields left out, its warnings and its table row."""

import pytest
from service_factory import service

from clusterip.objects.codec import convert, to_tree
from clusterip.objects.core.service import SERVICES, LoadBalancerIngress, Service
from clusterip.objects.core.service.predicates import is_headless


def test_defaults():
    spec = to_tree(
        service({"ports": [{"port": 80}, {"port": 53, "protocol": "UDP", "targetPort": "dns"}]}).spec
    )
    assert spec == {
        "type": "ClusterIP",
        "clusterIP": "10.96.0.7",
        "clusterIPs": ["10.96.0.7"],
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ports": [
            {"port": 80, "protocol": "TCP", "targetPort": 80},
            {"port": 53, "protocol": "UDP", "targetPort": "dns"},
        ],
    }


@pytest.mark.parametrize(
    ("spec", "field", "value"),
    [
        ({"type": "NodePort"}, "externalTrafficPolicy", "Cluster"),
        ({"type": "LoadBalancer"}, "externalTrafficPolicy", "Cluster"),
        ({"type": "LoadBalancer"}, "allocateLoadBalancerNodePorts", True),
        ({"type": "NodePort"}, "allocateLoadBalancerNodePorts", None),
        ({"externalIPs": ["192.0.2.1"]}, "externalTrafficPolicy", "Cluster"),
        ({}, "externalTrafficPolicy", ""),
        ({"type": "NodePort", "externalTrafficPolicy": "Local"}, "externalTrafficPolicy", "Local"),
        ({"type": "ExternalName", "externalName": "x.y"}, "internalTrafficPolicy", None),
        ({"internalTrafficPolicy": "Local"}, "internalTrafficPolicy", "Local"),
        ({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}, "sessionAffinityConfig", None),
    ],
)
def test_defaults_by_type(spec, field, value):
    assert getattr(service(spec).spec, field) == value


@pytest.mark.parametrize(
    ("config", "seconds"), [(None, 10800), ({}, 10800), ({"clientIP": {"timeoutSeconds": 5}}, 5)]
)
def test_session_affinity_timeout(config, seconds):
    spec = service({"sessionAffinity": "ClientIP", "sessionAffinityConfig": config}).spec
    assert spec.sessionAffinityConfig.clientIP.timeoutSeconds == seconds


def test_create_drops_status_and_copies_the_address():
    new = convert({"spec": {"clusterIP": "None"}, "status": {"conditions": [{"type": "A"}]}}, Service)
    SERVICES.prepare_create(new)
    assert new.spec.clusterIPs == ["None"]
    assert new.status.conditions == []
    assert is_headless(new)


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        (
            {"clusterIP": "None", "sessionAffinity": "ClientIP"},
            "spec.SessionAffinity is ignored for headless",
        ),
        ({"externalIPs": ["192.0.2.1"]}, "spec.externalIPs is deprecated and may no longer be"),
        ({"externalName": "x"}, 'spec.externalName is ignored when spec.type is not "ExternalName"'),
        ({"trafficDistribution": "PreferClose"}, 'is deprecated; use "PreferSameZone"'),
        ({"loadBalancerIP": "010.0.0.1"}, 'spec.loadBalancerIP: non-standard IP address "010.0.0.1"'),
    ],
)
def test_warnings(spec, warning):
    (found,) = SERVICES.warnings(service(spec))
    assert warning in found


@pytest.mark.parametrize(
    ("spec", "ingress", "cells"),
    [
        ({}, [], ["ClusterIP", "10.96.0.7", "<none>", "80/TCP"]),
        ({"externalIPs": ["192.0.2.1"]}, [], ["ClusterIP", "10.96.0.7", "192.0.2.1", "80/TCP"]),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]},
            [],
            ["NodePort", "10.96.0.7", "<none>", "80:30080/TCP,53/UDP"],
        ),
        ({"type": "LoadBalancer"}, [], ["LoadBalancer", "10.96.0.7", "<pending>", "80/TCP"]),
        (
            {"type": "LoadBalancer", "externalIPs": ["192.0.2.9"]},
            [LoadBalancerIngress(ip="192.0.2.2"), LoadBalancerIngress(hostname="a.example")],
            ["LoadBalancer", "10.96.0.7", "192.0.2.2,a.example,192.0.2.9", "80/TCP"],
        ),
        ({"clusterIP": "None", "ports": []}, [], ["ClusterIP", "None", "<none>", "<none>"]),
        ({"type": "ExternalName", "externalName": "x.y"}, [], ["ExternalName", "<none>", "x.y", "80/TCP"]),
    ],
)
def test_row(spec, ingress, cells):
    shown = service({**spec, "selector": {"b": "2", "a": "1"}})
    shown.status.loadBalancer.ingress = ingress
    assert SERVICES.row(shown) == ["web", *cells, "<unknown>", "a=1,b=2"]
    assert len(SERVICES.columns) == len(SERVICES.row(shown))


def test_field_selectors():
    shown = service()
    assert {name: get(shown) for name, get in SERVICES.fields.items()} == {
        "spec.clusterIP": "10.96.0.7",
        "spec.type": "ClusterIP",
    }
