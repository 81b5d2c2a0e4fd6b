"""Strategic merge patch: a merge patch that knows how the lists of a kind merge.

Lists whose items have a merge key are merged item by item, others are replaced. Directives in the patch
say what plain values cannot: ``$patch: delete|replace|merge`` in an object, ``$deleteFromPrimitiveList/NAME``
and ``$setElementOrder/NAME`` beside a list, ``$retainKeys`` in an object with alternatives.

Follows k8s.io/apimachinery/pkg/util/strategicpatch, of which only applying happens on a server. The
design is sig-api-machinery/strategic-merge-patch.md and, for the order of lists,
cli/preserve-order-in-strategic-merge-patch.md in kubernetes/design-proposals-archive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from clusterip.apiserver.patch.errors import (
    PatchError,
    does_not_apply,
    go_type,
    go_value,
    json_type,
    malformed,
)
from clusterip.objects.fields import field_type, item_type, list_semantics

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM = "$deleteFromPrimitiveList"
ORDER = "$setElementOrder"

Tree = dict[str, Any]


def apply_strategic_merge_patch(tree: Tree, patch: Any, type_: Any) -> Tree:
    """The result of ``patch`` on ``tree``, an object of ``type_``; neither is modified.

    Raises:
        PatchError: the patch is malformed (400) or does not fit the object (422, 500).
    """
    if not isinstance(patch, dict):
        raise malformed(
            f"json: cannot unmarshal {json_type(patch)} into Go value of type map[string]interface {{}}"
        )
    return _merge_object(tree, patch, type_)


def _merge_object(original: Tree, patch: Tree, type_: Any) -> Tree:
    if DIRECTIVE in patch:
        return _replace_object(patch)
    merged = dict(original)
    if RETAIN_KEYS in patch:
        _retain_keys(merged, patch)
    ordered = [_name_in(key, ORDER) for key in patch if key.startswith(ORDER)]
    for name in ordered:
        _merge_ordered_list(merged, patch, name, type_)
    for key, value in patch.items():
        if key == RETAIN_KEYS or key.startswith(ORDER) or key in ordered:
            continue
        if key.startswith(DELETE_FROM):
            _delete_from_list(merged, _name_in(key, DELETE_FROM), value)
        elif value is None:
            merged.pop(key, None)
        else:
            _merge_member(merged, key, value, type_)
    return merged


def _replace_object(patch: Tree) -> Tree:
    directive = patch[DIRECTIVE]
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != DIRECTIVE}
    if directive == "delete":
        return {}
    raise _bad_directive(directive, patch)


def _merge_member(merged: Tree, key: str, value: Any, type_: Any) -> None:
    current = merged.get(key)
    if isinstance(current, dict) and isinstance(value, dict):
        merged[key] = _merge_object(current, value, field_type(type_, key))
    elif isinstance(current, list) and isinstance(value, list):
        merged[key] = _merge_list(current, value, key, type_)
    elif _is_directive(value):
        merged.pop(key, None)
    else:
        merged[key] = _as_new(value)


def _as_new(value: Any) -> Any:
    """A value of the patch that meets nothing to merge with: what is left of it without directives."""
    if isinstance(value, dict):
        return {
            key: _as_new(member)
            for key, member in value.items()
            if member is not None
            and not _is_directive(member)
            and not key.startswith((ORDER, DELETE_FROM))
            and key != RETAIN_KEYS
        }
    if isinstance(value, list):
        return [_as_new(item) for item in value if not _is_directive(item)]
    return value


def _retain_keys(merged: Tree, patch: Tree) -> None:
    """Drop what ``$retainKeys`` does not name, as when one volume source takes another's place."""
    retained = patch[RETAIN_KEYS]
    if not isinstance(retained, list):
        raise malformed("invalid patch format of retainKeys")
    for key, value in patch.items():
        if (
            value is not None
            and key not in retained
            and not key.startswith((RETAIN_KEYS, DELETE_FROM, ORDER))
        ):
            raise malformed("invalid patch format of retainKeys")
    for key in [key for key in merged if key not in retained]:
        del merged[key]


def _delete_from_list(merged: Tree, name: str, values: Any) -> None:
    current = merged.get(name)
    if isinstance(current, list) and isinstance(values, list):
        _check_items(current, values)
        merged[name] = [item for item in current if item not in values]


def _merge_list(current: list[Any], patch: list[Any], name: str, type_: Any) -> list[Any]:
    merges, key = _merge_key(type_, name)
    if not merges:
        return patch
    if not current and not patch:
        return current
    if not _check_items(current, patch):
        both = _without_repetitions([*current, *patch])
        return _in_order(both, patch, current, _itself)
    if key is None:
        raise PatchError(500, "cannot merge lists without merge key for struct")
    current, patch = _apply_item_directives(current, patch, key)
    merged = list(current)
    key_of = _key_reader(key)
    for item in patch:
        wanted = key_of(item)
        at = next((i for i, other in enumerate(merged) if key in other and other[key] == wanted), None)
        if at is None:
            merged.append(_as_new(item))
        else:
            merged[at] = _merge_object(merged[at], item, item_type(field_type(type_, name)))
    return _in_order(merged, patch, current, key_of)


