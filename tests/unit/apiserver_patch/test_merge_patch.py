"""Merge patch: the examples of RFC 7386, appendix A, that an object's patch can be."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from clusterip.apiserver.patch import PatchError
from clusterip.apiserver.patch.merge_patch import apply_merge_patch

APPENDIX_A: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("tree", "patch", "wanted"), APPENDIX_A)
def test_appendix_a(tree: Any, patch: Any, wanted: Any) -> None:
    before = deepcopy((tree, patch))
    assert apply_merge_patch(tree, patch) == wanted
    assert (tree, patch) == before


@pytest.mark.parametrize("patch", [[], "x", 1, None])
def test_is_no_patch(patch: Any) -> None:
    with pytest.raises(PatchError, match=r"into Go value of type map\[string\]interface") as raised:
        apply_merge_patch({}, patch)
    assert raised.value.code == 400
