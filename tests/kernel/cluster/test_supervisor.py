"""The supervisor: what ends is started again, whatever ends; what runs is adopted, never doubled."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterip.cluster import plan as plans
from clusterip.cluster import processes
from clusterip.cluster.plan import Plan, Program, Socket
from clusterip.cluster.processes import Process, Records
from clusterip.kernel import namespaces

SCRIPT = Path(__file__).with_name("supervised.py")
ADDRESS = "127.0.0.1:7001"


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


class Supervised:
    """A supervisor with one part, ``dns@test``, listening in a namespace of its own."""

    def __init__(self, directory: Path, namespace: str, *arguments: str) -> None:
        self.directory = directory
        self.namespace = namespace
        self.records_path = directory / "records"
        program = Program(
            name="dns@test",
            arguments=("dns", ADDRESS, *arguments),
            namespace=namespace,
            sockets=(Socket("tcp", ADDRESS),),
            health="",
            log=str(directory / "part.log"),
        )
        plan = Plan((program,), records=str(self.records_path), stopping=str(directory / "stopping"))
        plans.write(directory / "plan", plan)

    def start(self) -> None:
        command = [sys.executable, str(SCRIPT), str(self.directory / "plan"), str(self.directory / "log")]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
        self.process = process
        eventually(lambda: self.records.supervisor is not None and self.records.supervisor.is_alive)

    @property
    def records(self) -> Records:
        return processes.read(self.records_path)

    @property
    def part(self) -> Process:
        return self.records.parts["dns@test"].process

    def ask(self) -> int:
        """The PID of the part that answers; waits in the socket's queue while none does."""
        with namespaces.open_socket(namespaces.path_of(self.namespace)) as client:
            client.settimeout(10)
            host, port = ADDRESS.split(":")
            client.connect((host, int(port)))
            return int(client.recv(64))

    def is_refused(self) -> bool:
        try:
            self.ask()
        except ConnectionRefusedError:
            return True
        return False

    def kill_part(self) -> None:
        """kill -9, and wait until it has ended, so that it takes no connection with it."""
        part = self.part
        os.kill(part.pid, signal.SIGKILL)
        eventually(lambda: not part.is_alive)

    def halves(self) -> tuple[Process, Process]:
        records = self.records
        assert records.supervisor is not None
        assert records.guardian is not None
        return records.supervisor, records.guardian

    def stop(self) -> None:
        (self.directory / "stopping").touch()
        while True:
            records = self.records
            alive = [half for half in (records.supervisor, records.guardian) if half and half.is_alive]
            if not alive:
                break
            processes.end(alive)
        processes.end([part.process for part in self.records.parts.values()])
        self.process.wait(10)


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"ct-sup-{os.getpid()}"
    path = namespaces.create_named(name)
    namespaces.run_in(path, lambda: _loopback_up())
    yield name
    namespaces.delete_named(name)


def _loopback_up() -> None:
    from clusterip.kernel.rtnetlink import RouteSocket

    with RouteSocket() as routes:
        routes.set_link("lo", up=True)


@pytest.fixture
def supervised(tmp_path: Path, namespace: str) -> Iterator[Supervised]:
    running = Supervised(tmp_path, namespace)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def test_a_killed_part_comes_back_and_its_clients_only_wait(supervised: Supervised) -> None:
    first = supervised.ask()
    assert first == supervised.part.pid
    supervised.kill_part()
    second = supervised.ask()
    assert second != first
    eventually(lambda: supervised.records.parts["dns@test"].restarts == 1)


@pytest.mark.parametrize("half", ["supervisor", "guardian"])
def test_either_half_replaces_the_other_and_leaves_the_parts_alone(supervised: Supervised, half: str) -> None:
    part = supervised.ask()
    supervisor, guardian = supervised.halves()
    os.kill((supervisor if half == "supervisor" else guardian).pid, signal.SIGKILL)

    def replaced() -> bool:
        halves = supervised.halves()
        return halves != (supervisor, guardian) and all(each.is_alive for each in halves)

    eventually(replaced)
    assert supervised.ask() == part
    supervised.kill_part()
    assert supervised.ask() != part


def test_halves_can_be_killed_again_and_again(supervised: Supervised) -> None:
    part = supervised.ask()
    for round_number in range(6):
        before = supervised.halves()
        os.kill(before[round_number % 2].pid, signal.SIGKILL)

        def replaced(before: tuple[Process, Process] = before) -> bool:
            now = supervised.halves()
            return now != before and all(each.is_alive for each in now)

        eventually(replaced)
    assert supervised.ask() == part


def test_with_both_halves_gone_the_part_goes_on_and_a_new_supervisor_adopts_it(
    supervised: Supervised,
) -> None:
    part = supervised.ask()
    for half in supervised.halves():
        os.kill(half.pid, signal.SIGKILL)
    supervised.process.wait(10)
    assert supervised.ask() == part
    supervised.start()
    assert supervised.part.pid == part
    supervised.kill_part()  # with the only holder of its socket
    eventually(lambda: supervised.part.pid != part and supervised.part.is_alive)
    eventually(lambda: not supervised.is_refused())
    assert supervised.ask() != part


def test_a_part_that_fails_at_once_is_started_ever_more_slowly(tmp_path: Path, namespace: str) -> None:
    failing = Supervised(tmp_path, namespace, "fail")
    failing.start()
    try:
        time.sleep(1.0)
        assert 2 <= failing.records.parts["dns@test"].restarts <= 5
    finally:
        failing.stop()


def test_a_supervisor_that_is_never_told_to_begin_ends(tmp_path: Path, namespace: str) -> None:
    Supervised(tmp_path, namespace)
    command = [sys.executable, str(SCRIPT), str(tmp_path / "plan"), str(tmp_path / "log")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=10, check=False)
    assert done.returncode == 0
    assert not (tmp_path / "records").exists()


def test_the_port_is_refused_once_all_is_stopped(supervised: Supervised) -> None:
    supervised.ask()
    supervised.stop()
    with pytest.raises(ConnectionRefusedError), socket.socket():
        supervised.ask()
