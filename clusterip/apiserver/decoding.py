"""Request bodies as objects, and what is told when they cannot be read.

The messages are those of Kubernetes' decoders, down to Go's names for types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from clusterip.apiserver import status, yaml_text
from clusterip.apiserver.go_json import loads_leniently, syntax_error
from clusterip.apiserver.negotiation import PROTOBUF, YAML, body_type
from clusterip.apiserver.patch import CONTENT_TYPES
from clusterip.apiserver.router import Query
from clusterip.apiserver.strictness import duplicate_keys, strict_errors, unknown_in
from clusterip.apiserver.type_meta import cannot_handle, check_type
from clusterip.apiserver.unmarshal import mismatch, with_numbers
from clusterip.apiserver.write_options import field_validation
from clusterip.objects import protobuf
from clusterip.objects.codec import convert, decode
from clusterip.objects.exact import make_exact
from clusterip.objects.meta import DeleteOptions, StatusDetails
from clusterip.objects.registry import Resource

T = TypeVar("T")

APPLY = "application/apply-patch+yaml"
PATCHES = (*CONTENT_TYPES, APPLY)

_SHOWN = 30
"""How many bytes of a body that cannot be read are shown."""

_TYPE_META = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
)


@dataclass(frozen=True)
class Document:
    """A request's body as JSON. ``duplicates`` are keys that YAML had twice, which JSON has lost."""

    json: bytes
    duplicates: tuple[str, ...] = ()
    source: bytes = b""


class _Object(msgspec.Struct):
    """Any JSON object."""


class _TypeMeta(msgspec.Struct):
    kind: str | None = None
    apiVersion: str | None = None


def to_json(body: bytes, content_type: str, type_: Any) -> Document:
    """A request's body, which is to become a ``type_``, as JSON, whatever it came in.

    Raises:
        StatusError: 415 for a form that cannot be read, 400 if it is not what it says.
    """
    form = body_type(content_type)
    if form == YAML:
        try:
            tree, duplicates = yaml_text.parse(body)
            text = msgspec.json.encode(tree, order="sorted")  # as upstream, which goes through a Go map
        except (yaml_text.YamlError, msgspec.MsgspecError, RecursionError) as error:
            raise _unrecognized(body, type_.__name__, str(error)) from None
        return Document(text, tuple(duplicates), body)
    if form == PROTOBUF:
        try:
            return Document(protobuf.to_json(body, type_), (), body)
        except protobuf.NotProtobuf as error:
            raise _unrecognized(body, type_.__name__, str(error)) from None
    return Document(body, (), body)


def read_object(document: Document, resource: Resource[Any], query: Query) -> tuple[Any, list[str]]:
    """A body as an object of ``resource``, and warnings about fields it does not have, or has twice.

    Raises:
        StatusError: 400, it is not such an object.
    """
    mode = field_validation(query)
    body, type_ = document.json, resource.type
    try:
        obj = decode(body, type_)
    except msgspec.ValidationError:
        obj = None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        body = _repaired(document, resource, error)
        obj = _decoded_or_none(body, type_)
    if obj is None:
        obj = _without_fit(document, body, resource)
    found, merged = strict_errors(body, type_)
    if merged is not None:
        obj = _decoded_or_none(merged, type_) or obj
    if obj.kind != resource.kind or obj.apiVersion != resource.api_version:
        _check_group_version(document, resource, obj.apiVersion)
        check_type(obj.kind, obj.apiVersion, resource)
        obj.kind, obj.apiVersion = resource.kind, resource.api_version
    _settle(obj, resource)
    if mode == "Ignore":
        return obj, []
    return obj, judge(resource, list(document.duplicates), found, mode)


def read_tree(
    tree: Any, resource: Resource[Any], query: Query, duplicates: Sequence[str] = ()
) -> tuple[Any, list[str]]:
    """As ``read_object``, for the result of a patch, in which ``duplicates`` were found."""
    try:
        obj = convert(tree, resource.type)
    except (msgspec.ValidationError, RecursionError) as error:
        raise cannot_handle(
            resource, resource.kind, resource.version, mismatch(tree, resource.type) or f"json: {error}"
        ) from None
    check_type(obj.kind, obj.apiVersion, resource)
    obj.kind, obj.apiVersion = resource.kind, resource.api_version
    _settle(obj, resource)
    mode = field_validation(query)
    if mode == "Ignore":
        return obj, []
    return obj, judge(resource, [], [*duplicates, *sorted(unknown_in(tree, resource.type))], mode)


def read_options(body: bytes, content_type: str, type_: type[T]) -> T:
    """A small body that is not an object of a resource, such as ``DeleteOptions``.

    Raises:
        StatusError: 400 or 415, it cannot be read.
    """
    document = to_json(body, content_type, type_)
    try:
        return decode(document.json, type_)
    except msgspec.ValidationError as error:
        why = mismatch(with_numbers(document.json), type_) or f"json: {error}"
        name = type_.__name__
        raise status.bad_request(f'{name} in version "v1" cannot be handled as a {name}: {why}') from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        why = syntax_error(document.json) or str(error)
        raise _unrecognized(
            body, type_.__name__, f"couldn't get version/kind; json parse error: {why}"
        ) from None


