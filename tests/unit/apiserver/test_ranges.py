import ipaddress

import pytest

from clusterip.apiserver.allocation.ranges import Range, address_range, port_range, static_part


@pytest.mark.parametrize(
    ("cidr", "first", "last", "offset"),
    [
        ("10.96.0.0/16", "10.96.0.1", "10.96.255.254", 256),
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.254", 16),
        ("10.0.0.0/28", "10.0.0.1", "10.0.0.14", 0),
        ("fd00::/112", "fd00::1", "fd00::ffff", 256),
    ],
)
def test_addresses_of_a_cidr(cidr: str, first: str, last: str, offset: int) -> None:
    made = address_range(ipaddress.ip_network(cidr))
    bounds = int(ipaddress.ip_address(first)), int(ipaddress.ip_address(last))
    assert (made.first, made.last, made.offset) == (*bounds, offset)


def test_node_ports() -> None:
    made = port_range(30000, 32767)
    assert (made.first, made.last, made.offset) == (30000, 32767, 86)


@pytest.mark.parametrize(("size", "expected"), [(16, 0), (32, 16), (4096, 128), (100_000, 128)])
def test_the_static_part(size: int, expected: int) -> None:
    assert static_part(size, 16, 128, 32) == expected


def test_the_dynamic_part_comes_first_and_every_value_is_found() -> None:
    of = Range(0, 99, 20)
    taken: set[int] = set()
    for count in range(100):
        value = of.pick(lambda v: v not in taken)
        assert value is not None
        assert (value >= 20) == (count < 80)
        taken.add(value)
    assert of.pick(lambda v: v not in taken) is None
