"""The OpenAPI documents: version 3 for each group and version, and version 2 for everything at once."""

from __future__ import annotations

import hashlib
from typing import Any

from clusterip.apiserver.openapi.paths import Paths
from clusterip.apiserver.openapi.schemas import REF, Schema, Schemas
from clusterip.objects import kinds as _kinds  # noqa: F401  (registers them)
from clusterip.objects.codec import encode
from clusterip.objects.registry import Resource, resources, virtual_resources

_INFO = {"title": "Kubernetes", "version": "unversioned"}


def v3_index() -> Schema:
    """``/openapi/v3``: where each group and version's document is.

    The hash in an address changes with the document, so that clients may keep what they once read.
    """
    paths = {}
    for path in sorted(_group_versions()):
        digest = hashlib.sha512(encode(v3(path))).hexdigest().upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def v3(path: str) -> Schema | None:
    """``/openapi/v3/PATH`` for ``api/v1`` or ``apis/GROUP/VERSION``; None if there is no such version."""
    members = _group_versions().get(path)
    if members is None:
        return None
    schemas = Schemas(members[0].version)
    paths = Paths(schemas)
    for resource in members:
        paths.add(resource)
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": dict(sorted(paths.by_path.items())),
        "components": {"schemas": dict(sorted(schemas.by_name.items()))},
    }


def v2() -> Schema:
    """``/openapi/v2``: all groups and versions in the older form, of which only JSON is offered."""
    paths: Schema = {}
    definitions: Schema = {}
    for path in _group_versions():
        document = v3(path) or {}
        definitions |= document["components"]["schemas"]
        paths |= {name: _swagger_path(item) for name, item in document["paths"].items()}
    return {
        "swagger": "2.0",
        "info": _INFO,
        "paths": paths,
        "definitions": {name: _swagger_schema(schema) for name, schema in definitions.items()},
    }


def _group_versions() -> dict[str, list[Resource[Any]]]:
    found: dict[str, list[Resource[Any]]] = {}
    for resource in (*resources(), *virtual_resources()):
        path = f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"
        found.setdefault(path, []).append(resource)
    return found


def _swagger_path(item: Schema) -> Schema:
    return {
        method: _swagger_parameters(value) if method == "parameters" else _swagger_operation(value)
        for method, value in item.items()
    }


def _swagger_operation(operation: Schema) -> Schema:
    result = dict(operation)
    result["parameters"] = _swagger_parameters(operation["parameters"])
    body = result.pop("requestBody", None)
    if body is not None:
        media = body["content"]
        result["consumes"] = list(media)
        schema = _swagger_schema(next(iter(media.values()))["schema"])
        parameter = {"name": "body", "in": "body", "required": body.get("required", False), "schema": schema}
        result["parameters"].insert(0, parameter)
    result["responses"] = {}
    for code, response in operation["responses"].items():
        result["responses"][code] = {"description": response["description"]}
        for media_type, content in response.get("content", {}).items():
            result.setdefault("produces", [])
            if media_type not in result["produces"]:
                result["produces"].append(media_type)
            result["responses"][code]["schema"] = _swagger_schema(content["schema"])
    return result


def _swagger_parameters(parameters: list[Schema]) -> list[Schema]:
    """In version 2 a parameter's type stands beside its name."""
    return [
        {key: value for key, value in parameter.items() if key != "schema"} | parameter["schema"]
        for parameter in parameters
    ]


def _swagger_schema(schema: Any) -> Any:
    """References point elsewhere in version 2 and stand alone; alternatives cannot be expressed."""
    if isinstance(schema, list):
        return [_swagger_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "oneOf" in schema:
        rest = {key: value for key, value in schema.items() if key != "oneOf"}
        return rest | {"type": "string"}
    result = {}
    for key, value in schema.items():
        if key == "$ref":
            result[key] = "#/definitions/" + value.removeprefix(REF)
        elif key == "allOf":
            result |= _swagger_schema(value[0])
        elif key != "default":
            result[key] = _swagger_schema(value)
    return result
