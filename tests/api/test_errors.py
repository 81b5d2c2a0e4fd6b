"""Bad manifests and bad requests get Kubernetes' own answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.apiserver import RunningApiServer
from tests.support.kubectl import Kubectl

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: x}
spec:
  ports: [{port: PORT}]
"""


def test_invalid_field(kubectl: Kubectl) -> None:
    message = kubectl.fails("create", "-f", "-", stdin=SERVICE.replace("PORT", "0, targetPort: 80"))
    assert message.strip() == (
        'The Service "x" is invalid: spec.ports[0].port: Invalid value: 0: '
        "must be between 1 and 65535, inclusive"
    )


def test_several_invalid_fields(kubectl: Kubectl) -> None:
    text = SERVICE.replace("[{port: PORT}]", "[{name: a, port: 0}, {name: A_, port: 70000}]")
    message = kubectl.fails("create", "-f", "-", stdin=text)
    assert message.startswith('The Service "x" is invalid: \n* spec.ports[0].port: Invalid value: 0: ')
    assert "\n* spec.ports[1].port: Invalid value: 70000: " in message


def test_unknown_field(kubectl: Kubectl) -> None:
    message = kubectl.fails("create", "-f", "-", stdin=SERVICE.replace("PORT", "80, prot: TCP"))
    assert message.strip().endswith(
        'Service in version "v1" cannot be handled as a Service: strict decoding error: '
        'unknown field "spec.ports[0].prot"'
    )


def test_unknown_field_as_a_warning(kubectl: Kubectl) -> None:
    text = SERVICE.replace("PORT", "80, prot: TCP")
    done = kubectl.run("create", "--validate=warn", "-f", "-", stdin=text)
    assert (done.returncode, done.stderr) == (0, 'Warning: unknown field "spec.ports[0].prot"\n')


def test_wrong_type(kubectl: Kubectl) -> None:
    message = kubectl.fails("create", "-f", "-", stdin=SERVICE.replace("PORT", "eighty"))
    assert message.strip().endswith(
        'Service in version "v1" cannot be handled as a Service: json: cannot unmarshal string into Go '
        "struct field ServicePort.spec.ports.port of type int32"
    )


def test_unknown_kind(kubectl: Kubectl) -> None:
    message = kubectl.fails("create", "-f", "-", stdin="{apiVersion: v1, kind: Serivce, metadata: {name: x}}")
    assert 'no matches for kind "Serivce" in version "v1"' in message


def test_malformed_yaml(kubectl: Kubectl) -> None:
    assert "error parsing" in kubectl.fails("create", "-f", "-", stdin="a: b: c")


def test_exists_already(kubectl: Kubectl) -> None:
    text = SERVICE.replace("PORT", "80")
    kubectl("create", "-f", "-", stdin=text)
    message = kubectl.fails("create", "-f", "-", stdin=text)
    assert message.strip().endswith(
        'Error from server (AlreadyExists): error when creating "STDIN": services "x" already exists'
    )


def test_namespace_missing(kubectl: Kubectl) -> None:
    message = kubectl.fails("create", "-n", "nope", "-f", "-", stdin=SERVICE.replace("PORT", "80"))
    assert message.strip().endswith('namespaces "nope" not found')


def test_taken_addresses_and_ports(kubectl: Kubectl) -> None:
    message = kubectl.fails("create", "service", "clusterip", "a", "--clusterip=10.96.0.1", "--tcp=80")
    assert (
        'spec.clusterIPs: Invalid value: ["10.96.0.1"]: failed to allocate IP 10.96.0.1: '
        "provided IP is already allocated"
    ) in message
    kubectl("create", "service", "nodeport", "b", "--tcp=80", "--node-port=30123")
    message = kubectl.fails("create", "service", "nodeport", "c", "--tcp=80", "--node-port=30123")
    assert "spec.ports[0].nodePort: Invalid value: 30123: provided port is already allocated" in message


