"""JSON schemas of the kinds' types, with Kubernetes' extensions (``x-kubernetes-...``)."""

from __future__ import annotations

import inspect
import types
import typing
from functools import cache
from typing import Any

import msgspec

from clusterip.apiserver.openapi.descriptions import description
from clusterip.objects.base import Atomic, IntOrString, ListMap, ListSet, Quantity, Struct
from clusterip.objects.fields import Field, fields_of, is_struct, item_scalar, item_type
from clusterip.objects.meta import DeleteOptions, ListMeta, ObjectMeta, Status
from clusterip.objects.registry import Resource
from clusterip.objects.scalars import Scalar

Schema = dict[str, Any]

REF = "#/components/schemas/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
PATCH = META + "Patch"
SCALE = "io.k8s.api.autoscaling.v1.Scale"

TIME = META + "Time"
MICRO_TIME = META + "MicroTime"

_REQUIRED = frozenset(
    (
        "Binding.target",
        "ClusterRoleBinding.roleRef",
        "DaemonSetSpec.selector",
        "DaemonSetSpec.template",
        "DeploymentSpec.selector",
        "DeploymentSpec.template",
        "Event.involvedObject",
        "Event.metadata",
        "HTTPGetAction.port",
        "HTTPIngressPath.backend",
        "HTTPIngressPath.pathType",
        "IPAddressSpec.parentRef",
        "LocalSubjectAccessReview.spec",
        "PersistentVolumeClaimTemplate.spec",
        "PreferredSchedulingTerm.preference",
        "ReplicaSetSpec.selector",
        "RoleBinding.roleRef",
        "ScaleIOVolumeSource.secretRef",
        "SelfSubjectAccessReview.spec",
        "SelfSubjectRulesReview.spec",
        "StatefulSetSpec.selector",
        "StatefulSetSpec.template",
        "SubjectAccessReview.spec",
        "TCPSocketAction.port",
        "TokenReview.spec",
        "WeightedPodAffinityTerm.podAffinityTerm",
    )
)
"""Fields that must be given beside the scalars that are always written."""

_OPTIONAL = frozenset(
    (
        "ContainerImage.names",
        "EndpointSlice.endpoints",
        "EndpointSlice.ports",
        "Event.reportingComponent",
        "Event.reportingInstance",
        "NodeRuntimeHandler.name",
        "ProjectedVolumeSource.sources",
        "ResourceFieldSelector.divisor",
        "RoleRef.apiGroup",
        "StatefulSetOrdinals.start",
        "StatefulSetSpec.serviceName",
        "StatefulSetStatus.availableReplicas",
    )
)
"""Fields that are always written but need not be given."""

_UNIONS: dict[str, Schema] = {
    "AppArmorProfile": {
        "discriminator": "type",
        "fields-to-discriminateBy": {"localhostProfile": "LocalhostProfile"},
    },
    "PodSchedulingGroup": {"fields-to-discriminateBy": {"podGroupName": "PodGroupName"}},
    "SeccompProfile": {
        "discriminator": "type",
        "fields-to-discriminateBy": {"localhostProfile": "LocalhostProfile"},
    },
}
"""Structs of which one field says which other one counts (``x-kubernetes-unions``)."""

