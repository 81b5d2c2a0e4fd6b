"""Chooses the kind of patch by the request's content type."""

from __future__ import annotations

from typing import Any

from clusterip.apiserver.patch.json_patch import apply_json_patch
from clusterip.apiserver.patch.merge_patch import apply_merge_patch
from clusterip.apiserver.patch.strategic import apply_strategic_merge_patch

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

CONTENT_TYPES = (JSON, MERGE, STRATEGIC)


def apply_patch(content_type: str, tree: dict[str, Any], patch: Any, type_: Any) -> Any:
    """The result of a patch on an object, as plain dicts and lists.

    Args:
        content_type: one of ``CONTENT_TYPES``, without parameters.
        tree: the object as it is (``codec.to_tree``).
        patch: the request's body, decoded.
        type_: the object's type, which says how its lists merge.

    Returns:
        The object as it should become. Neither ``tree`` nor ``patch`` is modified, so a patch can be
        tried again on a newer object; the result may share parts with both.

    Raises:
        PatchError: the patch is malformed or does not apply.
        ValueError: there is no such content type.
    """
    if content_type == JSON:
        return apply_json_patch(tree, patch)
    if content_type == MERGE:
        return apply_merge_patch(tree, patch)
    if content_type == STRATEGIC:
        return apply_strategic_merge_patch(tree, patch, type_)
    raise ValueError(f"no patch has the content type {content_type!r}")
