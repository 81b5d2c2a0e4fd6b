"""What is served beside objects: discovery, OpenAPI, the version, health and metrics."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from clusterip.apiserver import discovery, openapi, status
from clusterip.apiserver.call import Call
from clusterip.apiserver.encoding import encode_any
from clusterip.apiserver.negotiation import JSON, accept
from clusterip.apiserver.openid import CACHE_CONTROL, CONFIGURATION_PATH, KEYS_PATH
from clusterip.apiserver.version import VERSION
from clusterip.objects.codec import encode

_HEALTH = ("/healthz", "/livez", "/readyz", "/metrics")
_PATHS = [
    CONFIGURATION_PATH,
    "/api",
    "/api/v1",
    "/apis",
    *_HEALTH,
    "/openapi/v2",
    "/openapi/v3",
    KEYS_PATH,
    "/version",
]
_AGGREGATED = "apidiscovery.k8s.io"
_OPENAPI_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


_cache: dict[str, bytes] = {}


def serve(call: Call) -> web.Response:
    """The document at a path outside the resources."""
    info = call.info
    path = info.path.rstrip("/") or "/"
    if path.startswith(_HEALTH):
        page = call.server.health.page(info.method, call.request.raw_path)
        return call.respond(page.body, page.status, page.content_type)
    if info.method not in ("GET", "HEAD"):
        raise status.method_not_allowed()
    openid = call.server.openid.document(path) if call.server.openid is not None else None
    if openid is not None:
        response = call.respond(openid[0], 200, openid[1])
        response.headers["Cache-Control"] = CACHE_CONTROL
        return response
    if path == "/version":
        return call.reply(encode_any(VERSION, call.form))
    if path == "/openapi/v2":
        return _openapi_v2(call)
    if path.startswith("/openapi/v3"):
        return _openapi_v3(call, path)
    if path in ("/api", "/apis") and _AGGREGATED in call.request.headers.get("Accept", ""):
        return _aggregated(call, legacy=path == "/api")
    document = _discovery(path, _address(call))
    if document is None:
        parts = path.split("/")
        if parts[1] == "api" or (len(parts) > 3 and parts[1] == "apis" and parts[2] in discovery.groups()):
            raise status.no_such_path()
        return not_found(call)
    return call.reply(encode_any(document, accept(call.request.headers.get("Accept", ""), shapes=False)))


def not_found(call: Call) -> web.Response:
    """What Go's mux answers where nothing is: plain text, from which clients make a Status."""
    return call.respond(b"404 page not found\n", 404, "text/plain; charset=utf-8")


_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def unknown(call: Call) -> web.Response:
    """The answer where there is no such kind.

    But that no kinds have been added can be read: kubectl does so before it says that it does not know one.
    """
    info = call.info
    if info.path == _CRDS and info.verb == "list":
        metadata = {"resourceVersion": str(call.server.cache.revision)}
        kinds = {"kind": "CustomResourceDefinitionList", "apiVersion": "apiextensions.k8s.io/v1"}
        return call.reply(encode_any({**kinds, "metadata": metadata, "items": []}, call.form))
    if not info.group or info.group in discovery.groups():
        raise status.no_such_path()
    return not_found(call)


def _address(call: Call) -> str:
    """Where the client has reached this server."""
    transport = call.request.transport
    name = transport.get_extra_info("sockname") if transport is not None else None
    if not name:
        return ""
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def _discovery(path: str, address: str) -> Any:
    parts = path.split("/")[1:]
    match parts:
        case [""]:
            return {"paths": _PATHS}
        case ["api"]:
            return discovery.api_versions(address)
        case ["apis"]:
            return discovery.api_groups()
        case ["api", version]:
            return discovery.group_version("", version)
        case ["apis", group]:
            return discovery.group(group)
        case ["apis", group, version]:
            return discovery.group_version(group, version)
    return None


def _aggregated(call: Call, *, legacy: bool) -> web.Response:
    """All groups, versions and resources in one document (``apidiscovery.k8s.io/v2``)."""
    header = call.request.headers.get("Accept", "")
    for clause in header.split(","):
        if _AGGREGATED not in clause:
            break
        if clause.strip().startswith(JSON) and "v=v2;" in clause.replace(" ", "") + ";":
            body = _once(f"aggregated {legacy}", lambda: discovery.aggregated(legacy))
            content_type = f"{JSON};g={_AGGREGATED};v=v2;as=APIGroupDiscoveryList"
            return _tagged(call, body, content_type, "public")
        if clause.strip().startswith(JSON):
            # A version of it that is not served, and nothing else that would do.
            accept(header, shapes=False)
    document = discovery.api_versions(_address(call)) if legacy else discovery.api_groups()
    return call.respond(encode(document), 200, JSON)


def _openapi_v2(call: Call) -> web.Response:
    if "proto-openapi" in call.request.headers.get("Accept", ""):
        if "v2 protobuf" not in _cache:
            _cache["v2 protobuf"] = openapi.in_protobuf(openapi.v2())
        return call.respond(_cache["v2 protobuf"], 200, _OPENAPI_PROTOBUF)
    return call.respond(_once("v2", openapi.v2), 200, JSON)


def _openapi_v3(call: Call, path: str) -> web.Response:
    """The index, or the document of a group and version, which may be kept for long by its hash."""
    rest = path[len("/openapi/v3") :].strip("/")
    if not rest:
        return _tagged(call, _once("v3", openapi.v3_index), JSON)
    if rest not in _cache and openapi.v3(rest) is None:
        return not_found(call)
    body = _once(rest, lambda: openapi.v3(rest))
    wanted = call.info.query.get("hash", "")
    if not wanted:
        return _tagged(call, body, JSON)
    if wanted != _digest(body):
        return web.Response(status=301, headers={"Location": f"/openapi/v3/{rest}?hash={_digest(body)}"})
    response = _tagged(call, body, JSON, "public, immutable")
    expires = datetime.now(UTC) + timedelta(days=365)
    response.headers["Expires"] = expires.strftime("%a, %d %b %Y %H:%M:%S UTC")
    return response


def _tagged(call: Call, body: bytes, content_type: str, cache_control: str = "") -> web.Response:
    """A document that clients may keep; who has it already is told just that (304)."""
    tag = f'"{_digest(body)}"'
    known = call.request.headers.get("If-None-Match", "")
    if tag in (each.strip() for each in known.split(",")):
        response = web.Response(status=304)
        response.headers["Cache-Control"] = "no-cache, private"
    else:
        response = call.respond(body, 200, content_type)
    if cache_control:
        response.headers["Cache-Control"] = cache_control
    response.headers["Etag"] = tag
    response.headers["Vary"] = "Accept"
    return response


def _digest(body: bytes) -> str:
    return hashlib.sha512(body).hexdigest().upper()


def _once(key: str, make: Any) -> bytes:
    """A document encoded at its first request; none of them changes while the server runs."""
    body = _cache.get(key)
    if body is None:
        body = _cache[key] = encode(make())
    return body
