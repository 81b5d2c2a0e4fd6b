"""Real node agents on a lab's machines, with an API server on the router between them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clusterip.cluster.leftovers import remove_pods
from clusterip.cluster.paths import Paths
from clusterip.kernel import namespaces
from clusterip.node.sandbox.sandbox import network_name
from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.machines import Lab, Machine
from tests.support.nodes import eventually, is_ready

SECONDS = 20.0
_MERGE = "application/merge-patch+json"


class Agent:
    """A node agent's process on one machine."""

    def __init__(self, directory: Path, machine: Machine, number: int, api: Agents) -> None:
        self.machine = machine
        self.cidrs = [f"10.244.{number}.0/24", f"fd00:0:0:{number + 1:x}::/64"]
        self.log = directory / f"{machine.name}.log"
        self._command = [
            *(sys.executable, "-m", "clusterip.cli.node"),
            f"--kubeconfig={api.kubeconfig}",
            f"--hostname-override={machine.name}",
            f"--node-ip={','.join(machine.addresses)}",
            f"--root-dir={directory / 'state' / 'nodes' / machine.name}",
            f"--image-dir={directory / 'state' / 'images'}",
            "--port=0",
            "--healthz-bind-address=0",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns at once."""
        with self.log.open("ab") as log, namespaces.enter(self.machine.path):
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=log)

    def kill(self) -> None:
        """kill -9, as a crash would."""
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(15)


class Agents:
    """The agents by machine, each with a Pod of its machine's name."""

    def __init__(self, lab: Lab, api: RunningApiServer, directory: Path) -> None:
        self.lab = lab
        self.api = api
        self.kubeconfig = directory / "agents.kubeconfig"
        outside = f"https://{lab.router_addresses('a')[0]}:{api.port}"
        self.kubeconfig.write_text(api.kubeconfig.read_text().replace(api.url, outside))
        self.agents = {
            name: Agent(directory, machine, number, self)
            for number, (name, machine) in enumerate(lab.machines.items())
        }

    def start(self) -> None:
        """Start all, give them their podCIDRs, and wait for their Pods."""
        for agent in self.agents.values():
            agent.start()
        for name, agent in self.agents.items():
            spec = {"spec": {"podCIDR": agent.cidrs[0], "podCIDRs": agent.cidrs}}
            eventually(lambda n=name, s=spec: self.change(n, s), SECONDS, agent.log.read_text)
        for name in self.agents:
            self._run_pod(name)
        for name, agent in self.agents.items():
            eventually(lambda n=name: is_ready(self.pod(n)), SECONDS, agent.log.read_text)

    def change(self, name: str, body: Any) -> bool:
        """Patch a Node."""
        code, _ = self.api.request("PATCH", f"/api/v1/nodes/{name}", body, Content_Type=_MERGE)
        return code == 200

    def node(self, name: str) -> Any:
        return self.api.request("GET", f"/api/v1/nodes/{name}")[1]

    def pod(self, name: str) -> Any:
        return self.api.request("GET", f"/api/v1/namespaces/default/pods/{name}")[1]

    def place(self, name: str) -> tuple[Path, list[str]]:
        """The network namespace of a machine's Pod, and its addresses."""
        pod = self.pod(name)
        path = namespaces.path_of(network_name(pod["metadata"]["uid"]))
        return path, [each["ip"] for each in pod["status"]["podIPs"]]

    def _run_pod(self, name: str) -> None:
        container = {"name": "main", "image": "clusterip.local/host", "command": ["sleep", "infinity"]}
        pod = {
            "metadata": {"name": name},
            "spec": {"nodeName": name, "terminationGracePeriodSeconds": 0, "containers": [container]},
        }
        code, body = self.api.request("POST", "/api/v1/namespaces/default/pods", pod)
        assert code == 201, body


@contextlib.contextmanager
def running_agents(lab: Lab, directory: Path, names: Sequence[str] = ()) -> Iterator[Agents]:
    """Agents on all machines, with nothing left afterwards. The calling thread is on the router meanwhile."""
    address = lab.router_addresses("a")[0]
    with (
        namespaces.enter(lab.router),
        running_apiserver(
            directory,
            f"--bind-address={address}",
            "--secure-port=6443",
            "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",
        ) as api,
    ):
        agents = Agents(lab, api, directory)
        try:
            agents.start()
            yield agents
        finally:
            for agent in agents.agents.values():
                agent.stop()
            remove_pods(Paths(directory / "state", directory / "run", directory / "log"))
