"""Namespaces: made, entered, shared with ``ip netns``, and gone without a trace."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from clusterip.kernel import namespaces

OWN = "/proc/thread-self/ns/net"


@pytest.fixture
def name() -> Iterator[str]:
    name = f"ct-ns-{os.getpid()}"
    namespaces.create_named(name)
    yield name
    namespaces.delete_named(name)


def test_ip_netns_sees_ours_and_we_see_its(name: str) -> None:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert name in listed
    subprocess.run(["ip", "netns", "add", f"{name}-2"], check=True)
    assert f"{name}-2" in namespaces.names()
    namespaces.delete_named(f"{name}-2")
    assert f"{name}-2" not in namespaces.names()


def test_creating_twice_is_refused_and_deleting_twice_is_not(name: str) -> None:
    with pytest.raises(FileExistsError):
        namespaces.create_named(name)
    namespaces.delete_named(name)
    namespaces.delete_named(name)
    assert name not in namespaces.names()


def test_a_file_left_by_a_crash_can_be_deleted() -> None:
    namespaces.prepare_directory()
    name = f"ct-left-{os.getpid()}"
    namespaces.path_of(name).touch()
    namespaces.delete_named(name)
    assert name not in namespaces.names()


def test_enter_comes_back_even_after_an_error(name: str) -> None:
    before = os.stat(OWN).st_ino
    with namespaces.enter(namespaces.path_of(name)):
        assert os.stat(OWN).st_ino == namespaces.path_of(name).stat().st_ino
    with pytest.raises(ZeroDivisionError), namespaces.enter(namespaces.path_of(name)):
        _ = 1 // 0
    assert os.stat(OWN).st_ino == before


def test_run_in_returns_results_and_errors(name: str) -> None:
    path = namespaces.path_of(name)
    assert namespaces.run_in(path, socket.if_nameindex) == [(1, "lo")]
    with pytest.raises(ZeroDivisionError):
        namespaces.run_in(path, lambda: 1 // 0)


def test_a_socket_stays_in_the_namespace_it_was_opened_in(name: str) -> None:
    opened = namespaces.open_socket(namespaces.path_of(name), kind=socket.SOCK_DGRAM)
    with opened, pytest.raises(OSError, match="unreachable"):
        opened.connect(("127.0.0.1", 9))  # its loopback is down; ours is up


def test_sysctls_are_those_of_the_namespace(name: str) -> None:
    path = namespaces.path_of(name)
    before = namespaces.read_sysctl("net.ipv4.ip_default_ttl")
    namespaces.write_sysctl("net.ipv4.ip_default_ttl", 33, path)
    assert namespaces.read_sysctl("net/ipv4/ip_default_ttl", path) == "33"
    assert namespaces.read_sysctl("net.ipv4.ip_default_ttl") == before
