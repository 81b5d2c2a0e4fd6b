"""The cluster's network: built, used, and undone without a trace, from any point of being built."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from clusterip.cluster import topology
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.journal import Journal
from clusterip.cluster.steps import Step, Workspace
from clusterip.kernel import namespaces

OUTSIDE = f"ct-top-{os.getpid()}"
NAME = f"ctt{os.getpid()}"
CONFIG = ClusterConfig(name=NAME, nodes=2, subnet=IPv4Network("172.30.15.0/24"))


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def state() -> str:
    """Everything of the machine that a cluster's network touches."""
    sysctls = [
        f"{path}={path.read_text()}"
        for path in sorted(Path("/proc/sys/net/ipv4/conf").glob("*/*"))
        if os.access(path, os.R_OK) and "flush" not in path.name
    ]
    shown = [
        run("ip", "-br", "link"),
        run("ip", "route", "show", "table", "all"),
        run("nft", "list", "ruleset"),
    ]
    return "\n".join(
        [*shown, *sysctls, *[name for name in namespaces.names() if name.startswith(f"{NAME}-")]]
    )


@pytest.fixture(autouse=True)
def machine() -> Iterator[None]:
    """Stand in for the machine with a namespace, so that the real one is not touched."""
    path = namespaces.create_named(OUTSIDE)
    with namespaces.enter(path):
        yield
    namespaces.delete_named(OUTSIDE)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def undo(journal: Journal) -> None:
    problems: list[tuple[Step, Exception]] = []
    with Workspace() as workspace:
        journal.undo(workspace, lambda step, error: problems.append((step, error)))
    assert not problems


def test_nodes_reach_each_other_and_the_machine_and_nothing_stays(journal: Journal) -> None:
    before = state()
    with Workspace() as workspace:
        journal.run(topology.plan(CONFIG), workspace)
        journal.run([topology.pod_route(CONFIG, "node-2", IPv4Network("10.244.1.0/24"))], workspace)
    try:
        run("ping", "-c1", "-W2", "172.30.15.12")
        run("ip", "netns", "exec", f"{NAME}-node-1", "ping", "-c1", "-W2", "172.30.15.12")
        run("ip", "netns", "exec", f"{NAME}-node-1", "ping", "-c1", "-W2", "172.30.15.1")
        routes = run("ip", "route")
        assert f"10.96.0.0/16 via 172.30.15.11 dev {NAME}0" in routes
        assert f"10.244.1.0/24 via 172.30.15.12 dev {NAME}0" in routes
    finally:
        undo(journal)
    assert state() == before
    undo(journal)


def test_doing_it_again_changes_nothing_and_forgets_nothing(journal: Journal) -> None:
    before = state()
    try:
        with Workspace() as workspace:
            journal.run(topology.plan(CONFIG), workspace)
            entries, built = journal.entries(), state()
        with Workspace() as workspace:
            journal.run(topology.plan(CONFIG), workspace)
        assert journal.entries() == entries
        assert _without_neighbours(state()) == _without_neighbours(built)
    finally:
        undo(journal)
    assert state() == before


def _without_neighbours(text: str) -> str:
    """IPv6 routes come a moment later than the links they are for."""
    return "\n".join(line for line in text.splitlines() if "fe80" not in line and "ff00" not in line)


@pytest.mark.parametrize("count", [1, 2, 3, 6, 10, 18, 24, 27, 29, 31])
def test_a_crash_at_any_step_can_be_undone(journal: Journal, count: int) -> None:
    before = state()

    class Crash(Exception):
        pass

    def crashing(steps: list[Step]) -> Iterator[Step]:
        yield from steps[:count]
        raise Crash

    with pytest.raises(Crash), Workspace() as workspace:
        journal.run(crashing(topology.plan(CONFIG)), workspace)
    undo(journal)
    assert state() == before


def test_a_half_written_last_line_is_no_obstacle(journal: Journal, tmp_path: Path) -> None:
    before = state()
    with Workspace() as workspace:
        journal.run(topology.plan(CONFIG)[:12], workspace)
    with (tmp_path / "journal").open("ab") as file:
        file.write(b'{"step":"names')
    with Workspace() as workspace:
        journal.run(topology.plan(CONFIG), workspace)
    undo(journal)
    assert state() == before


def test_a_sysctl_that_somebody_changed_since_is_left_as_they_want_it(journal: Journal) -> None:
    name = "net/ipv4/conf/lo/forwarding"
    with Workspace() as workspace:
        journal.run(topology.plan(CONFIG, uplinks=["lo"]), workspace)
    assert namespaces.read_sysctl(name) == "1"
    namespaces.write_sysctl(name, "0")
    undo(journal)
    assert namespaces.read_sysctl(name) == "0"
    with Workspace() as workspace:
        journal.run(topology.plan(CONFIG, uplinks=["lo"]), workspace)
    undo(journal)
    assert namespaces.read_sysctl(name) == "0"
