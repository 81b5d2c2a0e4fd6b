"""Single changes to the kernel's networking, each of which can be done twice and undone twice.

Steps are data, so that a journal can hold them and a later process can undo them. A namespace of ``""``
is the machine's own.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from typing import Any

import msgspec

from clusterip.cluster import cgroups
from clusterip.cluster.errors import ClusterError
from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket


class Workspace:
    """Open rtnetlink sockets, one for each namespace that steps work in."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._sockets: dict[str, RouteSocket] = {}

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def routes(self, namespace: str) -> RouteSocket:
        """The socket of a namespace. Raises FileNotFoundError if there is no such namespace."""
        opened = self._sockets.get(namespace)
        if opened is None:
            path = namespaces.path_of(namespace) if namespace else None
            opened = self._sockets[namespace] = self._stack.enter_context(RouteSocket(path))
        return opened


class Step(msgspec.Struct, frozen=True, tag_field="step"):
    """One change. ``undo`` does nothing where the change is gone or never happened."""

    def do(self, workspace: Workspace) -> None:
        raise NotImplementedError

    def undo(self, workspace: Workspace) -> None:
        """What a namespace holds goes with it, so only the machine's own things need undoing."""

    def remembering(self) -> Step:
        """The step with what it takes to undo it, as it is before it is done."""
        return self

    @property
    def stays(self) -> bool:
        """Whether the change outlives every namespace, so that the journal must know of it."""
        return False


class NamespaceDirectory(Step, frozen=True, tag="namespace-directory"):
    """The place of named namespaces, if the machine had none yet."""

    def do(self, workspace: Workspace) -> None:
        namespaces.prepare_directory()

    def undo(self, workspace: Workspace) -> None:
        namespaces.remove_directory()

    @property
    def stays(self) -> bool:
        return not namespaces.is_mount_point(namespaces.DIRECTORY)


class Namespace(Step, frozen=True, tag="namespace"):
    name: str

    def do(self, workspace: Workspace) -> None:
        path = namespaces.path_of(self.name)
        if path.exists() and not namespaces.is_mount_point(path):
            path.unlink()  # a crash came between the file and its mount
        if not path.exists():
            namespaces.create_named(self.name)

    def undo(self, workspace: Workspace) -> None:
        namespaces.delete_named(self.name)

    @property
    def stays(self) -> bool:
        return True


class Cgroup(Step, frozen=True, tag="cgroup"):
    """A cgroup of version 2 below the root of all."""

    name: str

    def do(self, workspace: Workspace) -> None:
        cgroups.path_of(self.name).mkdir(exist_ok=True)

    def undo(self, workspace: Workspace) -> None:
        with contextlib.suppress(FileNotFoundError):
            cgroups.path_of(self.name).rmdir()

    @property
    def stays(self) -> bool:
        return True


class SocketPrograms(Step, frozen=True, tag="socket-programs"):
    """What the proxy of a namespace will attach to sockets: it outlives the namespace."""

    namespace: str

    def do(self, workspace: Workspace) -> None:
        """The proxy does it."""

    def undo(self, workspace: Workspace) -> None:
        path = namespaces.path_of(self.namespace)
        if path.exists():
            from clusterip.proxy import modes  # not for clusters of other modes

            namespaces.run_in(path, modes.get("ebpf").clean_up)

    @property
    def stays(self) -> bool:
        return True


class Sysctl(Step, frozen=True, tag="sysctl"):
    """A sysctl's value; ``before`` is what it was, to be restored unless somebody changed it since."""

    namespace: str
    name: str
    value: str
    before: str | None = None

    def do(self, workspace: Workspace) -> None:
        if namespaces.read_sysctl(self.name, self._namespace) != self.value:
            namespaces.write_sysctl(self.name, self.value, self._namespace)

    def undo(self, workspace: Workspace) -> None:
        with contextlib.suppress(FileNotFoundError):  # its interface is gone
            if self.before is not None and namespaces.read_sysctl(self.name, self._namespace) == self.value:
                namespaces.write_sysctl(self.name, self.before, self._namespace)

    def remembering(self) -> Step:
        return msgspec.structs.replace(self, before=namespaces.read_sysctl(self.name, self._namespace))

    @property
    def stays(self) -> bool:
        return not self.namespace and namespaces.read_sysctl(self.name) != self.value

    @property
    def _namespace(self) -> str | None:
        return str(namespaces.path_of(self.namespace)) if self.namespace else None


class Bridge(Step, frozen=True, tag="bridge"):
    namespace: str
    link: str

    def do(self, workspace: Workspace) -> None:
        routes = workspace.routes(self.namespace)
        if routes.find_link(self.link) is None:
            routes.add_bridge(self.link)
        routes.set_link(self.link, up=True)


