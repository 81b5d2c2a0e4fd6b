"""``clusterip dns --conf``: a Corefile in force, asked over real sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from test_dns_process import DnsProcess, create_service, create_slice, full, until

from tests.support.apiserver import RunningApiServer, running_apiserver

STANDARD = """\
.:{port} {{
    bind 127.0.0.1
    errors
    health 127.0.0.1:{health} {{
       lameduck 0s
    }}
    ready 127.0.0.1:{health}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
       pods {pods}
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus 127.0.0.1:{health}
    {more}
    forward . 127.0.0.1:{upstream} {{
       max_concurrent 1000
    }}
    cache 30
    loop
    reload
    loadbalance
}}
"""


@pytest.fixture
def apiserver(tmp_path: Path) -> Iterator[RunningApiServer]:
    with running_apiserver(tmp_path) as server:
        yield server


@pytest.fixture
def server(apiserver: RunningApiServer, tmp_path: Path) -> Iterator[DnsProcess]:
    process = DnsProcess(apiserver.kubeconfig, tmp_path / "dns.log")
    yield process
    process.close()


class Upstream(threading.Thread):
    """A name server that answers every A question below ``test`` with one address, and denies the rest."""

    def __init__(self, address: str = "198.51.100.1") -> None:
        super().__init__(daemon=True)
        self.address = address
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.start()

    def run(self) -> None:
        while True:
            try:
                packet, peer = self._socket.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(packet)
            name = query.question[0].name
            self.asked.append(name.to_text())
            answer = dns.message.make_response(query)
            if not name.to_text().endswith(".test."):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            elif query.question[0].rdtype == 1:
                answer.answer.append(dns.rrset.from_text(name, 300, "IN", "A", self.address))
            self._socket.sendto(answer.to_wire(), peer)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


def corefile(
    server: DnsProcess, upstream: Upstream, more: str = "", *, pods: str = "insecure", rest: str = ""
) -> str:
    return (
        STANDARD.format(port=server.port, health=server.health, upstream=upstream.port, more=more, pods=pods)
        + rest
    )


def start(server: DnsProcess, path: Path, text: str) -> None:
    path.write_text(text)
    server.start("--conf", str(path))
    until(lambda: server.get("/ready")[0] == 200)


def test_a_clusters_corefile_works_as_it_is(
    apiserver: RunningApiServer, server: DnsProcess, upstream: Upstream, tmp_path: Path
) -> None:
    address = create_service(apiserver, "web")
    start(server, tmp_path / "Corefile", corefile(server, upstream))
    answer = server.ask(full("web"))
    assert answer.answer[0].ttl == 30
    assert server.addresses(full("web")) == [address]
    assert server.ask("www.example.test.").answer[0].ttl == 30  # what cache 30 allows
    assert server.addresses("www.example.test.") == ["198.51.100.1"]
    assert server.addresses("1-2-3-4.default.pod.cluster.local.") == ["1.2.3.4"]
    assert server.ask("nope.default.svc.cluster.local.").rcode() == dns.rcode.NXDOMAIN
    assert server.get("/health") == (200, "OK")
    assert "coredns_dns_requests_total" in server.get("/metrics")[1]
    out = subprocess.run(
        ["dig", "@127.0.0.1", "-p", str(server.port), "+short", full("web")], capture_output=True, text=True
    )
    assert out.stdout == f"{address}\n"


def test_stub_domains_hosts_rewrites_and_templates(
    apiserver: RunningApiServer, server: DnsProcess, upstream: Upstream, tmp_path: Path
) -> None:
    address = create_service(apiserver, "web")
    create_service(apiserver, "alias", type="ExternalName", externalName="db.corp.test")
    stub = Upstream("203.0.113.7")
    more = """
    rewrite name exact shop.example.test web.default.svc.cluster.local
    rewrite name suffix .old.test .default.svc.cluster.local answer auto
    rewrite stop {
        name regex (.*)\\.regex\\.test {1}.default.svc.cluster.local
        answer name (.*)\\.default\\.svc\\.cluster\\.local {1}.regex.test
    }
    hosts {
        192.0.2.9 static.example.test
        fallthrough
    }
    template IN A ip.test {
        match ^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)\\.ip\\.test\\.$
        answer "{{ .Name }} 60 IN A 10.0.{{ .Group.a }}.{{ .Group.b }}"
        fallthrough
    }
    """
    rest = f"corp.test:{server.port} {{\n bind 127.0.0.1\n forward . 127.0.0.1:{stub.port}\n}}\n"
    start(server, tmp_path / "Corefile", corefile(server, upstream, more, rest=rest))
    for name in ("shop.example.test.", "web.old.test.", "web.regex.test."):
        answer = server.ask(name)
        assert answer.answer[0].name.to_text() == name
        assert server.addresses(name) == [address]
    assert server.addresses("static.example.test.") == ["192.0.2.9"]
    assert server.addresses("9.2.0.192.in-addr.arpa.", "PTR") == ["static.example.test."]
    assert server.addresses("ip-3-4.ip.test.") == ["10.0.3.4"]
    assert server.addresses("ip-x.ip.test.") == ["198.51.100.1"]
    assert server.addresses("db.corp.test.") == ["203.0.113.7"]
    assert server.addresses("www.example.test.") == ["198.51.100.1"]
    assert "203.0.113.7" in server.addresses(full("alias"))  # ExternalNames follow stub domains too
    stub.close()


def create_pod(apiserver: RunningApiServer, name: str, address: str) -> None:
    body = {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "x"}], "nodeName": "node-1"},
    }
    code, made = apiserver.request("POST", "/api/v1/namespaces/default/pods", body)
    assert code == 201, made
    made["status"] = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    code, made = apiserver.request("PUT", f"/api/v1/namespaces/default/pods/{name}/status", made)
    assert code == 200, made


def test_verified_pods_and_their_search_path(
    apiserver: RunningApiServer, server: DnsProcess, upstream: Upstream, tmp_path: Path
) -> None:
    create_pod(apiserver, "client", "127.0.0.1")
    address = create_service(apiserver, "web")
    text = corefile(server, upstream, "autopath @kubernetes", pods="verified")
    start(server, tmp_path / "Corefile", text)
    assert server.addresses("127-0-0-1.default.pod.cluster.local.") == ["127.0.0.1"]
    assert server.ask("1-2-3-4.default.pod.cluster.local.").rcode() == dns.rcode.NXDOMAIN
    for _ in range(2):
        answer = server.ask("www.example.test.default.svc.cluster.local.")
        assert [rrset.to_text() for rrset in answer.answer] == [
            "www.example.test.default.svc.cluster.local. 30 IN CNAME www.example.test.",
            "www.example.test. 30 IN A 198.51.100.1",
        ]
        answer = server.ask("web.default.svc.default.svc.cluster.local.")
        assert answer.answer[-1][0].to_text() == address
        assert server.addresses(full("web")) == [address]
        assert server.ask("www.example.invalid.default.svc.cluster.local.").rcode() == dns.rcode.NXDOMAIN
    assert (
        apiserver.request("DELETE", "/api/v1/namespaces/default/pods/client?gracePeriodSeconds=0")[0] == 200
    )
    until(lambda: not server.addresses("127-0-0-1.default.pod.cluster.local."))
    answer = server.ask("www.example.test.default.svc.cluster.local.")
    assert answer.rcode() == dns.rcode.NXDOMAIN


def test_endpoints_named_after_pods_and_a_part_of_the_cluster(
    apiserver: RunningApiServer, server: DnsProcess, upstream: Upstream, tmp_path: Path
) -> None:
    create_service(apiserver, "peers", clusterIP="None")
    create_slice(apiserver, "peers", "peers-1", "10.244.1.2")
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/peers-1"
    made = apiserver.request("GET", path)[1]
    made["endpoints"][0]["targetRef"] = {"kind": "Pod", "name": "peer-0", "namespace": "default"}
    assert apiserver.request("PUT", path, made)[0] == 200
    text = corefile(server, upstream).replace("ttl 30", "ttl 30\n endpoint_pod_names\n namespaces default")
    start(server, tmp_path / "Corefile", text)
    assert server.addresses(full("peer-0.peers")) == ["10.244.1.2"]
    assert server.ask("kube-system.svc.cluster.local.").rcode() == dns.rcode.NXDOMAIN


def test_a_changed_file_is_followed_without_losing_a_query(
    apiserver: RunningApiServer, server: DnsProcess, upstream: Upstream, tmp_path: Path
) -> None:
    """As the kubelet changes a mounted ConfigMap: ``..data`` is swapped, the file's own link stays."""
    create_service(apiserver, "web")
    mounted = tmp_path / "config"
    mounted.mkdir()

    def publish(version: int, text: str) -> None:
        data = mounted / f"..{version}"
        data.mkdir()
        (data / "Corefile").write_text(text)
        (mounted / "..new").symlink_to(data.name)
        os.replace(mounted / "..new", mounted / "..data")

    hosts = "hosts {{\n 192.0.2.{} changing.test\n fallthrough\n }}\n"
    publish(0, corefile(server, upstream, hosts.format(0)))
    (mounted / "Corefile").symlink_to("..data/Corefile")
    server.start("--conf", str(mounted / "Corefile"))
    until(lambda: server.get("/ready")[0] == 200)
    assert server.addresses("changing.test.") == ["192.0.2.0"]
    stop = threading.Event()
    lost: list[str] = []

    def keep_asking() -> None:
        while not stop.is_set():
            query = dns.message.make_query(full("web"), "A")
            try:
                answer = dns.query.udp(query, "127.0.0.1", 2, server.port)
                if not answer.answer:
                    lost.append(answer.to_text())
            except dns.exception.Timeout:
                lost.append("timeout")

    asker = threading.Thread(target=keep_asking)
    asker.start()
    try:
        for version in range(1, 6):
            publish(version, corefile(server, upstream, hosts.format(version)))
            until(lambda version=version: server.addresses("changing.test.") == [f"192.0.2.{version}"])
        other = corefile(server, upstream, hosts.format(6)).replace("ttl 30", "ttl 17")
        publish(6, other)
        until(lambda: server.ask(full("web")).answer[0].ttl == 17)
        publish(7, "nonsense {\n nosuchplugin\n}\n")
        until(lambda: "nosuchplugin" in server.log.read_text())
    finally:
        stop.set()
        asker.join()
    assert not lost
    assert server.addresses("changing.test.") == ["192.0.2.6"]
    # What cannot be bound is not taken over either, and the old configuration stays alive.
    publish(
        8, other.replace("bind 127.0.0.1", "bind 127.0.0.1 192.0.2.77").replace("192.0.2.6 ", "192.0.2.8 ")
    )
    until(lambda: server.log.read_text().count("not taken over") == 2)
    assert server.ask(full("late")).rcode() == dns.rcode.NXDOMAIN
    address = create_service(apiserver, "late")
    until(lambda: server.addresses(full("late")) == [address])
    assert server.addresses("changing.test.") == ["192.0.2.6"]


