"""The processes of a cluster."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from clusterip.cli.main import load
from clusterip.cluster import plan as plans
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.paths import Paths


def _plan(tmp_path: Path) -> plans.Plan:
    return plans.plan(ClusterConfig(nodes=2), Paths.of("blue", str(tmp_path)), verbosity=2)


def test_a_control_plane_and_three_parts_on_each_node(tmp_path: Path) -> None:
    names = [program.name for program in _plan(tmp_path).programs]
    assert names == [
        "apiserver",
        "controllers",
        *(f"{part}@{node}" for node in ("node-1", "node-2") for part in ("node", "proxy", "dns")),
    ]


def test_every_program_is_a_command_that_understands_its_arguments(tmp_path: Path) -> None:
    for program in _plan(tmp_path).programs:
        command = load(program.command)
        context = command.make_context(program.command, list(program.arguments[1:]), resilient_parsing=False)
        assert not context.args, program.name


def test_a_plan_survives_being_written_down(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    plans.write(tmp_path / "plan", plan)
    assert plans.read(tmp_path / "plan") == plan


def test_unknown_commands_are_met_with_a_suggestion() -> None:
    from clusterip.cli.main import main

    result = CliRunner().invoke(main, ["statsu"])
    assert result.exit_code == 2
    assert "Did you mean 'status'" in result.output
