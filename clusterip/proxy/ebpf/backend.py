"""The eBPF data plane: translation at the socket, and nftables for whatever does not pass there.

Both are told everything. A connection that the socket's programs have translated goes to an endpoint, for
which nftables has no rules; all others (from other machines, to node ports, to Services without endpoints
that must be refused, within source ranges) find the rules they would find without eBPF. So there is one set
of rules for external traffic, and no moment at which a Service does not work.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from clusterip.kernel.bpf import BpfError, Object
from clusterip.process import log
from clusterip.proxy.backend import Backend, BackendError, Refusal
from clusterip.proxy.ebpf import flows
from clusterip.proxy.ebpf.layout import LAYOUT, PROGRAMS
from clusterip.proxy.ebpf.plane import SocketPlane
from clusterip.proxy.ebpf.writes import Maps, Writes
from clusterip.proxy.model import Network, NodeAddresses, PortKey, PortState

_log = log.get("proxy")


class EbpfBackend:
    """Programs attached to a cgroup, beside the data plane ``rules``."""

    def __init__(self, rules: Backend, program: Path, pins: Path, cgroup: Path, *, translate: bool) -> None:
        """Load the programs. ``pins``: where they stay; ``translate``: False leaves all to the rules.

        Raises BpfError: the kernel does not take them.
        """
        self._rules = rules
        self._cgroup = cgroup
        self._translate = translate
        self._object = Object(program, pins / f"v{LAYOUT}")
        self._maps = Maps(*(self._object.map(name) for name in ("services", "endpoints", "members")))
        self._peers = self._object.map("peers")
        self._plane = SocketPlane()
        self._attached = False

    def close(self) -> None:
        self._object.close()
        self._rules.close()

    # What is wanted.

    def set_port(self, key: PortKey, state: PortState | None) -> None:
        self._rules.set_port(key, state)
        if self._translate:
            self._plane.set_port(key, state)

    def set_node(self, addresses: NodeAddresses) -> None:
        self._rules.set_node(addresses)

    def set_service_cidrs(self, networks: Iterable[Network]) -> None:
        self._rules.set_service_cidrs(networks)

    def describe(self, key: PortKey) -> Iterator[str]:
        yield from self._plane.describe(key)
        yield from self._rules.describe(key)

    @property
    def has_changes(self) -> bool:
        return self._rules.has_changes or self._plane.has_changes

    # The kernel.

    async def adopt(self) -> None:
        await self._rules.adopt()
        try:
            self._plane.adopt(self._maps)
        except BpfError as error:
            raise BackendError(str(error)) from error

    async def apply(self, *, retry: bool = False) -> Collection[Refusal]:
        # Sockets first: a Service that has lost its endpoints is to be refused, which the rules do.
        self._write(self._plane.changes())
        refused = await self._rules.apply(retry=retry)
        self._end_lost()
        return refused

    async def reconcile(self) -> Collection[Refusal]:
        if self._attached:
            await self._adopt_again()
        self._write(self._plane.changes())
        self._write(self._plane.leftovers())
        refused = await self._rules.reconcile()
        try:
            self._object.attach(PROGRAMS, self._cgroup)
        except BpfError as error:
            raise BackendError(str(error)) from error
        self._attached = True
        self._end_lost()
        return refused

    # Others' changes.

    def watch(self, touched: Callable[[], None]) -> None:
        self._rules.watch(touched)

    async def _adopt_again(self) -> None:
        try:
            self._plane.adopt(self._maps)
        except BpfError as error:
            raise BackendError(str(error)) from error

    def _write(self, writes: Writes) -> None:
        if not len(writes):
            return
        try:
            writes.commit(self._maps)
        except BpfError as error:
            raise BackendError(str(error)) from error

    def _end_lost(self) -> None:
        lost = self._plane.take_lost()
        if not lost:
            return
        try:
            ended = flows.end_lost(self._peers, lost)
        except (BpfError, OSError) as error:
            _log.warning("sockets of endpoints that are gone not ended", error=str(error))
            return
        if ended:
            _log.info("sockets of endpoints that are gone ended", sockets=ended)
