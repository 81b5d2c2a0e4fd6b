"""``pods|services|nodes/proxy``: what gets through to a server, and what comes back.

Held against upstream's API server: the same requests got the same answers there, but for what it adds
to name itself.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from tests.support.apiserver import TOKEN, RunningApiServer, running_apiserver
from tests.support.backend import PROXIED_PAGE, Backend, headers_of

ADDRESS = "192.0.2.10"
"""Where the proxied server listens: addresses of the machine itself, as 127.0.0.1, are not proxied to."""
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "wanted",
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A server to proxy to. The tests of this module run on a machine of their own."""
    name = f"ct-proxied-{os.getpid()}"
    path = namespaces.create_named(name)
    try:
        with RouteSocket(path) as routes:
            routes.set_link("lo", up=True)
            routes.add_address("lo", f"{ADDRESS}/32")
        with namespaces.enter(path):
            server = Backend(tmp_path_factory.mktemp("backend"), ADDRESS)
            server.start()
            yield server
            server.stop()
    finally:
        namespaces.delete_named(name)


@pytest.fixture(scope="module")
def apiserver(
    backend: Backend, store: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApiServer]:
    """An API server that knows the server as a Pod, as endpoint of Services and as a node."""
    directory = tmp_path_factory.mktemp("apiserver")
    with running_apiserver(directory, "--authorization-mode=RBAC") as server:
        namespace = "/api/v1/namespaces/default"
        must = Creator(server)
        must.post("/api/v1/nodes", "n", {})
        status = {
            "addresses": [{"type": "InternalIP", "address": ADDRESS}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": backend.tls_port}},
        }
        must.patch_status("/api/v1/nodes/n", status)
        must.pod("p", ADDRESS, [{"name": "web", "containerPort": backend.port}])
        must.pod("portless", ADDRESS)
        must.pod("addressless", "")
        must.pod("local", "127.0.0.1", [{"containerPort": backend.port}])
        must.post(f"{namespace}/services", "one", {"spec": {"ports": [{"port": 80}]}})
        ports = [{"name": "web", "port": 80}, {"name": "tls", "port": 443}]
        for name in ("two", "unready", "foreign", "endless"):
            must.post(f"{namespace}/services", name, {"spec": {"ports": ports}})
        mine = {"ip": ADDRESS, "targetRef": {"kind": "Pod", "name": "p", "namespace": "default"}}
        named = [{"name": "web", "port": backend.port}, {"name": "tls", "port": backend.tls_port}]
        must.endpoints("one", {"addresses": [mine], "ports": [{"port": backend.port}]})
        must.endpoints("two", {"addresses": [mine], "ports": named})
        must.endpoints("unready", {"notReadyAddresses": [mine], "ports": named})
        must.endpoints("foreign", {"addresses": [{"ip": ADDRESS}], "ports": named})
        yield server


class Creator:
    """Creates objects, or fails the test."""

    def __init__(self, server: RunningApiServer) -> None:
        self._server = server

    def post(self, path: str, name: str, body: Mapping[str, Any]) -> None:
        code, answer = self._server.request("POST", path, {"metadata": {"name": name}, **body})
        assert code == 201, answer

    def patch_status(self, path: str, status: Any) -> None:
        kind = "application/merge-patch+json"
        code, answer = self._server.request("PATCH", f"{path}/status", {"status": status}, Content_Type=kind)
        assert code == 200, answer

    def pod(self, name: str, address: str, ports: Any = ()) -> None:
        path = "/api/v1/namespaces/default/pods"
        self.post(path, name, {"spec": {"containers": [{"name": "c", "image": "i", "ports": list(ports)}]}})
        if address:
            self.patch_status(f"{path}/{name}", {"podIP": address, "podIPs": [{"ip": address}]})

    def allow(self, name: str, rules: Any) -> str:
        """Make an account that may do this; its token."""
        rbac, core = "/apis/rbac.authorization.k8s.io/v1/namespaces/default", "/api/v1/namespaces/default"
        self.post(f"{core}/serviceaccounts", name, {})
        self.post(f"{rbac}/roles", name, {"rules": rules})
        role = {"kind": "Role", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        account = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
        self.post(f"{rbac}/rolebindings", name, {"roleRef": role, "subjects": [account]})
        code, answer = self._server.request("POST", f"{core}/serviceaccounts/{name}/token", {"spec": {}})
        assert code == 201, answer
        token: str = answer["status"]["token"]
        return token

    def endpoints(self, name: str, subset: Any) -> None:
        self.post("/api/v1/namespaces/default/endpoints", name, {"subsets": [subset]})


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.code = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def message(self) -> str:
        status = json.loads(self.body)
        assert (status["kind"], status["code"]) == ("Status", self.code)
        message: str = status["message"]
        return message


class Proxied:
    """Requests under a path of the API server."""

    def __init__(
        self, server: RunningApiServer, base: str = "/api/v1/namespaces/default/pods/p/proxy"
    ) -> None:
        self._server = server
        self.base = base

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self._server.ca_file))
        return http.client.HTTPSConnection("127.0.0.1", self._server.port, timeout=20, context=context)

    def __call__(
        self, path: str = "/", method: str = "GET", body: Any = None, *, token: str = TOKEN, **headers: str
    ) -> Answer:
        with contextlib.closing(self.connect()) as connection:
            sent = {"Authorization": f"Bearer {token}"}
            sent |= {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, self.base + path, body, sent)
            return Answer(connection.getresponse())

    def raw(self, path: str, headers: Mapping[str, str]) -> socket.socket:
        """A connection on which a request has been sent."""
        connection = self.connect()
        connection.connect()
        lines = [f"GET {self.base}{path} HTTP/1.1", "Host: api", f"Authorization: Bearer {TOKEN}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        opened: socket.socket = connection.sock
        return opened


@pytest.fixture
def proxied(apiserver: RunningApiServer) -> Proxied:
    """The server through the Pod's proxy."""
    return Proxied(apiserver)


def of(apiserver: RunningApiServer, name: str, path: str = "/x") -> Answer:
    """A request to ``pods/NAME``, ``services/NAME`` or ``nodes/NAME`` by its proxy."""
    scope = "" if name.startswith("nodes/") else "namespaces/default/"
    return Proxied(apiserver, f"/api/v1/{scope}{name}/proxy")(path)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("name", ["pods/p", "services/one"])
def test_every_method_gets_through_with_path_query_and_body(
    apiserver: RunningApiServer, name: str, method: str
) -> None:
    proxied = Proxied(apiserver, f"/api/v1/namespaces/default/{name}/proxy")
    answer = proxied(f"/some/path/with/{method}?a=1&b=%20&c;d&watch=true", method, b"hello")
    told = json.loads(answer.body)
    assert (answer.code, told["method"], told["body"]) == (200, method, "hello")
    assert told["target"] == f"/some/path/with/{method}?a=1&b=%20&c;d&watch=true"


def test_head(proxied: Proxied) -> None:
    answer = proxied("/x", "HEAD")
    assert (answer.code, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0


def test_unknown_methods_are_refused(proxied: Proxied) -> None:
    answer = proxied("/x", "TRACE")
    assert answer.code == 405
    assert answer.message == "the server does not allow this method on the requested resource"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", ["pods/p", "services/one"])
def test_without_a_path_clients_are_sent_to_the_root(
    apiserver: RunningApiServer, name: str, method: str
) -> None:
    proxied = Proxied(apiserver, f"/api/v1/namespaces/default/{name}/proxy")
    answer = proxied("?method=x", method)
    assert (answer.code, answer.headers["Location"]) == (301, f"{proxied.base}/?method=x")
    assert json.loads(proxied("?method=x", "DELETE").body)["target"] == "/?method=x"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/", "/"),
        ("//a//b/../c/", "/a/c/"),
        ("/..", "/"),
        ("/a%2Fb%20c!'()*$&+,;=@~%41%C3%A9", "/a/b%20c%21%27%28%29%2A$&+,;=@~A%C3%A9"),
    ],
)
def test_paths_are_cleaned(proxied: Proxied, path: str, target: str) -> None:
    assert json.loads(proxied(path).body)["target"] == target


