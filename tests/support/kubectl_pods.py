"""Pods for kubectl to act on; kubectl on a terminal or at work in the background."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

from tests.support.kubectl import Kubectl

HTTP_SERVER = Path(__file__).with_name("pod_server.py")
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: NAME}}
spec:
  terminationGracePeriodSeconds: 1
  restartPolicy: RESTART
  containers:
    - name: main
      image: clusterip.local/host
      stdin: STDIN
      tty: TTY
      command: [sh, -c, 'SCRIPT']
"""
LISTENS = """
      readinessProbe: {tcpSocket: {port: 8000}, periodSeconds: 1}
"""


def run_pod(
    kubectl: Kubectl,
    name: str,
    script: str,
    *,
    stdin: bool = False,
    tty: bool = False,
    restart: str = "Never",
) -> None:
    """Start a Pod and wait until it is ready."""
    words = {"NAME": name, "SCRIPT": script.replace("'", "''"), "RESTART": restart}
    text = POD.rstrip() + (LISTENS if HTTP_SERVER.name in script else "\n")
    for word, value in {**words, "STDIN": str(stdin).lower(), "TTY": str(tty).lower()}.items():
        text = text.replace(word, value)
    kubectl("apply", "-f", "-", stdin=text)
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=30s")


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str], environment: dict[str, str], width: int, height: int) -> None:
        self._ours, theirs = pty.openpty()
        self._seen = b""
        self.resize(width, height)
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)

    def resize(self, width: int, height: int) -> None:
        ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        if hasattr(self, "_process"):
            self._process.send_signal(signal.SIGWINCH)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def expect(self, text: str, seconds: float = 20) -> None:
        """Wait until the text appears after what was expected before."""
        deadline = time.monotonic() + seconds
        while text.encode() not in self._seen:
            ready, _, _ = select.select([self._ours], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {text!r} in {self._seen!r}"
            try:
                self._seen += os.read(self._ours, 4096)
            except OSError:
                raise AssertionError(f"ended without {text!r}: {self._seen!r}") from None
        self._seen = self._seen.partition(text.encode())[2]

    def end(self) -> int:
        """Its exit code."""
        with contextlib.suppress(OSError):
            while os.read(self._ours, 4096):
                pass
        os.close(self._ours)
        return self._process.wait(10)


@contextlib.contextmanager
def background(kubectl: Kubectl, *arguments: str, until: str) -> Iterator[re.Match[str]]:
    """kubectl at work; what it says once it is ready."""
    process = subprocess.Popen(
        [kubectl.path, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=kubectl.environment,
        text=True,
    )
    assert process.stdout
    try:
        said = ""
        while not (match := re.search(until, said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        yield match
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
