"""What the creator of an object owns is what comparing the object with nothing would find."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from clusterip.apiserver.patch.ownership import created_fields, track
from clusterip.objects import kinds
from clusterip.objects.base import ListMap
from clusterip.objects.codec import convert, to_tree
from clusterip.objects.fields import Field, fields_of, is_struct, item_type
from clusterip.objects.registry import Resource, resources

_ = kinds  # importing it registers every kind


def trees(type_: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """JSON that fits a type, more or less."""
    if is_struct(type_):
        fields = fields_of(type_)
        optional = {name: _field(field, depth) for name, field in fields.items() if depth < 4}
        return st.fixed_dictionaries({}, optional=optional)
    item = item_type(type_)
    if typing.get_origin(type_) is list:
        return st.lists(trees(item, depth + 1), max_size=2)
    if typing.get_origin(type_) is dict or type_ is dict:
        return st.dictionaries(st.sampled_from("ab"), trees(item, depth + 1), max_size=2)
    return {int: st.integers(0, 2), bool: st.booleans(), float: st.just(0.5)}.get(
        type_, st.sampled_from(("", "a", "b"))
    )


def _field(field: Field, depth: int) -> st.SearchStrategy[Any]:
    values = trees(field.type, depth + 1)
    if isinstance(field.semantics, ListMap):
        keys = field.semantics.keys
        return values.filter(lambda items: all(any(key in item for key in keys) for item in items))
    return values


@pytest.mark.parametrize("resource", list(resources()), ids=lambda r: r.group_resource)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_as_by_comparing(resource: Resource[Any], data: st.DataObject) -> None:
    try:
        obj = convert(data.draw(trees(resource.type)), resource.type)
    except (msgspec.ValidationError, TypeError):
        assume(False)
    obj.metadata.managedFields = []
    tree = to_tree(obj)
    tracked = track(None, tree, resource.type, manager="m", api_version=resource.api_version, now="t")
    entries = tracked["metadata"].get("managedFields", [{"fieldsV1": {}}])
    found = created_fields(tree, resource.type)
    assert msgspec.json.encode(found) == msgspec.json.encode(entries[0]["fieldsV1"])
