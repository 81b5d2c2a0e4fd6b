"""What apply changes, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from clusterip.cli.three_way import patch
from clusterip.objects.apps.deployment import Deployment
from clusterip.objects.core.service import Service

Tree = dict[str, Any]


def service(**spec: Any) -> Tree:
    return {"metadata": {"name": "s"}, "spec": spec}


HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
METRICS = {"name": "metrics", "port": 9090, "protocol": "TCP"}


@pytest.mark.parametrize(
    ("last", "new", "live", "expected"),
    [
        pytest.param(
            service(selector={"app": "a"}),
            service(selector={"app": "a"}),
            service(selector={"app": "a"}, clusterIP="10.96.0.7", type="ClusterIP"),
            {},
            id="what the server filled in is no difference",
        ),
        pytest.param(
            {},
            service(selector={"app": "b"}),
            service(selector={"app": "a", "tier": "web"}),
            {"spec": {"selector": {"app": "b"}}},
            id="a map keeps what others put there",
        ),
        pytest.param(
            service(selector={"app": "a", "tier": "web"}),
            service(selector={"app": "a"}),
            service(selector={"app": "a", "tier": "web"}),
            {"spec": {"selector": {"tier": None}}},
            id="what was applied and is no more is removed",
        ),
        pytest.param(
            service(type="NodePort"),
            service(),
            service(type="NodePort"),
            {"spec": {"type": None}},
            id="a removed scalar goes back to its default",
        ),
        pytest.param(
            service(ports=[HTTP]),
            service(ports=[HTTP, METRICS]),
            service(ports=[{**HTTP, "targetPort": 80}]),
            {"spec": {"ports": [METRICS], "$setElementOrder/ports": [{"port": 80}, {"port": 9090}]}},
            id="an item is added to a list with keys",
        ),
        pytest.param(
            service(ports=[HTTP, METRICS]),
            service(ports=[HTTP]),
            service(ports=[{**HTTP, "targetPort": 80}, METRICS]),
            {
                "spec": {
                    "ports": [{"$patch": "delete", "port": 9090}],
                    "$setElementOrder/ports": [{"port": 80}],
                }
            },
            id="an item is removed from a list with keys",
        ),
        pytest.param(
            service(),
            service(ports=[{**HTTP, "name": "web"}]),
            service(ports=[{**HTTP, "nodePort": 30080}]),
            {"spec": {"ports": [{"port": 80, "name": "web"}], "$setElementOrder/ports": [{"port": 80}]}},
            id="an item is changed where it differs",
        ),
        pytest.param(
            service(externalIPs=["10.0.0.1"]),
            service(externalIPs=["10.0.0.2"]),
            service(externalIPs=["10.0.0.1"]),
            {"spec": {"externalIPs": ["10.0.0.2"]}},
            id="a list without keys is replaced",
        ),
        pytest.param(
            {"metadata": {"finalizers": ["a/x"]}},
            {"metadata": {"finalizers": ["a/y"]}},
            {"metadata": {"finalizers": ["a/x", "b/z"]}},
            {"metadata": {"finalizers": ["a/y"], "$deleteFromPrimitiveList/finalizers": ["a/x"]}},
            id="a list that merges keeps others' entries",
        ),
    ],
)
def test_services(last: Tree, new: Tree, live: Tree, expected: Tree) -> None:
    assert patch(last, new, live, Service) == expected


def test_containers_are_told_apart_by_name() -> None:
    def deployment(*containers: Tree) -> Tree:
        return {"spec": {"template": {"spec": {"containers": list(containers)}}}}

    live = deployment(
        {"name": "a", "image": "x:1", "imagePullPolicy": "Always"}, {"name": "sidecar", "image": "y"}
    )
    change = patch({}, deployment({"name": "a", "image": "x:2"}), live, Deployment)
    assert change["spec"]["template"]["spec"]["containers"] == [{"name": "a", "image": "x:2"}]
