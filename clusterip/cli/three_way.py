"""What has to change in a live object so that it is as a manifest says, without undoing others' work.

The answer is a strategic merge patch: fields that the manifest has and the live object has otherwise are
set; fields that the *last* applied manifest had and this one has not are removed; all others stay. See
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/ and upstream's
``strategicpatch.CreateThreeWayMergePatch``.
"""

from __future__ import annotations

from typing import Any

from clusterip.objects.base import ListSet
from clusterip.objects.fields import field_type, item_type, list_semantics

Tree = dict[str, Any]


def patch(last: Tree, new: Tree, live: Tree, type_: Any) -> Tree:
    """The patch; ``{}`` if nothing has to change.

    Args:
        last: what was applied last, ``{}`` if nothing ever was.
        new: what is to be applied.
        live: the object as it is.
        type_: the kind's type, which says how its lists merge.
    """
    result: Tree = {}
    for key, value in new.items():
        if value is None:
            if key in live:
                result[key] = None
            continue
        if key not in live:
            result[key] = value
            continue
        current, before = live[key], last.get(key)
        if isinstance(value, dict) and isinstance(current, dict):
            inner = patch(before if isinstance(before, dict) else {}, value, current, field_type(type_, key))
            if inner:
                result[key] = inner
        elif isinstance(value, list) and isinstance(current, list):
            _patch_list(result, key, before if isinstance(before, list) else [], value, current, type_)
        elif value != current:
            result[key] = value
    for key in last:
        if key not in new and key in live:
            result[key] = None
    return result


def _patch_list(result: Tree, key: str, last: list[Any], new: list[Any], live: list[Any], type_: Any) -> None:
    semantics = list_semantics(type_, key)
    merge = semantics.merge if semantics is not None else None
    if isinstance(semantics, ListSet) and merge:
        added = [item for item in new if item not in live]
        removed = [item for item in last if item not in new and item in live]
        if added:
            result[key] = added
        if removed:
            result[f"$deleteFromPrimitiveList/{key}"] = removed
    elif isinstance(merge, str) and all(isinstance(item, dict) and merge in item for item in (*new, *live)):
        items = _patch_items(merge, last, new, live, item_type(field_type(type_, key)))
        if items:
            result[key] = items
            result[f"$setElementOrder/{key}"] = [{merge: item[merge]} for item in new]
    elif not _contains(live, new):
        result[key] = new


def _patch_items(merge: str, last: list[Any], new: list[Any], live: list[Any], type_: Any) -> list[Tree]:
    """The patches of a list whose items are told apart by ``merge``."""
    currents = {item[merge]: item for item in live}
    befores = {item.get(merge): item for item in last if isinstance(item, dict)}
    items: list[Tree] = []
    for item in new:
        name = item[merge]
        if name not in currents:
            items.append(item)
        elif inner := patch(befores.get(name, {}), item, currents[name], type_):
            items.append({**inner, merge: name})
    wanted = {item[merge] for item in new}
    items += [
        {"$patch": "delete", merge: name} for name in befores if name not in wanted and name in currents
    ]
    return items


def _contains(live: list[Any], new: list[Any]) -> bool:
    """Whether an atomic list is already as wanted but for what the server filled in."""
    return len(live) == len(new) and all(map(_covers, live, new))


def _covers(live: Any, new: Any) -> bool:
    if isinstance(new, dict) and isinstance(live, dict):
        return all(key in live and _covers(live[key], value) for key, value in new.items())
    if isinstance(new, list) and isinstance(live, list):
        return _contains(live, new)
    return bool(live == new)
