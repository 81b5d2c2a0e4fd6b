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
from clusterip.objects.codec import encode, to_tree
from clusterip.objects.errors import invalid
from clusterip.objects.meta import StatusCause, StatusDetails
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
    kind, api_version = document.get("kind") or "", document.get("apiVersion") or ""
    if (kind, api_version) != (resource.kind, resource.api_version):
        group_version = api_version if "/" in api_version else f"/{api_version}"
        raise status.bad_request(f"invalid object type: {group_version}, Kind={kind}")
    given = document.get("metadata") or {}
    if not isinstance(given, dict):
        raise status.bad_request("error decoding YAML: the configuration's metadata is not an object")
    if "managedFields" in given and given["managedFields"] is not None:
        raise status.bad_request("metadata.managedFields must be nil")
    config = {**document, "metadata": {"name": info.name, **given}}

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


def unusable(tree: Any, error: status.StatusError) -> status.StatusError:
    """422: what a patch made of an object cannot be read as one any more."""
    if error.status.code != 400:
        return error
    _, separator, why = error.status.message.partition("cannot be handled as a ")
    why = why.partition(": ")[2] if separator else error.status.message
    shown = {key: tree[key] for key in sorted(tree)} if isinstance(tree, dict) else tree
    if isinstance(shown, dict) and isinstance(shown.get("metadata"), dict):
        shown["metadata"] = {k: v for k, v in shown["metadata"].items() if k != "managedFields"}
    problem = invalid("patch", encode(shown).decode(), why)
    details = StatusDetails(
        causes=[StatusCause(reason=problem.reason, message=problem.body, field=problem.field)]
    )
    return status.failure(422, "Invalid", f' "" is invalid: {problem}', details)


def _refused(error: PatchError) -> status.StatusError:
    details = StatusDetails() if error.code == 422 else None
    return status.failure(error.code, error.reason, error.message, details)
