"""JSON Patch (RFC 6902): a list of operations, done one after the other or not at all."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from clusterip.apiserver.patch.errors import PatchError, does_not_apply, json_type, malformed

MAX_OPERATIONS = 10_000
"""kube-apiserver's limit (maxJSONPatchOperations)."""


def apply_json_patch(tree: Any, operations: Any) -> Any:
    """The result of ``operations`` on ``tree``, which is not modified.

    Raises:
        PatchError: this is no JSON patch (400), has too many operations (413), or one of them does not
            apply (422).
    """
    if not isinstance(operations, list):
        raise malformed(
            f"error decoding patch: json: cannot unmarshal {json_type(operations)} "
            "into Go value of type []handlers.jsonPatchOp"
        )
    if len(operations) > MAX_OPERATIONS:
        raise PatchError(
            413,
            "Request entity too large: The allowed maximum operations in a JSON patch is "
            f"{MAX_OPERATIONS}, got {len(operations)}",
        )
    # A member holds the document, so that replacing all of it is not a special case.
    root = {"": deepcopy(tree)}
    for operation in operations:
        if not isinstance(operation, dict):
            raise malformed(
                f"error decoding patch: json: cannot unmarshal {json_type(operation)} "
                "into Go value of type handlers.jsonPatchOp"
            )
        _apply(root, operation)
    return root[""]


def _apply(root: dict[str, Any], operation: dict[str, Any]) -> None:
    kind = operation.get("op")
    path = _pointer(operation, "path")
    match kind:
        case "add":
            _add(root, path, _value(operation))
        case "remove":
            _remove(root, path)
        case "replace":
            if not isinstance(_parent(root, path), dict):  # of an object, what is missing is added
                _get(root, path)
            _set(root, path, _value(operation))
        case "move":
            origin = _pointer(operation, "from")
            if path[: len(origin)] == origin and path != origin:
                raise does_not_apply(f"move: {operation['path']} is inside of {operation['from']}")
            value = _get(root, origin)
            _remove(root, origin)
            _add(root, path, value)
        case "copy":
            _add(root, path, deepcopy(_get(root, _pointer(operation, "from"))))
        case "test":
            # A member that is absent equals null here, as kube-apiserver's library has it.
            if not _equal(_get(root, path, absent_is_null=True), operation.get("value")):
                raise does_not_apply(f"testing value {operation['path']} failed: test failed")
        case _:
            raise does_not_apply(f"Unexpected kind: {kind if isinstance(kind, str) else 'unknown'}")


def _pointer(operation: dict[str, Any], member: str) -> list[str]:
    """A JSON pointer (RFC 6901) as its steps from the root; the first one, "", leads to the document."""
    text = operation.get(member)
    if not isinstance(text, str):
        raise does_not_apply(f"{operation.get('op')} operation failed to decode {member}: missing value")
    if text and not text.startswith("/"):
        raise does_not_apply(f"{operation.get('op')} operation: {member} {text!r} does not begin with /")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")]


def _value(operation: dict[str, Any]) -> Any:
    """A copy, since a later operation may change what this one put in."""
    return deepcopy(operation.get("value"))


def _text(path: list[str]) -> str:
    return "/".join(step.replace("~", "~0").replace("/", "~1") for step in path)


def _parent(root: dict[str, Any], path: list[str]) -> Any:
    node: Any = root
    for step in path[:-1]:
        if isinstance(node, dict) and step in node:
            node = node[step]
        elif isinstance(node, list):
            node = node[_index(node, step, path)]
        else:
            node = None
    if not isinstance(node, dict | list):
        raise does_not_apply(f"doc is missing path: {_text(path)}: missing value")
    return node


def _index(items: list[Any], step: str, path: list[str], *, end: int = 0) -> int:
    """The index that a step means; one of ``len(items) + end`` places. Negative ones count from the end."""
    length = len(items) + end
    if not step.removeprefix("-").isdecimal() or not -length <= int(step) < length:
        raise does_not_apply(
            f"{_text(path)}: Unable to access invalid index: {step}: invalid index referenced"
        )
    return int(step) % length


def _get(root: dict[str, Any], path: list[str], *, absent_is_null: bool = False) -> Any:
    parent, step = _parent(root, path), path[-1]
    if isinstance(parent, list):
        return parent[_index(parent, step, path)]
    if step not in parent and not absent_is_null:
        raise does_not_apply(f"doc is missing key: {_text(path)}: missing value")
    return parent.get(step)


def _set(root: dict[str, Any], path: list[str], value: Any) -> None:
    parent, step = _parent(root, path), path[-1]
    if isinstance(parent, list):
        parent[_index(parent, step, path)] = value
    else:
        parent[step] = value


def _add(root: dict[str, Any], path: list[str], value: Any) -> None:
    parent, step = _parent(root, path), path[-1]
    if isinstance(parent, dict):
        parent[step] = value
    elif step == "-":
        parent.append(value)
    else:
        parent.insert(_index(parent, step, path, end=1), value)


def _remove(root: dict[str, Any], path: list[str]) -> None:
    parent, step = _parent(root, path), path[-1]
    if isinstance(parent, list):
        del parent[_index(parent, step, path)]
    elif step in parent:
        del parent[step]
    else:
        raise does_not_apply(f"{_text(path)}: Unable to remove nonexistent key: {step}: missing value")


def _equal(left: Any, right: Any) -> bool:
    """Equality of JSON values. Python's own has ``True == 1``."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)
