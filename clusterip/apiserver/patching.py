"""Patches as functions from the current object to the changed one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusterip.apiserver import status
from clusterip.apiserver.decoding import APPLY
from clusterip.apiserver.patch import PatchError, apply_patch
from clusterip.apiserver.patch.ownership import ApplyConflict, apply
from clusterip.apiserver.router import RequestInfo, is_true
from clusterip.objects import times
from clusterip.objects.codec import to_tree
from clusterip.objects.meta import StatusDetails
from clusterip.objects.registry import Resource

Patcher = Callable[[Any], Any]
"""Makes the tree of the changed object from the current object."""


def patcher(
    content_type: str, document: Any, resource: Resource[Any], info: RequestInfo, manager: str
) -> Patcher:
    """The function that applies a patch.

    What it returns raises StatusError (404, 409, 422, 400) if the patch does not fit the object.

    Raises:
        StatusError: 400 or 422, what such a patch needs is missing.
    """
    if content_type == APPLY:
        return _applier(document, resource, info, manager)

    def patched(current: Any) -> Any:
        if current is None:
            raise status.not_found(resource, info.name)
        try:
            return apply_patch(content_type, to_tree(current), document, resource.type)
        except PatchError as error:
            raise _refused(error) from None

    return patched


def _applier(document: Any, resource: Resource[Any], info: RequestInfo, manager: str) -> Patcher:
    """Server-side apply: ``document`` is what ``manager`` wants."""
    if not isinstance(document, dict) or not isinstance(document.get("metadata") or {}, dict):
        raise status.bad_request("error decoding YAML: the configuration or its metadata is not an object")
    metadata = {"name": info.name, **(document.get("metadata") or {})}
    if resource.namespaced:
        metadata.setdefault("namespace", info.namespace)
    config = {"kind": resource.kind, "apiVersion": resource.api_version, **document, "metadata": metadata}

    def applied(current: Any) -> Any:
        try:
            return apply(
                to_tree(current) if current is not None else None,
                config,
                resource.type,
                manager=manager,
                api_version=resource.api_version,
                now=times.now(),
                subresource=info.subresource,
                force=is_true(info.query, "force"),
            )
        except ApplyConflict as conflict:
            error = _refused(conflict)
            error.status.details = StatusDetails(causes=conflict.causes)
            raise error from None
        except PatchError as error:
            raise _refused(error) from None

    return applied


def _refused(error: PatchError) -> status.StatusError:
    return status.failure(error.code, error.reason, error.message)
