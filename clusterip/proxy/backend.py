"""What every data plane implements, and what it is told.

A data plane is a package beside this file with a module ``mode`` that holds a :class:`Mode` named
``MODE``; :mod:`clusterip.proxy.modes` finds it by the name that ``--proxy-mode`` takes. Everything before
it is shared: which ports there are, which endpoints this node uses for each, health checks, forgetting of
UDP flows, retries. A data plane only makes the kernel do what it is told, and says what the kernel refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from clusterip.kernel.nftables import Family
from clusterip.proxy.model import Network, NodeAddresses, PortKey, PortState


class BackendError(Exception):
    """The kernel (or the program that talks to it) cannot be used now. The proxy tries again later."""


class Refusal(NamedTuple):
    """A part that the kernel refused, so that all else could be done without it.

    ``subject`` names it for people, and stays the same for as long as the same thing is refused
    (``element 10.96.0.10 . tcp . 80 of services``); ``reason`` is the kernel's.
    """

    subject: str
    reason: str


class Backend(Protocol):
    """A data plane, for the network namespace it was opened in. The rules outlive the object.

    The order of calls: ``watch`` and ``adopt``; then ``set_...`` for everything there is, and
    ``reconcile``. From then on ``set_...`` for what changes, and ``apply`` once for all changes that came
    together; ``reconcile`` again when somebody else has changed the rules, or something went wrong. All
    calls come from one event loop, never two at once; ``set_...`` may come while an ``apply`` or
    ``reconcile`` waits, and then count for the next.
    """

    # What is wanted.

    def set_port(self, key: PortKey, state: PortState | None) -> None:
        """Make a Service port (None: no more) reach the endpoints chosen for it.

        ``state`` is everything the data plane needs to know: addresses, node port, source ranges and
        affinity in ``state.port``, endpoints by policy in ``state.choice``. Ports of families that the
        machine does not have are passed too, to be ignored. A port that cannot be had at all (no room)
        is a :class:`Refusal` of the next ``apply``.
        """
        ...

    def set_node(self, addresses: NodeAddresses) -> None:
        """The node's own addresses, and on which of them node ports answer."""
        ...

    def set_service_cidrs(self, networks: Iterable[Network]) -> None:
        """The ranges ClusterIPs come from: packets to addresses in them that no Service has are dropped."""
        ...

    @property
    def has_changes(self) -> bool:
        """Whether something was set that was not written yet."""
        ...

    def describe(self, key: PortKey) -> Iterator[str]:
        """What was given to the kernel for a Service port, as people know it from the tools; none if nothing.

        Each is one element (``ip clusterip services { 10.96.0.10 . tcp . 80 : 40:3 }``), rule
        (``-t nat -A KUBE-SVC-...``) or virtual server.
        """
        ...

    # The kernel.

    async def adopt(self) -> None:
        """Read once what an earlier process left, so that what is right stays untouched.

        Raises BackendError.
        """
        ...

    async def apply(self, *, retry: bool = False) -> Collection[Refusal]:
        """Write what was set since last time; when it returns, connections are made as it says.

        What belongs together is written at one instant: no connection finds a Service port half changed.
        Connections that exist are not disturbed. The answer is all that is refused by now, with
        ``retry`` after asking for it once more.

        Raises:
            BackendError: nothing can be said about what was written; the caller reconciles.
        """
        ...

    async def reconcile(self) -> Collection[Refusal]:
        """Compare everything with the kernel and write the difference. As ``apply`` in all else."""
        ...

    # Others' changes.

    def watch(self, touched: Callable[[], None]) -> None:
        """From now on call ``touched`` when another program has changed what is ours, or may have."""
        ...

    def close(self) -> None:
        """Stop watching and let go of sockets; the rules stay."""
        ...


class PodDetection(NamedTuple):
    """How to tell connections of Pods from those of everybody else (``detectLocalMode``).

    Upstream: ``pkg/proxy/util/localdetector.go``. All empty: it cannot be told.
    """

    cidrs: tuple[Network, ...] = ()
    """The Pods' addresses, of both families (``ClusterCIDR``, or this node's for ``NodeCIDR``)."""
    bridge: str = ""
    """The interface that packets of this node's Pods come in by (``BridgeInterface``)."""
    interface_prefix: str = ""
    """What the names of these interfaces begin with (``InterfaceNamePrefix``)."""


class IpvsOptions(NamedTuple):
    """Settings of the mode ``ipvs`` alone.

    ``excluded``: ranges whose virtual servers are others' and stay. ``strict_arp``: answer ARP only for
    addresses of the interface that is asked. ``timeouts``: seconds of ``tcp``, ``tcp_fin`` and ``udp``; 0: as
    the kernel has them.
    """

    scheduler: str = "rr"
    excluded: tuple[Network, ...] = ()
    strict_arp: bool = False
    timeouts: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True)
class BackendOptions:
    """What of the proxy's configuration concerns the rules.

    ``families``: those to program; None: all the machine has. ``all_node_addresses``: the families in which
    node ports answer on every local address but loopback ones, not only on those of ``set_node``.
    ``localhost_node_ports``: also on loopback addresses of IPv4, where the data plane can.
    ``cgroup``: where programs at sockets are attached (ebpf); None: at the root, for the whole machine.
    ``masquerade_bit``: the bit of the packet mark (0 to 31) that means "masquerade".
    """

    pods: PodDetection = field(default_factory=PodDetection)
    families: frozenset[Family] | None = None
    masquerade_all: bool = False
    masquerade_bit: int = 14
    all_node_addresses: frozenset[Family] = frozenset()
    localhost_node_ports: bool = False
    ipvs: IpvsOptions = field(default_factory=IpvsOptions)
    cgroup: Path | None = None


@dataclass(frozen=True)
class Mode:
    """A data plane as ``--proxy-mode`` selects it."""

    name: str
    open: Callable[[BackendOptions], Backend]
    """Open it in this network namespace. Raises BackendError, with what to do about it."""
    missing: Callable[[], str]
    """What this machine lacks for it and how to get it; empty if it can run."""
    clean_up: Callable[[], list[str]]
    """Remove every trace of it from this network namespace; what was removed, for people. Works (and
    returns nothing) where the mode cannot run. Raises BackendError."""
    is_ours: Callable[[], bool] = lambda: True
    """Whether what ``clean_up`` would remove was made by this program, where another may have made it."""
    rests_on: str = ""
    """The mode whose rules it has made too, for what it does not do itself; ``clean_up`` leaves them."""
    node_ports_on_primary: bool = False
    """Where node ports answer if nothing is said: on the Node's InternalIPs, else on all addresses."""
