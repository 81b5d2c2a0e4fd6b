"""The pytest plugin, run by pytest in processes of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterip.cluster.processes import Process, identify, wait
from tests.support import unprivileged

pytest_plugins = "pytester"

UID = 61235
"""A user that nobody is."""

SHARED = """
    import kubernetes
    import pytest

    seen = []

    def test_official_client(clusterip_cluster, clusterip_namespace):
        client = kubernetes.config.new_client_from_config(str(clusterip_namespace.kubeconfig))
        api = kubernetes.client.CoreV1Api(client)
        spec = {"ports": [{"port": 80}], "selector": {"app": "web"}}
        made = api.create_namespaced_service(
            clusterip_namespace.name, {"metadata": {"name": "web"}, "spec": spec}
        )
        assert made.spec.cluster_ip.startswith("10.96.")
        seen.append((clusterip_cluster.server, clusterip_namespace.name))

    @pytest.mark.asyncio
    async def test_own_client(clusterip_cluster, clusterip_namespace):
        from clusterip.objects.core.service import Service

        async with clusterip_cluster.client() as client:
            assert not (await client.list(Service, clusterip_namespace.name)).items
        seen.append((clusterip_cluster.server, clusterip_namespace.name))

    def test_commands_and_requests(clusterip_cluster, clusterip_namespace):
        clusterip_namespace.run("apply", "-f", "-", stdin=MANIFEST)
        found = clusterip_cluster.request("GET", clusterip_namespace.path("configmaps", "settings"))
        assert found["data"] == {"colour": "blue"}
        seen.append((clusterip_cluster.server, clusterip_namespace.name))

    def test_controllers_work(clusterip_namespace):
        deployment = {
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "web"}]},
                },
            },
        }
        cluster = clusterip_namespace.cluster
        cluster.request("POST", clusterip_namespace.path("deployments", group="apps/v1"), deployment)
        clusterip_namespace.wait("pods", lambda pods: len(pods) == 2, selector="app=web")
        with pytest.raises(TimeoutError):
            clusterip_namespace.wait("pods", lambda pods: len(pods) == 3, timeout=0.1)

    @pytest.mark.clusterip("api", own=True, apiserver=["--service-cluster-ip-range=10.111.0.0/24"])
    def test_own_cluster(clusterip_cluster, clusterip_namespace):
        service = clusterip_cluster.request("GET", "/api/v1/namespaces/default/services/kubernetes")
        assert service["spec"]["clusterIP"] == "10.111.0.1"
        seen.append((clusterip_cluster.server, clusterip_namespace.name))

    def test_what_was_shared():
        assert len({server for server, _ in seen}) == 2
        assert len({namespace for _, namespace in seen}) == 4

    MANIFEST = '''
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings}
    data: {colour: blue}
    '''
"""

WHOLE = """
    import json
    import pytest

    MANIFEST = {manifest!r}

    def connected(cluster, host):
        while True:  # the slice was there a moment before the proxies' rules
            try:
                return cluster.connect(host, 80)
            except ConnectionRefusedError:
                continue

    @pytest.mark.clusterip("nodes")
    def test_service(clusterip_cluster, clusterip_namespace):
        clusterip_namespace.run("apply", "-f", "-", stdin=MANIFEST)
        clusterip_namespace.wait(
            "endpointslices",
            lambda slices: [len(each["endpoints"]) for each in slices] == [3],
            group="discovery.k8s.io/v1",
        )
        with connected(clusterip_cluster, f"my-service.{{clusterip_namespace}}") as connection:
            connection.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
            assert connection.makefile().read().splitlines()[-1].startswith("my-app-")
        with pytest.raises(OSError, match="refused"):
            clusterip_cluster.connect("10.96.0.1", 1, node="node-1")
