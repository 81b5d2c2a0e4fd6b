"""Bodies and upgrades through ``pods|services|nodes/proxy``: nothing is held back, nothing made up."""

from __future__ import annotations

import base64
import http.client
import os
from collections.abc import Iterator

import pytest

from tests.support.apiserver import TOKEN, RunningApiServer
from tests.support.backend import Backend
from tests.support.proxied import WEBSOCKET, Proxied, proxied_backend, proxying_apiserver


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
