"""The kinds with few rules: their defaults, errors and table rows."""

import base64

import pytest

from clusterip.objects import times
from clusterip.objects.codec import convert, copy, to_tree
from clusterip.objects.coordination.lease import LEASES
from clusterip.objects.core.configmap import CONFIGMAPS
from clusterip.objects.core.endpoints import ENDPOINTS
from clusterip.objects.core.event import EVENTS
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.core.node import NODES
from clusterip.objects.core.secret import SECRETS
from clusterip.objects.core.serviceaccount import SERVICEACCOUNTS
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES
from clusterip.objects.networking.ipaddress import IPADDRESSES
from clusterip.objects.networking.servicecidr import SERVICECIDRS


def make(resource, tree=None, /, name="x", **fields):
    meta = {"name": name, "resourceVersion": "1", **({"namespace": "default"} if resource.namespaced else {})}
    tree = {**(tree or {}), **fields}
    tree["metadata"] = {**meta, **tree.get("metadata", {})}
    result = convert(tree, resource.type)
    resource.set_defaults(result)
    resource.prepare_create(result)
    return result


def errors(resource, obj):
    return [str(error) for error in resource.validate(obj)]


def update_errors(resource, new, old):
    return [str(error) for error in resource.validate_update(new, old)]


class TestNamespace:
    def test_a_new_one_is_active_named_and_finalized(self):
        namespace = make(NAMESPACES, {"status": {"phase": "Terminating"}})
        assert to_tree(namespace) == {
            "metadata": {
                "name": "x",
                "resourceVersion": "1",
                "labels": {"kubernetes.io/metadata.name": "x"},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        assert errors(NAMESPACES, namespace) == []
        assert NAMESPACES.row(namespace) == ["x", "Active", "<unknown>"]

    def test_a_generated_name_becomes_a_label_too(self):
        namespace = make(NAMESPACES, metadata={"name": "", "generateName": "x-"})
        assert namespace.metadata.labels == {}
        namespace.metadata.name = "x-abc"
        NAMESPACES.canonicalize(namespace)
        assert namespace.metadata.labels == {"kubernetes.io/metadata.name": "x-abc"}

    def test_update_keeps_finalizers_and_status(self):
        old = make(NAMESPACES)
        new = copy(old)
        new.spec.finalizers = []
        new.status.phase = "Terminating"
        NAMESPACES.prepare_update(new, old)
        assert new == old

    def test_phase_follows_deletion(self):
        old = make(NAMESPACES)
        new = copy(old)
        new.status.phase = "Terminating"
        (error,) = NAMESPACES.validate_status_update(new, old)
        assert "may only be 'Active' if `deletionTimestamp` is empty" in str(error)

    def test_finalizer_names(self):
        (error,) = errors(NAMESPACES, make(NAMESPACES, spec={"finalizers": ["mine"]}))
        assert "name is neither a standard finalizer name nor is it fully qualified" in error


class TestConfigMapAndSecret:
    def test_keys(self):
        assert errors(CONFIGMAPS, make(CONFIGMAPS, data={"a.b": "c"}, binaryData={"d": "AAEC"})) == []
        (error,) = errors(CONFIGMAPS, make(CONFIGMAPS, data={"..": "c"}))
        assert error == "data[..]: Invalid value: \"..\": must not be '..'"
        (error,) = errors(CONFIGMAPS, make(CONFIGMAPS, data={"a": ""}, binaryData={"a": ""}))
        assert error == 'data[a]: Invalid value: "a": duplicate of key present in binaryData'

    def test_size(self):
        (error,) = errors(CONFIGMAPS, make(CONFIGMAPS, data={"a": "x" * (2**20 + 1)}))
        assert error == ": Too long: may not be more than 1048576 bytes"

    def test_string_data_becomes_data(self):
        secret = make(SECRETS, data={"a": "eA=="}, stringData={"b": "y"})
        assert secret.type == "Opaque"
        assert secret.stringData == {}
        assert secret.data == {"a": "eA==", "b": base64.b64encode(b"y").decode()}
        assert SECRETS.row(secret) == ["x", "Opaque", 2, "<unknown>"]

    @pytest.mark.parametrize(
        ("type_", "data", "missing"),
        [
            ("kubernetes.io/tls", {"tls.crt": ""}, ["data[tls.key]: Required value"]),
            (
                "kubernetes.io/basic-auth",
                {},
                ["data[username]: Required value", "data[password]: Required value"],
            ),
            ("kubernetes.io/ssh-auth", {}, ["data[ssh-privatekey]: Required value"]),
            ("kubernetes.io/dockerconfigjson", {}, ["data[.dockerconfigjson]: Required value"]),
            ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": "e30="}, []),
            (
                "kubernetes.io/service-account-token",
                {},
                ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
            ),
            ("example.com/own", {}, []),
        ],
    )
    def test_types(self, type_, data, missing):
        assert errors(SECRETS, make(SECRETS, type=type_, data=data)) == missing

    def test_data_is_base64(self):
        (error,) = errors(SECRETS, make(SECRETS, data={"a": "not base64!"}))
        assert "data[a]: Invalid value" in error
        assert "not base64!" not in error

    @pytest.mark.parametrize("resource", [CONFIGMAPS, SECRETS])
    def test_immutable(self, resource):
        old = make(resource, data={"a": ""}, immutable=True)
        new = copy(old)
        assert update_errors(resource, new, old) == []
        new.data["b"] = ""
        new.immutable = None
        assert update_errors(resource, new, old) == [
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ]

    def test_secret_type_stays(self):
        old = make(SECRETS, type="a/b")
        new = make(SECRETS, type="a/c")
        assert update_errors(SECRETS, new, old) == ['type: Invalid value: "a/c": field is immutable']


class TestNode:
    STATUS = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "172.30.0.11"}],
        "capacity": {"cpu": 2, "memory": "4096Mi"},
        "nodeInfo": {"kubeletVersion": "v1.36.0", "kernelVersion": "6.1", "architecture": "amd64"},
    }

    def test_row_and_defaults(self):
        meta = {"labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge"}}
        node = make(NODES, metadata=meta, status=self.STATUS, spec={"unschedulable": True}, name="node-1")
        assert node.status.allocatable == {"cpu": "2", "memory": "4Gi"}
        assert NODES.row(node) == [
            "node-1",
            "Ready,SchedulingDisabled",
            "control-plane,edge",
            "<unknown>",
            "v1.36.0",
            "172.30.0.11",
            "<none>",
            "<unknown>",
            "6.1 (amd64)",
            "<unknown>",
        ]
        assert NODES.fields["spec.unschedulable"](node) == "true"
        assert NODES.row(make(NODES))[1:3] == ["Unknown", "<none>"]

    def test_validation(self):
        assert errors(NODES, make(NODES, status=self.STATUS, spec={"podCIDRs": ["10.244.1.0/24"]})) == []
        taints = [{"key": "a", "effect": "NoSchedule"}] * 2 + [{"key": "b", "effect": "Nope"}]
        found = errors(NODES, make(NODES, spec={"podCIDRs": ["10.0.0.1/24"], "taints": taints}))
        assert found == [
            "metadata.taints[1]: Duplicate value: "
            '{"Key":"a","Value":"","Effect":"NoSchedule","TimeAdded":null}: '
            "taints must be unique by key and effect pair",
            'metadata.taints[2].effect: Unsupported value: "Nope": '
            'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
            'spec.podCIDRs[0]: Invalid value: "10.0.0.1/24": must not have bits set beyond the prefix length',
        ]

    def test_pod_cidr_is_set_once(self):
        old = make(NODES)
        new = copy(old)
        new.spec.podCIDRs = ["10.244.1.0/24"]
        assert update_errors(NODES, new, old) == []
        again = copy(new)
        again.spec.podCIDRs = ["10.244.2.0/24"]
        assert update_errors(NODES, again, new) == [
            'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'
        ]


