"""Clients that ask for a page over and over, each time on a new connection, and count what fails."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from clusterip.kernel import namespaces

_PAUSE_SECONDS = 0.005
_TIMEOUT_SECONDS = 5.0


def fetch(address: str, port: int = 80, *, timeout: float = _TIMEOUT_SECONDS) -> str:
    """The body of ``http://ADDRESS:PORT/``, stripped. Raises OSError or ValueError."""
    with socket.create_connection((address, port), timeout) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator or head.split(b" ", 2)[1:2] != [b"200"]:
        raise ValueError(f"not an answer: {answer[:80]!r}")
    return body.decode().strip()


class RequestLoop:
    """A context manager: requests flow inside it. Threads stay in the network namespace they start in.

    ``answers`` counts the bodies, ``failures`` says what went wrong when, ``slowest`` is in seconds.
    """

    def __init__(self, address: str, port: int = 80, *, clients: int = 3) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.slowest = 0.0
        self._target = (address, port)
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> RequestLoop:
        for thread in self._threads:
            thread.start()
        self.wait_for(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int, *, seconds: float = 30.0) -> None:
        """Wait until that many more requests have been answered or have failed."""
        with self._changed:
            goal = self._done() + count
            assert self._changed.wait_for(lambda: self._done() >= goal, seconds), "requests do not flow"

    def forget(self) -> None:
        """Start counting anew."""
        with self._changed:
            self.answers.clear()
            self.failures.clear()
            self.slowest = 0.0

    def _done(self) -> int:
        return self.answers.total() + len(self.failures)

    def _run(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            answer = failure = ""
            try:
                answer = fetch(*self._target)
            except (OSError, ValueError) as error:
                failure = f"{time.strftime('%H:%M:%S')}: {type(error).__name__}: {error}"
            took = time.monotonic() - started
            with self._changed:
                if failure:
                    self.failures.append(f"{failure} after {took:.2f} s")
                else:
                    self.answers[answer] += 1
                self.slowest = max(self.slowest, took)
                self._changed.notify_all()
            self._stopping.wait(_PAUSE_SECONDS)


@contextlib.contextmanager
def requests_from(namespace: Path, address: str) -> Iterator[RequestLoop]:
    """One client's requests, made in another network namespace."""
    with contextlib.ExitStack() as stack:
        with namespaces.enter(namespace):
            loop = stack.enter_context(RequestLoop(address, clients=1))
        yield loop
