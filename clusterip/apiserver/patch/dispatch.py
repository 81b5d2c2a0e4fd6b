"""Chooses the kind of patch by the request's content type."""

from __future__ import annotations

from typing import Any

import msgspec

from clusterip.apiserver.patch.errors import malformed
from clusterip.apiserver.patch.json_patch import apply_json_patch
from clusterip.apiserver.patch.merge_patch import apply_merge_patch
from clusterip.apiserver.patch.strategic import apply_strategic_merge_patch

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

CONTENT_TYPES = (JSON, MERGE, STRATEGIC)


def apply_patch(content_type: str, tree: dict[str, Any], patch: bytes, type_: Any) -> Any:
    """The result of a patch's text on an object, as plain dicts and lists.

    Args:
        content_type: one of ``CONTENT_TYPES``, without parameters.
        tree: the object as it is (``codec.to_tree``), which is not modified. The result may share
            parts with it.
        patch: the request's body.
        type_: the object's type, which says how its lists merge.

    Raises:
        PatchError: the patch is malformed or does not apply.
        ValueError: there is no such content type.
    """
    if content_type not in CONTENT_TYPES:
        raise ValueError(f"no patch has the content type {content_type!r}")
    try:
        decoded = msgspec.json.decode(patch)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(f"error decoding patch: {error}") from error
    if content_type == JSON:
        return apply_json_patch(tree, decoded)
    if content_type == MERGE:
        return apply_merge_patch(tree, decoded)
    return apply_strategic_merge_patch(tree, decoded, type_)