ENDPOINT = {"addresses": ["10.244.1.2"]}


class TestEndpointSlice:
    def slice(self, endpoints=(ENDPOINT,), ports=({"port": 80},), address_type="IPv4"):
        tree = {"addressType": address_type, "endpoints": list(endpoints), "ports": list(ports)}
        return make(ENDPOINTSLICES, tree)

    def test_defaults(self):
        made = self.slice()
        assert to_tree(made.ports) == [{"name": "", "protocol": "TCP", "port": 80}]
        assert made.metadata.generation == 1
        assert errors(ENDPOINTSLICES, made) == []

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"address_type": ""}, "addressType: Required value"),
            (
                {"address_type": "IPv5"},
                'addressType: Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"',
            ),
            ({"endpoints": [{}]}, "endpoints[0].addresses: Required value: must contain at least 1 address"),
            (
                {"endpoints": [{"addresses": ["fd00::1"]}]},
                'endpoints[0].addresses: Invalid value: "fd00::1": must be an IPv4 address',
            ),
            (
                {"address_type": "IPv6"},
                'endpoints[0].addresses: Invalid value: "10.244.1.2": must be an IPv6 address',
            ),
            (
                {"endpoints": [{"addresses": ["127.0.0.1"]}]},
                'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range',
            ),
            (
                {"endpoints": [{"addresses": ["a"]}], "address_type": "FQDN"},
                "should be a domain with at least two segments separated by dots",
            ),
            ({"endpoints": [ENDPOINT] * 1001}, "endpoints: Too many: 1001: must have at most 1000 items"),
            (
                {"endpoints": [{**ENDPOINT, "hints": {"forZones": [{"name": "a"}] * 2}}]},
                'endpoints[0].hints.forZones[1].name: Duplicate value: "a"',
            ),
            ({"endpoints": [{**ENDPOINT, "hostname": "A"}]}, "endpoints[0].hostname: Invalid value"),
            ({"ports": [{"port": 1}, {"port": 2}]}, 'ports[1].name: Duplicate value: ""'),
            ({"ports": [{"protocol": "X"}]}, 'ports[0].protocol: Unsupported value: "X"'),
        ],
    )
    def test_errors(self, fields, error):
        (found,) = errors(ENDPOINTSLICES, self.slice(**fields))
        assert error in found

    def test_updates(self):
        old = self.slice()
        new = copy(old)
        new.metadata.annotations["a"] = "b"
        ENDPOINTSLICES.prepare_update(new, old)
        assert new.metadata.generation == 1
        new.endpoints = []
        ENDPOINTSLICES.prepare_update(new, old)
        assert new.metadata.generation == 2
        new.addressType = "IPv6"
        assert update_errors(ENDPOINTSLICES, new, old) == [
            'addressType: Invalid value: "IPv6": field is immutable'
        ]

    def test_row(self):
        endpoints = [{"addresses": [f"10.0.0.{i}"]} for i in range(1, 6)]
        made = self.slice(endpoints, [{"port": 80}, {"name": "b", "port": 81}, {"name": "any"}])
        assert ENDPOINTSLICES.row(made)[1:4] == [
            "IPv4",
            "80,81,any",
            "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...",
        ]
        assert ENDPOINTSLICES.row(self.slice([], []))[2:4] == ["<unset>", "<unset>"]

    def test_warnings(self):
        bad = self.slice([{"addresses": ["010.0.0.1"]}])
        assert len(ENDPOINTSLICES.warnings(bad)) == 1
        bad.metadata.labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
        assert ENDPOINTSLICES.warnings(bad) == []


