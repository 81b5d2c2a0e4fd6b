"""Image names, as people write them and in full."""

from __future__ import annotations

import pytest

from clusterip.node.images.builtin import is_builtin
from clusterip.node.images.reference import InvalidReference, parse

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("team/app", "docker.io/team/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v1"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        (f"example.com/app@{DIGEST}", f"example.com/app@{DIGEST}"),
        (f"example.com/app:v1@{DIGEST}", f"example.com/app@{DIGEST}"),
    ],
)
def test_names_in_full(text: str, full: str) -> None:
    assert str(parse(text)) == full


@pytest.mark.parametrize("text", ["", "UPPER/case", "a//b", "a:b:c", "app@sha256:12", "app:-x", "../up"])
def test_texts_that_are_no_names(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse(text)


def test_built_in_images_have_any_tag() -> None:
    assert is_builtin(parse("clusterip.local/echo"))
    assert is_builtin(parse("clusterip.local/host:v7"))
    assert not is_builtin(parse("clusterip.local/other"))
    assert not is_builtin(parse("host"))
