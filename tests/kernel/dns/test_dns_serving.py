"""One configuration for all ways to run: workers, certificates, transfers, several clusters, the end."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.zone
import pytest
from multicluster_api import MulticlusterApi
from test_dns_configured import Upstream, corefile, start
from test_dns_process import DnsProcess, create_service, create_slice, figure, full, until
from test_dns_secure import make_certificate

from tests.support.apiserver import RunningApiServer, running_apiserver


@pytest.fixture
def apiserver(tmp_path: Path) -> Iterator[RunningApiServer]:
    with running_apiserver(tmp_path) as server:
        yield server


@pytest.fixture
def server(apiserver: RunningApiServer, tmp_path: Path) -> Iterator[DnsProcess]:
    process = DnsProcess(apiserver.kubeconfig, tmp_path / "dns.log")
    yield process
    process.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_workers_and_identity_with_a_file(
    apiserver: RunningApiServer, server: DnsProcess, upstream: Upstream, tmp_path: Path
) -> None:
    """What a Corefile has no words for are flags; every worker follows the file."""
    address = create_service(apiserver, "web")
    path = tmp_path / "Corefile"
    path.write_text(corefile(server, upstream, "hosts {\n 192.0.2.1 changing.test\n fallthrough\n }"))
    flags = ("--workers=2", "--server-id=shared", "--cookie-secret=" + "ab" * 16)
    server.start("--conf", str(path), *flags)
    until(lambda: server.get("/ready")[0] == 200)
    for _ in range(20):
        assert server.addresses(full("web")) == [address]
    query = dns.message.make_query("id.server.", "TXT", "CH")
    assert "shared" in dns.query.udp(query, "127.0.0.1", 5, server.port).to_text()
    changed = path.read_text().replace("192.0.2.1 ", "192.0.2.2 ")
    path.with_suffix(".new").write_text(changed)
    os.replace(path.with_suffix(".new"), path)
    until(lambda: all(server.addresses("changing.test.") == ["192.0.2.2"] for _ in range(20)))
    until(lambda: figure(server.get("/metrics")[1], "clusterip_dns_reloads_total") == 2)
    page = server.get("/metrics")[1]
    assert figure(page, "coredns_reload_failed_total") == 0
    assert re.search(r'coredns_reload_version_info\{hash="sha512",value="[0-9a-f]{128}"\} 1\.0', page)
    path.write_text("nonsense {\n nosuch\n}\n")
    until(lambda: figure(server.get("/metrics")[1], "coredns_reload_failed_total") == 2)
    assert server.stop() == 0


def test_a_limit_with_a_file(
    apiserver: RunningApiServer, server: DnsProcess, upstream: Upstream, tmp_path: Path
) -> None:
    path = tmp_path / "Corefile"
    path.write_text(corefile(server, upstream))
    server.start("--conf", str(path), "--rate-limit=5")
    until(lambda: server.get("/ready")[0] == 200)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.connect(("127.0.0.1", server.port))
        packet = dns.message.make_query(full("kubernetes"), "A").to_wire()
        for _ in range(200):
            own.send(packet)
    until(lambda: figure(server.get("/metrics")[1], "clusterip_dns_rate_limited_total") > 100)


def test_a_certificate_is_renewed_and_clients_have_to_show_one(
    apiserver: RunningApiServer, server: DnsProcess, tmp_path: Path
) -> None:
    address = create_service(apiserver, "web")
    certificate, key = make_certificate(tmp_path, "cert", "key", serial=1)
    port = free_port()
    text = f"""tls://.:{port} {{
        bind 127.0.0.1
        tls {certificate} {key} {certificate} {{
            client_auth require_and_verify
        }}
        kubernetes cluster.local
        ready 127.0.0.1:{server.health}
    }}"""
    start(server, tmp_path / "Corefile", text)

    def connect(*, shown: bool = True) -> tuple[int, str]:
        """The serial number of the server's certificate, and an answer."""
        context = ssl.create_default_context(cafile=certificate)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if shown:
            context.load_cert_chain(client, client_key)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
            context.wrap_socket(raw) as own,
        ):
            der = own.getpeercert(binary_form=True)
            assert der is not None
            query = dns.message.make_query(full("web"), "A")
            dns.query.send_tcp(own, query)
            answer, _ = dns.query.receive_tcp(own)
            from cryptography.x509 import load_der_x509_certificate

            return load_der_x509_certificate(der).serial_number, answer.answer[0][0].to_text()

    client, client_key = make_certificate(tmp_path, "client", "client-key", serial=1)
    for source, target in ((certificate, client), (key, client_key)):
        Path(target).write_bytes(Path(source).read_bytes())
    assert connect() == (1, address)
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        connect(shown=False)
    # The new certificate first, its key a little later, as a Secret may come.
    new_certificate, new_key = make_certificate(tmp_path, "cert2", "key2", serial=2)
    os.replace(new_certificate, certificate)
    until(lambda: "certificate not renewed" in server.log.read_text())
    os.replace(new_key, key)
    until(lambda: "certificate renewed" in server.log.read_text())
    Path(client).write_bytes(Path(certificate).read_bytes())
    Path(client_key).write_bytes(Path(key).read_bytes())
    assert connect() == (2, address)


