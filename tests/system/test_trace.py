"""`clusterip trace` on a cluster: what is told of real connections, and of real faults."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from clusterip.kernel import namespaces
from tests.support.cluster import TestCluster
from tests.support.kubectl import kubectl_path

SVG = "{http://www.w3.org/2000/svg}"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {spec}
"""


def pod(cluster: TestCluster, number: int = 0) -> str:
    """A Pod of the example."""
    name: str = cluster.pods()[number]["metadata"]["name"]
    return f"pod/{name}"


def trace(cluster: TestCluster, client: str, target: str, *, code: int = 0, **options: str) -> dict[str, Any]:
    """The story, of which the exit code is looked at."""
    more = [f"--{key}={value}" for key, value in options.items()]
    done = cluster.run("trace", "--from", client, target, "-o", "json", *more)
    assert done.returncode == code, done.stderr or done.stdout
    story: dict[str, Any] = json.loads(done.stdout)
    return story


def steps(story: dict[str, Any], *, place: str = "", **wanted: str) -> list[dict[str, Any]]:
    return [
        step
        for step in story["steps"]
        if step["place"].startswith(place) and all(step[key] == value for key, value in wanted.items())
    ]


def nft(cluster: TestCluster, node: str, *commands: str) -> str:
    """Run commands of nft on a node."""
    path = namespaces.path_of(cluster.config.namespace_of(node))
    command = ["nsenter", f"--net={path}", "nft", *commands]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def rules(cluster: TestCluster, nodes: list[str], text: str) -> Iterator[None]:
    """A table of somebody else on some nodes."""
    for node in nodes:
        nft(cluster, node, f"table inet others {{ {text}; }}")
    try:
        yield
    finally:
        for node in nodes:
            nft(cluster, node, "delete table inet others")


def service(cluster: TestCluster, name: str, spec: str) -> None:
    cluster("apply", "-f", "-", stdin=SERVICE.format(name=name, spec=spec))


def leftovers(cluster: TestCluster) -> list[str]:
    """Tables of traces that are still there."""
    tables = [nft(cluster, node, "list tables") for node in cluster.config.node_names]
    return [line for table in tables for line in table.splitlines() if "trace" in line]


@pytest.mark.usefixtures("address")
def test_a_pod_reaches_a_service(cluster: TestCluster, address: str) -> None:
    client = pod(cluster)
    story = trace(cluster, client, "http://my-service")
    assert (story["outcome"], story["service"], story["mode"]) == (
        "reached",
        "default/my-service",
        "nftables",
    )
    (asked,) = steps(story, kind="dns")
    assert f"my-service.default.svc.cluster.local. A: {address}" in asked["title"]
    assert "search paths: default.svc.cluster.local svc.cluster.local" in asked["details"][0]
    assert "on node-" in asked["details"][1]
    (chosen,) = steps(story, kind="choice", basis="observed")
    assert [each["probability"] for each in chosen["candidates"]] == [pytest.approx(1 / 3)] * 3
    assert [each["address"] for each in chosen["candidates"] if each["chosen"]] == [story["endpoint"]]
    # The rule is in nft's own words, and its elements are there when nft is asked for them.
    node = chosen["place"].removeprefix("node/")
    deciding = next(step for step in steps(story, kind="rule") if "becomes" in step["title"])
    rule = deciding["rules"][-1]
    assert rule["text"] in nft(cluster, node, "list chain", rule["family"], rule["table"], rule["chain"])
    elements = [each for rule in deciding["rules"] for each in rule["elements"]]
    assert len(elements) == 3
    for element in elements:
        name, _, key = element.partition(" ")
        listed = nft(cluster, node, "get element", rule["family"], rule["table"], name, key)
        assert key.strip("{} ") in " ".join(listed.split())
    # What the endpoint is, what connection tracking has, and the way back.
    assert "listens on" in steps(story, kind="endpoint")[0]["title"]
    (entry,) = steps(story, kind="conntrack", place=f"node/{node}")
    assert f"dst={address}" in entry["details"][0]
    way_back = [step["place"] for step in steps(story, way="back")]
    assert way_back[0] == steps(story, kind="endpoint")[0]["place"]
    assert way_back[-1] == story["places"][0]["id"] == f"pod/default/{client.removeprefix('pod/')}"
    assert all(place["watched"] for place in story["places"] if place["kind"] != "dns")
    assert leftovers(cluster) == []


