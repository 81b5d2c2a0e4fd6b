"""Services: defaulting, validation, updates, warnings and the table row."""

import pytest

from clusterip.objects.codec import convert, copy, to_tree
from clusterip.objects.core.service import SERVICES, LoadBalancerIngress, Service
from clusterip.objects.core.service.predicates import is_headless

TCP_80 = {"port": 80}


def service(spec=None, /, *, allocated=True, **meta):
    """A Service as validation sees it: defaulted, prepared and with an address."""
    spec = {"ports": [TCP_80], **(spec or {})}
    metadata = {"name": "web", "namespace": "default", "resourceVersion": "1", **meta}
    result = convert({"metadata": metadata, "spec": spec}, Service)
    SERVICES.set_defaults(result)
    if allocated and result.spec.type != "ExternalName" and not result.spec.clusterIP:
        result.spec.clusterIP = "10.96.0.7"
    SERVICES.prepare_create(result)
    return result


def errors(result):
    return [str(error) for error in SERVICES.validate(result)]


def updated(old, **changes):
    """What an update that sets these fields of spec leads to."""
    new = copy(old)
    for name, value in changes.items():
        setattr(new.spec, name, value)
    SERVICES.set_defaults(new)
    SERVICES.prepare_update(new, old)
    return new


def update_errors(new, old):
    return [str(error) for error in SERVICES.validate_update(new, old)]


# defaulting


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


# validation

VALID = [
    {},
    {"ports": [{"port": 1}, {"port": 65535, "name": "b"}], "ports_named": True},
    {"clusterIP": "None", "ports": []},
    {"clusterIP": "None"},
    {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]},
    {"type": "LoadBalancer", "loadBalancerSourceRanges": [" 10.0.0.0/8 "], "loadBalancerClass": "a/b"},
    {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30000},
    {"type": "ExternalName", "externalName": "db.example.com.", "ports": []},
    {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"], "ipFamilies": ["IPv4", "IPv6"]},
    {"externalIPs": ["192.0.2.1"]},
    {"sessionAffinity": "ClientIP"},
    {"trafficDistribution": "PreferSameNode"},
    {"ports": [{"port": 80, "appProtocol": "example.com/h2c", "targetPort": "http-alt"}]},
    {"ports": [{"port": 53, "name": "a"}, {"port": 53, "name": "b", "protocol": "UDP"}]},
]


@pytest.mark.parametrize("spec", VALID)
def test_valid(spec):
    spec = dict(spec)
    if spec.pop("ports_named", False):
        spec["ports"] = [{"port": 1, "name": "a"}, {"port": 65535, "name": "b"}]
    assert errors(service(spec)) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"ports": []}, ["spec.ports: Required value"]),
        (
            {"ports": [{"port": 0}]},
            [
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            {"ports": [{"port": 80, "targetPort": 65536}]},
            ["spec.ports[0].targetPort: Invalid value: 65536: must be between 1 and 65535, inclusive"],
        ),
        (
            {"ports": [{"port": 80, "targetPort": "80"}]},
            ['spec.ports[0].targetPort: Invalid value: "80": must contain at least one letter (a-z)'],
        ),
        (
            {"ports": [{"port": 80, "protocol": "HTTP"}]},
            ['spec.ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"'],
        ),
        (
            {"ports": [{"port": 80}, {"port": 81}]},
            ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
        ),
        (
            {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]},
            ['spec.ports[1].name: Duplicate value: "a"'],
        ),
        (
            {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]},
            [
                'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,'
                '"TargetPort":0,"NodePort":0}'
            ],
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30000}]},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            {
                "type": "NodePort",
                "ports": [
                    {"port": 80, "name": "a", "nodePort": 30000},
                    {"port": 81, "name": "b", "nodePort": 30000},
                ],
            },
            ["spec.ports[1].nodePort: Duplicate value: 30000"],
        ),
        (
            {"type": "Magic"},
            [
                'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", '
                '"LoadBalancer", "NodePort"'
            ],
        ),
        (
            {"type": "LoadBalancer", "clusterIP": "None"},
            [
                'spec.clusterIPs[0]: Invalid value: "None": '
                "may not be set to 'None' for LoadBalancer services"
            ],
        ),
        (
            {"sessionAffinity": "Cookie"},
            ['spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"'],
        ),
        (
            {
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}},
            },
            [
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: "
                "must be greater than 0 and less than 86400"
            ],
        ),
        (
            {"clusterIP": "banana"},
            [
                'spec.clusterIPs[0]: Invalid value: "banana": '
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            ],
        ),
        (
            {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]},
            [
                'spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`',
            ],
        ),
        (
            {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "10.0.0.2"]},
            [
                'spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: '
                "may specify no more than one IP for each IP family"
            ],
        ),
        (
            {"clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"]},
            [
                'spec.clusterIPs[0]: Invalid value: "10.0.0.1": '
                "expected an IPv6 value as indicated by `ipFamilies[0]`"
            ],
        ),
        (
            {"ipFamilies": ["IPv4", "IPv4"]},
            ['spec.ipFamilies[1]: Duplicate value: "IPv4"'],
        ),
        (
            {"ipFamilyPolicy": "Both"},
            [
                'spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack", '
                '"RequireDualStack", "SingleStack"'
            ],
        ),
        (
            {"externalIPs": ["127.0.0.1"]},
            [
                'spec.externalIPs[0]: Invalid value: "127.0.0.1": '
                "may not be in the loopback range (127.0.0.0/8, ::1/128)"
            ],
        ),
        (
            {"externalTrafficPolicy": "Local"},
            [
                'spec.externalTrafficPolicy: Invalid value: "Local": '
                "may only be set for externally-accessible services"
            ],
        ),
        (
            {"type": "NodePort", "externalTrafficPolicy": "Near"},
            ['spec.externalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", "Local"'],
        ),
        (
            {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
            ["spec.healthCheckNodePort: Required value"],
        ),
        (
            {"healthCheckNodePort": 30000},
            [
                "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is "
                "'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            ],
        ),
        (
            {"internalTrafficPolicy": "Near"},
            ['spec.internalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", "Local"'],
        ),
        (
            {"trafficDistribution": "Far"},
            [
                'spec.trafficDistribution: Unsupported value: "Far": supported values: "PreferClose", '
                '"PreferSameZone", "PreferSameNode"'
            ],
        ),
        (
            {"loadBalancerSourceRanges": ["10.0.0.0/8"]},
            ["spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"],
        ),
        (
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.1/8"]},
            [
                'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.1/8": '
                "must not have bits set beyond the prefix length"
            ],
        ),
        (
            {"loadBalancerClass": "x", "allocateLoadBalancerNodePorts": False},
            [
                "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is "
                "'LoadBalancer'",
                "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
            ],
        ),
        (
            {"type": "ExternalName", "clusterIP": "10.0.0.1"},
            [
                "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
                "spec.externalName: Required value",
            ],
        ),
    ],
)
def test_errors(spec, expected):
    assert errors(service(spec)) == expected


def test_names_are_labels():
    assert errors(service(name="1-may-start-with-a-digit")) == []
    (error,) = errors(service(name="a.b"))
    assert error == 'metadata.name: Invalid value: "a.b": must not contain dots'


# updates


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


# warnings and table


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
