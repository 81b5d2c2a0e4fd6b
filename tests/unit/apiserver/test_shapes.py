"""Fields that nobody knows are found wherever they are, and well-formed objects pass in one go."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.apiserver.shapes import ANYTHING, count_keys, shape_of
from clusterip.apiserver.strictness import strict_errors
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service import Service
from clusterip.objects.strict import unknown_fields

SERVICE: dict[str, Any] = {
    "kind": "Service",
    "metadata": {"name": "s", "labels": {"a": "b", "c": "d"}, "annotations": {'with": quote': "x"}},
    "spec": {"ports": [{"port": 80}, {"port": 81, "name": "x"}], "selector": {"app": "a"}},
}


def test_keys_of_every_kind_of_object_are_counted() -> None:
    assert count_keys(SERVICE, shape_of(Service)) == count_keys(SERVICE, ANYTHING) == 15
    assert count_keys([], ANYTHING) == count_keys("text", ANYTHING) == 0


@pytest.mark.parametrize(
    ("tree", "fits"),
    [
        ({"spec": {"ports": [{"port": 1}, {"prot": 1}]}}, False),
        ({"metadata": {"labels": {"anything": "x"}}}, True),
        ({"metadata": {"label": {}}}, False),
        ({"spec": []}, True),  # of another type, which decoding finds
        ({"spec": {"selector": [{"a": 1}]}}, True),
    ],
)
def test_what_the_type_knows(tree: dict[str, Any], fits: bool) -> None:
    assert (count_keys(tree, shape_of(Service)) >= 0) == fits
    assert (unknown_fields(tree, Service) == []) == fits


names = st.sampled_from(("spec", "metadata", "containers", "env", "name", "value", "labels", "nonsense"))
trees = st.recursive(
    st.sampled_from((None, 1, "x", 'a":b')),
    lambda below: st.dictionaries(names, below, max_size=3) | st.lists(below, max_size=2),
    max_leaves=20,
)


@given(st.dictionaries(names, trees), st.sampled_from((None, 1)))
def test_the_quick_way_finds_what_the_thorough_one_finds(tree: dict[str, Any], indent: int | None) -> None:
    found, merged = strict_errors(json.dumps(tree, indent=indent).encode(), Pod)
    assert merged is None
    assert found == [f'unknown field "{path}"' for path in unknown_fields(tree, Pod)][:100]


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"Service","spec":{"type":"ClusterIP","type":"NodePort"}}',
        b'{"kind":"Service","spec":{"type" :"ClusterIP","type"\n:"NodePort"}}',
        b'{"kind":"Service","spec":{"type":"a\\":","type":"NodePort"}}',
    ],
)
def test_duplicates_are_found_however_they_are_written(body: bytes) -> None:
    assert strict_errors(body, Service)[0] == ['duplicate field "spec.type"']