@pytest.mark.usefixtures("address")
def test_a_node_is_masqueraded_and_the_text_says_why(cluster: TestCluster) -> None:
    text = cluster("trace", "--from", "node/node-2", "http://my-service")
    assert "the source is masqueraded: source 172.31.250.12:" in text
    assert "why: not from a Pod; endpoints must answer through this node" in text
    assert text.splitlines()[-1].startswith("OK: reached ")
    assert "\x1b" not in text


def test_from_outside_by_a_node_port(cluster: TestCluster, address: str) -> None:
    spec = "{type: NodePort, selector: {app: my-app}, ports: [{port: 80, targetPort: 8080, nodePort: 30181}]}"
    service(cluster, "outer", spec)
    node = cluster.get("node", "node-2")
    cluster.kubectl("wait", "--for=jsonpath={.endpoints[2].conditions.ready}=true", "endpointslice",
                    "-lkubernetes.io/service-name=outer", "--timeout=30s")  # fmt: skip
    target = f"http://{node['status']['addresses'][0]['address']}:30181"
    story = trace(cluster, "external", target)
    assert [place["id"] for place in story["places"]][:2] == ["external", "node/node-2"]
    assert steps(story, kind="translation", place="node/node-2")
    # Another address of the node, where node ports do not answer; and one of nobody.
    namespace = cluster.config.namespace_of("node-2")
    subprocess.run(["ip", "-n", namespace, "address", "add", "172.31.250.77/32", "dev", "lo"], check=True)
    refused = trace(cluster, "external", "172.31.250.77:30181", code=21, timeout="0.5")
    assert "node-2" in refused["summary"]
    nobody = trace(cluster, "external", "172.31.250.78:30181", code=21, timeout="0.5")
    assert "no node's address" in nobody["summary"]


def test_udp_to_dns_by_address(cluster: TestCluster) -> None:
    story = trace(cluster, "node/node-1", f"{cluster.config.dns_address}:53/udp")
    assert story["service"] == "kube-system/kube-dns"
    assert "answer of" in steps(story, kind="end")[0]["title"]


@pytest.mark.usefixtures("address")
def test_a_node_follows_for_who_may_use_its_proxy(cluster: TestCluster) -> None:
    client = cluster.pods()[0]
    node, name = client["spec"]["nodeName"], client["metadata"]["name"]
    path = f"/api/v1/nodes/{node}/proxy/trace?from=pod/{name}&to=http://my-service"
    assert json.loads(cluster.kubectl("get", "--raw", path))["outcome"] == "reached"
    # The same by the command, with the Pods that the node may not read.
    service(cluster, "nobodys", "{selector: {app: nobody}, ports: [{port: 80}]}")
    told = cluster.run("trace", "--agent", "--from", f"pod/{name}", "http://nobodys")
    assert told.returncode == 12
    assert "FAILED: no Pod has the labels that the Service default/nobodys selects" in told.stdout
    assert "only the Pods of this node" not in told.stdout


# Faults.


@pytest.mark.usefixtures("address")
def test_no_such_service_has_the_nearest_name(cluster: TestCluster) -> None:
    story = trace(cluster, pod(cluster), "http://my-servic", code=10)
    assert "did you mean my-service?" in story["problems"][0]["remedy"]
    assert [step["title"].rpartition(": ")[2] for step in steps(story, kind="dns")][:3] == ["NXDOMAIN"] * 3
    nobodys = trace(cluster, "node/node-1", "10.97.99.99:80", code=10, timeout="0.5")
    assert "no Service has" in nobodys["summary"]


@pytest.mark.usefixtures("address")
def test_no_such_port(cluster: TestCluster) -> None:
    story = trace(cluster, pod(cluster), "my-service:81", code=11)
    assert story["problems"][0]["evidence"] == ["its ports: 80/TCP"]


@pytest.mark.usefixtures("address")
def test_no_pod_has_the_labels(cluster: TestCluster) -> None:
    service(cluster, "mislabelled", "{selector: {app: my-ap}, ports: [{port: 80}]}")
    story = trace(cluster, pod(cluster), "http://mislabelled", code=12)
    assert "app=my-app" in story["problems"][0]["evidence"][0]
    assert steps(story, kind="choice", basis="computed")[0]["title"].startswith(
        "by the API it should be refused"
    )


@pytest.mark.usefixtures("address")
def test_a_port_name_that_no_container_has(cluster: TestCluster) -> None:
    service(cluster, "misnamed", "{selector: {app: my-app}, ports: [{port: 80, targetPort: web}]}")
    story = trace(cluster, pod(cluster), "http://misnamed", code=15)
    assert "'web'" in story["summary"]