_TYPE_META: Schema = {
    name: {"description": description("", name), "type": "string"} for name in ("apiVersion", "kind")
}
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
    PATCH: {"description": "A patch; its form is told by the content type.", "type": "object"},
    TIME: {"description": "A time, RFC 3339, to the second.", "type": "string", "format": "date-time"},
    MICRO_TIME: {
        "description": "A time, RFC 3339, to the microsecond.",
        "type": "string",
        "format": "date-time",
    },
    SCALE: {
        "description": "How many replicas are wanted and exist.",
        "type": "object",
        "properties": {
            **_TYPE_META,
            "metadata": {
                "description": description("", "metadata"),
                "allOf": [{"$ref": REF + META + "ObjectMeta"}],
                "default": {},
            },
            "spec": {
                "description": "How many replicas are wanted.",
                "allOf": [{"$ref": REF + SCALE + "Spec"}],
                "default": {},
            },
            "status": {
                "description": "How many replicas exist.",
                "allOf": [{"$ref": REF + SCALE + "Status"}],
                "default": {},
            },
        },
        "x-kubernetes-group-version-kind": [{"group": "autoscaling", "version": "v1", "kind": "Scale"}],
    },
    SCALE + "Spec": {
        "description": "How many replicas are wanted.",
        "type": "object",
        "properties": {
            "replicas": {"description": "How many are wanted.", "type": "integer", "format": "int32"}
        },
    },
    SCALE + "Status": {
        "description": "How many replicas exist.",
        "type": "object",
        "properties": {
            "replicas": {
                "description": "How many there are.",
                "type": "integer",
                "format": "int32",
                "default": 0,
            },
            "selector": {"description": "Which Pods are counted, as text.", "type": "string"},
        },
        "required": ["replicas"],
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
                    **_TYPE_META,
                    "metadata": {
                        "description": "The version of the list, and where it goes on.",
                        "allOf": [self.struct(ListMeta)],
                        "default": {},
                    },
                    "items": {"description": "The items.", "type": "array", "items": item},
                },
                "required": ["items"],
                "x-kubernetes-group-version-kind": [group_version_kind(resource, "List")],
            }
        return {"$ref": REF + name}

    def options(self, type_: type[DeleteOptions | Status]) -> Schema:
        """A reference to a kind that every version has."""
        reference = self.struct(type_)
        schema = self.by_name[reference["$ref"].removeprefix(REF)]
        schema["properties"] |= _TYPE_META
        schema["x-kubernetes-group-version-kind"] = [{"group": "", "version": "v1", "kind": type_.__name__}]
        return reference

    def fixed(self, name: str) -> Schema:
        """A reference to a type that is described here rather than by a struct."""
        if name not in self.by_name:
            self.by_name[name] = dict(_FIXED[name])
            if name == SCALE:
                self.struct(ObjectMeta)
                self.fixed(SCALE + "Spec")
                self.fixed(SCALE + "Status")
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
            schema["properties"] = {
                name: self._field(type_.__name__, field) for name, field in sorted(fields.items())
            }
        if required := _required(type_):
            schema["required"] = required
            for name in required:
                scalar = schema["properties"][name]
                if name in _always_written(type_) and scalar.get("type") in _ZEROS:
                    scalar["default"] = _ZEROS[scalar["type"]]
        if issubclass(type_, Struct) and type_.owned_whole:
            schema["x-kubernetes-map-type"] = "atomic"
        if union := _UNIONS.get(type_.__name__):
            schema["x-kubernetes-unions"] = [union]
        return schema

    def _field(self, struct: str, field: Field) -> Schema:
        schema = self._type(field.type, field.scalar, item_scalar(field.type))
        if "$ref" in schema:
            schema = {"allOf": [schema]}
            if is_struct(field.type) and not field.nullable:
                schema["default"] = {}
        text = description(struct, field.name)
        if not text and is_struct(field.type):
            text = inspect.cleandoc(field.type.__dict__.get("__doc__") or "")
        if text:
            schema["description"] = text
        return schema | _extensions(field)

    def _type(self, type_: Any, scalar: Scalar | None = None, of_items: Scalar | None = None) -> Schema:
        if is_struct(type_):
            return self.struct(type_)
        if scalar is not None and type_ in _SCALARS:
            return self._scalar(type_, scalar)
        if type_ in _SCALARS:
            return dict(_SCALARS[type_])
        origin = typing.get_origin(type_)
        if origin is list:
            return {"type": "array", "items": self._type(item_type(type_), of_items)}
        if origin is dict:
            value = item_type(type_)
            if value is Any:
                return {"type": "object"}
            inner = self._type(value, of_items, item_scalar(value))
            return {"type": "object", "additionalProperties": inner}
        if origin in (typing.Union, types.UnionType):
            members = set(typing.get_args(type_))
            if members == set(typing.get_args(Quantity)):
                return self.fixed(QUANTITY)
            if members == set(typing.get_args(IntOrString)):
                return self.fixed(INT_OR_STRING)
        return {}  # anything

    def _scalar(self, type_: Any, scalar: Scalar) -> Schema:
        if scalar.format == "date-time":
            return self.fixed(MICRO_TIME if scalar.digits else TIME)
        schema = dict(_SCALARS[type_])
        if scalar.format:
            schema["format"] = scalar.format
        if scalar.values:
            schema["enum"] = list(scalar.values)
        return schema


_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number", "format": "double"},
    bytes: {"type": "string", "format": "byte"},
}


def group_version_kind(resource: Resource[Any], suffix: str = "") -> Schema:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind + suffix}


_ZEROS: dict[str, Any] = {"string": "", "integer": 0, "boolean": False}


def _required(type_: Any) -> list[str]:
    """The fields that must be given, in their order."""
    always = _always_written(type_)
    found = []
    for name, field in fields_of(type_).items():
        which = f"{type_.__name__}.{name}"
        scalar = field.type in _SCALARS or typing.get_origin(field.type) is list
        if which in _REQUIRED or (
            name in always and scalar and not field.nullable and which not in _OPTIONAL
        ):
            found.append(name)
    return found


@cache
def _always_written(type_: Any) -> frozenset[str]:
    """The fields that are there even when they are empty (Go: no ``omitempty``)."""
    return frozenset(
        field.encode_name
        for field in msgspec.structs.fields(type_)
        if field.default is msgspec.NODEFAULT and inspect.isfunction(field.default_factory)
    )


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