def test_request_headers(proxied: Proxied) -> None:
    told = headers_of(
        proxied(
            "/x/y",
            Connection="x-gone",
            X_Gone="1",
            Keep_Alive="3",
            TE="trailers, deflate",
            Proxy_Authorization="z",
            Impersonate_User="admin",
            Impersonate_Group="system:masters",
            X_Remote_User="root",
            X_Forwarded_For="9.9.9.9",
            X_Forwarded_Host="front",
            Cookie="a=1",
            Accept_Encoding="br",
        ).body
    )
    assert told.pop("host").startswith("127.0.0.1:")
    assert told == {
        "te": "trailers",
        "x-forwarded-for": "9.9.9.9, 127.0.0.1",
        "x-forwarded-host": "front",
        "x-forwarded-uri": f"{proxied.base}/x/y",
        "cookie": "a=1",
        "accept-encoding": "br",
    }


def test_response_headers(proxied: Proxied) -> None:
    headers = proxied("/headers").headers
    assert headers.get_all("Set-Cookie") == ["a=b", "c=d"]
    assert (headers["X-Kept"], headers["Server"], headers["Cache-Control"]) == (
        "1",
        "mine",
        "no-cache, private",
    )
    for dropped in ("X-Dropped", "Keep-Alive", "Access-Control-Allow-Origin"):
        assert dropped not in headers


