"""A real API server for tests: its own process, on loopback, with a store of its own.

::

    @pytest.fixture
    def apiserver(tmp_path):
        with running_apiserver(tmp_path) as server:
            yield server            # server.url, server.kubeconfig, server.token, server.kill(), ...
"""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

TOKEN = "test-token"
"""The bearer token of a member of ``system:masters``."""

START_SECONDS = 30.0
_SERVING = re.compile(r'event="serving" address=(\S+):(\d+)')


class RunningApiServer:
    """An API server process. Killing and starting it again keeps the store and the port."""

    def __init__(self, directory: Path, arguments: Sequence[str] = ()) -> None:
        self.directory = directory
        self.token = TOKEN
        self.port = 0
        self.log = directory / "apiserver.log"
        self.kubeconfig = directory / "kubeconfig"
        self.ca_file = directory / "pki" / "apiserver.crt"
        self._arguments = list(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def store(self) -> str:
        """The URL of its store."""
        given = [each.removeprefix("--store=") for each in self._arguments if each.startswith("--store=")]
        return given[0] if given else f"sqlite://{self.directory}/store.db"

    @property
    def token_file(self) -> Path:
        return self.directory / "tokens.csv"

    def start(self) -> None:
        """Start the process and wait until it serves."""
        command = [
            sys.executable,
            "-m",
            "clusterip.cli.apiserver",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.directory}/pki",
            f"--token-auth-file={self.token_file}",
            *self._arguments,
        ]
        if not any(argument.startswith("--store=") for argument in self._arguments):
            command.append(f"--store={self.store}")
        if not any("-admission-plugins=" in argument for argument in self._arguments):
            # No controllers run here, and so no namespace gets the account that its Pods would need.
            command.append("--disable-admission-plugins=ServiceAccount")
        if not any(argument.startswith("--service-cluster-ip-range") for argument in self._arguments):
            command.append("--service-cluster-ip-range=10.96.0.0/16")
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        serving = threading.Event()
        threading.Thread(target=self._read_log, args=(self._process, serving), daemon=True).start()
        if not serving.wait(START_SECONDS) or self._process.poll() is not None:
            self.stop()
            raise AssertionError(f"the API server did not start:\n{self.log.read_text()}")
        self._write_kubeconfig()

    def _read_log(self, process: subprocess.Popen[bytes], serving: threading.Event) -> None:
        assert process.stderr is not None
        with self.log.open("ab") as log:
            for line in process.stderr:
                log.write(line)
                log.flush()
                match = _SERVING.search(line.decode(errors="replace"))
                if match:
                    self.port = int(match[2])
                    serving.set()
        process.wait()
        serving.set()  # it ended: whoever waits looks at the process

    def kill(self) -> None:
        """kill -9, as a crash would."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request as the administrator: the status code and the body, decoded if it is JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        all_headers = {"Authorization": f"Bearer {self.token}"}
        if data is not None:
            all_headers["Content-Type"] = "application/json"
        all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data, all_headers, method=method)
        context = ssl.create_default_context(cafile=str(self.ca_file))
        try:
            with urllib.request.urlopen(request, context=context, timeout=30) as response:
                return response.status, _decoded(response.read())
        except urllib.error.HTTPError as error:
            return error.code, _decoded(error.read())

    def _write_kubeconfig(self) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)},
                }
            ],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


@contextmanager
def running_apiserver(
    directory: Path, *arguments: str, tokens: Sequence[str] = ()
) -> Iterator[RunningApiServer]:
    """An API server with further command line ``arguments``, stopped at the end.

    ``tokens`` are lines of its token file: ``TOKEN,USER,UID,"GROUP,..."``.
    """
    server = RunningApiServer(directory, arguments)
    with server.token_file.open("a") as file:
        file.writelines(f"{line}\n" for line in tokens)
    server.start()
    try:
        yield server
    finally:
        server.stop()
