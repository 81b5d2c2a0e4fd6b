"""Families of generic netlink by their names."""

from __future__ import annotations

from clusterip.kernel import genetlink


def test_families_are_found_by_name() -> None:
    with genetlink.opened() as connection:
        assert genetlink.family_id(connection, "nlctrl") == 16  # the one that never changes
        assert genetlink.family_id(connection, "nobody") is None
