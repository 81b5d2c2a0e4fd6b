"""JSON schemas of the kinds' types, with Kubernetes' extensions (``x-kubernetes-...``)."""

from __future__ import annotations

import inspect
import types
import typing
from typing import Any

from clusterip.objects.base import Atomic, IntOrString, ListMap, ListSet, Quantity, Struct
from clusterip.objects.fields import Field, fields_of, is_struct, item_type
from clusterip.objects.meta import DeleteOptions, ListMeta, Status
from clusterip.objects.registry import Resource

Schema = dict[str, Any]

REF = "#/components/schemas/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
PATCH = META + "Patch"
SCALE = "io.k8s.api.autoscaling.v1.Scale"

_INT64 = frozenset(
    (
        "activeDeadlineSeconds",
        "capacity",
        "deletionGracePeriodSeconds",
        "expirationSeconds",
        "fsGroup",
        "generation",
        "gid",
        "gracePeriodSeconds",
        "observedGeneration",
        "remainingItemCount",
        "runAsGroup",
        "runAsUser",
        "seconds",
        "sizeBytes",
        "supplementalGroups",
        "terminationGracePeriodSeconds",
        "tolerationSeconds",
        "uid",
    )
)
"""Integers that are wider than 32 bits, which Python's type does not tell."""

_BASE64 = frozenset((("Secret", "data"), ("ConfigMap", "binaryData")))
"""Maps whose values are bytes, written in base 64."""

_FIXED: dict[str, Schema] = {
    INT_OR_STRING: {
        "description": "An integer, or a string where a name may stand in for it.",
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
    QUANTITY: {
        "description": 'An amount with an optional suffix, such as "500m", "1Gi" or 2.',
        "oneOf": [{"type": "string"}, {"type": "number"}],
    },
    PATCH: {"description": "Patch is provided to give a concrete name and type to the request body."},
    SCALE: {
        "description": "How many replicas are wanted and exist.",
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"allOf": [{"$ref": REF + META + "ObjectMeta"}], "default": {}},
            "spec": {"type": "object", "properties": {"replicas": {"type": "integer", "format": "int32"}}},
            "status": {
                "type": "object",
                "properties": {
                    "replicas": {"type": "integer", "format": "int32", "default": 0},
                    "selector": {"type": "string"},
                },
                "required": ["replicas"],
            },
        },
        "x-kubernetes-group-version-kind": [{"group": "autoscaling", "version": "v1", "kind": "Scale"}],
    },
}