@pytest.mark.usefixtures("address")
def test_nobody_listens_at_the_target_port(cluster: TestCluster) -> None:
    service(cluster, "deaf", "{selector: {app: my-app}, ports: [{port: 80, targetPort: 8081}]}")
    cluster.kubectl("wait", "--for=jsonpath={.endpoints[2].conditions.ready}=true", "endpointslice",
                    "-lkubernetes.io/service-name=deaf", "--timeout=30s")  # fmt: skip
    story = trace(cluster, "node/node-1", "http://deaf", code=16)
    assert story["problems"][0]["remedy"][0] == "set the Service's targetPort to 8080"


@pytest.mark.usefixtures("address")
def test_a_rule_of_somebody_else_drops(cluster: TestCluster) -> None:
    drop = "chain guard { type filter hook forward priority 10; tcp dport 8080 counter drop; }"
    with rules(cluster, cluster.config.node_names, drop):
        story = trace(cluster, pod(cluster), "http://my-service", code=17, timeout="0.5")
    assert "inet others guard: tcp dport 8080 counter" in story["problems"][0]["evidence"][0]


@pytest.mark.usefixtures("address")
def test_a_proxy_that_stands_still(cluster: TestCluster) -> None:
    process = cluster.records.parts["proxy@node-1"].process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        service(cluster, "fresh", "{selector: {app: my-app}, ports: [{port: 80, targetPort: 8080}]}")
        cluster.kubectl("wait", "--for=jsonpath={.endpoints[2].conditions.ready}=true", "endpointslice",
                        "-lkubernetes.io/service-name=fresh", "--timeout=30s")  # fmt: skip
        story = trace(cluster, "node/node-1", "http://fresh", code=19, timeout="0.5")
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert "node-1" in story["summary"]


@pytest.mark.usefixtures("address")
def test_dns_that_cannot_be_reached(cluster: TestCluster) -> None:
    reject = "chain guard { type filter hook prerouting priority -300; udp dport 53 reject; }"
    with rules(cluster, cluster.config.node_names, reject):
        story = trace(cluster, pod(cluster), "http://my-service", code=20)
    assert story["problems"][0]["what"].startswith("no DNS server answers the client")


NOT_FOR_US = """{type: LoadBalancer, loadBalancerSourceRanges: [203.0.113.0/24], selector: {app: my-app},
  ports: [{port: 80, targetPort: 8080}]}"""


@pytest.mark.usefixtures("address")
def test_source_ranges_that_do_not_have_the_client(cluster: TestCluster) -> None:
    service(cluster, "ranged", NOT_FOR_US)
    cluster.kubectl("wait", "--for=jsonpath={.status.loadBalancer.ingress}", "service/ranged",
                    "--timeout=30s")  # fmt: skip
    [balancer] = cluster.get("service", "ranged")["status"]["loadBalancer"]["ingress"]
    story = trace(cluster, "external", f"http://{balancer['ip']}", code=17, timeout="0.5")
    assert f"{cluster.config.machine_address} is in none of the Service's source ranges" in story["summary"]
    assert "spec.loadBalancerSourceRanges: 203.0.113.0/24" in story["problems"][0]["evidence"]


@pytest.mark.usefixtures("address")
def test_a_traffic_policy_that_has_nobody_there(cluster: TestCluster) -> None:
    chosen = cluster.pods()[0]
    cluster.kubectl("label", "pod", chosen["metadata"]["name"], "only=this")
    spec = "{type: NodePort, externalTrafficPolicy: Local, internalTrafficPolicy: Local,"
    spec += " selector: {only: this}, ports: [{port: 80, targetPort: 8080, nodePort: 30191}]}"
    service(cluster, "local", spec)
    selector = "-lkubernetes.io/service-name=local"
    cluster.kubectl("wait", "--for=jsonpath={.endpoints[0].conditions.ready}=true", "endpointslice",
                    selector, "--timeout=30s")  # fmt: skip
    there = chosen["spec"]["nodeName"]
    away = next(name for name in cluster.config.node_names if name != there)
    for client, target in (
        ("external", f"http://{cluster.config.address_of(away)}:30191"),
        (f"node/{away}", "http://local"),
    ):
        story = trace(cluster, client, target, code=17, timeout="0.5")
        assert "the traffic policy Local allows none on this node" in story["summary"]
    story = trace(cluster, "external", f"http://{cluster.config.address_of(there)}:30191")
    assert story["outcome"] == "reached"


