"""A whole cluster for tests, on a machine that is a network namespace of the real one.

What ``clusterip up`` changes of "the machine" (links, routes, rules, sysctls) it changes in that namespace.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusterip.cluster import config as configs
from clusterip.cluster import processes
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.paths import Paths
from clusterip.cluster.processes import Records
from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from tests.support.kubectl import Kubectl

PROGRAM = Path(sys.executable).parent / "clusterip"
EXAMPLE = Path(__file__).parents[2] / "examples" / "my-service.yaml"
UP_SECONDS = 60.0


@dataclass
class Machine:
    """The namespace that stands in for the machine; the test's thread is inside it."""

    name: str
    path: Path


@contextlib.contextmanager
def machine(name: str) -> Iterator[Machine]:
    """Make a machine with a way to an "outside" (198.51.100.1), and work on it."""
    path = namespaces.create_named(name)
    outside = namespaces.create_named(f"{name}-out")
    try:
        with RouteSocket(path) as inside, RouteSocket(outside) as far:
            inside.add_veth("uplink", "eth0", peer_namespace=outside)
            for routes, link, address in ((inside, "uplink", 2), (far, "eth0", 1)):
                routes.set_link("lo", up=True)
                routes.set_link(link, up=True)
                routes.add_address(link, f"198.51.100.{address}/24")
            inside.add_route(None, gateway="198.51.100.1")
        # Link-local addresses come some time after their links; tests compare before and after.
        namespaces.write_sysctl("net/ipv6/conf/uplink/disable_ipv6", 1, path)
        with namespaces.enter(path):
            yield Machine(name, path)
    finally:
        namespaces.delete_named(name)
        namespaces.delete_named(f"{name}-out")


@dataclass
class TestCluster:
    """A cluster, up or not, and the means to act on it."""

    __test__ = False

    name: str
    directory: Path
    options: list[str] = field(default_factory=list)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def paths(self) -> Paths:
        return Paths.of(self.name, str(self.directory))

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{key: value for key, value in os.environ.items() if key != "KUBECONFIG"},
            "CLUSTERIP_STATE_DIR": str(self.directory),
            "CLUSTERIP_NAME": self.name,
        }

    @property
    def config(self) -> ClusterConfig:
        return configs.decode(self.paths.config.read_bytes())

    @property
    def records(self) -> Records:
        return processes.read(self.paths.processes)

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(self.paths.admin_kubeconfig, self.directory.parent)

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``clusterip`` to its end, whatever that is."""
        return subprocess.run(
            [str(PROGRAM), *arguments],
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=UP_SECONDS + 30,
            check=False,
        )

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """What ``clusterip`` prints, after success."""
        done = self.run(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise AssertionError(
                f"clusterip {' '.join(arguments)}: {done.stderr or done.stdout}{self.logs()}"
            )
        return done.stdout

    def fails(self, *arguments: str, stdin: str | None = None) -> str:
        """What ``clusterip`` complains of, after failure."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, f"clusterip {' '.join(arguments)} succeeded: {done.stdout}"
        return done.stderr

    def up(self, *options: str) -> str:
        return self("up", *self.options, *options)

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Begin an ``up`` that the test will interrupt; it prints to ``printed``."""
        with self.printed.open("wb") as output:
            process = subprocess.Popen(
                [str(PROGRAM), "up", *self.options, *options],
                env={**self.environment, "PYTHONUNBUFFERED": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def remove(self) -> None:
        """Whatever a test left of the cluster, also with an ``up`` still at work."""
        for process in self.started:
            process.kill()
            process.wait()
        self.down()

    @property
    def printed(self) -> Path:
        return self.directory.parent / "printed"

    def down(self, *options: str) -> str:
        return self("down", *options)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.run("status", "-o", "json").stdout)
        return status

    def get(self, *arguments: str) -> Any:
        """Objects as JSON, through kubectl."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def pods(self, selector: str = "app=my-app") -> list[Any]:
        """The Pods that are not being deleted."""
        found = self.get("pods", "-l", selector)["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def apply_example(self) -> str:
        """Apply the example, wait until it runs; the Service's address."""
        self.kubectl("apply", "-f", str(EXAMPLE))
        self.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
        address: str = self.get("service", "my-service")["spec"]["clusterIP"]
        return address

    def kill(self, part: str) -> int:
        """kill -9 a part, or one of ``supervisor`` and ``guardian``; its PID."""
        records = self.records
        halves = {"supervisor": records.supervisor, "guardian": records.guardian}
        process = halves[part] if part in halves else records.parts[part].process
        assert process is not None
        assert process.is_alive, f"{part} does not run"
        os.kill(process.pid, signal.SIGKILL)
        return process.pid

    def logs(self) -> str:
        """The end of every log, for a failed test's report."""
        found = ""
        for path in sorted(self.paths.logs.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-5:]
            found += "\n".join(["", f"== {path.name}", *(line[:500] for line in lines)])
        return found
