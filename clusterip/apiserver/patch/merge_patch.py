"""JSON Merge Patch (RFC 7386): members of the patch replace those of the object; null removes."""

from __future__ import annotations

from typing import Any

from clusterip.apiserver.patch.errors import json_type, malformed


def apply_merge_patch(tree: Any, patch: Any) -> Any:
    """The result of ``patch`` on ``tree``; neither is modified.

    Raises:
        PatchError: the patch is not an object (400). The RFC would let it replace everything; a
            Kubernetes object cannot be replaced by something that is none.
    """
    if not isinstance(patch, dict):
        raise malformed(
            f"error decoding patch: json: cannot unmarshal {json_type(patch)} "
            "into Go value of type map[string]interface {}"
        )
    return _merge(tree, patch)


def _merge(tree: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(tree) if isinstance(tree, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged
