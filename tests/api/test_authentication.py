"""Who gets in: tokens, client certificates, service accounts."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.pki import Authority

NAMESPACE = "/api/v1/namespaces/default"
ACCOUNTS = f"{NAMESPACE}/serviceaccounts"
USAGE = {"usage-bootstrap-authentication": "true"}
BOOTSTRAP_TOKENS = {
    "goodid": {
        **USAGE,
        "auth-extra-groups": "system:bootstrappers:workers",
        "expiration": "2999-01-01T00:00:00Z",
    },
    "nousag": {"usage-bootstrap-signing": "true"},
    "ended1": {**USAGE, "expiration": "2020-01-01T00:00:00Z"},
    "badgrp": {**USAGE, "auth-extra-groups": "system:masters"},
}


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


def token_request(server: RunningApiServer, account: str, **spec: Any) -> tuple[int, Any]:
    return server.request("POST", f"{ACCOUNTS}/{account}/token", {"spec": spec})


def review(server: RunningApiServer, token: str, *audiences: str) -> dict[str, Any]:
    body = {"spec": {"token": token, "audiences": list(audiences)}}
    code, answer = server.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
    assert code == 201, answer
    status: dict[str, Any] = answer["status"]
    return status


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(decoded(token.split(".")[1]))
    return claims


def fetch(server: RunningApiServer, path: str) -> tuple[int, Any, Any]:
    """Code, headers and body of a GET."""
    request = urllib.request.Request(server.url + path, headers={"Authorization": f"Bearer {server.token}"})
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with urllib.request.urlopen(request, context=context, timeout=10) as response:
        return response.status, response.headers, json.loads(response.read())


def write_key(path: Path, kind: str) -> Path:
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(curves[kind])
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    path.write_bytes(pem)
    return path


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


def test_tokens_end_with_what_they_are_bound_to(server: RunningApiServer) -> None:
    token_for(server, "tied")
    pod = {
        "metadata": {"name": "tied"},
        "spec": {"serviceAccountName": "tied", "containers": [{"name": "c", "image": "i"}]},
    }
    bound = {
        "Pod": (f"{NAMESPACE}/pods", pod),
        "Secret": (f"{NAMESPACE}/secrets", {"metadata": {"name": "tied"}}),
        "Node": ("/api/v1/nodes", {"metadata": {"name": "tied"}}),
    }
    for kind, (collection, body) in bound.items():
        code, made = server.request("POST", collection, body)
        assert code == 201, made
        reference = {"apiVersion": "v1", "kind": kind, "name": "tied", "uid": made["metadata"]["uid"]}
        code, answer = token_request(server, "tied", boundObjectRef=reference)
        assert code == 201, answer
        token = answer["status"]["token"]
        assert code_with_token(server, token) == 200
        assert claims_of(token)["kubernetes.io"][kind.lower()]["name"] == "tied"
        assert server.request("DELETE", f"{collection}/tied?gracePeriodSeconds=0")[0] == 200
        assert code_with_token(server, token) == 401
        assert "invalidated" in review(server, token)["error"]


def test_what_a_token_cannot_be_bound_to(server: RunningApiServer) -> None:
    token_for(server, "loose")
    missing = {"apiVersion": "v1", "kind": "Pod", "name": "missing"}
    assert token_request(server, "loose", boundObjectRef=missing)[0] == 404
    code, answer = token_request(server, "loose", boundObjectRef={**missing, "kind": "ConfigMap"})
    assert (code, answer["message"]) == (
        400,
        "cannot bind token to object of type /v1, Kind=ConfigMap",
    )
    other = {"metadata": {"name": "other"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    assert server.request("POST", f"{NAMESPACE}/pods", other)[0] == 201
    code, answer = token_request(server, "loose", boundObjectRef={**missing, "name": "other"})
    assert (code, answer["message"]) == (
        400,
        'cannot bind token for serviceaccount "loose" to pod running with different serviceaccount name.',
    )
    secret = {"apiVersion": "v1", "kind": "Secret", "name": "other", "uid": "another"}
    assert server.request("POST", f"{NAMESPACE}/secrets", {"metadata": {"name": "other"}})[0] == 201
    code, answer = token_request(server, "loose", boundObjectRef=secret)
    assert (code, answer["reason"]) == (409, "Conflict")
    assert 'Secret "other": the UID in the bound object reference (another) does not' in answer["message"]


def test_a_pods_token_says_where_it_runs(server: RunningApiServer) -> None:
    token_for(server, "placed")
    code, node = server.request("POST", "/api/v1/nodes", {"metadata": {"name": "place"}})
    assert code == 201
    spec = {"serviceAccountName": "placed", "nodeName": "place", "containers": [{"name": "c", "image": "i"}]}
    code, pod = server.request("POST", f"{NAMESPACE}/pods", {"metadata": {"name": "placed"}, "spec": spec})
    assert code == 201
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "placed"}
    code, answer = token_request(server, "placed", boundObjectRef=reference, expirationSeconds=3607)
    claims = claims_of(answer["status"]["token"])
    # What Pods get by themselves outlives the hour it promises, for those who never read it again.
    assert claims["exp"] - claims["iat"] == 365 * 24 * 3600
    assert claims["kubernetes.io"]["warnafter"] == claims["iat"] + 3607
    user = review(server, answer["status"]["token"])["user"]
    prefix = "authentication.kubernetes.io"
    assert user["extra"] == {
        f"{prefix}/credential-id": [f"JTI={claims['jti']}"],
        f"{prefix}/node-name": ["place"],
        f"{prefix}/node-uid": [node["metadata"]["uid"]],
        f"{prefix}/pod-name": ["placed"],
        f"{prefix}/pod-uid": [pod["metadata"]["uid"]],
    }
    assert user["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ]


def test_reviews_ask_for_an_audience(server: RunningApiServer) -> None:
    token_for(server, "heard")
    code, answer = token_request(server, "heard", audiences=["vault", "db"])
    assert (code, answer["spec"]["audiences"]) == (201, ["vault", "db"])
    token = answer["status"]["token"]
    found = review(server, token, "db", "else")
    assert (found["authenticated"], found["audiences"]) == (True, ["db"])
    found = review(server, token)
    assert "authenticated" not in found
    assert 'token audiences ["vault" "db"] is invalid for the target audiences ["https://' in found["error"]
    assert review(server, server.token, "db")["error"] == "invalid bearer token"  # for the server alone


def test_lifetimes(server: RunningApiServer) -> None:
    token_for(server, "brief")
    code, answer = server.request("POST", f"{ACCOUNTS}/brief/token", {"spec": {"expirationSeconds": 5}})
    assert code == 422
    assert "may not specify a duration less than 10 minutes" in answer["message"]


def test_anybody_can_check_a_token(server: RunningApiServer) -> None:
    token = token_for(server, "checked")
    code, _, configuration = fetch(server, "/.well-known/openid-configuration")
    assert (code, configuration["issuer"]) == (200, claims_of(token)["iss"])
    assert configuration["jwks_uri"].endswith("/openid/v1/jwks")
    assert configuration["id_token_signing_alg_values_supported"] == ["ES256"]
    code, headers, keys = fetch(server, "/openid/v1/jwks")
    assert (headers["Content-Type"], headers["Cache-Control"]) == (
        "application/jwk-set+json",
        "public, max-age=3600",
    )
    head, body, signature = token.split(".")
    key = next(each for each in keys["keys"] if each["kid"] == json.loads(decoded(head))["kid"])
    x, y = (int.from_bytes(decoded(key[part]), "big") for part in "xy")
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    r, s = (int.from_bytes(decoded(signature)[part], "big") for part in (slice(32), slice(32, None)))
    public.verify(encode_dss_signature(r, s), f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("kind", ["rsa", "p384", "p521"])
def test_keys_are_replaced_without_a_break(kind: str, tmp_path: Path) -> None:
    old, new = write_key(tmp_path / "old.key", "p256"), write_key(tmp_path / "new.key", kind)
    arguments = [f"--service-account-signing-key-file={old}"]
    with running_apiserver(tmp_path, *arguments) as server:
        token = token_for(server, "kept")
    arguments = [f"--service-account-signing-key-file={new}", f"--service-account-key-file={old}"]
    with running_apiserver(tmp_path, *arguments) as server:
        assert code_with_token(server, token) == 200
        fresh = token_request(server, "kept")[1]["status"]["token"]
        assert code_with_token(server, fresh) == 200
        assert len(fetch(server, "/openid/v1/jwks")[2]["keys"]) == 2
    with running_apiserver(tmp_path, f"--service-account-signing-key-file={new}") as server:
        assert code_with_token(server, token) == 401
        assert review(server, token)["error"] == "[invalid bearer token, invalid signature, no keys found]"
        assert code_with_token(server, fresh) == 200


def test_bootstrap_tokens(tmp_path: Path) -> None:
    with running_apiserver(tmp_path, "--enable-bootstrap-token-auth") as server:
        for token_id, data in BOOTSTRAP_TOKENS.items():
            secret = {
                "metadata": {"name": f"bootstrap-token-{token_id}"},
                "type": "bootstrap.kubernetes.io/token",
                "stringData": {"token-id": token_id, "token-secret": "0123456789abcdef", **data},
            }
            code, answer = server.request("POST", "/api/v1/namespaces/kube-system/secrets", secret)
            assert code == 201, answer
        user = review(server, "goodid.0123456789abcdef")["user"]
        assert user["username"] == "system:bootstrap:goodid"
        assert user["groups"] == [
            "system:bootstrappers",
            "system:bootstrappers:workers",
            "system:authenticated",
        ]
        assert code_with_token(server, "goodid.0123456789abcdef") == 200
        refused = ["goodid.0123456789abcdeX", "nousag.0123456789abcdef", "ended1.0123456789abcdef"]
        refused += ["badgrp.0123456789abcdef", "nobody.0123456789abcdef"]
        assert [code_with_token(server, token) for token in refused] == [401] * len(refused)


def test_requests_without_credentials_if_they_are_let_in(tmp_path: Path) -> None:
    with running_apiserver(tmp_path, "--anonymous-auth=true", "--authorization-mode=RBAC") as server:
        assert code_with_certificate(server, None, "/livez") == 200
        code, answer = server.request("GET", NAMESPACE, Authorization="")
        assert (code, answer["message"]) == (
            403,
            'namespaces "default" is forbidden: User "system:anonymous" cannot get resource "namespaces" '
            'in API group "" in the namespace "default"',
        )
        assert code_with_token(server, "wrong") == 401


def test_a_certificates_user(server: RunningApiServer, authority: Authority) -> None:
    pair = authority.issue("whoami", "someone", organizations=["devs", "ops"])
    context = ssl.create_default_context(cafile=str(server.ca_file))
    context.load_cert_chain(*pair)
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    # A certificate counts before a token, also one that is no good.
    headers = {"Content-Type": "application/json", "Authorization": "Bearer nonsense"}
    connection.request("POST", path, b"{}", headers)
    user = json.loads(connection.getresponse().read())["status"]["userInfo"]
    connection.close()
    assert (user["username"], user["groups"]) == ("someone", ["devs", "ops", "system:authenticated"])
    fingerprint = x509.load_pem_x509_certificate(pair[0].read_bytes()).fingerprint(hashes.SHA256())
    assert user["extra"] == {
        "authentication.kubernetes.io/credential-id": [f"X509SHA256={fingerprint.hex()}"]
    }


def test_tokens_outlive_the_server(own_apiserver: RunningApiServer) -> None:
    token = token_for(own_apiserver, "robot")
    own_apiserver.kill()
    own_apiserver.start()
    assert code_with_token(own_apiserver, token) == 200
