"""Machines that join: one server and two nodes, from the printed command to the deletion of a node."""

from __future__ import annotations

import json
import os
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clusterip.cluster import processes
from clusterip.controllers.certificates.authority import Authority
from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.member.files import Files
from clusterip.member.identities import Identity, all_of
from clusterip.member.requests import alternative_names, subject
from clusterip.node.network.podnetwork import ROUTE_PROTOCOL
from clusterip.node.register import KUBELET_VERSION
from tests.support.cluster import EXAMPLE, PROGRAM
from tests.support.joined import SECONDS, Machine, machines

Cluster = dict[str, Machine]
GRACE = "--node-monitor-grace-period=15s"
NEAR = """
apiVersion: v1
kind: Service
metadata: {name: near}
spec: {selector: {app: my-app}, internalTrafficPolicy: Local, ports: [{port: 80, targetPort: 8080}]}
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    prefix = f"j{os.getpid()}"
    with machines(prefix, ["server", "a", "b"], tmp_path_factory.mktemp("join")) as made:
        made["server"].start("server", GRACE)
        yield made


@pytest.fixture(scope="module")
def cluster(network: Cluster) -> Cluster:
    """Server and both nodes, with the example's Deployment on both."""
    server = network["server"]
    for name in ("a", "b"):
        release = "v1.36.0" if name == "a" else ""
        network[name].start("agent", *server.join_options, f"--node-name={name}", release=release)
    for name in ("a", "b"):
        assert f"is the node {name} of the cluster" in network[name].until_printed("program=dns")
    _until_nodes(server, {"a": "True", "b": "True"})
    server.kubectl("apply", "-f", str(EXAMPLE))
    server.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
    return network


def _until_nodes(server: Machine, wanted: dict[str, str]) -> None:
    """Wait until the nodes are these, with these states of Ready."""
    path = '{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}'
    deadline = time.monotonic() + SECONDS
    while True:
        found = dict(
            each.split("=") for each in server.kubectl("get", "nodes", "-o", f"jsonpath={path}").split()
        )
        if found == wanted:
            return
        assert time.monotonic() < deadline, f"{found}{server.logs()}"
        time.sleep(0.1)


def _until_releases(server: Machine, wanted: dict[str, str]) -> None:
    path = "{range .items[*]}{.metadata.name}={.status.nodeInfo.kubeletVersion} {end}"
    deadline = time.monotonic() + SECONDS
    while True:
        found = server.kubectl("get", "nodes", "-o", f"jsonpath={path}").split()
        if dict(each.split("=") for each in found) == wanted:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def _pods(server: Machine) -> dict[str, tuple[str, str, int]]:
    """The Pods of the example: the node of each, its container's ID and its restarts."""
    found = json.loads(server.kubectl("get", "pods", "-l", "app=my-app", "-o", "json"))["items"]
    return {
        pod["metadata"]["name"]: (
            pod["spec"]["nodeName"],
            pod["status"]["containerStatuses"][0]["containerID"],
            pod["status"]["containerStatuses"][0]["restartCount"],
        )
        for pod in found
        if "deletionTimestamp" not in pod["metadata"]
    }


def _address(server: Machine, service: str = "my-service") -> str:
    return server.kubectl("get", "service", service, "-o", "jsonpath={.spec.clusterIP}")


def _answers(machine: Machine, url: str, wanted: set[str]) -> None:
    """Ask from a machine until all of these have answered; every question must be answered."""
    seen: set[str] = set()
    deadline = time.monotonic() + SECONDS
    while not wanted <= seen:
        done = machine.run("curl", "-sS", "--max-time", "5", url)
        assert done.returncode == 0, f"{machine.name}: {done.stderr}{machine.logs()}"
        seen.add(done.stdout.strip())
        assert time.monotonic() < deadline, f"{seen} of {wanted}"


