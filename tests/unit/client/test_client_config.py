"""Kubeconfig files: what is in them, what is wrong with them."""

from __future__ import annotations

import base64
import ssl
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clusterip.client.config import ConfigError, load
from clusterip.client.credentials import CredentialsError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def write(path: Path, *, user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None) -> Path:
    name = path.stem
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {"name": name, "cluster": {"server": f"http://{name}.example:6443/", **(cluster or {})}}
        ],
        "users": [{"name": name, "user": user or {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "shop"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "someone")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


def test_server_and_namespace(tmp_path: Path) -> None:
    config = load(str(write(tmp_path / "a")))
    assert (config.server, config.namespace) == ("http://a.example:6443", "shop")
    assert config.ssl_context is None


def test_where_it_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="pass --kubeconfig FILE or set KUBECONFIG"):
        load()
    home = tmp_path / "home" / ".kube"
    home.mkdir(parents=True)
    write(home / "config")
    assert load().server == "http://config.example:6443"
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'absent'}:{write(tmp_path / 'b')}:{write(tmp_path / 'c')}")
    assert load().server == "http://b.example:6443"
    assert load(context="c").server == "http://c.example:6443"


async def test_tokens_and_passwords(tmp_path: Path) -> None:
    config = load(str(write(tmp_path / "a", user={"token": "secret"})))
    assert await config.credentials.authorization() == "Bearer secret"
    assert "secret" not in repr(config)
    config = load(str(write(tmp_path / "a", user={"username": "me", "password": "pw"})))
    assert await config.credentials.authorization() == "Basic " + base64.b64encode(b"me:pw").decode()
    assert await load(str(write(tmp_path / "a"))).credentials.authorization() is None


async def test_a_token_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    credentials = load(str(write(tmp_path / "a", user={"tokenFile": "token"}))).credentials
    assert await credentials.authorization() == "Bearer one"
    replacement = tmp_path / "replacement"
    replacement.write_text("two\n")
    replacement.replace(token)
    assert await credentials.authorization() == "Bearer two"
    token.unlink()
    assert await credentials.authorization() == "Bearer two", "somebody may just be replacing it"
    fresh = load(str(write(tmp_path / "a", user={"tokenFile": "token"}))).credentials
    with pytest.raises(CredentialsError, match="cannot read the token file"):
        await fresh.authorization()


async def test_a_credential_plugin_is_asked_once(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "import json, os\n"
        f"with open({str(tmp_path / 'calls')!r}, 'a') as calls: calls.write('x')\n"
        "version = json.loads(os.environ['KUBERNETES_EXEC_INFO'])['apiVersion']\n"
        "print(json.dumps({'apiVersion': version, 'kind': 'ExecCredential',"
        " 'status': {'token': os.environ['FLAVOUR']}}))\n"
    )
    user = {
        "exec": {
            "command": sys.executable,
            "args": [str(plugin)],
            "apiVersion": "client.authentication.k8s.io/v1",
            "env": [{"name": "FLAVOUR", "value": "sweet"}],
        }
    }
    credentials = load(str(write(tmp_path / "a", user=user))).credentials
    assert await credentials.authorization() == "Bearer sweet"
    assert await credentials.authorization() == "Bearer sweet"
    assert (tmp_path / "calls").read_text() == "x"


async def test_a_failing_plugin_is_explained(tmp_path: Path) -> None:
    for command, told in (
        (["false"], "exited with 1"),
        (["/nowhere/plugin"], "install it"),
        (["true"], "no Exec"),
    ):
        user = {"exec": {"command": command[0], "apiVersion": "client.authentication.k8s.io/v1"}}
        with pytest.raises(CredentialsError, match=told):
            await load(str(write(tmp_path / "a", user=user))).credentials.authorization()


def test_certificates_from_data_and_files(tmp_path: Path) -> None:
    pem, key = certificate()
    (tmp_path / "ca.crt").write_bytes(pem)
    (tmp_path / "me.key").write_bytes(key)
    cluster = {"server": "https://x:6443", "certificate-authority": "ca.crt", "tls-server-name": "y"}
    user = {"client-certificate-data": base64.b64encode(pem).decode(), "client-key": "me.key"}
    config = load(str(write(tmp_path / "a", user=user, cluster=cluster)))
    assert config.ssl_context is not None
    assert config.root_ca.encode() == pem
    assert config.ssl_context.verify_mode == ssl.CERT_REQUIRED
    assert config.server_hostname == "y"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"current-context": "z"}, "there is no context 'z'; contexts are: a"),
        ({"clusters": []}, "names a cluster 'a' that is not there"),
        ({"users": []}, "names a user 'a' that is not there"),
        ({"clusters": "text"}, "is not a kubeconfig"),
        ({"clusters": [{"name": "a", "cluster": {}}]}, "no server address"),
        (
            {
                "clusters": [
                    {"name": "a", "cluster": {"server": "https://x", "certificate-authority": "none"}}
                ]
            },
            "No such file",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    path = write(tmp_path / "a")
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises(ConfigError, match=told):
        load(str(path))


def test_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = tmp_path / "account"
    account.mkdir()
    monkeypatch.setattr("clusterip.client.config.SERVICE_ACCOUNT", account)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    (account / "token").write_text("t")
    with pytest.raises(ConfigError, match=r"service account cannot be used: .*ca\.crt"):
        load()
    (account / "ca.crt").write_bytes(certificate()[0])
    (account / "namespace").write_text("shop")
    config = load()
    assert (config.server, config.namespace) == ("https://[fd00::1]:443", "shop")


def test_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the kubeconfig .*: No such file"):
        load(str(tmp_path / "absent"))
    (tmp_path / "broken").write_text("{")
    with pytest.raises(ConfigError, match="is not a kubeconfig"):
        load(str(tmp_path / "broken"))
