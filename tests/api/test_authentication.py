"""Who gets in: tokens, client certificates, service accounts."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.pki import Authority

NAMESPACE = "/api/v1/namespaces/default"
ACCOUNTS = f"{NAMESPACE}/serviceaccounts"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    directory = tmp_path_factory.mktemp("apiserver")
    with running_apiserver(directory, f"--client-ca-file={authority.certificate}") as running:
        yield running


def code_with_certificate(server: RunningApiServer, pair: tuple[Path, Path] | None, path: str) -> int:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    if pair is not None:
        context.load_cert_chain(*pair)
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)
    connection.request("GET", path)
    code = connection.getresponse().status
    connection.close()
    return code


def token_for(server: RunningApiServer, account: str) -> str:
    assert server.request("POST", ACCOUNTS, {"metadata": {"name": account}})[0] == 201
    code, answer = server.request("POST", f"{ACCOUNTS}/{account}/token", {"spec": {}})
    assert code == 201
    token: str = answer["status"]["token"]
    return token


def code_with_token(server: RunningApiServer, token: str) -> int:
    return server.request("GET", NAMESPACE, Authorization=f"Bearer {token}")[0]


def test_a_certificate_of_our_authority(server: RunningApiServer, authority: Authority) -> None:
    pair = authority.issue("user", "someone", organizations=["system:masters"])
    assert code_with_certificate(server, pair, NAMESPACE) == 200


def test_without_any_credentials_only_health_and_version(server: RunningApiServer) -> None:
    assert code_with_certificate(server, None, NAMESPACE) == 401
    assert code_with_certificate(server, None, "/metrics") == 401
    assert [code_with_certificate(server, None, path) for path in ("/livez", "/version")] == [200, 200]


def test_a_certificate_of_another_authority(server: RunningApiServer, tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("user", "someone", organizations=["system:masters"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        code_with_certificate(server, pair, NAMESPACE)


def test_wrong_tokens(server: RunningApiServer) -> None:
    for token in ("nope", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", ""):
        assert code_with_token(server, token) == 401


def test_a_token_ends_with_its_account(server: RunningApiServer) -> None:
    token = token_for(server, "short-lived")
    assert code_with_token(server, token) == 200
    server.request("DELETE", f"{ACCOUNTS}/short-lived")
    assert code_with_token(server, token) == 401
    assert server.request("POST", ACCOUNTS, {"metadata": {"name": "short-lived"}})[0] == 201
    assert code_with_token(server, token) == 401  # another account of that name


def test_a_token_that_was_changed(server: RunningApiServer) -> None:
    head, body, signature = token_for(server, "honest").split(".")
    assert code_with_token(server, f"{head}.{body}.{signature[:-4]}AAAA") == 401
    assert code_with_token(server, f"{head}.{body}x.{signature}") == 401


def test_a_token_for_others_is_not_for_us(server: RunningApiServer) -> None:
    token_for(server, "elsewhere")
    path = f"{ACCOUNTS}/elsewhere/token"
    code, answer = server.request("POST", path, {"spec": {"audiences": ["other"]}})
    assert (code, code_with_token(server, answer["status"]["token"])) == (201, 401)


def test_lifetimes(server: RunningApiServer) -> None:
    token_for(server, "brief")
    code, answer = server.request("POST", f"{ACCOUNTS}/brief/token", {"spec": {"expirationSeconds": 5}})
    assert code == 422
    assert "may not specify a duration less than 10 minutes" in answer["message"]


def test_tokens_outlive_the_server(own_apiserver: RunningApiServer) -> None:
    token = token_for(own_apiserver, "robot")
    own_apiserver.kill()
    own_apiserver.start()
    assert code_with_token(own_apiserver, token) == 200
