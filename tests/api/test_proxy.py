"""``pods|services|nodes/proxy``: what gets through to a server, and what comes back.

Held against upstream's API server: the same requests got the same answers there, but for what it adds
to name itself.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.support.apiserver import RunningApiServer
from tests.support.backend import PROXIED_PAGE, Backend, headers_of
from tests.support.proxied import (
    ADDRESS,
    WEBSOCKET,
    Creator,
    Proxied,
    of,
    proxied_backend,
    proxying_apiserver,
)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with proxied_backend(tmp_path_factory.mktemp("backend")) as server:
        yield server


@pytest.fixture(scope="module")
def apiserver(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    with proxying_apiserver(backend, tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture
def proxied(apiserver: RunningApiServer) -> Proxied:
    """The server through the Pod's proxy."""
    return Proxied(apiserver)


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
