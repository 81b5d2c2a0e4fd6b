"""``--controllers``: which of them run."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from clusterip.cli.controllers import command
from clusterip.controllers.manager import FACTORIES, UnknownController, selected


def test_all_by_default() -> None:
    assert selected(["*"]) == list(FACTORIES)


def test_all_but_one_with_or_without_the_suffix() -> None:
    for name in ("-deployment", "-deployment-controller"):
        assert set(FACTORIES) - set(selected(["*", name])) == {"deployment-controller"}


def test_only_some() -> None:
    assert selected(["scheduler", "endpointslice"]) == ["endpointslice-controller", "scheduler"]


def test_the_first_mention_decides() -> None:
    assert selected(["-scheduler", "scheduler"]) == []


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownController, match='there is no controller "cronjob"'):
        selected(["*", "-cronjob"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--cluster-cidr=10.244.0.0/16,10.245.0.0/16"], "two networks of one family"),
        (["--cluster-cidr=10.244.0.1/16"], "has host bits set"),
        (["--cluster-cidr=10.244.0.0/25"], "no network of /24 fits into"),
        (["--node-monitor-grace-period=40"], "is not a duration such as 40s"),
    ],
)
def test_bad_settings_are_explained(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert told in result.output