def test_the_api_server_s_own_answers_do_not_name_a_program(apiserver: RunningApiServer) -> None:
    assert "Server" not in Proxied(apiserver, "/api/v1/namespaces")("").headers
    assert "Server" not in of(apiserver, "pods/none").headers


@pytest.mark.parametrize("code", [204, 304, 404, 500])
def test_the_server_s_own_errors_pass(proxied: Proxied, code: int) -> None:
    answer = proxied(f"/status/{code}")
    assert (answer.code, answer.body) == (code, b"told so" if code > 304 else b"")


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("/x", "{base}/x"),
        ("/x/?q=1#f", "{base}/x/?q=1#f"),
        ("/a%2Fb", "{base}/a/b"),
        ("relative", "relative"),
        ("http://{own}/y/", "{base}/y/"),
        ("//{own}/p", "{base}/p"),
        ("http://elsewhere/z", "http://elsewhere/z"),
        ("{base}/in", "{base}/in"),
    ],
)
def test_redirects_lead_through_the_proxy(proxied: Proxied, backend: Backend, to: str, location: str) -> None:
    known = {"base": proxied.base, "own": f"{ADDRESS}:{backend.port}"}
    answer = proxied(f"/redirect?to={quote(to.format_map(known), safe='')}")
    assert (answer.code, answer.headers["Location"]) == (302, location.format_map(known))


def test_a_redirect_to_nonsense_is_an_error(proxied: Proxied) -> None:
    answer = proxied(f"/redirect?to={quote('http://[bad', safe='')}")
    assert answer.code == 500
    assert (
        "error trying to parse Location header: parse \"http://[bad\": missing ']' in host" in answer.message
    )


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_links_on_pages_lead_through_the_proxy(proxied: Proxied, encoding: str) -> None:
    answer = proxied(f"/page?encoding={encoding}")
    body = gzip.decompress(answer.body) if encoding else answer.body
    assert body.decode() == PROXIED_PAGE.format(proxied.base)
    assert answer.headers.get("Content-Encoding", "") == encoding
    assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_a_long_page_is_not_compressed_twice(proxied: Proxied) -> None:
    answer = proxied("/page?encoding=gzip&noise=500000", Accept_Encoding="gzip")
    assert answer.headers.get_all("Content-Encoding") == ["gzip"]
    assert len(answer.body) > 128 << 10
    assert gzip.decompress(answer.body).endswith(b"</HTML>")