def test_a_wrong_ca_or_token_is_refused(network: Cluster) -> None:
    join, url, token, secret, ca, digest = network["server"].join_options
    assert (join, token, ca) == ("--join", "--token", "--ca-hash")
    stranger = network["a"]

    def refused(*options: str, release: str = "") -> str:
        done = stranger.run(
            *("env", *stranger.environment_of(release), str(PROGRAM), "agent"),
            *("--node-name=a", *options, f"--data-dir={stranger.directory / 'refused'}"),
        )
        assert done.returncode == 1, done.stdout + done.stderr
        assert not (stranger.directory / "refused" / "agent.json").exists()
        return done.stderr

    wrong = digest[:-4] + ("0000" if digest[-4:] != "0000" else "1111")
    assert "is not of the cluster you mean" in refused(join, url, token, secret, ca, wrong)
    assert "64 hexadecimal digits" in refused(join, url, token, secret, ca, "sha256:1")
    unknown = refused(join, url, token, "abcdef.0123456789abcdef", ca, digest)
    assert "does not know this token" in unknown
    assert "clusterip token create" in unknown
    assert "needs --join, --token and --ca-hash" in refused()
    right = (join, url, token, secret, ca, digest)
    assert "cannot reach the server" in refused(join, url.replace("6443", "6444"), token, secret, ca, digest)
    assert "'B_x' cannot be a node's name; give one with --node-name" in refused(*right, "--node-name=B_x")
    assert "does not have the address 10.77.0.99" in refused(*right, "--node-ip=10.77.0.99")
    newer = refused(*right, release="v1.38.1")
    assert "is of Kubernetes v1.38.1, which is newer than the servers'" in newer
    assert "upgrade the servers first" in newer
    assert "more than 1 minor release older than the servers'" in refused(*right, release="v1.35.9")
    make = (str(PROGRAM), "token", "create", "--ttl=1s", f"--data-dir={network['server'].data}")
    made = network["server"].run(*make)
    assert made.returncode == 0, made.stderr
    time.sleep(1)
    assert "or it has expired" in refused(*made.stdout.split()[2:])
    # Somebody else has a port that it needs: nothing of it goes on in the dark.
    with namespaces.enter(stranger.path):
        holder = socket.create_server((stranger.address, 53))
    with holder:
        started = stranger.run(str(PROGRAM), "agent", *right, "--node-name=x", f"--data-dir={stranger.data}")
    assert started.returncode == 1
    assert (
        f"cannot listen on tcp {stranger.address}:53: Address already in use. `ss -lntup`" in started.stderr
    )
    assert not processes.read(stranger.paths.processes).alive
    done = stranger.run(str(PROGRAM), "leave", f"--data-dir={stranger.data}")
    assert done.returncode == 0, done.stderr
    network["server"].kubectl("delete", "node", "x")


def test_one_service_on_both(cluster: Cluster) -> None:
    """Pods on both machines behind one Service, reached across by its address and by its name."""
    server = cluster["server"]
    pods = _pods(server)
    assert {node for node, _, _ in pods.values()} == {"a", "b"}
    _until_releases(server, {"a": "v1.36.0", "b": KUBELET_VERSION})
    address = _address(server)
    for machine in (cluster["a"], cluster["b"]):
        _answers(machine, f"http://{address}", {*pods})
    for node in ("a", "b"):
        pod = next(name for name, (where, _, _) in pods.items() if where == node)
        # Through the kubelet API, whose certificate the API server checks.
        assert server.kubectl("exec", pod, "--", "curl", "-sS", "http://my-service").strip() in pods
    slices = server.kubectl("get", "endpointslices", "-n", "kube-system", "-o", "name").split()
    assert [name.rpartition("/")[2] for name in slices] == ["kube-dns-a", "kube-dns-b"]
    requests = json.loads(server.kubectl("get", "csr", "-o", "json"))["items"]
    assert len(requests) == 15
    assert all(request["status"].get("certificate") for request in requests)


def test_a_killed_agent_comes_back(cluster: Cluster) -> None:
    """Its Pods go on without it, and it takes them over; it needs no token for that, and may be upgraded."""
    server, agent = cluster["server"], cluster["a"]
    before, address = _pods(server), _address(server)
    agent.kill_all()
    _answers(cluster["b"], f"http://{address}", {*before})
    agent.start("agent")
    agent.until_printed("program=dns")
    _until_nodes(server, {"a": "True", "b": "True"})
    _answers(agent, f"http://{address}", {*before})
    assert _pods(server) == before
    _until_releases(server, {"a": KUBELET_VERSION, "b": KUBELET_VERSION})
    # What watches the parts may go too: the next one takes them over.
    parts = processes.read(agent.paths.processes).parts
    agent.kill()
    agent.start("agent")
    agent.kill_part("proxy")
    deadline = time.monotonic() + SECONDS
    while processes.read(agent.paths.processes).parts["proxy"].process == parts["proxy"].process:
        assert time.monotonic() < deadline, agent.output
        time.sleep(0.02)
    assert processes.read(agent.paths.processes).parts["node"].process == parts["node"].process


def test_services_work_while_the_server_is_away(cluster: Cluster) -> None:
    server, agent = cluster["server"], cluster["a"]
    before, address = _pods(server), _address(server)
    server.kill_all()
    for machine in (agent, cluster["b"]):
        _answers(machine, f"http://{address}", {*before})
    agent.stop()
    agent.start("agent")  # a node comes up without its server
    _answers(agent, f"http://{address}", {*before})
    server.start("server", GRACE)
    server.until_printed("The server is ready")
    _until_nodes(server, {"a": "True", "b": "True"})
    assert _pods(server) == before
    assert "clusterip agent --join" not in server.output
    server.kubectl("scale", "deployment/my-app", "--replicas=4")
    server.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
    _answers(cluster["b"], f"http://{address}", {*_pods(server)})


