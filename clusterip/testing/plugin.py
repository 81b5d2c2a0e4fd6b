"""The pytest plugin: fixtures that give a running cluster. See docs/pytest.md.

pytest imports this at its start, whether or not any test wants a cluster: so what does the work is imported
by the first test that does.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from clusterip.testing.cluster import Cluster, Namespace
    from clusterip.testing.shape import Shape

_MARKER = """clusterip(level, nodes, proxy_mode, apiserver, own): what clusterip_cluster is for this test: \
level is "api", "controllers" or "nodes"; own=True gives the test a cluster of its own."""


class Clusters:
    """The clusters that this process' tests share, by their shapes; each is started when first wanted."""

    def __init__(self, level: str) -> None:
        self._level = level
        self._running: dict[Shape, Cluster] = {}

    def shape(self, **wanted: Any) -> Shape:
        """The shape of a cluster: what is not said is as the session's."""
        from clusterip.testing.shape import Shape

        wanted.setdefault("level", self._level)
        if "apiserver" in wanted:
            wanted["apiserver"] = tuple(wanted["apiserver"])
        return Shape(**wanted)

    def get(self, shape: Shape) -> Cluster:
        from clusterip.testing.cluster import Cluster

        if shape not in self._running:
            self._running[shape] = Cluster(shape)
        return self._running[shape]

    def stop(self) -> None:
        for cluster in self._running.values():
            cluster.stop()
        self._running.clear()


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "how much of a cluster clusterip's fixtures start: api, controllers or nodes"
    parser.addini("clusterip_level", text, default="controllers")
    parser.getgroup("clusterip").addoption("--clusterip-level", default=None, help=text)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture(scope="session")
def clusterip_clusters(request: pytest.FixtureRequest) -> Iterator[Clusters]:
    """All clusters that this session's tests share."""
    config = request.config
    clusters = Clusters(config.getoption("--clusterip-level") or config.getini("clusterip_level"))
    yield clusters
    clusters.stop()


@pytest.fixture(scope="session")
def clusterip_session_cluster(clusterip_clusters: Clusters) -> Cluster:
    """The session's cluster, for fixtures of a wider scope than one test."""
    return clusterip_clusters.get(clusterip_clusters.shape())


@pytest.fixture
def clusterip_cluster(clusterip_clusters: Clusters, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A running cluster, shared by the tests that want one of its shape; see the marker ``clusterip``."""
    from clusterip.testing.cluster import Cluster

    marker = request.node.get_closest_marker("clusterip")
    wanted = dict(marker.kwargs) if marker else {}
    if marker and marker.args:
        wanted["level"] = marker.args[0]
    is_own = wanted.pop("own", False)
    shape = clusterip_clusters.shape(**wanted)
    cluster = Cluster(shape) if is_own else clusterip_clusters.get(shape)
    request.node.stash[_USED] = cluster
    yield cluster
    if is_own:
        cluster.stop()


@pytest.fixture
def clusterip_namespace(clusterip_cluster: Cluster) -> Iterator[Namespace]:
    """A namespace of its own for one test, in ``clusterip_cluster``."""
    with clusterip_cluster.namespace() as namespace:
        yield namespace


_USED = pytest.StashKey["Cluster"]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the cluster's logs where a test that used it failed."""
    report = yield
    cluster = item.stash.get(_USED, None)
    if cluster is not None and report.when == "call" and report.failed:
        report.sections.append(("clusterip's logs", cluster.logs()))
    return report