@pytest.mark.parametrize(
    ("name", "reaches"),
    [
        ("pods/p:{port}", True),
        ("pods/http:p:{port}", True),
        ("pods/https:p:{tls}", True),
        ("pods/http:p:", True),
        ("pods/portless:{port}", True),
        ("services/one:", True),
        ("services/one:80", True),
        ("services/http:one:80", True),
        ("services/two:web", True),
        ("services/two:80", True),
        ("services/https:two:tls", True),
        ("services/https:two:443", True),
        ("nodes/n", True),
        ("nodes/n:{tls}", True),
        ("nodes/http:n:{tls}", True),
        ("nodes/n:{port}", True),
        ("pods/ftp:p:1", '400 invalid pod request "ftp:p:1"'),
        ("pods/a:b:c:d", '400 invalid pod request "a:b:c:d"'),
        ("pods/:1", '400 invalid pod request ":1"'),
        ("pods/addressless", "400 address not allowed"),
        ("pods/local", "400 address not allowed"),
        ("pods/none", '404 pods "none" not found'),
        ("pods/p:9", "503 error trying to reach service: dial tcp 192.0.2.10:9: connect: connection refused"),
        ("pods/p:99999", "503 error trying to reach service: dial tcp: address 99999: invalid port"),
        (
            "pods/portless",
            "503 error trying to reach service: dial tcp 192.0.2.10:80: connect: connection refused",
        ),
        (
            "pods/https:p:{port}",
            "503 error trying to reach service: tls: first record does not look like a TLS handshake",
        ),
        ("services/two", '503 no endpoints available for service "two"'),
        ("services/two:none", '503 no endpoints available for service "two:none"'),
        ("services/two:81", '503 no service port 81 found for service "two"'),
        ("services/unready:web", '503 no endpoints available for service "unready:web"'),
        ("services/foreign:web", '503 no endpoints available for service "foreign:web"'),
        ("services/endless", '404 services "endless" not found'),
        ("services/none:80", '404 services "none" not found'),
        ("services/ftp:one:80", '400 invalid service request "ftp:one:80"'),
        ("nodes/none", '404 nodes "none" not found'),
        (
            "nodes/n:9",
            "503 error trying to reach service: dial tcp 192.0.2.10:9: connect: connection refused",
        ),
    ],
)
def test_names_say_whom_a_request_is_for(
    apiserver: RunningApiServer, backend: Backend, name: str, reaches: bool | str
) -> None:
    answer = of(apiserver, name.format(port=backend.port, tls=backend.tls_port))
    if reaches is True:
        assert json.loads(answer.body)["target"] == "/x"
    else:
        assert f"{answer.code} {answer.message}" == reaches


def test_dry_run_is_refused(proxied: Proxied) -> None:
    answer = proxied("/x?dryRun=All")
    assert (answer.code, answer.message) == (400, "dryRun is not supported")


def test_answers_pass_as_they_come(apiserver: RunningApiServer, proxied: Proxied, backend: Backend) -> None:
    with proxied.raw("/held", {"Connection": "close"}) as connection:
        received = b""
        while b"begun" not in received:
            received += connection.recv(4096)
        labels = 'resource="pods",scope="resource",subresource="proxy",verb="CONNECT",version="v1"} 1.0'
        running = Proxied(apiserver, "")("/metrics").body.decode().splitlines()
        assert any(line.endswith(labels) for line in running if "longrunning_requests" in line)
        backend.go_on()
        while piece := connection.recv(4096):
            received += piece
    assert b"ended" in received


def test_bodies_pass_in_both_ways_at_once(proxied: Proxied) -> None:
    headers = {"Transfer-Encoding": "chunked", "Connection": "close"}
    with proxied.raw("/repeat", headers) as connection:
        received = b""
        for word in (b"one", b"two", b"three"):
            connection.sendall(b"%x\r\n%b\r\n" % (len(word), word))
            while word not in received:
                received += connection.recv(4096)
        connection.sendall(b"0\r\n\r\n")
        while piece := connection.recv(4096):
            received += piece
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"0\r\n\r\n")


def test_a_large_body_passes_both_ways(proxied: Proxied) -> None:
    body = os.urandom(8 << 20)
    assert proxied("/repeat", "POST", body).body == body


