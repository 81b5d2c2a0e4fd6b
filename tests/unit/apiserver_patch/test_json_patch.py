"""JSON Patch: the examples of RFC 6902, appendix A, and what kube-apiserver adds."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from clusterip.apiserver.patch import PatchError
from clusterip.apiserver.patch.json_patch import MAX_OPERATIONS, apply_json_patch

APPLIES: list[tuple[str, Any, list[dict[str, Any]], Any]] = [
    (
        "A.1 adding an object member",
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux"}],
        {"baz": "qux", "foo": "bar"},
    ),
    (
        "A.2 adding an array element",
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    (
        "A.3 removing an object member",
        {"baz": "qux", "foo": "bar"},
        [{"op": "remove", "path": "/baz"}],
        {"foo": "bar"},
    ),
    (
        "A.4 removing an array element",
        {"foo": ["bar", "qux", "baz"]},
        [{"op": "remove", "path": "/foo/1"}],
        {"foo": ["bar", "baz"]},
    ),
    (
        "A.5 replacing a value",
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    (
        "A.6 moving a value",
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        "A.7 moving an array element",
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        "A.8 testing a value",
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    (
        "A.10 adding a nested member object",
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    (
        "A.11 ignoring unrecognized elements",
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
        {"foo": "bar", "baz": "qux"},
    ),
    (
        "A.14 escape ordering",
        {"/": 9, "~1": 10},
        [{"op": "test", "path": "/~01", "value": 10}],
        {"/": 9, "~1": 10},
    ),
    (
        "A.16 adding an array value",
        {"foo": ["bar"]},
        [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]},
    ),
    (
        "copying, after which both are independent",
        {"a": {"b": 1}},
        [{"op": "copy", "from": "/a", "path": "/c"}, {"op": "replace", "path": "/c/b", "value": 2}],
        {"a": {"b": 1}, "c": {"b": 2}},
    ),
    (
        "a key with a slash, as annotations have",
        {"metadata": {"annotations": {"x.io/y": "1"}}},
        [{"op": "replace", "path": "/metadata/annotations/x.io~1y", "value": "2"}],
        {"metadata": {"annotations": {"x.io/y": "2"}}},
    ),
    ("replacing everything", {"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ("an absent member tested for null", {}, [{"op": "test", "path": "/a", "value": None}], {}),
    (
        "an index from the end",
        {"a": [1, 2, 3]},
        [{"op": "replace", "path": "/a/-1", "value": 4}],
        {"a": [1, 2, 4]},
    ),
]

DOES_NOT_APPLY: list[tuple[str, Any, dict[str, Any], str]] = [
    (
        "A.9 testing a value",
        {"baz": "qux"},
        {"op": "test", "path": "/baz", "value": "bar"},
        "testing value /baz failed",
    ),
    (
        "A.12 adding to a nonexistent target",
        {"foo": "bar"},
        {"op": "add", "path": "/baz/bat", "value": "qux"},
        "missing path: /baz/bat",
    ),
    (
        "A.15 comparing strings and numbers",
        {"/": 9, "~1": 10},
        {"op": "test", "path": "/~01", "value": "10"},
        "failed",
    ),
    ("comparing true and 1", {"a": True}, {"op": "test", "path": "/a", "value": 1}, "failed"),
    ("removing what is not there", {}, {"op": "remove", "path": "/a"}, "nonexistent key: a"),
    (
        "replacing an item that is not there",
        {"a": []},
        {"op": "replace", "path": "/a/0", "value": 1},
        "index",
    ),
    ("an index beyond the end", {"a": [1]}, {"op": "add", "path": "/a/2", "value": 1}, "invalid index: 2"),
    ("an index that is none", {"a": [1]}, {"op": "remove", "path": "/a/x"}, "invalid index: x"),
    ("moving into itself", {"a": {}}, {"op": "move", "from": "/a", "path": "/a/b"}, "inside of /a"),
    ("an unknown operation", {}, {"op": "spam", "path": "/a"}, "Unexpected kind: spam"),
    ("no path", {}, {"op": "add", "value": 1}, "failed to decode path"),
    ("a path that is none", {}, {"op": "add", "path": "a", "value": 1}, "does not begin with /"),
]


@pytest.mark.parametrize(
    ("tree", "operations", "wanted"), [case[1:] for case in APPLIES], ids=[case[0] for case in APPLIES]
)
def test_applies(tree: Any, operations: list[dict[str, Any]], wanted: Any) -> None:
    before = deepcopy((tree, operations))
    assert apply_json_patch(tree, operations) == wanted
    assert (tree, operations) == before


@pytest.mark.parametrize(
    ("tree", "operation", "why"),
    [case[1:] for case in DOES_NOT_APPLY],
    ids=[case[0] for case in DOES_NOT_APPLY],
)
def test_does_not_apply(tree: Any, operation: dict[str, Any], why: str) -> None:
    with pytest.raises(PatchError) as raised:
        apply_json_patch(tree, [operation])
    assert (raised.value.code, raised.value.reason) == (422, "Invalid")
    assert raised.value.message == "the server rejected our request due to an error in our request"
    assert why in raised.value.detail


@pytest.mark.parametrize("patch", [{}, "x", None, [1]])
def test_is_no_patch(patch: Any) -> None:
    with pytest.raises(PatchError, match="error decoding patch: json: cannot unmarshal") as raised:
        apply_json_patch({}, patch)
    assert (raised.value.code, raised.value.reason) == (400, "BadRequest")


def test_too_many_operations() -> None:
    with pytest.raises(
        PatchError, match="allowed maximum operations in a JSON patch is 10000, got 10001"
    ) as e:
        apply_json_patch({}, [{"op": "test", "path": "/a"}] * (MAX_OPERATIONS + 1))
    assert (e.value.code, e.value.reason) == (413, "RequestEntityTooLarge")


def test_replacing_a_member_that_is_not_there_adds_it() -> None:
    """As kube-apiserver 1.36 does, though RFC 6902 says otherwise."""
    assert apply_json_patch({"a": {}}, [{"op": "replace", "path": "/a/b", "value": 1}]) == {"a": {"b": 1}}
