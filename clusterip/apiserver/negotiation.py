"""Content negotiation: in which form a client wants its answer, and in which form it sends."""

from __future__ import annotations

from typing import Literal

import msgspec

from clusterip.apiserver import status

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPTED = (JSON, YAML)

Shape = Literal["object", "table", "metadata", "metadata-list"]


class Form(msgspec.Struct, frozen=True):
    """How to answer: the media type, and whether as the object itself, a table or only its metadata."""

    media_type: str = JSON
    shape: Shape = "object"
    include_object: str = "Metadata"
    pretty: bool = False


PLAIN = Form()
_SHAPES: dict[str, Shape] = {
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata-list",
}
_cache: dict[tuple[str, bool], Form] = {("", True): PLAIN}


def accept(header: str, *, shapes: bool = True) -> Form:
    """The first alternative of an ``Accept`` header that can be served.

    ``shapes`` says whether tables and metadata are among what can be served. Alternatives are taken by
    their ``q``, and in the client's order where that is equal.

    Raises:
        StatusError: 406, nothing the client accepts can be served.
    """
    key = (header, shapes)
    form = _cache.get(key)
    if form is None:
        form = _parse(header, shapes)
        if len(_cache) < 1000:  # clients send a handful of headers; someone else's noise must not pile up
            _cache[key] = form
    return form


def _parse(header: str, shapes: bool) -> Form:
    offered = False
    for media_type, parameters in _clauses(header):
        if media_type in ("*/*", JSON):
            media_type = JSON
        elif media_type != YAML:
            offered = offered or media_type == PROTOBUF
            continue
        offered = True
        pretty = parameters.get("pretty") == "1"
        wanted = parameters.get("as")
        if wanted is None:
            return Form(media_type, pretty=pretty)
        group, version = parameters.get("g", ""), parameters.get("v", "")
        if shapes and wanted in _SHAPES and group == "meta.k8s.io" and version == "v1":
            return Form(media_type, _SHAPES[wanted], pretty=pretty)
    raise status.not_acceptable((JSON, YAML, PROTOBUF), offered=offered)


def _clauses(header: str) -> list[tuple[str, dict[str, str]]]:
    """The alternatives of an ``Accept`` header with their parameters, the client's favourite first."""
    found: list[tuple[float, str, dict[str, str]]] = []
    for clause in header.split(",") if header.strip() else ["*/*"]:
        media_type, *pairs = (part.strip() for part in clause.split(";"))
        parameters = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        try:
            quality = float(parameters.get("q", 1))
        except ValueError:
            quality = 1.0
        found.append((quality, media_type.lower(), parameters))
    found.sort(key=lambda each: -each[0])  # a stable sort, so equals stay in the client's order
    return [(media_type, parameters) for _, media_type, parameters in found]


def body_type(content_type: str) -> str:
    """The form of a request's body: JSON (also if nothing is said), YAML or PROTOBUF.

    Raises:
        StatusError: 415, it is in a form that cannot be read.
    """
    if not content_type or content_type == JSON:
        return JSON
    media_type, *parameters = content_type.split(";")
    media_type = media_type.strip().lower()
    # A parameter without a value makes it no media type to Go's mime package.
    fits = all("=" in parameter or not parameter.strip() for parameter in parameters)
    if media_type in (JSON, YAML, PROTOBUF) and fits:
        return media_type
    raise status.unsupported_media_type((JSON, YAML, PROTOBUF))
