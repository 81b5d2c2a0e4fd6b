"""What people type for kinds and names."""

from __future__ import annotations

import pytest

from clusterip.cli.connection import CommandError
from clusterip.cli.resources import find, targets
from clusterip.cli.tables import align


@pytest.mark.parametrize("text", ["svc", "service", "services", "Service", "SERVICES"])
def test_kinds_have_many_names(text: str) -> None:
    assert find(text).plural == "services"


def test_kinds_may_be_qualified() -> None:
    assert find("deployments.apps").kind == "Deployment"
    assert find("deploy.v1.apps").kind == "Deployment"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["svc"], [("services", ())]),
        (["svc,po"], [("services", ()), ("pods", ())]),
        (["svc", "a", "b"], [("services", ("a", "b"))]),
        (["svc/a", "deploy/b"], [("services", ("a",)), ("deployments", ("b",))]),
        (["all"], [("pods", ()), ("services", ()), ("deployments", ()), ("replicasets", ())]),
    ],
)
def test_arguments(arguments: list[str], expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(t.resource.plural, t.names) for t in targets(arguments)] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["widgets"], 'the server doesn\'t have a resource type "widgets"'),
        ([], "which type"),
        (["svc/a/b"], "more than one slash"),
        (["svc/"], "single resource and name"),
        (["svc", "svc/a"], "no need to specify a resource type"),
    ],
)
def test_what_means_nothing_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        targets(arguments)


def test_columns_are_spaced_as_kubectl_spaces_them() -> None:
    assert align([["NAME", "AGE"], ["my-service", "5s"]]) == "NAME         AGE\nmy-service   5s"
    assert align([["A", "B"], ["1", "2"]]) == "A     B\n1     2"