def test_an_answer_that_does_not_wait_for_the_body(proxied: Proxied) -> None:
    answer = proxied("/status/404", "POST", b"x" * (4 << 20))
    assert (answer.code, answer.body) == (404, b"told so")


def test_the_server_hears_that_the_client_has_left(proxied: Proxied, backend: Backend) -> None:
    backend.gone.clear()
    with proxied.raw("/held", {}) as connection:
        assert b"200 OK" in connection.recv(4096)
    assert backend.gone.wait(10)


def test_an_answer_cut_short_is_not_passed_as_complete(proxied: Proxied) -> None:
    with pytest.raises(http.client.IncompleteRead):
        proxied("/cut")


def test_websockets_pass(proxied: Proxied) -> None:
    with proxied.raw("/websocket?lost=1", WEBSOCKET) as connection:
        received = b""
        while b'"headers"' not in received:
            received += connection.recv(4096)
        head, _, message = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-protocol: wanted" in head.lower()
        assert b'"/websocket"' in message  # upstream passes no query on here either
        assert b"Bearer" not in message
        connection.sendall(b"\x81\x85\x00\x00\x00\x00hello")
        answer = b""
        while b"you said hello" not in answer:
            answer += connection.recv(4096)


def test_refused_upgrades(apiserver: RunningApiServer, proxied: Proxied) -> None:
    answer = proxied("/websocket", Connection="Upgrade", Upgrade="other")
    assert (answer.code, answer.body) == (426, b"a WebSocket, please")
    answer = proxied("/x", Connection="Upgrade", Upgrade="other")
    assert (answer.code, answer.message) == (500, "invalid upgrade response: status code 200")
    dead = Proxied(apiserver, "/api/v1/namespaces/default/pods/p:9/proxy")
    answer = dead("/x", Connection="Upgrade", Upgrade="other")
    assert answer.message == "error dialing backend: dial tcp 192.0.2.10:9: connect: connection refused"


def test_a_token_in_a_websocket_s_protocols_stays_here(proxied: Proxied) -> None:
    token = base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
    protocols = f"base64url.bearer.authorization.k8s.io.{token}, wanted"
    with proxied.raw("/websocket", WEBSOCKET | {"Sec-WebSocket-Protocol": protocols}) as connection:
        received = b""
        while b'"headers"' not in received:
            received += connection.recv(4096)
    assert b'["sec-websocket-protocol", "wanted"]' in received


@pytest.mark.parametrize(
    ("method", "verb"),
    [("GET", "get"), ("HEAD", "get"), ("POST", "create"), ("PUT", "update"), ("DELETE", "delete")],
)
def test_a_method_needs_its_verb(
    apiserver: RunningApiServer, proxied: Proxied, method: str, verb: str
) -> None:
    """One who may use a proxy in one way may not in another."""
    must, name = Creator(apiserver), f"proxying-{method.lower()}"
    rules = [{"verbs": [verb], "apiGroups": [""], "resources": ["pods/proxy"], "resourceNames": ["p"]}]
    token = must.allow(name, rules)
    assert proxied("/x?watch=true", method, token=token).code == 200
    other = "PATCH" if verb != "patch" else "GET"
    assert proxied("/x", other, token=token).code == 403
    elsewhere = Proxied(apiserver, "/api/v1/namespaces/default/pods/portless/proxy")
    assert elsewhere("/x", method, token=token).code == 403


def test_to_read_a_pod_is_not_enough_to_run_commands_in_it(apiserver: RunningApiServer) -> None:
    """Though a WebSocket begins with a GET, whose verb is ``get``."""
    must, name = Creator(apiserver), "reading"
    rules = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods/exec", "pods/portforward"]}]
    token = must.allow(name, rules)
    pod = Proxied(apiserver, "/api/v1/namespaces/default/pods/p")
    for what in ("/exec?command=x&stdout=1", "/portforward?ports=1"):
        answer = pod(what, token=token, **{k.replace("-", "_"): v for k, v in WEBSOCKET.items()})
        assert (answer.code, answer.message) == (403, 'pods "p" is forbidden: ')
