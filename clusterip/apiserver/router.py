"""From a request's method and path to what it asks for.

Kubernetes' paths have one regular shape, so they are taken apart by splitting rather than matched
against hundreds of routes:

    /api/v1[/namespaces/NS]/RESOURCE[/NAME[/SUBRESOURCE[/REST...]]]
    /apis/GROUP/VERSION[/namespaces/NS]/RESOURCE[/NAME[/SUBRESOURCE[/REST...]]]
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote

from clusterip.objects.registry import Resource, find

_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_OF_A_NAMESPACE = frozenset(("status", "finalize"))

Query = dict[str, str]


class RequestInfo:
    """What a request asks for.

    ``verb`` is that of authorization: get, list, watch, create, update, patch, delete or
    deletecollection; for a path outside the resources it is the method in lower case and
    ``plural`` is empty. ``resource`` is None if no such kind is known.
    """

    __slots__ = (
        "group",
        "method",
        "name",
        "namespace",
        "path",
        "plural",
        "query",
        "resource",
        "rest",
        "subresource",
        "verb",
        "version",
    )

    def __init__(self, method: str, path: str, query: Query) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.verb = method.lower()
        self.group = self.version = self.namespace = ""
        self.plural = self.name = self.subresource = self.rest = ""
        self.resource: Resource[Any] | None = None

    @property
    def dry_run(self) -> bool:
        return bool(self.query.get("dryRun"))


def parse_query(text: str) -> Query:
    """The parameters of a query string; of one given twice the first counts, as in Go's ``Get``."""
    if not text:
        return {}
    query: Query = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        query.setdefault(key, value)
    return query


def is_true(query: Query, name: str) -> bool:
    """Whether a flag in the query is set: anything but ``false`` and ``0`` sets it, even no value at all."""
    value = query.get(name)
    return value is not None and value != "0" and value.lower() != "false"


def parse(method: str, raw_path: str) -> RequestInfo:
    """Take a request line's method and target apart."""
    path, _, query = raw_path.partition("?")
    if "%" in path:
        path = unquote(path)
    info = RequestInfo(method, path, parse_query(query))
    parts = path.split("/")
    if parts[-1] == "":
        parts.pop()
    if len(parts) > 3 and parts[1] == "api":
        info.version, rest = parts[2], parts[3:]
    elif len(parts) > 4 and parts[1] == "apis":
        info.group, info.version, rest = parts[2], parts[3], parts[4:]
    else:
        return info
    _parse_resource(info, rest)
    return info


def _parse_resource(info: RequestInfo, parts: list[str]) -> None:
    if parts[0] == "watch" and len(parts) > 1:  # the old form: /api/v1/watch/services
        parts = parts[1:]
        info.query["watch"] = "true"
    if parts[0] == "namespaces" and len(parts) > 1:
        if len(parts) == 2 or (len(parts) == 3 and parts[2] in _OF_A_NAMESPACE):
            # Upstream also treats a namespace as belonging to itself.
            info.namespace = parts[1]
        else:
            info.namespace = parts[1]
            parts = parts[2:]
    info.plural = parts[0]
    if len(parts) > 1:
        info.name = parts[1]
        if len(parts) > 2:
            info.subresource = parts[2]
            if len(parts) > 3:
                info.rest = "/".join(parts[3:])
    info.resource = find(info.group, info.version, info.plural)
    info.verb = _verb(info)


def _is_old_watch(path: str) -> bool:
    parts = path.split("/")
    return "watch" in parts[3:4] or (parts[1] == "apis" and "watch" in parts[4:5])


def _verb(info: RequestInfo) -> str:
    method = info.method
    if method in ("GET", "HEAD"):
        # One object is watched by the old form of path, or by a field selector, and only got otherwise.
        if "watch" in info.query and not info.subresource and is_true(info.query, "watch"):
            return "watch" if not info.name or _is_old_watch(info.path) else "get"
        return "get" if info.name else "list"
    if method == "DELETE":
        return "delete" if info.name else "deletecollection"
    return _WRITES.get(method, "")
