"""Three servers on three members of etcd and four nodes: any one of the servers may be cut off or lost."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from clusterip.kernel import namespaces
from tests.support.cluster import PROGRAM
from tests.support.etcd import Etcd
from tests.support.joined import SECONDS, Machine, machines, stop_all

SERVERS, NODES = ("s1", "s2", "s3"), ("a", "b", "c", "d")
APPLICATION = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule,
         labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: echo
        image: clusterip.local/echo
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
"""


class Member(Etcd):
    """A member of etcd on a machine."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(
            machine.directory, machine.name, ["--heartbeat-interval=100", "--election-timeout=1000"]
        )
        self.machine = machine
        self.client_port, self.peer_port = 2379, 2380

    @property
    def endpoint(self) -> str:
        return f"{self.machine.address}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        return f"http://{self.machine.address}:{self.peer_port}"

    def spawn(self) -> None:
        with namespaces.enter(self.machine.path):
            super().spawn()

    def wait(self) -> None:
        with namespaces.enter(self.machine.path):
            super().wait()


@dataclass
class Cluster:
    machines: dict[str, Machine]
    members: dict[str, Member]
    address: str = ""

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("servers")
    with machines(f"h{os.getpid()}", [*SERVERS, *NODES], directory) as made, ExitStack() as stack:
        members = {name: Member(made[name]) for name in SERVERS}
        together = ",".join(f"{member.name}={member.peer_url}" for member in members.values())
        for member in members.values():
            member.cluster = together
            stack.callback(member.stop)
            member.spawn()
        for member in members.values():
            member.wait()
        store = f"--store=etcd://{','.join(member.endpoint for member in members.values())}"
        first = made["s1"]
        first.start("server", store)
        options = first.join_options
        for name in SERVERS[1:]:
            copied = made[name].directory / "copied"
            shutil.copytree(first.paths.pki, copied)
            made[name].start("server", store, f"--pki-from={copied}")
        for name in NODES:
            made[name].start("agent", *options, f"--node-name={name}")
        for name in SERVERS[1:]:
            made[name].until_printed("The server is ready")
        for name in NODES:
            made[name].until_printed("program=dns")
        first.kubectl("apply", "-f", "-", stdin=APPLICATION)
        first.kubectl("rollout", "status", "deployment/web", "--timeout=60s", timeout=70)
        address = first.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
        try:
            yield Cluster(made, members, address)
        finally:
            stop_all([made[name] for name in NODES])  # while there are servers
            stop_all([made[name] for name in SERVERS])  # while there is an etcd


def _pods(server: Machine) -> set[str]:
    found = server.kubectl(
        "get", "pods", "-l", "app=web", "-o", "name", "--field-selector=status.phase=Running"
    )
    return {name.partition("/")[2] for name in found.split()}


def _answers(machine: Machine, address: str, wanted: set[str]) -> None:
    seen: set[str] = set()
    deadline = time.monotonic() + SECONDS
    while not wanted <= seen:
        done = machine.run("curl", "-sS", "--max-time", "5", f"http://{address}")
        assert done.returncode == 0, f"{machine.name}: {done.stderr}{machine.logs()}"
        seen.add(done.stdout.strip())
        assert time.monotonic() < deadline, f"{seen} of {wanted}"


def _scale(server: Machine, replicas: int) -> None:
    """Something that needs all: the API, a leading controller, the scheduler and the nodes."""
    server.kubectl("scale", "deployment/web", f"--replicas={replicas}")
    server.kubectl("rollout", "status", "deployment/web", "--timeout=60s", timeout=70)
    assert len(_pods(server)) == replicas


def test_another_ca_is_refused(cluster: Cluster) -> None:
    stranger = cluster["s3"]
    store = f"--store=etcd://{cluster.members['s1'].endpoint}"
    done = stranger.run(str(PROGRAM), "server", store, f"--data-dir={stranger.directory / 'other'}")
    assert done.returncode == 1
    assert "the store holds a cluster of another CA" in done.stderr


def test_all_know_all_servers(cluster: Cluster) -> None:
    for name in SERVERS:
        path = "jsonpath={.endpoints[*].addresses[0]}"
        found = cluster[name].kubectl("get", "endpointslice", "kubernetes", "-o", path)
        assert sorted(found.split()) == [cluster[each].address for each in SERVERS]
    pods = _pods(cluster["s2"])
    assert len(pods) == 4
    for name in NODES:
        _answers(cluster[name], cluster.address, pods)


def test_a_server_is_cut_off_from_the_others(cluster: Cluster) -> None:
    """The one that all joined by and whose controllers lead. Nodes still reach it, but it cannot serve them;
    one of them reaches but the third. All go on, and it comes back by itself."""
    before = _pods(cluster["s2"])
    cluster["d"].cut_off(cluster["s2"])
    cluster["s1"].cut_off(cluster["s2"], cluster["s3"])
    for name in NODES:
        _answers(cluster[name], cluster.address, before)
    _scale(cluster["s2"], 8)
    now = _pods(cluster["s2"])
    for name in NODES:
        _answers(cluster[name], cluster.address, now)
    cluster["s1"].cut_off()
    cluster["d"].cut_off()
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            assert _pods(cluster["s1"]) == now
            break
        except AssertionError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_server_loses_its_power(cluster: Cluster) -> None:
    """With its member of etcd, and without a word. Whatever was its is another's: controllers, nodes."""
    lost = cluster["s2"]
    lost.unplug()
    cluster.members["s2"].kill()
    lost.kill_all()
    before = _pods(cluster["s3"])
    for name in NODES:
        _answers(cluster[name], cluster.address, before)
    _scale(cluster["s3"], 10)
    _answers(cluster["a"], cluster.address, _pods(cluster["s1"]))
