"""Tests that need IPVS: on this kernel if it has it, else in a user-mode-linux; reported here either way."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterip.kernel import namespaces
from clusterip.proxy.ipvs import mode
from tests.support.uml import machine
from tests.support.uml.repeat import Reports, is_inside

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "proxy"))  # the network of the proxy's tests

_numbers = itertools.count(1)
_REPORTS = pytest.StashKey[Reports]()
_IPVS = "ipvs_kernel"


@pytest.fixture
def ipvs_kernel() -> None:
    """For tests that need IPVS."""


@pytest.fixture
def namespace(ipvs_kernel: None) -> Iterator[Path]:
    """An empty network namespace of a kernel with IPVS."""
    name = f"ipvs{os.getpid()}-{next(_numbers)}"
    yield namespaces.create_named(name)
    namespaces.delete_named(name)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Repeat what became of a test in the machine instead of running it here."""
    if is_inside() or not _needs_ipvs(item) or _kernel_has_ipvs(item.session):
        return None
    if why := machine.lacking():
        item.add_marker(pytest.mark.skip(reason=f"this kernel has no IPVS, and {why}"))
        return None
    stash = item.session.stash
    if _REPORTS not in stash:
        base = Path(item.config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]
        shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        stash[_REPORTS] = Reports(item.config, shared / "uml", [str(HERE)])
    stash[_REPORTS].repeat(item)
    # A test that ran here before may have left open what the next one has no part in.
    item.session._setupstate.teardown_exact(nextitem)
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Inside the machine there are only those that need it. Outside, it has a time limit of its own."""
    if is_inside():
        items[:] = [item for item in items if _needs_ipvs(item)]
        return
    for item in items:
        if _needs_ipvs(item):
            item.add_marker(pytest.mark.timeout(0))


def _needs_ipvs(item: pytest.Item) -> bool:
    return _IPVS in getattr(item, "fixturenames", ())


_KERNEL = pytest.StashKey[bool]()


def _kernel_has_ipvs(session: pytest.Session) -> bool:
    if _KERNEL not in session.stash:
        session.stash[_KERNEL] = mode.kernel_has_ipvs()
    return session.stash[_KERNEL]
