"""Which versions of agents and servers go together."""

from __future__ import annotations

import pytest

from clusterip.apiserver.version import VERSION
from clusterip.member.errors import JoinError
from clusterip.member.skew import check
from clusterip.node.register import KUBELET_VERSION


@pytest.mark.parametrize("own", ["v1.37.0+clusterip", "v1.37.9", "v1.36.4+clusterip"])
def test_the_same_release_and_the_one_before(own: str) -> None:
    check("v1.37.2+clusterip", own)


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("v1.38.0", "newer than the servers' v1.37.2: upgrade the servers first"),
        ("v2.0.0", "newer than the servers'"),
        ("v1.35.9", "more than 1 minor release older than the servers' v1.37.2: upgrade it"),
        ("x", "'x' is no version"),
    ],
)
def test_others(own: str, says: str) -> None:
    with pytest.raises(JoinError, match=says):
        check("v1.37.2", own)


def test_this_one_goes_with_itself() -> None:
    check(VERSION["gitVersion"], KUBELET_VERSION)
