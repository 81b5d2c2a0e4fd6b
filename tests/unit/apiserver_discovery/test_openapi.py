"""OpenAPI documents: complete, consistent, and with what kubectl looks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator

from clusterip.apiserver import openapi
from clusterip.objects.registry import resources, virtual_resources


def references(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        if "$ref" in tree:
            yield tree["$ref"]
        for value in tree.values():
            yield from references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from references(value)


def document(path: str) -> dict[str, Any]:
    found = openapi.v3(path)
    assert found is not None
    return found


def properties(path: str, name: str) -> dict[str, Any]:
    return dict(document(path)["components"]["schemas"][name]["properties"])


def test_the_index_has_every_version() -> None:
    paths = openapi.v3_index()["paths"]
    wanted = {
        f"apis/{r.api_version}" if r.group else f"api/{r.version}"
        for r in (*resources(), *virtual_resources())
    }
    assert set(paths) == wanted
    assert paths["api/v1"]["serverRelativeURL"].startswith("/openapi/v3/api/v1?hash=")
    assert openapi.v3_index()["paths"] == paths
    assert openapi.v3("apis/nothing.example/v1") is None


@pytest.mark.parametrize("path", ["api/v1", "apis/apps/v1", "apis/discovery.k8s.io/v1"])
def test_every_reference_leads_somewhere(path: str) -> None:
    whole = document(path)
    assert {ref.removeprefix("#/components/schemas/") for ref in references(whole)} <= set(
        whole["components"]["schemas"]
    )


def test_kinds_are_found_by_group_version_and_kind() -> None:
    for resource in resources():
        path = f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"
        schemas = document(path)["components"]["schemas"].values()
        wanted = [{"group": resource.group, "version": resource.version, "kind": resource.kind}]
        assert [s for s in schemas if s.get("x-kubernetes-group-version-kind") == wanted]


def test_lists_say_how_they_merge() -> None:
    fields = properties("api/v1", "io.k8s.api.core.v1.ServiceSpec")
    assert fields["ports"] | {"items": None} == {
        "description": "The ports that the Service offers.",
        "type": "array",
        "items": None,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"],
        "x-kubernetes-patch-merge-key": "port",
        "x-kubernetes-patch-strategy": "merge",
    }
    assert fields["externalIPs"]["x-kubernetes-list-type"] == "atomic"
    assert fields["selector"]["x-kubernetes-map-type"] == "atomic"
    volumes = properties("api/v1", "io.k8s.api.core.v1.PodSpec")["volumes"]
    assert volumes["x-kubernetes-patch-strategy"] == "merge,retainKeys"
    finalizers = properties("api/v1", "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")["finalizers"]
    assert finalizers["x-kubernetes-list-type"] == "set"
    assert finalizers["x-kubernetes-patch-strategy"] == "merge"


def test_types_beyond_python_s() -> None:
    port = properties("api/v1", "io.k8s.api.core.v1.ServicePort")
    assert (port["port"]["type"], port["port"]["format"]) == ("integer", "int32")
    assert port["port"]["default"] == 0
    assert port["targetPort"]["allOf"][0]["$ref"].endswith(".intstr.IntOrString")
    meta = properties("api/v1", "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    time = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Time"
    assert meta["creationTimestamp"]["allOf"] == [{"$ref": time}]
    schemas = document("api/v1")["components"]["schemas"]
    assert (schemas[time.rpartition("/")[2]]["type"], schemas[time.rpartition("/")[2]]["format"]) == (
        "string",
        "date-time",
    )
    assert (meta["generation"]["type"], meta["generation"]["format"]) == ("integer", "int64")
    data = properties("api/v1", "io.k8s.api.core.v1.Secret")["data"]
    assert data["additionalProperties"] == {"type": "string", "format": "byte"}


@pytest.mark.parametrize("method", ["patch", "put"])
def test_writes_take_field_validation(method: str) -> None:
    """By this kubectl decides to leave validation to the server."""
    path = document("api/v1")["paths"]["/api/v1/namespaces/{namespace}/services/{name}"]
    assert "fieldValidation" in [parameter["name"] for parameter in path[method]["parameters"]]
    assert path[method]["x-kubernetes-group-version-kind"] == {
        "group": "",
        "version": "v1",
        "kind": "Service",
    }


@pytest.mark.parametrize("path", sorted(openapi.v3_index()["paths"]))
def test_version_3_is_openapi(path: str) -> None:
    """But for empty defaults, which upstream's documents give to what may not be empty, too."""
    assert [e for e in OpenAPIV30SpecValidator(document(path)).iter_errors() if e.instance] == []


def test_what_must_be_there() -> None:
    schemas = document("api/v1")["components"]["schemas"]
    assert schemas["io.k8s.api.core.v1.ServicePort"]["required"] == ["port"]
    assert schemas["io.k8s.api.core.v1.Container"]["required"] == ["name"]
    assert schemas["io.k8s.api.core.v1.ServiceList"]["required"] == ["items"]


@pytest.mark.parametrize("kind", ["Service", "ServiceSpec", "ServicePort", "EndpointSlice", "ObjectMeta"])
def test_fields_are_described(kind: str) -> None:
    """``kubectl explain`` has something to say about each."""
    path = "apis/discovery.k8s.io/v1" if kind == "EndpointSlice" else "api/v1"
    [schema] = [
        schema
        for name, schema in document(path)["components"]["schemas"].items()
        if name.rpartition(".")[2] == kind
    ]
    assert [field for field, of in schema["properties"].items() if not of.get("description")] == []


def test_version_2_is_openapi() -> None:
    assert [e for e in OpenAPIV2SpecValidator(openapi.v2()).iter_errors() if e.instance] == []


def test_version_2() -> None:
    whole = openapi.v2()
    assert whole["swagger"] == "2.0"
    names = {ref.removeprefix("#/definitions/") for ref in references(whole)}
    assert names <= set(whole["definitions"])
    post = whole["paths"]["/api/v1/namespaces/{namespace}/services"]["post"]
    assert post["parameters"][0]["in"] == "body"
    assert all("schema" not in parameter for parameter in post["parameters"][1:])
    assert "oneOf" not in str(whole)
    operations = [
        operation["operationId"]
        for item in whole["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(operations) == len(set(operations))
