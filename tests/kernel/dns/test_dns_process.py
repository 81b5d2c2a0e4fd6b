"""``clusterip dns`` as a process, beside a real API server."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from tests.support.apiserver import RunningApiServer, running_apiserver

SECONDS = 20.0


def bound_pair() -> tuple[socket.socket, socket.socket]:
    """UDP and TCP on one port: a free one of the first may be somebody's of the second."""
    for _ in range(100):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(udp.getsockname())
        except OSError:
            udp.close()
    raise AssertionError("no port is free for both UDP and TCP")


class DnsProcess:
    """A running ``clusterip dns`` on sockets that the test holds, as the supervisor does."""

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        self.udp, self.tcp = bound_pair()
        self.port = self.udp.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.health = free.getsockname()[1]
        self.log = log
        self._kubeconfig = kubeconfig
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        # dup2 onto 3 and 4, as the protocol of LISTEN_FDS wants them
        launcher = (
            f"import os, sys; a = os.dup({self.udp.fileno()}); b = os.dup({self.tcp.fileno()});"
            "a = os.dup2(a, 50); b = os.dup2(b, 51); os.dup2(50, 3); os.dup2(51, 4);"
            "os.execv(sys.executable, sys.argv[1:])"
        )
        command = [sys.executable, "-m", "clusterip.cli.main", "dns", f"--kubeconfig={self._kubeconfig}"]
        command += [f"--bind=127.0.0.1:{self.port}", f"--healthz-bind-address=127.0.0.1:{self.health}"]
        command += [f"--metrics-bind-address=127.0.0.1:{self.health}", "--forward=none", *arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", launcher, *command],
                env={**os.environ, "LISTEN_FDS": "2"},
                pass_fds=(self.udp.fileno(), self.tcp.fileno()),
                stderr=log,
            )

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(SECONDS)

    def ask(self, name: str, type_: str = "A", *, tcp: bool = False) -> dns.message.Message:
        query = dns.message.make_query(name, type_, use_edns=0)
        ask = dns.query.tcp if tcp else dns.query.udp
        return ask(query, "127.0.0.1", SECONDS, self.port)

    def addresses(self, name: str, type_: str = "A") -> list[str]:
        return sorted(record.to_text() for rrset in self.ask(name, type_).answer for record in rrset)

    def get(self, path: str) -> tuple[int, str]:
        """A page of the health server; status 0 while nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.health, timeout=SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except ConnectionRefusedError:
            return 0, ""
        finally:
            connection.close()

    def wait_ready(self) -> None:
        until(lambda: self.get("/readyz")[0] == 200)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
        self.udp.close()
        self.tcp.close()


def until(condition: Any) -> None:
    """Poll: nothing tells a DNS client of changes."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


@pytest.fixture
def apiserver(tmp_path: Path) -> Iterator[RunningApiServer]:
    with running_apiserver(tmp_path) as server:
        yield server


@pytest.fixture
def server(apiserver: RunningApiServer, tmp_path: Path) -> Iterator[DnsProcess]:
    process = DnsProcess(apiserver.kubeconfig, tmp_path / "dns.log")
    yield process
    process.close()


def create_service(apiserver: RunningApiServer, name: str, **spec: Any) -> str:
    """The ClusterIP it got."""
    body = {"metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": 80}], **spec}}
    code, made = apiserver.request("POST", "/api/v1/namespaces/default/services", body)
    assert code == 201, made
    return str(made["spec"].get("clusterIP", ""))