def _apply_item_directives(current: list[Tree], patch: list[Tree], key: str) -> tuple[list[Tree], list[Tree]]:
    """Do what items with ``$patch`` say; gives the current items and those of the patch that are left."""
    key_of = _key_reader(key)
    replace = False
    for item in patch:
        match item.get(DIRECTIVE, ""):
            case "":
                pass
            case "delete":
                gone = key_of(item)
                current = [other for other in current if key not in other or other[key] != gone]
            case "replace":
                replace = True
            case "merge":
                raise PatchError(500, "merging lists cannot yet be specified in the patch")
            case directive:
                raise _bad_directive(directive, item)
    rest = [item for item in patch if DIRECTIVE not in item]
    return ([_as_new(item) for item in rest], []) if replace else (current, rest)


def _merge_ordered_list(merged: Tree, patch: Tree, name: str, type_: Any) -> None:
    """Merge a list whose order ``$setElementOrder`` gives, also for items that the patch leaves alone."""
    order, wanted, current = patch[f"{ORDER}/{name}"], patch.get(name, []), merged.get(name)
    for value in (order, wanted, [] if current is None else current):
        if not isinstance(value, list):
            raise PatchError(500, f"expected a []interface {{}}, but received a {go_type(value)}")
    if field_type(type_, name) is None:
        raise PatchError(500, f'unable to find api field in struct for the json field "{name}"')
    _, key = _merge_key(type_, name)
    key_of = _key_reader(key) if key else _itself
    _check_order(wanted, order, key_of)
    if current is not None and name in patch:
        items = _merge_list(current, wanted, name, type_)
    elif name in patch:
        items = _as_new(wanted)
    elif current is not None:
        items = current
    else:
        return
    merged[name] = _in_order(items, order, current or [], key_of)


def _check_order(wanted: list[Any], order: list[Any], key_of: Callable[[Any], Any]) -> None:
    """The items of the patch must all be in the order, and in that order."""
    if not order:
        return
    places = iter([key_of(item) for item in order])
    for item in wanted:
        if not _is_directive(item) and key_of(item) not in places:  # `in` moves the iterator on
            lists = f"patch list:\n{go_value(wanted)}\n doesn't match {ORDER} list:\n{go_value(order)}\n"
            raise PatchError(500, f"The order in {lists}")


def _in_order(
    items: Sequence[Any], order: Sequence[Any], before: Sequence[Any], key_of: Callable[[Any], Any]
) -> list[Any]:
    """Sort a merged list: the items in ``order`` as there, the others as they were ``before``.

    An item that only the server has goes before the first of the ordered ones that it preceded.
    """
    wanted, places = [key_of(item) for item in order], [key_of(item) for item in before]

    def precedes(left: Any, right: Any) -> bool:
        left, right = key_of(left), key_of(right)
        return left in places and right in places and places.index(left) < places.index(right)

    ordered = sorted((i for i in items if key_of(i) in wanted), key=lambda item: wanted.index(key_of(item)))
    result = [item for item in items if key_of(item) not in wanted]
    at = 0
    for item in ordered:
        while at < len(result) and precedes(result[at], item):
            at += 1
        result.insert(at, item)
        at += 1
    return result


def _merge_key(type_: Any, name: str) -> tuple[bool, str | None]:
    """Whether the list merges, and by which key its items are told apart (None: by their value)."""
    merge = getattr(list_semantics(type_, name), "merge", None)
    return bool(merge), merge if isinstance(merge, str) else None


def _check_items(*lists: list[Any]) -> bool:
    """Whether the items are objects. They must all be of one type."""
    items = [item for each in lists for item in each]
    if items and isinstance(items[0], list):
        raise does_not_apply("lists of lists are not supported")
    if len({go_type(item) for item in items}) > 1:
        shown = " ".join(map(go_value, lists))
        raise PatchError(500, f"list element types are not identical: [{shown}]")
    return bool(items) and isinstance(items[0], dict)


def _key_reader(key: str) -> Callable[[Any], Any]:
    def key_of(item: Any) -> Any:
        if not isinstance(item, dict):
            raise PatchError(500, f"expected a map[string]interface {{}}, but received a {go_type(item)}")
        if key not in item:
            raise PatchError(500, f"map: {go_value(item)} does not contain declared merge key: {key}")
        return item[key]

    return key_of


def _itself(item: Any) -> Any:
    return item


def _is_directive(value: Any) -> bool:
    return isinstance(value, dict) and DIRECTIVE in value


def _bad_directive(directive: Any, where: Tree) -> PatchError:
    return PatchError(500, f"unknown patch type: {go_value(directive)} in map: {go_value(where)}")


def _name_in(key: str, prefix: str) -> str:
    """The list that a directive such as ``$setElementOrder/containers`` is about."""
    found, slash, name = key.partition("/")
    if found != prefix or not slash:
        what = "primitive list" if prefix == DELETE_FROM else "setElementOrder list"
        raise malformed(f"invalid patch format of {what}")
    return name


def _without_repetitions(values: list[Any]) -> list[Any]:
    result: list[Any] = []
    for value in values:
        if value not in result:
            result.append(value)
    return result