class TestEndpoints:
    def test_rows(self):
        subset = {"addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "ports": [{"port": 80}, {"port": 81}]}
        made = make(ENDPOINTS, subsets=[subset])
        assert made.subsets[0].ports[0].protocol == "TCP"
        assert ENDPOINTS.row(made)[1] == "10.0.0.1:80,[fd00::1]:80,10.0.0.1:81 + 1 more..."
        assert ENDPOINTS.row(make(ENDPOINTS))[1] == "<none>"
        headless = make(ENDPOINTS, subsets=[{"addresses": [{"ip": "10.0.0.1"}]}])
        assert ENDPOINTS.row(headless)[1] == "10.0.0.1"

    def test_errors(self):
        assert errors(ENDPOINTS, make(ENDPOINTS, subsets=[{}])) == [
            "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"
        ]
        ports = [{"port": 0}, {"port": 1, "name": "a"}]
        subset = {"notReadyAddresses": [{"ip": "169.254.0.1"}], "ports": ports}
        assert errors(ENDPOINTS, make(ENDPOINTS, subsets=[subset])) == [
            'subsets[0].notReadyAddresses[0].ip: Invalid value: "169.254.0.1": '
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
            "subsets[0].ports[0].name: Required value",
            "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ]


class TestEvent:
    INVOLVED = {"kind": "Pod", "name": "p", "namespace": "default"}

    def test_row(self):
        event = make(
            EVENTS,
            involvedObject={**self.INVOLVED, "fieldPath": "spec.containers{c}"},
            type="Warning",
            reason="BackOff",
            message=" back-off ",
            source={"component": "kubelet", "host": "node-1"},
            firstTimestamp=times.now(),
        )
        row = EVENTS.row(event)
        assert row[0] in ("0s", "1s")
        assert row[1:7] == [
            "Warning",
            "BackOff",
            "pod/p",
            "spec.containers{c}",
            "kubelet, node-1",
            "back-off",
        ]
        assert row[8:] == [1, "x"]
        assert EVENTS.fields["involvedObject.name"](event) == "p"
        assert EVENTS.fields["source"](event) == "kubelet"

    def test_validation(self):
        assert errors(EVENTS, make(EVENTS, involvedObject=self.INVOLVED)) == []
        other = {**self.INVOLVED, "namespace": "other"}
        assert errors(EVENTS, make(EVENTS, involvedObject=other)) == [
            'involvedObject.namespace: Invalid value: "other": does not match event.namespace'
        ]
        modern = make(EVENTS, involvedObject=self.INVOLVED, eventTime=times.now_micro(), action="Bind")
        assert errors(EVENTS, modern) == [
            "reportingComponent: Required value",
            *[e for e in errors(EVENTS, modern) if "name part" in e],
            "reportingInstance: Required value",
            "reason: Required value",
        ]


class TestAddressesOfServices:
    def test_ip_address(self):
        parent = {"resource": "services", "namespace": "default", "name": "web"}
        address = make(IPADDRESSES, spec={"parentRef": parent}, name="10.96.0.1")
        assert errors(IPADDRESSES, address) == []
        assert IPADDRESSES.row(address) == ["10.96.0.1", "services/default/web"]
        assert errors(IPADDRESSES, make(IPADDRESSES, name="2001:DB8::1")) == [
            'metadata.name: Invalid value: "2001:DB8::1": must be in canonical form ("2001:db8::1")',
            "spec.parentRef: Required value",
        ]
        new = copy(address)
        new.spec.parentRef.name = "other"
        (error,) = update_errors(IPADDRESSES, new, address)
        assert error.startswith("spec.parentRef: Invalid value: {")
        assert error.endswith(": field is immutable")

    @pytest.mark.parametrize(
        ("cidrs", "error"),
        [
            ([], "spec.cidrs: Required value: at least one CIDR required"),
            (["10.0.0.1/24"], "must not have bits set beyond the prefix length"),
            (["10.0.0.0/24", "10.0.1.0/24"], "may specify no more than one IP for each IP family"),
            (["10.0.0.0/24"] * 3, 'Invalid value: {"CIDRs":["10.0.0.0/24","10.0.0.0/24","10.0.0.0/24"]}'),
        ],
    )
    def test_service_cidr_errors(self, cidrs, error):
        (found,) = errors(SERVICECIDRS, make(SERVICECIDRS, spec={"cidrs": cidrs}))
        assert error in found

    def test_service_cidr_grows_once(self):
        old = make(SERVICECIDRS, spec={"cidrs": ["10.0.0.0/24"]})
        assert SERVICECIDRS.row(old) == ["x", "10.0.0.0/24", "<unknown>"]
        new = make(SERVICECIDRS, spec={"cidrs": ["10.0.0.0/24", "fd00::/112"]})
        assert update_errors(SERVICECIDRS, new, old) == []
        assert update_errors(SERVICECIDRS, old, new) == [
            'spec.cidrs: Invalid value: ["10.0.0.0/24"]: field is immutable'
        ]


def test_lease():
    lease = make(LEASES, spec={"holderIdentity": "me", "leaseDurationSeconds": 0, "leaseTransitions": -1})
    assert errors(LEASES, lease) == [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
    ]
    assert LEASES.row(lease) == ["x", "me", "<unknown>"]


def test_service_account():
    account = make(SERVICEACCOUNTS, secrets=[{"name": "a", "namespace": "b"}])
    assert to_tree(account.secrets) == [{"name": "a"}]
    assert errors(SERVICEACCOUNTS, account) == []
    assert SERVICEACCOUNTS.row(account) == ["x", "<unknown>"]
