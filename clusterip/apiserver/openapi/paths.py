"""The requests that a resource takes, as OpenAPI's paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clusterip.apiserver import discovery
from clusterip.apiserver.openapi.schemas import PATCH, SCALE, Schema, Schemas, group_version_kind
from clusterip.objects.meta import DeleteOptions, Status
from clusterip.objects.registry import Resource

_RESPONSES = ("application/json", "application/yaml")
_PATCHES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)

_WRITE = {"dryRun": "string", "fieldManager": "string", "fieldValidation": "string"}
_DELETE = {
    "dryRun": "string",
    "gracePeriodSeconds": "integer",
    "ignoreStoreReadErrorWithClusterBreakingPotential": "boolean",
    "orphanDependents": "boolean",
    "propagationPolicy": "string",
}
_SELECT = {
    "continue": "string",
    "fieldSelector": "string",
    "labelSelector": "string",
    "limit": "integer",
    "resourceVersion": "string",
    "resourceVersionMatch": "string",
    "sendInitialEvents": "boolean",
    "timeoutSeconds": "integer",
}
_LIST = {"allowWatchBookmarks": "boolean"} | _SELECT | {"watch": "boolean"}

_QUERIES: dict[str, dict[str, str]] = {
    "get": {},
    "list": _LIST,
    "create": _WRITE,
    "update": _WRITE,
    "patch": _WRITE | {"force": "boolean"},
    "delete": _DELETE,
    "deletecollection": _SELECT | _DELETE,
}

_LOG = {
    "container": "string",
    "follow": "boolean",
    "insecureSkipTLSVerifyBackend": "boolean",
    "limitBytes": "integer",
    "previous": "boolean",
    "sinceSeconds": "integer",
    "stream": "string",
    "tailLines": "integer",
    "timestamps": "boolean",
}
_EXEC = {
    "command": "string",
    "container": "string",
    "stderr": "boolean",
    "stdin": "boolean",
    "stdout": "boolean",
    "tty": "boolean",
}

_STREAMS = {
    "attach": {name: type_ for name, type_ in _EXEC.items() if name != "command"},
    "exec": _EXEC,
    "portforward": {"ports": "integer"},
}
"""Subresources that are not read or written but connected to."""

_METHODS = {
    "get": "get",
    "list": "get",
    "create": "post",
    "update": "put",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "delete",
}
_ACTIONS = _METHODS | {"list": "list", "deletecollection": "deletecollection"}
_OPERATION_IDS = {
    "get": "read",
    "list": "list",
    "create": "create",
    "update": "replace",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "delete",
}


_TEXT: Schema = {"type": "string"}


class Paths:
    """Collects the paths of one group and version."""

    def __init__(self, schemas: Schemas) -> None:
        self.by_path: dict[str, Schema] = {}
        self._schemas = schemas

    def add(self, resource: Resource[Any]) -> None:
        namespace = "{namespace}" if resource.namespaced else ""
        verbs = discovery.verbs(resource)
        collection = [verb for verb in ("list", "create", "deletecollection") if verb in verbs]
        single = [verb for verb in ("get", "update", "patch", "delete") if verb in verbs]
        self._path(resource, resource.path(namespace), collection)
        if not single:
            return
        self._path(resource, resource.path(namespace, "{name}"), single)
        if resource.namespaced:
            self._path(resource, resource.path(), ["list"], suffix="ForAllNamespaces")
        for part in discovery.subresources(resource):
            self._part(resource, resource.path(namespace, "{name}", part.name), part)

    def _path(self, resource: Resource[Any], path: str, verbs: Sequence[str], suffix: str = "") -> None:
        item = self._item(path)
        kind, gvk = self._schemas.kind(resource), group_version_kind(resource)
        for verb in verbs:
            result = kind
            if verb == "list":
                result = self._schemas.list_of(resource)
            elif verb == "deletecollection":
                result = self._schemas.options(Status)
            item[_METHODS[verb]] = self._operation(
                resource, verb, _QUERIES[verb], kind, result, gvk, suffix=suffix
            )

    def _part(self, resource: Resource[Any], path: str, part: discovery.Subresource) -> None:
        item = self._item(path)
        gvk = {
            "group": part.group or resource.group,
            "version": part.version or resource.version,
            "kind": part.kind,
        }
        suffix = part.name.capitalize()
        for verb in part.verbs:
            if part.name == "log":
                item["get"] = self._operation(resource, verb, _LOG, None, _TEXT, gvk, suffix=suffix)
                continue
            if part.name in _STREAMS:
                query = _STREAMS[part.name]
                operation = self._operation(resource, verb, query, None, _TEXT, gvk, suffix=suffix)
                item[_METHODS[verb]] = operation | {"x-kubernetes-action": "connect"}
                continue
            kind = self._part_kind(resource, part)
            item[_METHODS[verb]] = self._operation(
                resource, verb, _QUERIES[verb], kind, kind, gvk, suffix=suffix
            )

    def _part_kind(self, resource: Resource[Any], part: discovery.Subresource) -> Schema:
        if part.kind == resource.kind:
            return self._schemas.kind(resource)
        return self._schemas.fixed(SCALE) if part.kind == "Scale" else {"type": "object"}

    def _item(self, path: str) -> Schema:
        names = [name for name in ("namespace", "name") if f"{{{name}}}" in path]
        parameters: list[Schema] = [
            {"name": name, "in": "path", "required": True, "schema": _unique("string")} for name in names
        ]
        parameters.append(_query("pretty", "string"))
        item: Schema = {"parameters": parameters}
        self.by_path[path] = item
        return item

    def _operation(
        self,
        resource: Resource[Any],
        verb: str,
        query: dict[str, str],
        body: Schema | None,
        result: Schema,
        gvk: Schema,
        *,
        suffix: str,
    ) -> Schema:
        group = (resource.group or "core").split(".")[0]
        namespaced = "Namespaced" if resource.namespaced and suffix != "ForAllNamespaces" else ""
        all_at_once = "Collection" if verb == "deletecollection" else ""
        scope = f"{group.capitalize()}{resource.version.capitalize()}{all_at_once}{namespaced}"
        operation: Schema = {
            "operationId": f"{_OPERATION_IDS[verb]}{scope}{resource.kind}{suffix}",
            "tags": [f"{group}_{resource.version}"],
            "parameters": [_query(name, type_) for name, type_ in query.items()],
            "responses": self._responses(verb, result),
            "x-kubernetes-action": _ACTIONS[verb],
            "x-kubernetes-group-version-kind": gvk,
        }
        if verb in ("delete", "deletecollection"):
            operation["requestBody"] = _content(("*/*",), self._schemas.options(DeleteOptions))
        elif verb == "patch":
            patch = self._schemas.fixed(PATCH)
            operation["requestBody"] = _content(_PATCHES, patch) | {"required": True}
        elif verb in ("create", "update") and body is not None:
            operation["requestBody"] = _content(("*/*",), body) | {"required": True}
        return operation

    def _responses(self, verb: str, result: Schema) -> Schema:
        responses: Schema = {"200": {"description": "OK"} | _content(_RESPONSES, result)}
        if verb in ("create", "update", "patch"):
            responses["201"] = {"description": "Created"} | _content(_RESPONSES, result)
        if verb in ("create", "delete"):
            responses["202"] = {"description": "Accepted"} | _content(_RESPONSES, result)
        return responses | {"401": {"description": "Unauthorized"}}


def _content(types: tuple[str, ...], schema: Schema) -> Schema:
    return {"content": {type_: {"schema": schema} for type_ in types}}


def _query(name: str, type_: str) -> Schema:
    return {"name": name, "in": "query", "schema": _unique(type_)}


def _unique(type_: str) -> Schema:
    return {"type": type_, "uniqueItems": True}
