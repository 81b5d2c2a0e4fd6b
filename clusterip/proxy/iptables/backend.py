"""The iptables data plane as the rest of the proxy sees it: a :class:`clusterip.proxy.backend.Backend`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial

from clusterip.kernel import namespaces
from clusterip.kernel.iptables import LEGACY, Iptables, IptablesError
from clusterip.kernel.iptables_counters import Counters
from clusterip.kernel.nftables import Family
from clusterip.process import log
from clusterip.proxy.backend import BackendError, BackendOptions, Refusal
from clusterip.proxy.iptables import metrics
from clusterip.proxy.iptables.constant import MANGLE
from clusterip.proxy.iptables.environment import COUNTERS, Environment
from clusterip.proxy.iptables.names import CANARY
from clusterip.proxy.iptables.plane import Plane
from clusterip.proxy.iptables.watch import Watch
from clusterip.proxy.iptables.writer import Writer
from clusterip.proxy.model import Network, NodeAddresses, PortKey, PortState, family_of
from clusterip.proxy.thread import NamespaceThread

_log = log.get("proxy")

_LIBERAL = "net.netfilter.nf_conntrack_tcp_be_liberal"
_ROUTE_LOCALNET = "net.ipv4.conf.all.route_localnet"


class IptablesBackend:
    """Programs the namespace it was opened in through the iptables programs, which run in a thread."""

    def __init__(self, programs: Iterable[Iptables], options: BackendOptions) -> None:
        """Raises BackendError: a sysctl that the options ask for may not be set."""
        self._thread = NamespaceThread("iptables")
        found = list(programs)
        self._counters = Counters()
        counters = frozenset(name for name in COUNTERS if self._counters.ensure(name))
        metrics.packets.read_from(self._counters, counters)
        self._watch = Watch(program.family for program in found)
        self.writers = {
            program.family: Writer(
                program, Plane(_environment(program, options, counters)), self._watch.ignore
            )
            for program in found
        }
        self._everything = True
        for program in found:
            _log.info("using iptables", program=program.name, version=".".join(map(str, program.version)))

    def close(self) -> None:
        self._watch.close()
        metrics.packets.read_from(None, frozenset())
        self._counters.close()
        self._thread.close()

    # What is wanted.

    def set_port(self, key: PortKey, state: PortState | None) -> None:
        if writer := self.writers.get(key.family):
            writer.plane.set_port(key, state)

    def set_node(self, addresses: NodeAddresses) -> None:
        for family, writer in self.writers.items():
            plane = writer.plane
            plane.set_environment(
                plane.environment._replace(
                    node_ips=tuple(ip for ip in addresses.primary if family_of(ip) is family),
                    node_port_ips=tuple(ip for ip in addresses.node_ports if family_of(ip) is family),
                )
            )

    def set_service_cidrs(self, networks: Iterable[Network]) -> None:
        """As upstream, this mode leaves packets to addresses that no Service has alone."""

    def describe(self, key: PortKey) -> Iterator[str]:
        writer = self.writers.get(key.family)
        return writer.plane.describe(key) if writer is not None else iter(())

    @property
    def has_changes(self) -> bool:
        return any(writer.plane.has_changes for writer in self.writers.values())

    # The kernel.

    async def adopt(self) -> None:
        """Nothing to keep: names of chains follow from Services, so ``reconcile`` finds its own again."""

    async def apply(self, *, retry: bool = False) -> Collection[Refusal]:
        for writer in self.writers.values():
            plane = writer.plane
            if retry:
                plane.changed |= writer.refused.keys()
            if plane.has_changes:
                await self._thread.run(partial(writer.apply, plane.take_changed()))
        return self._refused()

    async def reconcile(self) -> Collection[Refusal]:
        for writer in self.writers.values():
            plane = writer.plane
            await self._thread.run(partial(writer.reconcile, plane.take_all()))
        return self._refused()

    def _refused(self) -> Collection[Refusal]:
        return [refusal for writer in self.writers.values() for refusal in writer.refused.values()]

    # Others' changes.

    def watch(self, touched: Callable[[], None]) -> None:
        legacy = any(writer.iptables.kind == LEGACY for writer in self.writers.values())
        self._watch.start(touched, self._is_gone if legacy else None)

    async def _is_gone(self) -> bool:
        return await self._thread.run(self._canary_is_gone)

    def _canary_is_gone(self) -> bool:
        for writer in self.writers.values():
            try:
                if CANARY not in writer.iptables.save(MANGLE).get(MANGLE, {}):
                    return True
            except IptablesError as error:
                _log.warning("cannot look for the canary", program=writer.iptables.name, reason=str(error))
        return False


def _environment(program: Iptables, options: BackendOptions, counters: frozenset[str]) -> Environment:
    localhost = (
        options.localhost_node_ports
        and program.family is Family.IPV4
        and Family.IPV4 in options.all_node_addresses
    )
    if localhost:
        _allow_local_routing()
    return Environment(
        program.family,
        options.pods,
        masquerade_all=options.masquerade_all,
        masquerade_bit=options.masquerade_bit,
        localhost_node_ports=localhost,
        all_node_addresses=program.family in options.all_node_addresses,
        drop_invalid=not _is_liberal(),
        random_fully=program.has_random_fully,
        counters=counters,
    )


def _allow_local_routing() -> None:
    """Let packets of loopback addresses leave for endpoints. Raises BackendError."""
    try:
        if namespaces.read_sysctl(_ROUTE_LOCALNET) != "1":
            _log.info(
                "setting route_localnet=1 so that node ports answer on 127.0.0.1;"
                " --iptables-localhost-nodeports=false leaves it alone"
            )
            namespaces.write_sysctl(_ROUTE_LOCALNET, 1)
    except OSError as error:
        raise BackendError(
            f"cannot set {_ROUTE_LOCALNET}=1, which node ports on 127.0.0.1 need: {error.strerror};"
            " set it yourself, or use --iptables-localhost-nodeports=false"
        ) from None


def _is_liberal() -> bool:
    """Whether connection tracking takes packets out of order for valid anyway."""
    try:
        return namespaces.read_sysctl(_LIBERAL) not in ("", "0")
    except OSError:  # not loaded yet: it starts strict
        return False
