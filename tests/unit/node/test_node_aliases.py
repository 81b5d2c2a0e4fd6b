"""Image names that stand for others."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterip.node.images.aliases import Aliases
from clusterip.node.images.reference import InvalidReference
from clusterip.node.images.store import ImageStore


def test_one_image(tmp_path: Path) -> None:
    aliases = Aliases(tmp_path)
    assert aliases.resolve("registry.k8s.io/pause:3.10") == "registry.k8s.io/pause:3.10"
    aliases.set("registry.k8s.io/pause:3.10=local.example/pause:1")
    assert aliases.resolve("registry.k8s.io/pause:3.10") == "local.example/pause:1"
    assert aliases.resolve("registry.k8s.io/pause:3.9") == "registry.k8s.io/pause:3.9"
    aliases.set("busybox=local.example/bb")
    assert Aliases(tmp_path).resolve("docker.io/library/busybox:latest") == "local.example/bb:latest"
    aliases.set("busybox=")
    assert aliases.resolve("busybox") == "busybox"


def test_all_that_begin_so_and_the_longest_counts(tmp_path: Path) -> None:
    aliases = Aliases(tmp_path)
    aliases.set("registry.k8s.io/=mirror.example/k8s/")
    aliases.set("registry.k8s.io/e2e/=mirror.example/tests/")
    assert aliases.resolve("registry.k8s.io/a/b:1") == "mirror.example/k8s/a/b:1"
    assert aliases.resolve("registry.k8s.io/e2e/c:2") == "mirror.example/tests/c:2"
    aliases.set("registry.k8s.io/e2e/c:2=local.example/c")
    assert aliases.resolve("registry.k8s.io/e2e/c:2") == "local.example/c:latest"


@pytest.mark.parametrize("text", ["nothing", "=x", "a/=b", "a=b/", "UPPER=b", "a=b c"])
def test_what_is_no_alias(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidReference):
        Aliases(tmp_path).set(text)
    assert Aliases(tmp_path).all() == {}


def test_a_store_finds_what_an_alias_stands_for(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    store.aliases.set("registry.k8s.io/pause:3.10=clusterip.local/host")
    assert store.has("registry.k8s.io/pause:3.10")
    assert store.find("registry.k8s.io/pause:3.10").name == "clusterip.local/host:latest"
    assert not store.has("registry.k8s.io/pause:3.9")
