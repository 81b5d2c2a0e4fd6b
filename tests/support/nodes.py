"""A real API server and a real node agent on a machine of their own: a network namespace.

There are no controllers: a test assigns its Pods with ``spec.nodeName``, and the node's podCIDR is
given to it here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from clusterip.cluster.leftovers import remove_pods
from clusterip.cluster.paths import Paths
from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.kubectl import Kubectl
from tests.support.pki import Authority

NODE = "node-a"
ADDRESS = "172.30.99.10"
POD_CIDR = "10.244.9.0/24"
READY_SECONDS = 10.0
_OF_POD = (
    *("restartPolicy", "volumes", "securityContext", "dnsPolicy", "hostNetwork", "serviceAccountName"),
)


class RunningNode:
    """A node agent process with its API server. Killing and starting it again keeps its files.

    ``options`` are further ones of the command line.
    """

    def __init__(
        self, directory: Path, api: RunningApiServer, authority: Authority, options: Sequence[str] = ()
    ) -> None:
        self.options = list(options)
        self.directory = directory
        self.api = api
        self.kubectl = Kubectl(api.kubeconfig, directory)
        self.root = directory / "state" / "nodes" / NODE
        self.images = directory / "state" / "images"
        self.log = directory / "node.log"
        self.authority = authority
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the agent and wait until the node is ready."""
        self.launch()
        self._assign_network()
        eventually(self._is_ready, READY_SECONDS)
        eventually(_listens, READY_SECONDS)  # the node may be ready from before

    def launch(self) -> None:
        """Start the agent and wait for nothing."""
        certificate, key = self.authority.directory / "node.crt", self.authority.directory / "node.key"
        command = [
            *(sys.executable, "-m", "clusterip.cli.node"),
            f"--kubeconfig={self.api.kubeconfig}",
            f"--hostname-override={NODE}",
            f"--node-ip={ADDRESS}",
            f"--root-dir={self.root}",
            f"--image-dir={self.images}",
            "--cluster-dns=10.96.0.10",
            f"--client-ca-file={self.authority.certificate}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            "--v=4",
            *self.options,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)

    def kill(self) -> None:
        """kill -9, as a crash would."""
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(15)

    def apply(self, name: str, spec: dict[str, Any], **metadata: Any) -> None:
        """Create a Pod on the node."""
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", **metadata},
            "spec": {"nodeName": NODE, "terminationGracePeriodSeconds": 1, **spec},
        }
        code, body = self.api.request("POST", "/api/v1/namespaces/default/pods", pod)
        assert code == 201, body

    def run(self, name: str, *command: str, **container: Any) -> None:
        """Create a Pod with one container of the host's image."""
        spec: dict[str, Any] = {}
        for key in _OF_POD:
            if key in container:
                spec[key] = container.pop(key)
        main = {"name": "main", "image": "clusterip.local/host", "command": list(command), **container}
        self.apply(name, {"containers": [main], **spec})

    def pod(self, name: str) -> dict[str, Any] | None:
        """The Pod as the API server has it, or None."""
        code, body = self.api.request("GET", f"/api/v1/namespaces/default/pods/{name}")
        return body if code == 200 else None

    def wait(self, name: str, condition: Callable[[dict[str, Any]], bool], seconds: float = 20.0) -> Any:
        """Wait until a Pod is as a test wants it; the Pod."""

        def check() -> Any:
            pod = self.pod(name)
            return pod if pod is not None and condition(pod) else None

        return eventually(check, seconds, lambda: yaml.safe_dump(self.pod(name)))

    def wait_ready(self, name: str) -> Any:
        return self.wait(name, is_ready)

    def wait_phase(self, name: str, phase: str) -> Any:
        return self.wait(name, lambda pod: bool(pod["status"]["phase"] == phase))

    def wait_gone(self, name: str, seconds: float = 20.0) -> None:
        eventually(lambda: self.pod(name) is None, seconds)

    def events(self, name: str) -> list[tuple[str, str]]:
        """Reason and message of the Events about a Pod."""
        code, body = self.api.request("GET", "/api/v1/namespaces/default/events")
        assert code == 200
        return [
            (item["reason"], item["message"])
            for item in body["items"]
            if item["involvedObject"].get("name") == name
        ]

    def _assign_network(self) -> None:
        answers: list[Any] = []

        def assign() -> bool:
            code, body = self.api.request(
                "PATCH",
                f"/api/v1/nodes/{NODE}",
                {"spec": {"podCIDR": POD_CIDR, "podCIDRs": [POD_CIDR]}},
                Content_Type="application/merge-patch+json",
            )
            answers.append(body)
            return code == 200

        eventually(assign, READY_SECONDS, lambda: f"{answers[-1]}\n{self.log.read_text()}")

    def _is_ready(self) -> bool:
        _, node = self.api.request("GET", f"/api/v1/nodes/{NODE}")
        conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
        return conditions.get("Ready") == "True"


def _listens() -> bool:
    try:
        with socket.create_connection((ADDRESS, 10250), timeout=1):
            return True
    except OSError:
        return False


def is_ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def container_status(pod: dict[str, Any], name: str = "main") -> dict[str, Any]:
    """The status of one of a Pod's containers; empty if it has none yet."""
    statuses = pod["status"].get("containerStatuses", []) + pod["status"].get("initContainerStatuses", [])
    found: dict[str, Any] = next((s for s in statuses if s["name"] == name), {})
    return found


def eventually(
    check: Callable[[], Any], seconds: float = 20.0, explain: Callable[[], str] = lambda: ""
) -> Any:
    """What ``check`` returns once it is true; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (result := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {seconds:g}s: {explain()}")
        time.sleep(0.02)
    return result


@contextlib.contextmanager
def running_node(directory: Path, *options: str, api_options: Sequence[str] = ()) -> Iterator[RunningNode]:
    """A node, with nothing of it left afterwards. The calling thread is on its machine meanwhile.

    ``options`` are the agent's, ``api_options`` the API server's.
    """
    name = f"ct-node-{os.getpid()}"
    path = namespaces.create_named(name)
    authority = Authority(directory)
    authority.issue("node", "system:node:node-a", organizations=["system:nodes"], addresses=[ADDRESS])
    client, key = authority.issue("client", "kubelet-client", organizations=["system:masters"])
    try:
        with RouteSocket(path) as route:
            route.set_link("lo", up=True)
            route.add_bridge("eth0")
            route.add_address("eth0", f"{ADDRESS}/24")
            route.set_link("eth0", up=True)
        with (
            namespaces.enter(path),
            running_apiserver(
                directory,
                f"--kubelet-client-certificate={client}",
                f"--kubelet-client-key={key}",
                f"--kubelet-certificate-authority={authority.certificate}",
                *api_options,
            ) as api,
        ):
            node = RunningNode(directory, api, authority, options)
            try:
                node.start()
                yield node
            finally:
                node.stop()
                remove_pods(Paths(directory / "state", directory / "run", directory / "log"))
    finally:
        namespaces.delete_named(name)
