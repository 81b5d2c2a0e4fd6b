"""What Pods' resources are in cgroups, in the words of both versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clusterip.node.cgroups import files
from clusterip.node.cgroups.limits import Limits, of_container, of_pod, oom_score, weight
from clusterip.objects import codec
from clusterip.objects.core.pod_spec import PodSpec


def spec(*containers: dict[str, Any], init: list[dict[str, Any]] | None = None) -> PodSpec:
    def named(index: int, resources: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": f"c{index}",
            **({"resources": resources} if "restartPolicy" not in resources else resources),
        }

    tree = {
        "containers": [named(i, each) for i, each in enumerate(containers)],
        "initContainers": [named(i + 10, each) for i, each in enumerate(init or [])],
    }
    return codec.convert(tree, PodSpec)


def test_a_container_without_a_request_counts_with_its_limit() -> None:
    container = spec({"limits": {"cpu": "1500m", "memory": "1Gi"}}).containers[0]
    assert of_container(container) == Limits(1536, 150_000, 1 << 30)
    assert of_container(spec({}).containers[0]) == Limits(cpu_shares=2)
    assert of_container(spec({"limits": {"cpu": "1m"}}).containers[0]).cpu_quota == 1000


def test_a_pod_has_a_limit_only_if_all_its_containers_have() -> None:
    both = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m", "memory": "10M"}}
    assert of_pod(spec(both, both)) == Limits(204, 40_000, 20_000_000)
    assert of_pod(spec(both, {"requests": {"cpu": "100m"}})) == Limits(204)
    assert of_pod(spec({})) == Limits(cpu_shares=2)


def test_init_containers_count_while_they_run_and_sidecars_always() -> None:
    sidecar = {"restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}}
    init = [sidecar, {"requests": {"cpu": "1"}}]
    assert of_pod(spec({"requests": {"cpu": "200m"}}, init=init)).cpu_shares == 1126
    assert of_pod(spec({"requests": {"cpu": "2"}}, init=init)).cpu_shares == 2150


@pytest.mark.parametrize(("shares", "expected"), [(2, 1), (1024, 39), (262_144, 10_000)])
def test_shares_are_weights_in_version_2(shares: int, expected: int) -> None:
    assert weight(shares) == expected


def test_version_2_has_files_of_its_own(tmp_path: Path) -> None:
    for name in ("cpu.weight", "cpu.max", "memory.max", "memory.oom.group", "memory.swap.max"):
        (tmp_path / name).touch()
    files.write_limits(tmp_path, 2, Limits(1024, 50_000, 1 << 20, 10))
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {
        "cpu.weight": "39",
        "cpu.max": "50000 100000",
        "memory.max": "1048576",
        "memory.oom.group": "1",
        "memory.swap.max": "0",
    }


def test_what_is_used_is_read_in_both_versions(tmp_path: Path) -> None:
    two = tmp_path / "two"
    two.mkdir()
    (two / "cpu.stat").write_text("usage_usec 5000\nuser_usec 1\n")
    (two / "memory.current").write_text("1000\n")
    (two / "memory.max").write_text("max\n")
    (two / "memory.stat").write_text("anon 300\ninactive_file 400\npgfault 7\npgmajfault 1\n")
    (two / "memory.events").write_text("oom 1\noom_kill 2\n")
    found = files.usage([two])
    assert (found.cpu, found.memory, found.working_set, found.rss) == (5_000_000, 1000, 600, 300)
    assert (found.page_faults, found.memory_limit) == (7, None)
    assert files.oom_kills([two]) == 2
    one = tmp_path / "one"
    one.mkdir()
    (one / "cpuacct.usage").write_text("123\n")
    (one / "memory.usage_in_bytes").write_text("1000\n")
    (one / "memory.stat").write_text("rss 1\ntotal_rss 300\ntotal_inactive_file 1400\n")
    (one / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    found = files.usage([one])
    assert (found.cpu, found.memory, found.working_set, found.rss) == (123, 1000, 0, 300)
    assert files.oom_kills([one]) == 1


def test_who_asked_for_more_is_ended_later() -> None:
    small = spec({"requests": {"memory": "1Mi"}})
    large = spec({"requests": {"memory": "100Ti"}})
    assert oom_score(small, small.containers[0]) == 999
    assert oom_score(large, large.containers[0]) == 3
    large.priority = 2_000_001_000
    assert oom_score(large, large.containers[0]) == -997
