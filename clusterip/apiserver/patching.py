"""Patches as functions from the current object to the changed one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusterip.apiserver import status
from clusterip.apiserver.patch import PatchError, apply_patch
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.codec import to_tree
from clusterip.objects.registry import Resource

Patcher = Callable[[Any], Any]
"""Makes the tree of the changed object from the current object."""


def patcher(content_type: str, document: Any, resource: Resource[Any], info: RequestInfo) -> Patcher:
    """The function that applies a patch.

    What it returns raises StatusError (404, 422, 400) if the patch does not fit the object.
    """

    def apply(current: Any) -> Any:
        if current is None:
            raise status.not_found(resource, info.name)
        try:
            return apply_patch(content_type, to_tree(current), document, resource.type)
        except PatchError as error:
            raise status.failure(error.code, error.reason, error.message) from None

    return apply
