"""What an update of a Service keeps, drops and may not do."""

import pytest
from service_factory import errors, service, update_errors, updated

from clusterip.objects.codec import copy
from clusterip.objects.core.service import SERVICES, LoadBalancerIngress


def test_update_keeps_what_was_allocated():
    ports = [{"port": 80, "name": "a", "nodePort": 30001}, {"port": 81, "name": "b", "nodePort": 30002}]
    old = service({"type": "NodePort", "ports": ports})
    new = service({"type": "NodePort", "ports": [{"port": 8080, "name": "b"}]}, allocated=False)
    SERVICES.prepare_update(new, old)
    assert new.spec.clusterIP == "10.96.0.7"
    assert new.spec.clusterIPs == ["10.96.0.7"]
    assert new.spec.ports[0].nodePort == 30002
    assert update_errors(new, old) == []


def test_node_ports_can_be_swapped():
    ports = [{"port": 80, "name": "a", "nodePort": 30001}, {"port": 81, "name": "b", "nodePort": 30002}]
    old = service({"type": "NodePort", "ports": ports})
    swapped = [{"port": 80, "name": "a", "nodePort": 30002}, {"port": 81, "name": "b"}]
    new = service({"type": "NodePort", "ports": swapped})
    SERVICES.prepare_update(new, old)
    assert [port.nodePort for port in new.spec.ports] == [30002, 0]


def test_update_keeps_status_and_status_update_keeps_spec():
    old = service({"type": "LoadBalancer"})
    old.status.loadBalancer.ingress = [LoadBalancerIngress(ip="192.0.2.1", ipMode="VIP")]
    new = copy(old)
    new.status.loadBalancer.ingress = []
    new.spec.selector = {"a": "b"}
    SERVICES.prepare_update(new, old)
    assert new.status == old.status
    changed = copy(old)
    changed.spec.selector = {"a": "b"}
    changed.status.loadBalancer.ingress[0].ip = "192.0.2.2"
    SERVICES.prepare_status_update(changed, old)
    assert changed.spec == old.spec
    assert changed.status.loadBalancer.ingress[0].ip == "192.0.2.2"
    assert SERVICES.validate_status_update(changed, old) == []


def test_to_external_name_and_back():
    old = service({"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
    new = updated(old, type="ExternalName", externalName="db.example.com")
    assert (new.spec.clusterIP, new.spec.clusterIPs, new.spec.ipFamilies) == ("", [], [])
    assert new.spec.ipFamilyPolicy is None
    assert update_errors(new, old) == []
    back = updated(new, type="ClusterIP", clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"])
    assert update_errors(back, new) == []


def test_load_balancer_to_cluster_ip_drops_what_no_longer_applies():
    old = service(
        {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 30999,
            "loadBalancerClass": "a/b",
            "ports": [{"port": 80, "nodePort": 30001}],
        }
    )
    old.status.loadBalancer.ingress = [LoadBalancerIngress(ip="192.0.2.1", ipMode="VIP")]
    new = updated(old, type="ClusterIP")
    assert new.spec.ports[0].nodePort == 0
    assert new.spec.healthCheckNodePort == 0
    assert new.spec.externalTrafficPolicy == ""
    assert new.spec.loadBalancerClass is None
    assert new.spec.allocateLoadBalancerNodePorts is None
    assert new.status.loadBalancer.ingress == []
    assert update_errors(new, old) == []


@pytest.mark.parametrize(
    ("before", "changes", "expected"),
    [
        (
            {},
            {"clusterIP": "10.96.0.8"},
            ['spec.clusterIPs[0]: Invalid value: ["10.96.0.8"]: may not change once set'],
        ),
        (
            {"clusterIP": "None"},
            {"clusterIP": "10.96.0.8"},
            ['spec.clusterIPs[0]: Invalid value: ["10.96.0.8"]: may not change once set'],
        ),
        (
            {
                "clusterIP": "10.0.0.1",
                "clusterIPs": ["10.0.0.1", "fd00::1"],
                "ipFamilyPolicy": "RequireDualStack",
            },
            {"clusterIPs": ["10.0.0.1"]},
            [
                'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
                "must be set to 'SingleStack' when releasing the secondary clusterIP"
            ],
        ),
        (
            {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"]},
            {"clusterIPs": ["10.0.0.1"], "ipFamilyPolicy": "SingleStack"},
            [],
        ),
        ({}, {"clusterIPs": ["10.96.0.7", "fd00::1"]}, []),
        (
            {"ipFamilies": ["IPv4"]},
            {"ipFamilies": ["IPv6"], "clusterIP": "10.96.0.7"},
            [
                'spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set',
                'spec.clusterIPs[0]: Invalid value: "10.96.0.7": '
                "expected an IPv6 value as indicated by `ipFamilies[0]`",
            ],
        ),
        (
            {"type": "LoadBalancer", "loadBalancerClass": "a"},
            {"loadBalancerClass": "b"},
            ['spec.loadBalancerClass: Invalid value: "b": may not change once set'],
        ),
        (
            {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001},
            {"healthCheckNodePort": 30002},
            ["spec.healthCheckNodePort: Forbidden: field is immutable"],
        ),
        ({}, {"selector": {"a": "b"}}, []),
    ],
)  # fmt: skip
def test_update_validation(before, changes, expected):
    old = service(before)
    assert update_errors(updated(old, **changes), old) == expected


def test_old_addresses_may_stay_as_they_are():
    old = service({"clusterIP": "010.0.0.1", "externalIPs": ["192.000.2.1"]})
    assert len(errors(old)) == 2
    assert update_errors(copy(old), old) == []


def test_status_validation():
    old = service({"type": "LoadBalancer"})
    new = copy(old)
    new.status.loadBalancer.ingress = [
        LoadBalancerIngress(ip="banana"),
        LoadBalancerIngress(hostname="1.2.3.4", ipMode="VIP"),
        LoadBalancerIngress(ip="192.0.2.1", ipMode="Magic"),
    ]
    path = "status.loadBalancer.ingress"
    assert [str(error) for error in SERVICES.validate_status_update(new, old)] == [
        f'{path}[0].ip: Invalid value: "banana": must be a valid IP address, '
        "(e.g. 10.9.8.7 or 2001:db8::ffff)",
        f"{path}[0].ipMode: Required value: must be specified when `ip` is set",
        f"{path}[1].ipMode: Forbidden: may not be specified when `ip` is not set",
        f'{path}[1].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
        f'{path}[2].ipMode: Unsupported value: "Magic": supported values: "Proxy", "VIP"',
    ]
