"""Who writes an object, and noting in it which fields are theirs (``metadata.managedFields``)."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from clusterip.apiserver.patch.ownership import created_fields, track
from clusterip.apiserver.router import RequestInfo
from clusterip.apiserver.write_options import MANAGER_LENGTH
from clusterip.objects import times
from clusterip.objects.codec import to_tree
from clusterip.objects.meta import ManagedFieldsEntry
from clusterip.objects.registry import Resource

SELF = "kube-apiserver"
"""The manager of what the server itself writes."""


def manager_of(request: web.BaseRequest, info: RequestInfo) -> str:
    """The ``fieldManager`` of a request, or else the name of the program that makes it."""
    manager = info.query.get("fieldManager", "")
    if manager:
        return manager
    program = request.headers.get("User-Agent", "").partition("/")[0]
    return "".join(filter(str.isprintable, program))[:MANAGER_LENGTH] or "unknown"


def note(resource: Resource[Any], new: Any, old: Any, manager: str, subresource: str = "") -> None:
    """Give ``manager`` the fields in which ``new`` differs from ``old`` (None: it is created)."""
    if old is None and not new.metadata.managedFields and not subresource:
        _note_created(resource, new, manager)
        return
    tree = track(
        to_tree(old) if old is not None else None,
        to_tree(new),
        resource.type,
        manager=manager,
        api_version=resource.api_version,
        now=times.now(),
        subresource=subresource,
    )
    entries = tree["metadata"].get("managedFields", [])
    new.metadata.managedFields = msgspec.convert(entries, list[ManagedFieldsEntry])


def _note_created(resource: Resource[Any], new: Any, manager: str) -> None:
    fields = created_fields(to_tree(new), resource.type)
    if fields:
        entry = ManagedFieldsEntry(
            manager=manager,
            operation="Update",
            apiVersion=resource.api_version,
            time=times.now(),
            fieldsType="FieldsV1",
            fieldsV1=fields,
        )
        new.metadata.managedFields = [entry]
