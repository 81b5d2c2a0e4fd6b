"""The echo server of the examples: answers every GET with the host name it runs under, a Pod's name.

It runs as its own small process (image ``clusterip.local/echo``), so it imports almost nothing. It
listens on ``$PORT`` (8080). On SIGTERM it goes on serving for ``$DRAIN_SECONDS`` (1), since clients
hear that a Pod goes away a moment later than the Pod does, then finishes what is under way and ends.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time

_MAXIMUM_HEAD = 64 * 1024
_FINISH_SECONDS = 10.0


class _Connection:
    """A client: what it sent that is not answered yet, and what is answered but not sent yet."""

    __slots__ = ("closing", "output", "pending", "skip", "socket")

    def __init__(self, client: socket.socket) -> None:
        self.socket = client
        self.pending = b""
        self.output = b""
        self.skip = 0  # bytes of a request's body still to come
        self.closing = False


class EchoServer:
    """Serves until told to stop. One thread, no framework: it should cost a node almost nothing."""

    def __init__(self, listener: socket.socket, answer: bytes, drain_seconds: float) -> None:
        self._listener: socket.socket | None = listener
        self._answer = answer
        self._drain_seconds = drain_seconds
        self._selector = selectors.DefaultSelector()
        self._connections: set[_Connection] = set()
        self._drain_ends = 0.0
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)

    def stop(self) -> None:
        """Begin to drain. May be called from a signal handler, and again to end at once."""
        now = time.monotonic()
        self._drain_ends = now if self._drain_ends else now + self._drain_seconds
        self._wake_write.send(b".")

    def serve(self) -> None:
        """Serve until ``stop`` was called and all is answered."""
        assert self._listener
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        while not self._finished():
            timeout = max(0.0, self._drain_ends - time.monotonic()) if self._drain_ends else None
            if self._listener is None:
                timeout = 0.1
            for key, events in self._selector.select(timeout):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake_read:
                    self._wake_read.recv(64)
                else:
                    self._serve_connection(key.data, events)

    def _finished(self) -> bool:
        if not self._drain_ends or time.monotonic() < self._drain_ends:
            return False
        if self._listener is not None:
            self._accept()  # what the kernel has already accepted is ours to answer
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        for connection in list(self._connections):
            if not connection.pending and not connection.output and not self._readable(connection):
                self._close(connection)
        return not self._connections or time.monotonic() > self._drain_ends + _FINISH_SECONDS

    def _readable(self, connection: _Connection) -> bool:
        try:
            return bool(connection.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def _accept(self) -> None:
        assert self._listener
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(client)
            self._connections.add(connection)
            self._selector.register(client, selectors.EVENT_READ, connection)

    def _serve_connection(self, connection: _Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                data = connection.socket.recv(64 * 1024)
                if not data:
                    self._close(connection)
                    return
                connection.pending += data
                self._answer_requests(connection)
            if connection.output:
                sent = connection.socket.send(connection.output)
                connection.output = connection.output[sent:]
        except BlockingIOError:
            pass
        except OSError:
            self._close(connection)
            return
        if connection.output:
            wanted = selectors.EVENT_READ | selectors.EVENT_WRITE
        elif connection.closing:
            self._close(connection)
            return
        else:
            wanted = selectors.EVENT_READ
        self._selector.modify(connection.socket, wanted, connection)

    def _answer_requests(self, connection: _Connection) -> None:
        while connection.pending and not connection.closing:
            if connection.skip:
                skipped = min(connection.skip, len(connection.pending))
                connection.pending = connection.pending[skipped:]
                connection.skip -= skipped
                continue
            head, separator, rest = connection.pending.partition(b"\r\n\r\n")
            if not separator:
                connection.closing = len(connection.pending) > _MAXIMUM_HEAD
                return
            connection.pending = rest
            connection.output += self._answer_one(connection, head)

    def _answer_one(self, connection: _Connection, head: bytes) -> bytes:
        lines = head.lower().split(b"\r\n")
        words = lines[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"http/"):
            connection.closing = True
            return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        headers = dict(line.split(b":", 1) for line in lines[1:] if b":" in line)
        length = headers.get(b"content-length", b"0").strip()
        connection.skip = int(length) if length.isdigit() else 0
        wanted = headers.get(b"connection", b"").strip()
        persistent = wanted != b"close" and (words[2] == b"http/1.1" or wanted == b"keep-alive")
        connection.closing = not persistent or bool(self._drain_ends)
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
        answer += b"Content-Length: %d\r\n" % len(self._answer)
        answer += b"Connection: close\r\n\r\n" if connection.closing else b"\r\n"
        return answer if words[0] == b"head" else answer + self._answer

    def _close(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self._selector.unregister(connection.socket)
        connection.socket.close()


def listen(port: int) -> socket.socket:
    """A listener on all addresses, IPv6 and IPv4 where there is IPv6."""
    try:
        listener = socket.socket(socket.AF_INET6)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        address = "::"
    except OSError:
        listener = socket.socket(socket.AF_INET)
        address = "0.0.0.0"
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def main() -> None:
    port = int(os.environ.get("PORT", "8080"))
    drain_seconds = float(os.environ.get("DRAIN_SECONDS", "1"))
    name = os.environ.get("HOSTNAME") or socket.gethostname()
    server = EchoServer(listen(port), f"{name}\n".encode(), drain_seconds)
    # The first process of a PID namespace gets no signal that it has no handler for.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: server.stop())
    print(f"{name} answers on port {port}", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
