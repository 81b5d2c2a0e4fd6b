"""What a machine finds out before it believes a server, and what it is told when something is wrong."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clusterip.member import clusterinfo
from clusterip.member.clusterinfo import CA_KEY, SETTINGS_KEY, Settings
from clusterip.member.discovery import discover
from clusterip.member.errors import JoinError
from tests.support.pki import Authority

CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"


class Server(ThreadingHTTPServer):
    """Answers what ``answers`` has, and whose clock differs by ``ahead`` seconds from ours."""

    def __init__(self, authority: Authority, addresses: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*authority.issue("server", "server", addresses=addresses))
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.hash = clusterinfo.hash_of(authority.certificate.read_bytes())
        data = {CA_KEY: authority.certificate.read_text(), SETTINGS_KEY: clusterinfo.encode(Settings())}
        self.answers: dict[str, object] = {
            CLUSTER_INFO: {"data": data},
            "/version": {"gitVersion": "v1.37.0"},
        }
        self.ahead = 0.0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that do not trust it break off


class Handler(BaseHTTPRequestHandler):
    server: Server

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate((timestamp or time.time()) + self.server.ahead, usegmt=True)

    def do_GET(self) -> None:
        answer = self.server.answers.get(self.path)
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    with _running(Server(authority, ["127.0.0.1"])) as running:
        yield running


class _running:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._thread = threading.Thread(target=lambda: server.serve_forever(0.01))

    def __enter__(self) -> Server:
        self._thread.start()
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_what_is_found(server: Server, authority: Authority) -> None:
    found = discover(("https://127.0.0.1:1", server.url), server.hash)
    assert (found.server, found.version) == (server.url, "v1.37.0")
    assert found.authority == authority.certificate.read_bytes()
    assert found.settings == Settings()


@pytest.mark.parametrize(
    ("seconds", "says"), [(3600, "clock is 3[56]\\d\\d s behind"), (-3600, "clock is 3[56]\\d\\d s ahead of")]
)
def test_another_time(server: Server, seconds: float, says: str) -> None:
    server.ahead = seconds
    with pytest.raises(JoinError, match=f"{says} that of the server at {server.url}.*set it"):
        discover((server.url,), server.hash)
    server.ahead = seconds / 60
    discover((server.url,), server.hash)


def test_another_cluster(server: Server) -> None:
    with pytest.raises(JoinError, match=f"is not of the cluster you mean: its CA has the hash {server.hash}"):
        discover((server.url,), "sha256:" + 64 * "0")


def test_no_server_of_ours(server: Server) -> None:
    server.answers = {}
    with pytest.raises(JoinError, match=r"answers 404 to .*: is it a clusterip server, and ready"):
        discover((server.url,), server.hash)
    server.answers = {CLUSTER_INFO: {"data": {}}}
    with pytest.raises(JoinError, match=r"has no ca.crt in kube-public/cluster-info"):
        discover((server.url,), server.hash)


def test_another_address_than_its_certificate_has(authority: Authority) -> None:
    with (
        _running(Server(authority, ["127.0.0.2"])) as server,
        pytest.raises(JoinError, match=r"no certificate of its own CA for that address.*--tls-san"),
    ):
        discover((server.url,), server.hash)


def test_nobody_there() -> None:
    with pytest.raises(JoinError, match=r"cannot reach the server at https://127.0.0.1:1: .*refused"):
        discover(("https://127.0.0.1:1",), "sha256:" + 64 * "0")
    with pytest.raises(JoinError, match=r"10\.0\.0\.1 is not the URL of a server"):
        discover(("10.0.0.1",), "sha256:" + 64 * "0")