def test_questions_that_come_back_are_noticed(
    apiserver: RunningApiServer, server: DnsProcess, upstream: Upstream, tmp_path: Path
) -> None:
    class Mirror(Upstream):
        def run(self) -> None:
            while True:
                try:
                    packet, _ = self._socket.recvfrom(4096)
                except OSError:
                    return
                self._socket.sendto(packet, ("127.0.0.1", server.port))

    mirror = Mirror()
    (tmp_path / "Corefile").write_text(corefile(server, mirror))
    server.start("--conf", str(tmp_path / "Corefile"))
    assert server._process is not None
    assert server._process.wait(20) == 1
    assert "goes in circles" in server.log.read_text().splitlines()[-1]
    mirror.close()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (". {\n  nosuch\n}\n", 'Corefile:2: there is no plugin "nosuch" here; known are acl, any, autopath'),
        (". {\n  cache x y {\n", "Corefile:2"),
        (". {\n  forward . nowhere\n}\n", "Corefile:2: forward nowhere"),
        (". {\n  kubernetes cluster.local {\n    pods maybe\n  }\n}\n", 'Corefile:3: pods: "maybe"'),
    ],
)
def test_a_bad_file_is_explained(
    apiserver: RunningApiServer, server: DnsProcess, tmp_path: Path, text: str, why: str
) -> None:
    (tmp_path / "Corefile").write_text(text)
    server.start("--conf", str(tmp_path / "Corefile"))
    assert server._process is not None
    assert server._process.wait(20) == 1
    assert why in server.log.read_text().replace('\\"', '"').splitlines()[-1]


