"""The commands of the README, the tutorial and how-to pages print what these say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import TestCluster
from tests.support.kubectl import kubectl_path
from tests.support.pages import Session, Shell, Variable, environment

ROOT = Path(__file__).parents[2]

VARIABLES = (
    Variable("Pod", r"\bmy-app-[a-z0-9]+-[a-z0-9]{5}\b", "among"),
    Variable("slice", r"\bmy-service-[a-z0-9]{5}\b", "each"),
    Variable("ClusterIP", r"\b10\.96\.\d+\.\d+", "each"),
    Variable("masquerade address", r"(?<=dst=)(?:172\.30\.0\.11|10\.244\.\d+\.1)(?= sport=8080)"),
    Variable(
        "end of a connection",
        r"(?:(?<=source )|(?<=destination )|(?<=becomes ))(?:172\.30\.0\.11|10\.244\.\d+\.1):\d+",
    ),
    Variable("Pod address", r"\b10\.244\.\d+\.\d+", "among"),
    Variable("node of a Pod", r"\bnode-\d(?= +- +ready| +33\.3 %|\))"),
    Variable("group of endpoints", r"(?<= [1-9]0:)[0-9a-f]+(?= })|(?<= 0:)[0-9a-f]+(?= \.)", "each"),
    Variable("revision", r"^\d+(?=\|/registry/)", "each"),
    Variable("count of answers", r"^ *\d+(?= my-app-)"),
    Variable("timeout of conntrack", r"(?<=^tcp      6 )\d+"),
    Variable("port of a client", r"(?<=sport=|dport=)(?!80\b|8080\b)\d+"),
    Variable("duration", r"\b\d+(?:\.\d+)? (?:s|ms|µs|milliseconds)\b"),
    Variable("node port", r"(?<=:)3[0-2]\d{3}\b", "each"),
    Variable("age", r"\b\d+[smh](?:\d+[smh])?\b"),
    Variable("underline", r"\^+"),
)


@pytest.fixture
def session(stopped_cluster: TestCluster, tmp_path: Path) -> Iterator[Session]:
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.symlink_to(kubectl_path())
    shell = Shell(environment(kubectl, stopped_cluster.environment, tmp_path), ROOT)
    options = f" --name={stopped_cluster.name} --state-dir={stopped_cluster.directory}"
    yield Session(
        shell,
        VARIABLES,
        places={"/var/lib/clusterip": str(stopped_cluster.paths.state)},
        left_out=options,
        unordered=frozenset({"make up", "kubectl get pods -o wide"}),
        # What it installs is there, or these tests would not run.
        instead={"make up": "make -o install up"},
    )
    shell.close()
    stopped_cluster.remove()


@pytest.mark.parametrize(
    "pages", [["README.md", "docs/debug-a-service.md", "docs/expose.md"], ["docs/tutorial.md"]], ids=", ".join
)
def test_commands_print_what_the_page_says(session: Session, pages: list[str]) -> None:
    """Pages of one list are of one cluster, whose first command starts it."""
    for page in pages:
        session.run(ROOT / page)