class Veth(Step, frozen=True, tag="veth"):
    """A cable from ``link`` in ``namespace`` to ``port``, a port of ``bridge`` in ``bridge_namespace``."""

    namespace: str
    link: str
    bridge_namespace: str
    bridge: str
    port: str

    def do(self, workspace: Workspace) -> None:
        switch = workspace.routes(self.bridge_namespace)
        inside = workspace.routes(self.namespace)
        if switch.find_link(self.port) is None or inside.find_link(self.link) is None:
            switch.delete_link(self.port)
            inside.delete_link(self.link)
            own = namespaces.path_of(self.namespace) if self.namespace else "/proc/self/ns/net"
            switch.add_veth(self.port, self.link, peer_namespace=own, master=self.bridge)
        switch.set_link(self.port, up=True)
        inside.set_link(self.link, up=True)

    def undo(self, workspace: Workspace) -> None:
        # A namespace's links would go with it, but some time later and unseen.
        with contextlib.suppress(FileNotFoundError):
            workspace.routes(self.namespace).delete_link(self.link)

    @property
    def stays(self) -> bool:
        return not self.namespace


class Up(Step, frozen=True, tag="up"):
    namespace: str
    link: str

    def do(self, workspace: Workspace) -> None:
        workspace.routes(self.namespace).set_link(self.link, up=True)


class Address(Step, frozen=True, tag="address"):
    namespace: str
    link: str
    address: str

    def do(self, workspace: Workspace) -> None:
        workspace.routes(self.namespace).replace_address(self.link, self.address)


class Route(Step, frozen=True, tag="route"):
    """A route through ``link`` to ``gateway``; to everywhere if ``destination`` is None."""

    namespace: str
    destination: str | None
    gateway: str
    link: str

    def do(self, workspace: Workspace) -> None:
        workspace.routes(self.namespace).replace_route(self.destination, gateway=self.gateway, link=self.link)

    def undo(self, workspace: Workspace) -> None:
        with contextlib.suppress(FileNotFoundError):
            routes = workspace.routes(self.namespace)
            if routes.find_link(self.link) is not None:
                routes.delete_route(self.destination, gateway=self.gateway, link=self.link)

    @property
    def stays(self) -> bool:
        return not self.namespace


class Masquerade(Step, frozen=True, tag="masquerade"):
    """An nftables table of our own: what leaves ``sources`` for the outside gets the machine's address."""

    table: str
    sources: tuple[str, ...]
    link: str

    def do(self, workspace: Workspace) -> None:
        rules = "".join(
            f'    {family} saddr {{ {", ".join(found)} }} oifname != {{ "{self.link}", "lo" }} masquerade\n'
            for family, found in (
                ("ip", [each for each in self.sources if ":" not in each]),
                ("ip6", [each for each in self.sources if ":" in each]),
            )
            if found
        )
        _nft(
            f"table inet {self.table}\n"  # so that there is one to delete
            f"delete table inet {self.table}\n"
            f"table inet {self.table} {{\n"
            '  comment "nodes and Pods of clusterip reach the outside"\n'
            "  chain postrouting {\n"
            "    type nat hook postrouting priority srcnat; policy accept;\n"
            f"{rules}"
            "  }\n"
            "}\n"
        )

    def undo(self, workspace: Workspace) -> None:
        _nft(f"table inet {self.table}\ndelete table inet {self.table}\n")

    @property
    def stays(self) -> bool:
        return True


def _nft(text: str) -> None:
    result = subprocess.run(["nft", "-f", "-"], input=text, text=True, capture_output=True, check=False)
    if result.returncode != 0:
        raise ClusterError(f"nft refused the rules for traffic to the outside: {result.stderr.strip()}")


_InNamespaces = Sysctl | Bridge | Veth | Up | Address | Route
AnyStep = NamespaceDirectory | Namespace | Cgroup | SocketPrograms | _InNamespaces | Masquerade


def encode(step: Step) -> bytes:
    return msgspec.json.encode(step, enc_hook=str)


def decode(line: bytes) -> AnyStep:
    return _decoder.decode(line)


def decode_lines(data: bytes) -> Iterator[AnyStep]:
    """The steps of a journal; a last line that a crash cut short is left out."""
    for line in data.split(b"\n")[:-1]:
        yield decode(line)


def _convert(kind: type[Any], value: Any) -> Any:
    return kind(value)


_decoder: msgspec.json.Decoder[AnyStep] = msgspec.json.Decoder(AnyStep, dec_hook=_convert)
