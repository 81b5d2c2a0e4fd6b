"""Slots stay dense, hold what is wanted, and few of them change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clusterip.proxy.slots import rearrange

items = st.lists(st.integers(0, 30), unique=True, max_size=20)


def test_a_hole_is_filled_from_the_end() -> None:
    slots = ["a", "b", "c", "d"]
    assert rearrange(slots, ["a", "c", "d"]) == [(1, "b", "d"), (3, "d", None)]
    assert slots == ["a", "d", "c"]


def test_a_new_one_takes_the_place_of_one_that_goes() -> None:
    slots = ["a", "b", "c"]
    assert rearrange(slots, ["c", "x", "a"]) == [(1, "b", "x")]


def test_nothing_to_do() -> None:
    slots = ["a", "b"]
    assert rearrange(slots, ["b", "a"]) == []
    assert slots == ["a", "b"]


@given(items, items)
def test_any_change(before: list[int], wanted: list[int]) -> None:
    slots = list(before)
    kernel = dict(enumerate(before))
    changes = rearrange(slots, wanted)
    for index, old, new in changes:
        assert kernel.get(index) == old
        if new is None:
            del kernel[index]
        else:
            kernel[index] = new
    assert sorted(slots) == sorted(wanted)
    assert kernel == dict(enumerate(slots))
    gone, fresh = set(before) - set(wanted), set(wanted) - set(before)
    assert len(changes) <= 2 * len(gone) + len(fresh)
