"""Request bodies as objects, and what is told when they cannot be read.

The messages are those of Kubernetes' decoders, down to Go's names for types.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
import yaml

from clusterip.apiserver import protobuf, status
from clusterip.apiserver.negotiation import PROTOBUF, YAML, body_type
from clusterip.apiserver.patch import CONTENT_TYPES
from clusterip.apiserver.router import Query
from clusterip.objects.codec import convert, decode, encode
from clusterip.objects.fields import fields_of, is_struct, item_type
from clusterip.objects.registry import Resource, resources
from clusterip.objects.strict import unknown_fields

T = TypeVar("T")

APPLY = "application/apply-patch+yaml"
PATCHES = (*CONTENT_TYPES, APPLY)

_MISMATCH = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`(?: - at `\$(?P<path>[^`]*)`)?")
_GO_VALUES = {"str": "string", "int": "number", "float": "number"}
_GO_TYPES = {"str": "string", "int": "int32", "float": "float64"}


class _Type(msgspec.Struct):
    kind: str = ""
    apiVersion: str = ""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as JSON knows it: what looks like a date stays text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def to_json(body: bytes, content_type: str, type_: Any) -> bytes:
    """A request's body, which is to become a ``type_``, as JSON, whatever it came in.

    Raises:
        StatusError: 415 for a form that cannot be read, 400 if it is not what it says.
    """
    form = body_type(content_type)
    if form == YAML:
        return yaml_to_json(body)
    if form == PROTOBUF:
        try:
            return protobuf.to_json(body, type_)
        except protobuf.NotProtobuf as error:
            raise status.bad_request(str(error)) from None
    return body


def yaml_to_json(body: bytes) -> bytes:
    """YAML as JSON. Raises StatusError (400) if it is not YAML."""
    try:
        return encode(yaml.load(body, Loader=_Loader))  # a safe loader
    except (yaml.YAMLError, msgspec.MsgspecError, TypeError, RecursionError) as error:
        raise status.bad_request(f"error converting YAML to JSON: yaml: {error}") from None


def field_validation(query: Query) -> str:
    """Strict, Warn or Ignore. Raises StatusError (422) for anything else."""
    mode = query.get("fieldValidation") or "Warn"
    if mode not in ("Strict", "Warn", "Ignore"):
        message = (
            'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: '
            f'"{mode}": supported values: "Ignore", "Strict", "Warn"'
        )
        raise status.failure(422, "Invalid", message)
    return mode


def read_object(body: bytes, resource: Resource[Any], query: Query) -> tuple[Any, list[str]]:
    """A body as an object of ``resource``, and warnings about fields it does not have.

    Raises:
        StatusError: 400, it is not such an object.
    """
    type_ = resource.type
    try:
        obj = decode(body, type_)
    except msgspec.ValidationError as error:
        _check_type(_type_in(body, resource), resource)
        raise _mismatch(resource, error) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _unreadable(body, resource, error) from None
    if obj.kind != resource.kind or obj.apiVersion != resource.api_version:
        _check_type(obj, resource)
        obj.kind, obj.apiVersion = resource.kind, resource.api_version
    mode = field_validation(query) if "fieldValidation" in query else "Warn"
    warnings = [] if mode == "Ignore" else unknown_fields(msgspec.json.decode(body), type_)
    return obj, judge(resource, warnings, mode)


def read_tree(tree: Any, resource: Resource[Any], query: Query) -> tuple[Any, list[str]]:
    """As ``read_object``, for the result of a patch."""
    try:
        obj = convert(tree, resource.type)
    except msgspec.ValidationError as error:
        raise _mismatch(resource, error) from None
    _check_type(obj, resource)
    obj.kind, obj.apiVersion = resource.kind, resource.api_version
    mode = field_validation(query)
    warnings = [] if mode == "Ignore" else unknown_fields(tree, resource.type)
    return obj, judge(resource, warnings, mode)


def read_options(body: bytes, content_type: str, type_: type[T]) -> T:
    """A small body that is not an object of a resource, such as ``DeleteOptions``.

    Raises:
        StatusError: 400 or 415, it cannot be read.
    """
    try:
        return decode(to_json(body, content_type, type_), type_)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise status.bad_request(str(error)) from None


def read_patch(body: bytes, content_type: str) -> Any:
    """A patch's document.

    Raises:
        StatusError: 415 for an unknown kind of patch, 400 if it cannot be read.
    """
    if content_type not in PATCHES:
        raise status.unsupported_media_type(PATCHES)
    if content_type == APPLY:
        return msgspec.json.decode(yaml_to_json(body))
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise status.bad_request(f"error decoding patch: {error}") from None


def judge(resource: Resource[Any], unknown: list[str], mode: str) -> list[str]:
    """Unknown fields as warnings, or as an error if the request is strict."""
    if not unknown:
        return []
    texts = [f'unknown field "{path}"' for path in unknown]
    if mode == "Strict":
        raise _cannot_handle(resource, resource.kind, f"strict decoding error: {', '.join(texts)}")
    return texts


def _cannot_handle(resource: Resource[Any], kind: str, why: str) -> status.StatusError:
    return status.bad_request(
        f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {why}'
    )


def _type_in(body: bytes, resource: Resource[Any]) -> _Type:
    try:
        return decode(body, _Type)
    except msgspec.MsgspecError as error:
        raise _unreadable(body, resource, error) from None


def _check_type(given: Any, resource: Resource[Any]) -> None:
    """That an object says it is what the URL says, or says nothing."""
    kind, api_version = given.kind or resource.kind, given.apiVersion or resource.api_version
    if kind == resource.kind and api_version == resource.api_version:
        return
    known = [other for other in resources() if other.kind == kind]
    if not any(other.api_version == api_version for other in known):
        raise _cannot_handle(
            resource,
            kind,
            f'no kind "{kind}" is registered for version "{api_version}" in scheme '
            '"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"',
        )
    if api_version != resource.api_version:
        raise status.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    raise _cannot_handle(
        resource,
        kind,
        f"converting ({resource.version}.{kind}) to ({resource.group or 'core'}.{resource.kind}): "
        "unknown conversion",
    )


def _unreadable(body: bytes, resource: Resource[Any], error: Exception) -> status.StatusError:
    start = body[:30]
    shown = f"hex: 0x{start.hex()}" if any(b > 126 for b in start) else f'"{start.decode()} ..."'
    why = f"couldn't get version/kind; json parse error: {error}"
    return status.bad_request(
        f"the object provided is unrecognized (must be of type {resource.kind}): {why} ({shown})"
    )


def _mismatch(resource: Resource[Any], error: msgspec.ValidationError) -> status.StatusError:
    match = _MISMATCH.match(str(error))
    if match is None:
        return _cannot_handle(resource, resource.kind, f"json: {error}")
    got = _GO_VALUES.get(match["got"], match["got"])
    path = re.sub(r"\[[^\]]*\]", "", match["path"] or "").strip(".")
    owner, go_type = _go_field(resource.type, path.split(".") if path else [], match["wanted"])
    where = f"struct field {owner}.{path}" if path else "value"
    return _cannot_handle(
        resource, resource.kind, f"json: cannot unmarshal {got} into Go {where} of type {go_type}"
    )


def _go_field(type_: type, path: list[str], wanted: str) -> tuple[str, str]:
    """The struct that a field is in and the field's type, as Go names them."""
    owner, current = type_, type_
    for name in path:
        while (inside := item_type(current)) is not None:
            current = inside
        field = fields_of(current).get(name)
        if field is None:
            break
        owner, current = current, field.type
    if wanted == "array":
        item = item_type(current)
        return owner.__name__, f"[]v1.{item.__name__}" if item and is_struct(item) else "[]string"
    if wanted == "object":
        while not is_struct(current) and (inside := item_type(current)) is not None:
            current = inside
        return owner.__name__, f"v1.{current.__name__}" if is_struct(current) else "map[string]string"
    first = wanted.split(" | ")[0]
    return owner.__name__, _GO_TYPES.get(first, first)