def test_address_outside_the_range(kubectl: Kubectl) -> None:
    message = kubectl.fails("create", "service", "clusterip", "a", "--clusterip=192.0.2.1", "--tcp=80")
    assert "failed to allocate IP 192.0.2.1: the provided network does not match the current range" in message


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "reason"),
    [
        ("GET", "/api/v1/namespaces/default/services/nope", None, 404, "NotFound"),
        ("POST", "/api/v1/namespaces/default/services", b"{", 400, "BadRequest"),
        ("POST", "/api/v1/namespaces/default/services", b"[]", 400, "BadRequest"),
        ("POST", "/api/v1/namespaces/default/services", b"\xff\xfe", 400, "BadRequest"),
        ("POST", "/api/v1/namespaces/default/services", b'{"a":' * 100000, 400, "BadRequest"),
        ("POST", "/api/v1/namespaces/default/services", b" " * 4_000_000, 413, "RequestEntityTooLarge"),
        (
            "POST",
            "/api/v1/namespaces/default/services",
            {"kind": "Pod", "apiVersion": "v1"},
            400,
            "BadRequest",
        ),
        ("POST", "/api/v1/namespaces/default/services", {"apiVersion": "apps/v1"}, 400, "BadRequest"),
        ("POST", "/api/v1/services", {}, 405, "MethodNotAllowed"),
        ("PUT", "/api/v1/namespaces/default/services", {}, 405, "MethodNotAllowed"),
        ("GET", "/api/v1/services?labelSelector=a==b==c", None, 400, "BadRequest"),
        ("GET", "/api/v1/services?fieldSelector=spec.nope=1", None, 400, "BadRequest"),
        ("GET", "/api/v1/services?resourceVersion=abc", None, 400, "BadRequest"),
        ("GET", "/api/v1/services?continue=%21", None, 400, "BadRequest"),
        ("GET", "/api/v1/services?resourceVersion=999999999", None, 504, "Timeout"),
        ("DELETE", "/api/v1/namespaces/kube-system", None, 403, "Forbidden"),
    ],
)
def test_status(
    apiserver: RunningApiServer, method: str, path: str, body: Any, code: int, reason: str
) -> None:
    got, answer = apiserver.request(method, path, body)
    assert (got, answer["kind"], answer["reason"], answer["code"]) == (code, "Status", reason, code)


@pytest.mark.parametrize("path", ["/nope", "/apis/nope/v1", "/apis/nope/v1/nopes"])
def test_paths_that_do_not_exist(apiserver: RunningApiServer, path: str) -> None:
    assert apiserver.request("GET", path) == (404, "404 page not found\n")


@pytest.mark.parametrize("path", ["/api/v1/nopes", "/apis/apps/v9/deployments"])
def test_resources_that_do_not_exist(apiserver: RunningApiServer, path: str) -> None:
    """In a group that does exist."""
    code, body = apiserver.request("GET", path)
    assert (code, body["message"]) == (404, "the server could not find the requested resource")


def test_new_objects_have_no_version(apiserver: RunningApiServer) -> None:
    def create(version: str, name: str, query: str = "") -> tuple[int, Any]:
        meta = {"name": name, "resourceVersion": version}
        return apiserver.request("POST", f"/api/v1/namespaces/default/configmaps{query}", {"metadata": meta})

    code, body = create("1", "versioned")
    assert (code, body["message"]) == (500, "resourceVersion should not be set on objects to be created")
    assert "reason" not in body
    assert create("1", "Invalid")[0] == 422
    assert create("1", "versioned", "?dryRun=All")[0] == 201
    assert create("no-number", "versioned")[0] == 201


def test_media_types(apiserver: RunningApiServer) -> None:
    path = "/api/v1/namespaces/default/services"
    assert apiserver.request("POST", path, b"x", Content_Type="text/csv")[0] == 415
    assert apiserver.request("GET", path, Accept="application/vnd.kubernetes.protobuf")[0] == 406
    both = "application/vnd.kubernetes.protobuf,application/json"
    assert apiserver.request("GET", path, Accept=both)[1]["kind"] == "ServiceList"
    assert "kind: ServiceList" in apiserver.request("GET", path, Accept="application/yaml")[1]


def test_no_credentials(apiserver: RunningApiServer) -> None:
    code, body = apiserver.request("GET", "/api/v1/services", Authorization="Bearer wrong")
    assert (code, body["reason"], body["message"]) == (401, "Unauthorized", "Unauthorized")
    assert apiserver.request("GET", "/readyz", Authorization="")[0] == 200
