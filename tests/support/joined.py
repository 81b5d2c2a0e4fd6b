"""Machines that join a cluster: network namespaces on one network, each with a directory of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from clusterip.cluster import leftovers, processes
from clusterip.cluster.machines.layout import paths_in
from clusterip.cluster.paths import Paths
from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from tests.support.cluster import PROGRAM
from tests.support.kubectl import Kubectl

SECONDS = 60.0
_COMMAND = re.compile(r"^ *clusterip agent (--join \S+ --token \S+ --ca-hash \S+)$", re.MULTILINE)


class Machine:
    """A machine on the network ``10.77.0.0/24``. ``program`` is what runs on it in the foreground."""

    def __init__(
        self, name: str, namespace: str, address: str, directory: Path, socket: tuple[Path, str]
    ) -> None:
        """``socket`` is where its cable goes: a namespace, and a link there."""
        self.name = name
        self.socket = socket
        self.namespace = namespace
        self.path = namespaces.path_of(namespace)
        self.address = address
        self.directory = directory
        self.data = directory / "data"
        self.printed = directory / "printed"
        self._begin = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def paths(self) -> Paths:
        return paths_in(self.data)

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """What kubectl prints to the administrator whom this server knows, on this machine."""
        with namespaces.enter(self.path):
            return Kubectl(self.paths.admin_kubeconfig, self.directory)(
                *arguments, stdin=stdin, timeout=timeout
            )

    @property
    def output(self) -> str:
        """What the program has printed since it was last started."""
        return self.printed.read_text()[self._begin :] if self.printed.exists() else ""

    def run(self, *command: str, timeout: float = SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine to its end."""
        with namespaces.enter(self.path):
            return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def environment_of(self, release: str) -> list[str]:
        """``NAME=VALUE`` that makes this program say that it is of another release of Kubernetes."""
        if not release:
            return []
        directory = self.directory / release
        directory.mkdir(exist_ok=True)
        text = f"import clusterip.node.register as register\nregister.KUBELET_VERSION = {release!r}\n"
        (directory / "sitecustomize.py").write_text(text)
        return [f"PYTHONPATH={directory}"]

    def start(self, *arguments: str, release: str = "") -> None:
        """Start ``clusterip`` in the foreground of the machine."""
        self._begin = len(self.printed.read_text()) if self.printed.exists() else 0
        environment = dict(each.split("=", 1) for each in self.environment_of(release))
        with self.printed.open("ab") as output, namespaces.enter(self.path):
            self._process = subprocess.Popen(
                [str(PROGRAM), *arguments, f"--data-dir={self.data}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            )

    def wait(self) -> int:
        """Until the program has ended; its exit code."""
        assert self._process is not None
        return self._process.wait(SECONDS)

    def kill(self) -> None:
        """kill -9 what runs in the foreground, but not its parts."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_all(self) -> None:
        """kill -9 everything of the machine that is no Pod, as if its power failed."""
        self.kill()
        for process in processes.read(self.paths.processes).alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        processes.wait(processes.read(self.paths.processes).alive, seconds=5.0)

    def kill_part(self, name: str) -> None:
        """kill -9 one part."""
        part = processes.read(self.paths.processes).parts[name]
        os.kill(part.process.pid, signal.SIGKILL)

    def tell_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self.tell_to_stop()
        if self._process is not None:
            self._process.wait(SECONDS)

    def until_printed(self, text: str) -> str:
        """Wait for a line of output; all of it."""
        deadline = time.monotonic() + SECONDS
        while text not in self.output:
            ended = self._process is not None and self._process.poll() is not None
            assert not ended, f"{self.name} ended: {self.output}{self.logs()}"
            assert time.monotonic() < deadline, f"{self.name}: {self.output}{self.logs()}"
            threading.Event().wait(0.02)
        return self.output

    @property
    def join_options(self) -> list[str]:
        """The options of the join command that a server has printed."""
        if not _COMMAND.search(self.printed.read_text()):
            self.until_printed("--ca-hash")
        found = _COMMAND.search(self.printed.read_text())
        assert found is not None, self.output
        return found[1].split()

    def unplug(self, *, plugged: bool = False) -> None:
        """Pull the machine's cable, or put it back. It keeps its address and routes, as real ones do."""
        switch, link = self.socket
        with RouteSocket(switch) as routes:
            routes.set_link(link, up=plugged)

    def cut_off(self, *others: Machine) -> None:
        """Let nothing pass between this machine and these, without a word; none: let all pass again."""
        commands = "add table ip cut; delete table ip cut;"
        if others:
            them = ",".join(other.address for other in others)
            commands += f"""
                table ip cut {{
                    chain in {{ type filter hook prerouting priority -300; ip saddr {{ {them} }} drop; }}
                    chain out {{ type filter hook postrouting priority 300; ip daddr {{ {them} }} drop; }}
                }}"""
        done = self.run("nft", commands)
        assert done.returncode == 0, done.stderr

    def logs(self) -> str:
        found = ""
        for path in sorted(self.paths.logs.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-8:]
            found += "\n".join(["", f"== {self.name}: {path.name}", *(line[:500] for line in lines)])
        return found

    def remove(self) -> None:
        """End all that runs there and remove the Pods."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()
        if self._process is not None and self._process.poll() is None:
            self.kill()
        if not self.data.exists():
            return
        processes.end(processes.read(self.paths.processes).alive)
        leftovers.remove_pods(self.paths)


def stop_all(machines: Sequence[Machine]) -> None:
    """Stop what runs on these machines, all at once."""
    for machine in machines:
        machine.tell_to_stop()
    for machine in machines:
        machine.stop()


@contextlib.contextmanager
def machines(prefix: str, names: Sequence[str], directory: Path) -> Iterator[dict[str, Machine]]:
    """Make machines, each with ``eth0`` on one bridge, whose namespace is all that is between them."""
    switch = f"{prefix}-switch"
    made: dict[str, Machine] = {}
    with contextlib.ExitStack() as stack:
        path = namespaces.create_named(switch)
        stack.callback(namespaces.delete_named, switch)
        with RouteSocket(path) as routes:
            routes.set_link("lo", up=True)
            routes.add_bridge("br0")
            routes.add_address("br0", "10.77.0.1/24")
            routes.add_address("br0", "fd77::1/64")
            routes.set_link("br0", up=True)
        for number, name in enumerate(names):
            namespace = f"{prefix}-{name}"
            inner = namespaces.create_named(namespace)
            stack.callback(namespaces.delete_named, namespace)
            address = f"10.77.0.{11 + number}"
            with RouteSocket(path) as outer, RouteSocket(inner) as routes:
                outer.add_veth(f"m{number}", "eth0", peer_namespace=inner)
                outer.set_link(f"m{number}", up=True, master="br0")
                routes.set_link("lo", up=True)
                routes.set_link("eth0", up=True)
                routes.add_address("eth0", f"{address}/24")
                routes.add_address("eth0", f"fd77::{number + 11:x}/64")
                routes.add_route(None, gateway="10.77.0.1")
                routes.add_route(None, gateway="fd77::1")
            for setting in ("all", "default", "eth0"):
                namespaces.write_sysctl(f"net/ipv4/conf/{setting}/rp_filter", 0, inner)
            home = directory / name
            home.mkdir()
            made[name] = machine = Machine(name, namespace, address, home, (path, f"m{number}"))
            stack.callback(machine.remove)
        yield made