def read_delete_options(body: bytes, content_type: str) -> DeleteOptions:
    """What a deletion is told in its body.

    Raises:
        StatusError: 400 or 415, it cannot be read.
    """
    document = to_json(body, content_type, DeleteOptions)
    try:
        meta = decode(document.json, _TypeMeta)
        options = decode(document.json, DeleteOptions)
    except msgspec.ValidationError as error:
        tree = with_numbers(document.json)
        raise status.bad_request(mismatch(tree, DeleteOptions) or f"json: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        why = syntax_error(document.json) or str(error)
        raise status.bad_request(f"couldn't get version/kind; json parse error: {why}") from None
    if meta.kind not in (None, "", "DeleteOptions"):
        raise status.bad_request(
            f'no kind "{meta.kind}" is registered for version "{meta.apiVersion or ""}" in scheme '
            '"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'
        )
    return options


def read_patch(body: bytes, content_type: str) -> tuple[Any, list[str]]:
    """A patch's document, and what it says twice.

    Raises:
        StatusError: 415 for an unknown kind of patch, 400 if it cannot be read.
    """
    if content_type not in PATCHES:
        error = status.unsupported_media_type(PATCHES)
        error.status.message, error.status.details = "415: Unsupported Media Type", StatusDetails()
        raise error
    if content_type == APPLY:
        return _read_configuration(body), []
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        why = syntax_error(body) or str(error)
        raise status.bad_request(f"error decoding patch: {why}") from None
    return document, duplicate_keys(body, document)


def _read_configuration(body: bytes) -> Any:
    try:
        tree = yaml_text.parse(body)[0]
    except (yaml_text.YamlError, RecursionError) as error:
        why = f"error converting YAML to JSON: {error}"
        raise status.bad_request(f"error decoding YAML: {why}") from None
    if tree is not None and not isinstance(tree, dict):
        why = mismatch(tree, _Object) or ""
        why = why.replace("v1._Object", "map[string]interface {}")
        raise status.bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    return tree or {}


def judge(resource: Resource[Any], duplicates: list[str], found: list[str], mode: str) -> list[str]:
    """What is odd about a body as warnings, or as an error if the request is strict."""
    if mode == "Strict" and (duplicates or found):
        told = list(found)
        if duplicates:
            told.insert(0, "\n  ".join(["yaml: unmarshal errors:", *duplicates]))
        why = f"strict decoding error: {', '.join(told)}"
        raise cannot_handle(resource, resource.kind, resource.version, why)
    return duplicates + found


def _settle(obj: Any, resource: Resource[Any]) -> None:
    try:
        make_exact(obj)
    except ValueError as error:
        raise cannot_handle(resource, resource.kind, resource.version, str(error)) from None


def _repaired(document: Document, resource: Resource[Any], error: Exception) -> bytes:
    """The body with what is no UTF-8 replaced, as Go's decoder does, if that makes it JSON."""
    why = syntax_error(document.json)
    if not why and not isinstance(error, RecursionError):
        try:
            return msgspec.json.encode(loads_leniently(document.json))
        except (ValueError, RecursionError, msgspec.MsgspecError):
            why = str(error)
    if isinstance(error, RecursionError):
        why = "exceeded max depth"
    raise _unrecognized(
        document.source, resource.kind, f"couldn't get version/kind; json parse error: {why}"
    ) from None


def _decoded_or_none(body: bytes, type_: Any) -> Any:
    try:
        return decode(body, type_)
    except msgspec.ValidationError:
        return None


def _without_fit(document: Document, body: bytes, resource: Resource[Any]) -> Any:
    """What a body is that does not fit the type: nothing, of another kind, or wrong."""
    tree = with_numbers(body)
    if tree is None:
        return resource.type()
    meta = {k: tree[k] for k in ("kind", "apiVersion") if k in tree} if isinstance(tree, dict) else tree
    why = mismatch(meta, _TypeMeta)
    if why:
        # Go's type has no name here: it is written out, or left empty before a field's.
        why = why.replace("field _TypeMeta.", "field .").replace("v1._TypeMeta", _TYPE_META)
        raise _unrecognized(
            document.source, resource.kind, f"couldn't get version/kind; json parse error: {why}"
        )
    api_version = meta.get("apiVersion") or ""
    _check_group_version(document, resource, api_version)
    check_type(meta.get("kind") or "", api_version, resource)
    why = mismatch(tree, resource.type) or "json: cannot unmarshal the object"
    raise cannot_handle(resource, resource.kind, resource.version, why)


def _check_group_version(document: Document, resource: Resource[Any], api_version: str) -> None:
    if api_version.count("/") > 1:
        why = f"unexpected GroupVersion string: {api_version}"
        raise _unrecognized(document.source, resource.kind, why)


def _unrecognized(body: bytes, kind: str, why: str) -> status.StatusError:
    """400 for a body of which not even the kind can be told, with the start of it."""
    more = " ..." if len(body) > _SHOWN else ""
    start = body[:_SHOWN]
    shown = (start.decode("utf-8", "replace") if start[:1] == b"{" else start.hex()) + more
    shown = shown or "<empty>"
    return status.bad_request(
        f"the object provided is unrecognized (must be of type {kind}): {why} ({shown})"
    )
