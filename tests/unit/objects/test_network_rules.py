"""Ingresses, IngressClasses and NetworkPolicies."""

import pytest

from clusterip.objects.codec import convert, copy
from clusterip.objects.networking.ingress import INGRESSES
from clusterip.objects.networking.ingressclass import INGRESSCLASSES
from clusterip.objects.networking.networkpolicy import NETWORKPOLICIES

BACKEND = {"service": {"name": "svc", "port": {"number": 80}}}


def made(resource, spec, **meta):
    namespace = "default" if resource.namespaced else ""
    metadata = {"name": "x", "namespace": namespace, "resourceVersion": "1", **meta}
    result = convert({"metadata": metadata, "spec": spec}, resource.type)
    resource.set_defaults(result)
    resource.prepare_create(result)
    return result


def texts(errors):
    return [str(error) for error in errors]


def path(**fields):
    return {
        "rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND, **fields}]}}]
    }


PATH = "spec.rules[0].http.paths[0]"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"defaultBackend": BACKEND}, []),
        (path(), []),
        ({}, ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]),
        (path(pathType=None), [f"{PATH}.pathType: Required value: pathType must be specified"]),
        (
            path(pathType="Some"),
            [
                f'{PATH}.pathType: Unsupported value: "Some": supported values: "Exact", '
                '"ImplementationSpecific", '
                '"Prefix"'
            ],
        ),
        (
            path(path="a//b"),
            [
                f'{PATH}.path: Invalid value: "a//b": must be an absolute path',
                f"{PATH}.path: Invalid value: \"a//b\": must not contain '//'",
            ],
        ),
        (path(path="/a/.."), [f"{PATH}.path: Invalid value: \"/a/..\": cannot end with '/..'"]),
        (path(backend={}), [f'{PATH}.backend: Invalid value: "": resource or service backend is required']),
        (
            path(backend={"service": {"name": "s"}}),
            [f"{PATH}.backend: Required value: port name or number is required"],
        ),
        (
            path(backend={"service": {"name": "s", "port": {"name": "http", "number": 80}}}),
            [f'{PATH}.backend: Invalid value: "": cannot set both port name & port number'],
        ),
        ({"rules": [{"host": "*.example.com"}, {"host": "example.com"}]}, []),
        (
            {"rules": [{"host": "10.0.0.1"}]},
            ['spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address'],
        ),
        ({"rules": [{"http": {}}]}, ["spec.rules[0].http.paths: Required value"]),
    ],
)
def test_ingress_validation(spec, expected):
    assert texts(INGRESSES.validate(made(INGRESSES, spec))) == expected


def test_wildcards_stand_alone():
    (error,) = texts(INGRESSES.validate(made(INGRESSES, {"rules": [{"host": "a.*.com"}]})))
    assert "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain" in error


def test_ingress_classes_by_annotation():
    annotation = {"kubernetes.io/ingress.class": "a"}
    ingress = made(INGRESSES, {"defaultBackend": BACKEND, "ingressClassName": "b"}, annotations=annotation)
    assert texts(INGRESSES.validate(ingress)) == [
        'annotations.kubernetes.io/ingress.class: Invalid value: "a": must match '
        "`ingressClassName` when both "
        "are specified"
    ]
    assert INGRESSES.warnings(ingress) == [
        "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
    ]


def test_ingress_row():
    spec = {"rules": [{"host": f"{name}.com"} for name in "abcd"], "tls": [{}], "ingressClassName": "nginx"}
    ingress = made(INGRESSES, spec)
    ingress.status = convert({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}, type(ingress.status))
    assert INGRESSES.row(ingress)[:5] == ["x", "nginx", "a.com,b.com,c.com + 1 more...", "1.2.3.4", "80, 443"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"controller": "acme.io/foo"}, []),
        ({}, ["spec.controller: Required value"]),
        (
            {"controller": "foo"},
            ['spec.controller: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")'],
        ),
        (
            {"controller": "a.b/c", "parameters": {"kind": "K", "name": "n", "scope": "Namespace"}},
            ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
        ),
        ({"controller": "a.b/c", "parameters": {"kind": "K", "name": "n"}}, []),
    ],
)
def test_ingress_class_validation(spec, expected):
    assert texts(INGRESSCLASSES.validate(made(INGRESSCLASSES, spec))) == expected


def test_an_ingress_classes_controller_stays():
    old = made(INGRESSCLASSES, {"controller": "a.b/c"})
    new = copy(old)
    new.spec.controller = "a.b/d"
    assert texts(INGRESSCLASSES.validate_update(new, old)) == [
        'spec.controller: Invalid value: "a.b/d": field is immutable'
    ]


def test_network_policy_defaults():
    policy = made(NETWORKPOLICIES, {"egress": [{"ports": [{"port": 53}]}]})
    assert policy.spec.policyTypes == ["Ingress", "Egress"]
    assert policy.spec.egress[0].ports[0].protocol == "TCP"
    assert made(NETWORKPOLICIES, {}).spec.policyTypes == ["Ingress"]
    assert NETWORKPOLICIES.row(policy)[:2] == ["x", "<none>"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}, []),
        ({"from": [{}]}, ["spec.ingress[0].from[0]: Required value: must specify a peer"]),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}]},
            [
                'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "10.0.0.0/8": must '
                "be a strict subset "
                "of `cidr`"
            ],
        ),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]},
            ["spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer"],
        ),
        (
            {"ports": [{"port": 80, "endPort": 70}]},
            ["spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`"],
        ),
        (
            {"ports": [{"endPort": 70}]},
            [
                "spec.ingress[0].ports[0].endPort: Invalid value: 70: may not be specified when "
                "`port` is not "
                "specified"
            ],
        ),
    ],
)
def test_network_policy_validation(rule, expected):
    assert texts(NETWORKPOLICIES.validate(made(NETWORKPOLICIES, {"ingress": [rule]}))) == expected