def test_a_whole_zone_for_those_who_may_have_it(
    apiserver: RunningApiServer, server: DnsProcess, tmp_path: Path
) -> None:
    address = create_service(apiserver, "web")
    create_service(apiserver, "peers", clusterIP="None")
    create_slice(apiserver, "peers", "peers-1", *(f"10.244.{n >> 8}.{n & 255}" for n in range(300)))
    text = f"""cluster.local:{server.port} {{
        bind 127.0.0.1
        kubernetes cluster.local
        transfer {{
            to 127.0.0.1
        }}
        ready 127.0.0.1:{server.health}
    }}"""
    start(server, tmp_path / "Corefile", text)
    until(lambda: len(server.ask(full("peers"), tcp=True).answer[0]) == 300)
    transferred = dns.query.xfr("127.0.0.1", "cluster.local", port=server.port, lifetime=20, relativize=False)
    zone = dns.zone.from_xfr(transferred, relativize=False)
    assert str(zone.get_rdataset(full("web"), "A")[0]) == address  # type: ignore[index]
    assert len(zone.get_rdataset(full("peers"), "A")) == 300  # type: ignore[arg-type]
    assert zone.get_rdataset("_http._tcp." + full("web"), "SRV") is not None
    assert zone.get_rdataset(full("10-244-1-2.peers"), "A") is not None
    dig = ["dig", "@127.0.0.1", "-p", str(server.port), "cluster.local", "AXFR", "+short"]
    lines = subprocess.run(dig, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0] == lines[-1]
    assert len(lines) > 600
    refused = subprocess.run([*dig, "-b", "127.0.0.9"], capture_output=True, text=True, check=False)
    assert "Transfer failed" in refused.stdout
    over_udp = server.ask("cluster.local.", "AXFR")
    assert over_udp.rcode() == dns.rcode.REFUSED


def test_two_views_of_a_cluster_in_two_blocks(
    apiserver: RunningApiServer, server: DnsProcess, tmp_path: Path
) -> None:
    """Each ``kubernetes`` has its own options; several domains show the same names."""
    address = create_service(apiserver, "web")
    second = free_port()
    text = f"""cluster.local:{server.port} example.org:{server.port} {{
        bind 127.0.0.1
        kubernetes cluster.local example.org {{
            ttl 7
        }}
        ready 127.0.0.1:{server.health}
    }}
    .:{second} {{
        bind 127.0.0.1 ::1 {{
            except ::1
        }}
        kubernetes inner.test {{
            namespaces nowhere
        }}
    }}"""
    start(server, tmp_path / "Corefile", text)
    for domain in ("cluster.local.", "example.org."):
        answer = server.ask(f"web.default.svc.{domain}")
        assert (answer.answer[0].ttl, answer.answer[0][0].to_text()) == (7, address)
        assert server.ask(f"nope.default.svc.{domain}").authority[0].name.to_text() == domain
    other = dns.query.udp(dns.message.make_query("web.default.svc.inner.test", "A"), "127.0.0.1", 5, second)
    assert other.rcode() == dns.rcode.NXDOMAIN
    with pytest.raises(OSError, match="refused"), socket.create_connection(("::1", second), timeout=5):
        pass


def test_it_goes_on_answering_for_a_while_at_the_end(
    apiserver: RunningApiServer, server: DnsProcess, upstream: Upstream, tmp_path: Path
) -> None:
    address = create_service(apiserver, "web")
    start(server, tmp_path / "Corefile", corefile(server, upstream).replace("lameduck 0s", "lameduck 2s"))
    assert server._process is not None
    server._process.send_signal(signal.SIGTERM)
    until(lambda: server.get("/ready")[0] == 503)
    assert server.get("/health") == (200, "OK")
    assert server.addresses(full("web")) == [address]
    assert server._process.wait(20) == 0