def create_slice(apiserver: RunningApiServer, service: str, name: str, *addresses: str) -> None:
    body = {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    code, made = apiserver.request("POST", path, body)
    assert code == 201, made


def full(name: str) -> str:
    return f"{name}.default.svc.cluster.local."


def test_services_come_change_and_go(apiserver: RunningApiServer, server: DnsProcess) -> None:
    address = create_service(apiserver, "early")
    server.start()
    server.wait_ready()
    assert server.addresses(full("early")) == [address]
    assert server.addresses("kubernetes.default.svc.cluster.local.") == ["10.96.0.1"]

    assert server.ask(full("late")).rcode() == dns.rcode.NXDOMAIN
    address = create_service(apiserver, "late")
    until(lambda: server.addresses(full("late")) == [address])
    assert server.ask(full("late"), "AAAA").rcode() == dns.rcode.NOERROR
    assert server.ask(full("_http._tcp.late"), "SRV").additional[0][0].to_text() == address

    create_service(apiserver, "peers", clusterIP="None")
    assert server.ask(full("peers")).rcode() == dns.rcode.NXDOMAIN
    create_slice(apiserver, "peers", "peers-1", "10.244.1.2", "10.244.2.2")
    until(lambda: server.addresses(full("peers")) == ["10.244.1.2", "10.244.2.2"])
    create_slice(apiserver, "peers", "peers-2", "10.244.3.2")
    until(lambda: len(server.addresses(full("peers"))) == 3)
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/peers-1"
    assert apiserver.request("DELETE", path)[0] == 200
    until(lambda: server.addresses(full("peers")) == ["10.244.3.2"])
    assert server.addresses(full("10-244-3-2.peers")) == ["10.244.3.2"]

    create_service(apiserver, "alias", type="ExternalName", externalName="late.default.svc.cluster.local")
    until(lambda: address in server.addresses(full("alias")))
    assert apiserver.request("DELETE", "/api/v1/namespaces/default/services/late")[0] == 200
    until(lambda: server.ask(full("late")).rcode() == dns.rcode.NXDOMAIN)
    assert server.ask(full("alias")).rcode() == dns.rcode.NXDOMAIN

    assert server.ask("kube-system.svc.cluster.local.").rcode() == dns.rcode.NOERROR
    assert server.addresses("1-2-3-4.kube-system.pod.cluster.local.") == ["1.2.3.4"]


def test_before_the_first_sync_nothing_is_denied(apiserver: RunningApiServer, server: DnsProcess) -> None:
    apiserver.kill()
    server.start()
    until(lambda: server.get("/healthz")[0] == 200)
    assert server.get("/readyz")[0] == 500
    assert server.get("/ready")[0] == 503
    assert server.get("/health") == (200, "OK")
    assert server.ask(full("kubernetes")).rcode() == dns.rcode.SERVFAIL
    assert server.ask("www.example.com.").rcode() == dns.rcode.REFUSED
    apiserver.start()
    server.wait_ready()
    assert server.addresses(full("kubernetes")) == ["10.96.0.1"]


def test_without_the_api_the_last_known_is_answered(apiserver: RunningApiServer, server: DnsProcess) -> None:
    address = create_service(apiserver, "here")
    server.start()
    server.wait_ready()
    apiserver.kill()
    for tcp in (False, True):
        answer = server.ask(full("here"), tcp=tcp)
        assert answer.answer[0][0].to_text() == address
        assert answer.flags & dns.flags.AA
    assert server.get("/readyz")[0] == 200
    apiserver.start()
    address = create_service(apiserver, "later")
    until(lambda: server.addresses(full("later")) == [address])


def test_queries_wait_while_a_killed_server_comes_back(
    apiserver: RunningApiServer, server: DnsProcess
) -> None:
    server.start()
    server.wait_ready()
    server.kill()
    query = dns.message.make_query("www.example.com.", "A").to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(SECONDS)
        client.connect(("127.0.0.1", server.port))
        client.send(query)  # nobody is there, and nobody refuses
        with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as stream:
            stream.sendall(len(query).to_bytes(2, "big") + query)
            server.start()
            assert client.recv(512)[:2] == query[:2]
            assert stream.recv(2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_asked(apiserver: RunningApiServer, server: DnsProcess, number: signal.Signals) -> None:
    server.start()
    server.wait_ready()
    assert server.stop(number) == 0
    log = server.log.read_text()
    assert "Traceback" not in log
    assert re.search(r'INFO dns event="synced" services=\d+', log)


def test_metrics(apiserver: RunningApiServer, server: DnsProcess) -> None:
    server.start()
    server.wait_ready()
    for _ in range(3):
        server.ask(full("kubernetes"))
    server.ask(full("nope"), tcp=True)
    status, page = server.get("/metrics")
    assert status == 200
    name = f'server="dns://127.0.0.1:{server.port}"'
    where = {"view": "", "zone": "."}
    assert figure(page, "coredns_dns_requests_total", name, family="1", proto="udp", type="A", **where) == 3
    assert figure(page, "coredns_dns_requests_total", name, family="1", proto="tcp", type="A", **where) == 1
    for rcode, count in (("NOERROR", 3), ("NXDOMAIN", 1)):
        assert figure(page, "coredns_dns_responses_total", name, plugin="", rcode=rcode, **where) == count
    for histogram, more in (
        ("request_size_bytes", {"proto": "udp"}),
        ("response_size_bytes", {"proto": "udp"}),
        ("request_duration_seconds", {}),
    ):
        observed = figure(page, f"coredns_dns_{histogram}_count", name, **more, **where)
        assert observed == (3 if more else 4)
    size = figure(page, "coredns_dns_request_size_bytes_sum", name, proto="udp", **where)
    question = dns.message.make_query(full("kubernetes"), "A", use_edns=0)
    assert size == 3 * len(question.to_wire())
    assert "coredns_panics_total 0.0" in page
    assert "coredns_cache_entries{" in page
    assert 'coredns_plugin_enabled{name="kubernetes",' in page


def figure(page: str, name: str, *more: str, **labels: str) -> float:
    """The sum of the samples that have these labels."""
    wanted = [*more, *(f'{key}="{value}"' for key, value in labels.items())]
    found = [
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if re.match(re.escape(name) + r"[{ ]", line) and all(each in line for each in wanted)
    ]
    assert found, (name, wanted, page)
    return sum(found)


def test_workers_share_the_port_and_the_metrics(apiserver: RunningApiServer, server: DnsProcess) -> None:
    server.start("--workers=2", "--server-id=shared")
    server.wait_ready()
    for number in range(40):
        answer = server.ask(full("kubernetes") if number % 2 else full("nope"), tcp=number % 4 == 0)
        assert answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)

    def counted() -> int:
        page = server.get("/metrics")[1]
        return sum(map(int, re.findall(r"coredns_dns_requests_total\{[^}]*\} (\d+)", page)))

    until(lambda: counted() == 40)
    page = server.get("/metrics")[1]
    assert figure(page, "coredns_dns_request_duration_seconds_count", view="", zone=".") == 40
    assert figure(page, "clusterip_dns_services") == 1  # not one for each worker
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_node_local_addresses_come_and_go(
    apiserver: RunningApiServer, tmp_path: Path, namespace: str
) -> None:
    """In a namespace of its own; without the API server, which it does not need for that."""
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "clusterip.cli.main", "dns"]
    command += [f"--kubeconfig={apiserver.kubeconfig}", "--bind=169.254.20.10:53", "--local-interface=lo"]
    command += ["--forward=none", "--workers=2"]

    def addresses() -> str:
        shown = ["ip", "-n", namespace, "-4", "address", "show", "dev", "lo"]
        return subprocess.run(shown, capture_output=True, text=True, check=True).stdout

    process = subprocess.Popen(command)
    try:
        until(lambda: "169.254.20.10/32" in addresses())
        dig = ["ip", "netns", "exec", namespace, "dig", "@169.254.20.10", "id.server", "CH", "TXT", "+short"]
        until(lambda: '"' in subprocess.run(dig, capture_output=True, text=True, check=False).stdout)
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0
    assert "169.254.20.10" not in addresses()