def test_certificates_are_renewed_in_time(cluster: Cluster) -> None:
    """Those that will expire soon are replaced, and served with, while everything goes on."""
    server, agent = cluster["server"], cluster["a"]
    files, wanted = Files(agent.paths.pki), all_of("a", (agent.address,))
    pki = server.paths.pki
    authority = Authority.read(str(pki / "ca.crt"), str(pki / "ca.key"), timedelta(seconds=30))
    for identity in wanted:
        files.write(identity, _signed_by(authority, identity))
    agent.kill_part("member")
    limit = datetime.now(UTC) + timedelta(days=200)
    deadline = time.monotonic() + SECONDS
    while not all(files.renewal(identity) > limit for identity in wanted):
        assert time.monotonic() < deadline, agent.logs()
        time.sleep(0.05)
    pod = next(name for name, (node, _, _) in _pods(server).items() if node == "a")
    own = x509.load_pem_x509_certificate(files.path(wanted[1]).read_bytes())
    for _ in range(2):  # the first to come only brings the new one in
        assert server.kubectl("exec", pod, "--", "true") == ""
    with namespaces.enter(server.path):
        served = ssl.get_server_certificate((agent.address, 10250))
    assert x509.load_pem_x509_certificate(served.encode()).serial_number == own.serial_number


def _signed_by(authority: Authority, identity: Identity) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(subject(identity))
    if identity.names:
        request = request.add_extension(alternative_names(identity), critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + authority.sign(request.sign(key, hashes.SHA256()), identity.usages, None)


def test_a_node_is_cut_off(cluster: Cluster) -> None:
    """Connections go to the Pods of others soon; its own go on there, and are taken back with it."""
    server, lost = cluster["server"], cluster["b"]
    before, address = _pods(server), _address(server)
    server.kubectl("apply", "-f", "-", stdin=NEAR)
    near = f"http://{_address(server, 'near')}"
    on_lost = {name for name, (node, _, _) in before.items() if node == "b"}
    _answers(lost, near, on_lost)
    lost.unplug()
    _until_nodes(server, {"a": "True", "b": "Unknown"})
    assert "node.kubernetes.io/unreachable" in server.kubectl(
        "get", "node", "b", "-o", "jsonpath={.spec.taints}"
    )
    server.kubectl("wait", "pod", "--for=condition=Ready=false", *on_lost, "--timeout=60s", timeout=70)
    # EndpointSlices follow at once, but not before.
    others = {*before} - on_lost
    path = "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].targetRef.name}"
    deadline = time.monotonic() + SECONDS
    while True:
        slices = ("endpointslices", "-l", "kubernetes.io/service-name=my-service")
        if {*server.kubectl("get", *slices, "-o", path).split()} == others:
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    _answers(cluster["a"], f"http://{address}", others)
    _answers(lost, near, on_lost)
    lost.unplug(plugged=True)
    _until_nodes(server, {"a": "True", "b": "True"})
    server.kubectl("wait", "pod", "--for=condition=Ready", *before, "--timeout=60s", timeout=70)
    assert _pods(server) == before
    for machine in (cluster["a"], lost):
        _answers(machine, f"http://{address}", {*before})


def test_drained_deleted_and_joined_again(cluster: Cluster) -> None:
    server, agent = cluster["server"], cluster["a"]
    server.kubectl("drain", "a", "--ignore-daemonsets", "--timeout=60s", timeout=70)
    server.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
    assert {node for node, _, _ in _pods(server).values()} == {"b"}
    assert "SchedulingDisabled" in server.kubectl("get", "node", "a")
    server.kubectl("uncordon", "a")
    server.kubectl("cordon", "b")
    server.kubectl("scale", "deployment/my-app", "--replicas=5")
    server.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
    assert sum(node == "a" for node, _, _ in _pods(server).values()) == 1
    server.kubectl("uncordon", "b")
    server.kubectl("drain", "a", "--ignore-daemonsets", "--timeout=60s", timeout=70)
    agent.stop()
    assert agent.wait() == 0
    assert not processes.read(agent.paths.processes).alive
    server.kubectl("delete", "node", "a")
    _until_nodes(server, {"b": "True"})
    agent.start("agent")
    _until_nodes(server, {"a": "True", "b": "True"})
    server.kubectl("scale", "deployment/my-app", "--replicas=8")
    server.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
    pods = _pods(server)
    assert {node for node, _, _ in pods.values()} == {"a", "b"}
    _answers(cluster["b"], f"http://{_address(server)}", {*pods})


def test_a_machine_leaves(cluster: Cluster) -> None:
    """Nothing of it is left: no process, link, route, rule or file."""
    server, agent = cluster["server"], cluster["a"]
    program = str(PROGRAM)
    refused = agent.run(program, "leave", f"--data-dir={agent.data}")
    assert refused.returncode == 1
    assert "`clusterip agent` runs" in refused.stderr
    agent.stop()
    done = agent.run(program, "leave", f"--data-dir={agent.data}")
    assert done.returncode == 0, done.stderr
    assert "kubectl delete node a" in done.stdout
    server.kubectl("delete", "node", "a")
    assert not agent.data.exists()
    assert agent.run("nft", "list", "ruleset").stdout == ""
    with RouteSocket(agent.path) as routes:
        assert sorted(link.name for link in routes.links()) == ["eth0", "lo"]
        assert not [route for route in routes.routes() if route.protocol == ROUTE_PROTOCOL]
    again = agent.run(program, "leave", f"--data-dir={agent.data}")
    assert again.stdout == f"there is nothing in {agent.data}\n"
