"""An etcd that only lets in who has a certificate and a password: the API server, and snapshots of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.apiserver import running_apiserver
from tests.support.etcd import Etcd
from tests.support.pki import Authority

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@contextmanager
def secured_etcd(directory: Path) -> Iterator[tuple[Etcd, list[str]]]:
    """With the command line options that an API server needs for it."""
    authority = Authority(directory)
    server_cert, server_key = authority.issue("etcd", "etcd", addresses=["127.0.0.1"])
    cert, key = authority.issue("apiserver", "")
    authority.issue("named", "kube")
    password = directory / "password"
    password.write_text("secret\n")
    etcd = Etcd(directory)
    try:
        etcd.start()
        for user in ("root", "kube"):
            etcd.ask("/v3/auth/user/add", name=user, password="secret")
        etcd.ask("/v3/auth/user/grant", user="root", role="root")
        etcd.ask("/v3/auth/role/add", name="registry")
        # "/registry/" up to "/registry0"
        everything = {"permType": "READWRITE", "key": "L3JlZ2lzdHJ5Lw==", "range_end": "L3JlZ2lzdHJ5MA=="}
        etcd.ask("/v3/auth/role/grant", name="registry", perm=everything)
        etcd.ask("/v3/auth/user/grant", user="kube", role="registry")
        etcd.ask("/v3/auth/enable")
        etcd.stop()
        etcd.scheme = "https"
        etcd.arguments = [
            f"--cert-file={server_cert}",
            f"--key-file={server_key}",
            f"--trusted-ca-file={authority.certificate}",
            "--client-cert-auth",
        ]
        etcd.start()
        yield (
            etcd,
            [
                f"--store=etcds://{etcd.endpoint}",
                f"--etcd-cafile={authority.certificate}",
                f"--etcd-certfile={cert}",
                f"--etcd-keyfile={key}",
                "--etcd-user=kube",
                f"--etcd-password-file={password}",
            ],
        )
    finally:
        etcd.stop()


def test_api_server_and_snapshots(tmp_path: Path) -> None:
    with secured_etcd(tmp_path) as (etcd, options):
        with running_apiserver(tmp_path, *options) as server:
            assert server.request("POST", CONFIGMAPS, {"metadata": {"name": "c"}})[0] == 201
            etcd.kill()
            etcd.start()  # which has forgotten who was logged in
            assert server.request("POST", CONFIGMAPS, {"metadata": {"name": "d"}})[0] == 201
            names = [item["metadata"]["name"] for item in server.request("GET", CONFIGMAPS)[1]["items"]]
            assert {"c", "d"} <= set(names)
            assert server.request("GET", "/readyz")[0] == 200
            _run("save", str(tmp_path / "saved"), *options)
            assert server.request("DELETE", f"{CONFIGMAPS}/c")[0] == 200
        _run("restore", str(tmp_path / "saved"), *options)
        with running_apiserver(tmp_path, *options) as server:
            assert server.request("GET", f"{CONFIGMAPS}/c")[0] == 200

        (tmp_path / "password").write_text("guess\n")
        result = _run("save", str(tmp_path / "other"), *options, code=1)
        assert "invalid user ID or password" in result
        named = [option.replace("apiserver.", "named.") for option in options]
        result = _run("save", str(tmp_path / "other"), *named, code=1)
        assert "takes no client certificate with a common name (CN)" in result
        without = [option for option in options if "certfile" not in option and "keyfile" not in option]
        result = _run("save", str(tmp_path / "other"), *without, code=1, seconds=60)
        assert "does not answer" in result


def _run(command: str, *arguments: str, code: int = 0, seconds: float = 60) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "clusterip", "snapshot", command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert result.returncode == code, result.stdout + result.stderr
    return result.stderr