def test_the_programming_latency_is_measured(apiserver: RunningApiServer, server: DnsProcess) -> None:
    create_service(apiserver, "peers", clusterIP="None")
    server.start()
    server.wait_ready()
    body = {
        "metadata": {
            "name": "peers-1",
            "labels": {"kubernetes.io/service-name": "peers"},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.1.2"], "conditions": {"ready": True}}],
    }
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    assert apiserver.request("POST", path, body)[0] == 201
    until(lambda: server.addresses(full("peers")) == ["10.244.1.2"])
    name = "coredns_kubernetes_dns_programming_duration_seconds_count"
    assert f'{name}{{service_kind="headless_with_selector"}} 1.0' in server.get("/metrics")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bind=nonsense"], "HOST:PORT"),
        (["--bind=192.0.2.77:5300"], "cannot listen on udp 192.0.2.77:5300: Cannot assign requested address"),
        (["--cluster-domain=a..b"], "is not a domain name"),
        (["--forward=host.invalid"], "--forward host.invalid: its address is not known"),
        (["--bind=127.0.0.1:5300", "--forward=127.0.0.1:5300"], "is this server itself"),
        (["--kubeconfig=/nonexistent"], "/nonexistent"),
        (["--cookie-secret=12"], "--cookie-secret"),
        (["--dns64=2001:db8::/65"], "--dns64"),
        (["--forward=tls://a..b"], "not an IP address"),
    ],
)
def test_bad_options_are_explained(
    apiserver: RunningApiServer, server: DnsProcess, arguments: list[str], message: str
) -> None:
    server.start(*arguments)
    assert server._process is not None
    assert server._process.wait(SECONDS) == 1
    lines = server.log.read_text().splitlines()
    assert message in lines[-1]
    assert "Traceback" not in lines[-1]