"""


@pytest.fixture
def run_pytest(pytester: pytest.Pytester) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start pytest on the tests of the directory; at the end it is killed if it still runs."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, user: int = 0, directory: Path = pytester.path) -> Any:
        words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        if user:
            words = unprivileged.command(
                user, "sh", "-c", 'cd "$1"; shift; exec "$@"', "sh", str(directory), *words
            )
        process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=unprivileged.ROOT if user else directory,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _output(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output


def test_one_cluster_for_all_and_a_namespace_for_each(
    pytester: pytest.Pytester, run_pytest: Callable[..., subprocess.Popen[str]]
) -> None:
    pytester.makepyfile(SHARED)
    assert "6 passed" in _output(run_pytest())


def test_workers_of_xdist_have_clusters_of_their_own(
    pytester: pytest.Pytester, run_pytest: Callable[..., subprocess.Popen[str]]
) -> None:
    pytester.makepyfile(
        """
        import os
        import pathlib
        import pytest

        @pytest.mark.parametrize("number", range(4))
        def test_workers(clusterip_namespace, number):
            server = clusterip_namespace.cluster.server
            with open("seen", "a") as file:
                file.write(f"{os.environ['PYTEST_XDIST_WORKER']} {server}\\n")
        """
    )
    assert "4 passed" in _output(run_pytest("-n2", "--clusterip-level=api"))
    seen = {line.split()[0]: line.split()[1] for line in Path("seen").read_text().splitlines()}
    assert len(set(seen.values())) == len(seen)


def _blocked(pytester: pytest.Pytester, run: Callable[..., Any], level: str) -> tuple[Any, dict[str, Any]]:
    """pytest in the midst of a test, and what is known of its cluster."""
    pytester.makepyfile(
        f"""
        import json
        import os
        import pytest

        @pytest.mark.clusterip({level!r})
        def test_long(clusterip_cluster):
            known = {{"directory": str(clusterip_cluster.directory), "keeper": clusterip_cluster._keeper.pid}}
            with open("known", "w") as known_file:
                json.dump(known, known_file)
            open("blocked").read()
        """
    )
    os.mkfifo("known")
    os.mkfifo("blocked")
    process = run()
    return process, json.loads(Path("known").read_text())


def _processes(known: dict[str, Any]) -> list[Process]:
    """What runs of a cluster: all that has its directory among its words, and its machine."""
    found = [identify(known["keeper"])]
    directory = known["directory"].encode()
    machine = Path(known["directory"], "run/machine.json")
    if machine.exists():
        found.append(identify(json.loads(machine.read_text())["init"]["pid"]))
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if directory in (entry / "cmdline").read_bytes():
                    found.append(identify(int(entry.name)))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


@pytest.mark.parametrize("level", ["controllers", "nodes"])
@pytest.mark.parametrize("victim", ["pytest", "keeper"])
def test_nothing_outlives_a_killed_run(
    pytester: pytest.Pytester, run_pytest: Callable[..., subprocess.Popen[str]], level: str, victim: str
) -> None:
    process, known = _blocked(pytester, run_pytest, level)
    running = _processes(known)
    assert len(running) >= (3 if level == "controllers" else 7)
    os.kill(process.pid if victim == "pytest" else known["keeper"], signal.SIGKILL)
    wait(running, seconds=20)
    assert not [each for each in running if each.is_alive]
    directory = Path(known["directory"])
    if victim == "keeper":  # which then cannot tidy up
        shutil.rmtree(directory)
    assert not directory.exists()


def test_services_are_reached_from_the_test(
    pytester: pytest.Pytester, run_pytest: Callable[..., subprocess.Popen[str]]
) -> None:
    pytester.makepyfile(WHOLE.format(manifest=_example()))
    assert "1 passed" in _output(run_pytest())


def test_a_whole_cluster_needs_no_root(
    pytester: pytest.Pytester, run_pytest: Callable[..., subprocess.Popen[str]]
) -> None:
    file = pytester.makepyfile(WHOLE.format(manifest=_example()))
    with tempfile.TemporaryDirectory(prefix="clusterip-user-") as home:
        os.chown(home, UID, UID)
        test = Path(home, "test_whole.py")
        test.write_text(file.read_text())
        assert "1 passed" in _output(run_pytest(f"--rootdir={home}", user=UID, directory=Path(home)))


def test_logs_are_shown_of_what_failed(
    pytester: pytest.Pytester, run_pytest: Callable[..., subprocess.Popen[str]]
) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_fails(clusterip_cluster):
            assert not clusterip_cluster

        @pytest.mark.clusterip("api", apiserver=["--no-such-flag"])
        def test_cannot_start(clusterip_cluster):
            pass
        """
    )
    output, _ = run_pytest("--clusterip-level=api").communicate(timeout=60)
    assert "1 failed, 1 error" in output
    assert "== apiserver.log" in output
    assert "no-such-flag" in output


def test_pytest_starts_as_quickly_as_before() -> None:
    """What the plugin needs is imported by the first test that wants a cluster."""
    script = (
        "import sys; before = set(sys.modules); import pytest; import clusterip.testing.plugin; "
        "print([m for m in ('asyncio', 'aiohttp', 'msgspec', 'yaml', 'clusterip.cluster', 'clusterip.cli') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _example() -> str:
    return (Path(__file__).parents[2] / "examples/my-service.yaml").read_text()
