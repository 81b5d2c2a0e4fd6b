"""What a Pod's files come to, and which limit they exceed first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from clusterip.node.layout import PodDirectory
from clusterip.node.pods.storage import StorageWatch, disk_usage, exceeded
from clusterip.objects import codec
from clusterip.objects.core.pod import Pod

MIB = 1 << 20


def pod(*limits: str, size_limit: str = "") -> Pod:
    containers: list[dict[str, Any]] = [
        {"name": f"c{n}", "resources": {"limits": {"ephemeral-storage": limit} if limit else {}}}
        for n, limit in enumerate(limits)
    ]
    cache: dict[str, Any] = {"name": "cache", "emptyDir": {"sizeLimit": size_limit} if size_limit else {}}
    return codec.convert(
        {"metadata": {"name": "p"}, "spec": {"containers": containers, "volumes": [cache]}}, Pod
    )


def write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))


@pytest.fixture
def directory(tmp_path: Path) -> PodDirectory:
    return PodDirectory(tmp_path / "uid")


def test_within_limits(directory: PodDirectory) -> None:
    assert exceeded(pod("5Mi", size_limit="1Mi"), directory) is None, "nothing is written yet"
    write(directory.container("c0", 0) / "scratch/upper/file", 4 * MIB)
    write(directory.volume("cache") / "file", MIB // 2)
    assert exceeded(pod("5Mi", size_limit="1Mi"), directory) is None
    assert exceeded(pod(""), directory) is None


def test_layers_logs_and_volumes_count_for_the_pod(directory: PodDirectory) -> None:
    write(directory.container("c0", 0) / "scratch/upper/file", 2 * MIB)
    write(directory.log("c0", 0), 2 * MIB)
    write(directory.volume("cache") / "deep/file", 2 * MIB)
    message = exceeded(pod("5Mi"), directory)
    assert message == "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "


def test_one_container_beyond_its_own_limit(directory: PodDirectory) -> None:
    write(directory.container("c1", 3) / "scratch/upper/file", 3 * MIB)
    message = exceeded(pod("10Mi", "2Mi"), directory)
    assert message == 'Container c1 exceeded its local ephemeral storage limit "2Mi". '


def test_a_volume_beyond_its_size(directory: PodDirectory) -> None:
    write(directory.volume("cache") / "file", 2 * MIB)
    message = exceeded(pod("", size_limit="1Mi"), directory)
    assert message == 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". '


def test_hard_links_take_their_space_once(tmp_path: Path) -> None:
    write(tmp_path / "file", MIB)
    (tmp_path / "link").hardlink_to(tmp_path / "file")
    assert MIB <= disk_usage(tmp_path) < 2 * MIB


async def test_only_pods_with_limits_are_looked_at(directory: PodDirectory) -> None:
    write(directory.container("c0", 0) / "scratch/upper/file", 2 * MIB)
    watch = StorageWatch(directory)
    assert watch.due_in(pod("")) is None
    due = watch.due_in(pod("1Mi"))
    assert due is not None
    assert due > 0
    assert await watch.exceeded(pod("1Mi")) is None, "not before it is time"