def test_yaml_dns64_access_and_a_second_port(
    apiserver: RunningApiServer, server: DnsProcess, upstream: Upstream, tmp_path: Path
) -> None:
    address = create_service(apiserver, "web")
    with socket.create_server(("127.0.0.1", 0)) as free:
        second = free.getsockname()[1]
    (tmp_path / "dns.yaml").write_text(f"""
servers:
- port: {server.port}
  bind: 127.0.0.1
  ready: 127.0.0.1:{server.health}
  kubernetes: {{zones: cluster.local, namespaces: [default, other]}}
  forward: {{to: "127.0.0.1:{upstream.port}"}}
  dns64: {{allow_ipv4: true}}
  acl:
    filter: type TXT
    block: net 127.9.0.0/16
- zones: [cluster.local]
  port: {second}
  bind: 127.0.0.1
  kubernetes: {{namespaces: [default, other]}}
""")
    server.start("--conf", str(tmp_path / "dns.yaml"))
    until(lambda: server.get("/ready")[0] == 200)
    assert server.addresses(full("web")) == [address]
    assert server.addresses("www.example.test.", "AAAA") == ["64:ff9b::c633:6401"]
    assert server.ask("www.example.test.", "TXT").rcode() == dns.rcode.NOERROR
    query = dns.message.make_query(full("web"), "A")
    refused = dns.query.udp(query, "127.0.0.1", 5, server.port, source="127.9.0.1")
    assert refused.rcode() == dns.rcode.REFUSED
    assert server.addresses("1-2-3-4.default.pod.cluster.local.") == []  # pods are disabled unless said
    other = dns.query.udp(query, "127.0.0.1", 5, second)
    assert other.answer[0][0].to_text() == address
    away = dns.query.udp(dns.message.make_query("www.example.test.", "A"), "127.0.0.1", 5, second)
    assert away.rcode() == dns.rcode.REFUSED
