"""A namespace of their own for the DNS tests, and the event loop that the server runs on in earnest."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
import uvloop

from clusterip.kernel import namespaces


def pytest_asyncio_loop_factories() -> dict[str, object]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"ct-dns-{os.getpid()}"
    namespaces.create_named(name)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    yield name
    namespaces.delete_named(name)