MULTICLUSTER = """.:{port} {{
    bind 127.0.0.1
    kubernetes cluster.local clusterset.local {{
        multicluster clusterset.local
    }}
    ready 127.0.0.1:{health}
}}"""


def imported_slice(name: str, *addresses: str) -> dict[str, object]:
    labels = {
        "multicluster.kubernetes.io/service-name": "peers",
        "multicluster.kubernetes.io/source-cluster": "west",
    }
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "hostname": f"p{n}"} for n, address in enumerate(addresses)],
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    }


def service_import(name: str, type_: str, *ips: str) -> dict[str, object]:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    spec = {"type": type_, "ips": list(ips), "ports": ports}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def test_services_of_other_clusters(tmp_path: Path) -> None:
    api = MulticlusterApi()
    api.add("namespaces", {"metadata": {"name": "shop"}})
    api.add("serviceimports", service_import("web", "ClusterSetIP", "10.42.0.1"))
    with api.serving(tmp_path) as kubeconfig:
        server = DnsProcess(kubeconfig, tmp_path / "dns.log")
        try:
            text = MULTICLUSTER.format(port=server.port, health=server.health)
            start(server, tmp_path / "Corefile", text)
            assert server.addresses("web.shop.svc.clusterset.local.") == ["10.42.0.1"]
            assert server.ask("web.shop.svc.cluster.local.").rcode() == dns.rcode.NXDOMAIN
            srv = server.ask("_http._tcp.web.shop.svc.clusterset.local.", "SRV")
            assert srv.answer[0][0].to_text() == "0 100 80 web.shop.svc.clusterset.local."
            assert any("endpointslices?multicluster.kubernetes.io/service-name" in each for each in api.asked)
            api.add("serviceimports", service_import("peers", "Headless"))
            api.add("endpointslices", imported_slice("peers-1", "10.1.0.1", "10.1.0.2"))
            name = "peers.shop.svc.clusterset.local."
            until(lambda: server.addresses(name) == ["10.1.0.1", "10.1.0.2"])
            assert server.addresses("p1.west." + name) == ["10.1.0.2"]
        finally:
            server.close()


def test_a_cluster_without_imports_is_ready_and_asked_for_nothing_more(tmp_path: Path) -> None:
    api = MulticlusterApi()
    api.installed = False
    with api.serving(tmp_path) as kubeconfig:
        server = DnsProcess(kubeconfig, tmp_path / "dns.log")
        try:
            text = MULTICLUSTER.format(port=server.port, health=server.health)
            start(server, tmp_path / "Corefile", text)
            assert server.ask("web.shop.svc.clusterset.local.").rcode() == dns.rcode.NXDOMAIN
            assert not any(each.startswith("serviceimports") for each in api.asked)
        finally:
            server.close()


def test_a_line_for_each_query_of_both_families_and_transports(
    apiserver: RunningApiServer, server: DnsProcess, tmp_path: Path
) -> None:
    """What a log line says is so: address, port, sizes, flags."""
    create_service(apiserver, "web")
    port = free_port()
    text = f"""dns://.:{port} {{
        bind 127.0.0.1 ::1
        log . "{{remote}}:{{port}} {{local}} {{proto}} {{type}} {{name}} {{size}} {{rcode}} {{>rflags}}"
        kubernetes cluster.local
        ready 127.0.0.1:{server.health}
    }}"""
    start(server, tmp_path / "Corefile", text)
    query = dns.message.make_query(full("web"), "A")
    size = len(query.to_wire())
    for host, shown in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
        for proto, kind, ask in (
            ("udp", socket.SOCK_DGRAM, dns.query.udp),
            ("tcp", socket.SOCK_STREAM, dns.query.tcp),
        ):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, kind) as own:
                own.bind((host, 0))
                ours = own.getsockname()[1]
                if proto == "tcp":
                    own.connect((host, port))
                assert ask(query, host, 10, port, sock=own).answer
            line = f"{shown}:{ours} {shown} {proto} A {full('web')} {size} NOERROR qr,aa,rd,ra"
            until(lambda line=line: line in server.log.read_text())
    assert figure(server.get("/metrics")[1], "coredns_dns_requests_total", family="2", proto="udp") == 1