class Schemas:
    """Collects the schemas that a document refers to, by upstream's names for them."""

    def __init__(self, version: str) -> None:
        self.by_name: dict[str, Schema] = {}
        self._version = version

    def kind(self, resource: Resource[Any]) -> Schema:
        """A reference to a resource's kind."""
        reference = self.struct(resource.type)
        name = reference["$ref"].removeprefix(REF)
        self.by_name[name]["x-kubernetes-group-version-kind"] = [group_version_kind(resource)]
        return reference

    def list_of(self, resource: Resource[Any]) -> Schema:
        """A reference to the list of a resource's kind."""
        item = self.kind(resource)
        name = item["$ref"].removeprefix(REF) + "List"
        if name not in self.by_name:
            self.by_name[name] = {
                "description": f"A list of {resource.plural}.",
                "type": "object",
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"allOf": [self.struct(ListMeta)], "default": {}},
                    "items": {"type": "array", "items": item},
                },
                "required": ["items"],
                "x-kubernetes-group-version-kind": [group_version_kind(resource, "List")],
            }
        return {"$ref": REF + name}

    def options(self, type_: type[DeleteOptions | Status]) -> Schema:
        """A reference to a kind that every version has."""
        reference = self.struct(type_)
        schema = self.by_name[reference["$ref"].removeprefix(REF)]
        schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
        schema["x-kubernetes-group-version-kind"] = [{"group": "", "version": "v1", "kind": type_.__name__}]
        return reference

    def fixed(self, name: str) -> Schema:
        """A reference to a type that is described here rather than by a struct."""
        self.by_name.setdefault(name, dict(_FIXED[name]))
        return {"$ref": REF + name}

    def struct(self, type_: type[Any]) -> Schema:
        """A reference to a struct, which is described if it is not yet."""
        name = self._name(type_)
        if name not in self.by_name:
            schema = self.by_name[name] = {}  # first, since types may contain themselves
            schema.update(self._object(type_))
        return {"$ref": REF + name}

    def _name(self, type_: type[Any]) -> str:
        parts = type_.__module__.split(".")[2:]  # clusterip.objects.GROUP.FILE
        if parts[0] == "meta":
            return META + type_.__name__
        version = self._version if len(parts) > 1 else "v1"
        return f"io.k8s.api.{parts[0]}.{version}.{type_.__name__}"

    def _object(self, type_: Any) -> Schema:
        schema: Schema = {"type": "object"}
        if description := inspect.cleandoc(type_.__dict__.get("__doc__") or ""):
            schema["description"] = description
        fields = fields_of(type_)
        if fields:
            schema["properties"] = {name: self._field(field) for name, field in sorted(fields.items())}
            for owner, name in _BASE64:
                if owner == type_.__name__:
                    schema["properties"][name]["additionalProperties"]["format"] = "byte"
        if issubclass(type_, Struct) and type_.owned_whole:
            schema["x-kubernetes-map-type"] = "atomic"
        return schema

    def _field(self, field: Field) -> Schema:
        schema = self._type(field.type)
        _refine(schema, field.name)
        if "$ref" in schema:
            schema = {"allOf": [schema]}
            if is_struct(field.type) and not field.nullable:
                schema["default"] = {}
        return schema | _extensions(field)

    def _type(self, type_: Any) -> Schema:
        if is_struct(type_):
            return self.struct(type_)
        scalar = _SCALARS.get(type_)
        if scalar is not None:
            return dict(scalar)
        origin = typing.get_origin(type_)
        if origin is list:
            return {"type": "array", "items": self._item(item_type(type_))}
        if origin is dict:
            value = item_type(type_)
            return {"type": "object"} if value is Any else _map_of(self._item(value))
        if origin in (typing.Union, types.UnionType):
            members = set(typing.get_args(type_))
            if members == set(typing.get_args(Quantity)):
                return self.fixed(QUANTITY)
            if members == set(typing.get_args(IntOrString)):
                return self.fixed(INT_OR_STRING)
        return {}  # anything

    def _item(self, type_: Any) -> Schema:
        schema = self._type(type_)
        if is_struct(type_):
            return {"allOf": [schema], "default": {}}
        return schema


_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int32"},
    float: {"type": "number", "format": "double"},
    bytes: {"type": "string", "format": "byte"},
}


def group_version_kind(resource: Resource[Any], suffix: str = "") -> Schema:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind + suffix}


def _refine(schema: Schema, name: str) -> None:
    """Add what a field's name tells beyond its Python type."""
    schema = schema.get("items", schema)
    if schema.get("type") == "integer" and name in _INT64:
        schema["format"] = "int64"
    elif schema.get("type") == "string" and name.endswith(("Time", "Timestamp", "startedAt", "finishedAt")):
        schema["format"] = "date-time"


def _map_of(value: Schema) -> Schema:
    return {"type": "object", "additionalProperties": value}


def _extensions(field: Field) -> Schema:
    """How the field merges: for server-side apply and, by older names, for strategic merge patches."""
    extensions: Schema = {}
    strategies = []
    semantics = field.semantics
    if typing.get_origin(field.type) is list:
        match semantics:
            case ListMap(keys=keys):
                extensions["x-kubernetes-list-type"] = "map"
                extensions["x-kubernetes-list-map-keys"] = list(keys)
            case ListSet():
                extensions["x-kubernetes-list-type"] = "set"
            case _:
                extensions["x-kubernetes-list-type"] = "atomic"
        if semantics is not None and semantics.merge:
            strategies.append("merge")
            if isinstance(semantics.merge, str):
                extensions["x-kubernetes-patch-merge-key"] = semantics.merge
    elif isinstance(semantics, Atomic) and not is_struct(field.type):  # a struct says it of itself
        extensions["x-kubernetes-map-type"] = "atomic"
    if field.retain_keys:
        strategies.append("retainKeys")
    if strategies:
        extensions["x-kubernetes-patch-strategy"] = ",".join(strategies)
    return extensions