@pytest.mark.usefixtures("address")
def test_a_service_that_has_nobody(cluster: TestCluster) -> None:
    service(cluster, "bare", "{ports: [{port: 80}]}")
    story = trace(cluster, "node/node-1", "http://bare", code=14, timeout="0.5")
    assert "has no selector and no endpoints" in story["summary"]


@pytest.mark.usefixtures("address")
def test_a_node_port_at_an_address_that_is_no_nodes(cluster: TestCluster) -> None:
    spec = "{type: NodePort, selector: {app: my-app}, ports: [{port: 80, targetPort: 8080, nodePort: 30192}]}"
    service(cluster, "nowhere", spec)
    nobodys = cluster.config.subnet[99]
    story = trace(cluster, "external", f"http://{nobodys}:30192", code=21, timeout="0.5")
    assert str(cluster.config.address_of("node-1")) in story["problems"][0]["evidence"][0]


@pytest.mark.usefixtures("address")
def test_no_way_to_the_endpoints_node(cluster: TestCluster) -> None:
    address = cluster.pods()[0]["status"]["podIP"]
    there = cluster.pods()[0]["spec"]["nodeName"]
    away = next(name for name in cluster.config.node_names if name != there)
    path = namespaces.path_of(cluster.config.namespace_of(away))
    network = next(
        each["spec"]["podCIDR"] for each in cluster.get("nodes")["items"] if each["metadata"]["name"] == there
    )
    run = ["nsenter", f"--net={path}", "ip", "route", "replace", "unreachable", network]
    subprocess.run(run, check=True)
    try:
        story = trace(cluster, f"node/{away}", f"{address}:8080", code=22, timeout="0.5")
        assert story["outcome"] == "no-route"
    finally:
        subprocess.run(["nsenter", f"--net={path}", "ip", "route", "del", "unreachable", network], check=True)


UNREADY = """
apiVersion: v1
kind: Pod
metadata: {name: unready, labels: {app: unready}}
spec:
  containers:
  - name: echo
    image: clusterip.local/echo
    readinessProbe: {httpGet: {path: /, port: 8089}, periodSeconds: 1}
"""


@pytest.mark.usefixtures("address")
def test_pods_that_are_not_ready_have_their_probes_message(cluster: TestCluster) -> None:
    cluster("apply", "-f", "-", stdin=UNREADY)
    service(cluster, "unready", "{selector: {app: unready}, ports: [{port: 80, targetPort: 8080}]}")
    cluster.kubectl("wait", "--for=jsonpath={.endpoints[0].conditions.ready}=false", "endpointslice",
                    "-lkubernetes.io/service-name=unready", "--timeout=30s")  # fmt: skip
    selector = "--field-selector=involvedObject.name=unready,reason=Unhealthy"
    command = [
        str(kubectl_path()),
        f"--kubeconfig={cluster.paths.admin_kubeconfig}",
        "get",
        "events",
        selector,
    ]
    with subprocess.Popen([*command, "--watch", "--no-headers"], stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        assert b"Unhealthy" in watching.stdout.readline()
        watching.kill()
    story = trace(cluster, pod(cluster), "http://unready", code=13)
    assert any("Readiness probe failed" in line for line in story["problems"][0]["evidence"])


@pytest.mark.usefixtures("address")
def test_what_cannot_be_meant(cluster: TestCluster) -> None:
    assert cluster.run("trace", "--from", "nobody", "http://my-service").returncode == 2
    assert "there is no node called node-9" in cluster.fails("trace", "--from", "node/node-9", "my-service")


@pytest.mark.usefixtures("address")
def test_pictures(cluster: TestCluster) -> None:
    """An SVG is well-formed and has each place; Graphviz's graph has each stay and the way between."""
    drawn = cluster("trace", "--from", "node/node-1", "http://my-service", "-o", "svg")
    texts = ["".join(each.itertext()) for each in ElementTree.fromstring(drawn).iter(f"{SVG}text")]
    assert any(text.startswith("node/node-1") for text in texts)
    assert any("is chosen" in text for text in texts)
    assert texts[-1].startswith("OK: reached")
    graph = cluster("trace", "--from", pod(cluster), "http://my-service", "-o", "dot")
    assert graph.startswith("digraph trace {")
    assert "stay1 -> stay2 [label=" in graph
