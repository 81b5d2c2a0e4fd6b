"""The IPVS data plane as the rest of the proxy sees it: a :class:`clusterip.proxy.backend.Backend`."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from clusterip.kernel.iptables_events import Change, IptablesEvents
from clusterip.kernel.ipvs import Ipvs, Server, Timeouts
from clusterip.kernel.netlink import NETLINK_ROUTE, NetlinkError, NetlinkSocket
from clusterip.kernel.nftables import Family
from clusterip.process import log
from clusterip.proxy.alarm import Alarm
from clusterip.proxy.backend import BackendError, BackendOptions, Refusal
from clusterip.proxy.ipvs.link import ServiceLink
from clusterip.proxy.ipvs.plane import Plane
from clusterip.proxy.ipvs.rules import TABLE, Element, bound_element, node_elements, port_elements
from clusterip.proxy.ipvs.servers import Wanted
from clusterip.proxy.ipvs.tables import NftError, Tables
from clusterip.proxy.ipvs.writer import Writer
from clusterip.proxy.model import Address, Network, NodeAddresses, PortKey, PortState, family_of
from clusterip.proxy.thread import NamespaceThread

_log = log.get("proxy")

_ENDING_SECONDS = 60.0
"""Upstream's interval: how often to look whether a removed endpoint's connections have ended."""

_ADDRESS_GROUPS = (5, 9)  # RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR
_NODE = "node"

Elements = dict[Family, list[Element]]
NO_ELEMENTS: Mapping[Family, frozenset[Element]] = {}


class IpvsBackend:
    """Programs the network namespace it was opened in."""

    def __init__(
        self, ipvs: Ipvs, families: Iterable[Family], options: BackendOptions, *, with_tables: bool = True
    ) -> None:
        """``with_tables``: also what takes nftables; without, nothing is masqueraded or filtered."""
        self.families = frozenset(families)
        self._options = options
        self._ipvs = ipvs
        self._link = ServiceLink()
        self._node_link = ServiceLink()  # for the event loop's thread, while the other one writes
        self._thread = NamespaceThread("ipvs")
        self._rule_events = IptablesEvents()
        self._address_events = NetlinkSocket(NETLINK_ROUTE, groups=_ADDRESS_GROUPS)
        self._tables = Tables(self.families, options, self._rule_events.ignore) if with_tables else None
        self.plane = Plane(options.ipvs.scheduler)
        self.writer = Writer(ipvs, self._link, options.ipvs.excluded)
        self._addresses = NodeAddresses()
        self._effective = NodeAddresses()
        self._own: set[Address] = set()
        self._changed: set[PortKey | str] = set()
        self._elements: dict[PortKey | str, Mapping[Family, frozenset[Element]]] = {}
        self._look_again = Alarm(self._finish_ended)
        self._background: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._rule_events.fileno())
            self._loop.remove_reader(self._address_events.fileno())
        self._look_again.cancel()
        self._thread.close()
        self._rule_events.close()
        self._address_events.close()
        self._node_link.close()
        self._link.close()
        self._ipvs.close()

    # What is wanted.

    def set_port(self, key: PortKey, state: PortState | None) -> None:
        if key.family in self.families:
            self.plane.set_port(key, state)
            self._changed.add(key)

    def set_node(self, addresses: NodeAddresses) -> None:
        self._addresses = addresses
        own = self._own = self._node_link.others()
        everywhere = {
            ip
            for ip in own
            if family_of(ip) in self._options.all_node_addresses and not _is_special(ipaddress.ip_address(ip))
        }
        node_ports = tuple(dict.fromkeys((*addresses.node_ports, *sorted(everywhere))))
        effective = NodeAddresses(addresses.primary, node_ports)
        self.plane.set_node(effective, own)
        if effective != self._effective:
            self._effective = effective
            self._changed |= {_NODE, *self.plane.states}

    def set_service_cidrs(self, networks: Iterable[Network]) -> None:
        """As upstream, this mode leaves packets to addresses that no Service has alone."""

    def describe(self, key: PortKey) -> Iterator[str]:
        yield from self.plane.describe(key)
        for family, elements in self._elements_of(key).items():
            for element in sorted(elements):
                yield f"{family.keyword} {TABLE} {element.set} {{ {element.text} }}"

    @property
    def has_changes(self) -> bool:
        return bool(self._changed or self.plane.changed)

    # The kernel.

    async def adopt(self) -> None:
        """Nothing to keep: ``reconcile`` finds virtual servers by their addresses, with their connections."""

    async def apply(self, *, retry: bool = False) -> Collection[Refusal]:
        changes = self.plane.take_changed()
        if retry:
            changes |= {server: self.plane.wanted(server) for server in self.writer.refused}
        added, removed = self._take_elements()
        await self._run(lambda: self._apply(changes, added, removed))
        return self._settled()

    async def reconcile(self) -> Collection[Refusal]:
        self.set_node(self._addresses)
        wanted = self.plane.take_all()
        self._changed = {_NODE, *self.plane.states}
        self._elements.clear()
        elements, _ = self._take_elements()
        await self._run(lambda: self._reconcile(wanted, elements))
        return self._settled()

    def _settled(self) -> Collection[Refusal]:
        if self.writer.ending and not self._look_again.is_set:
            self._look_again.set(_ENDING_SECONDS)
        return list(self.writer.refused.values())

    def _apply(self, changes: Mapping[Server, Wanted | None], added: Elements, removed: Elements) -> None:
        for family, elements in added.items():
            if self._tables is not None:
                self._tables.add(family, elements)
        self.writer.write(changes)
        for family, elements in removed.items():
            if self._tables is not None:
                self._tables.remove(family, elements)

    def _reconcile(self, wanted: Mapping[Server, Wanted], elements: Elements) -> None:
        timeouts = self._options.ipvs.timeouts
        if any(timeouts):
            self._ipvs.set_timeouts(Timeouts(*timeouts))
        if self._tables is not None:
            self._tables.create(elements)
        self.writer.reconcile(wanted)

    def _take_elements(self) -> tuple[Elements, Elements]:
        """The elements to add and to remove for what has changed. One may come several times."""
        added: Elements = {family: [] for family in self.families}
        removed: Elements = {family: [] for family in self.families}
        changed, self._changed = self._changed, set()
        for owner in changed:
            old, new = self._elements.pop(owner, NO_ELEMENTS), self._elements_of(owner)
            if new:
                self._elements[owner] = new
            for family in self.families:
                added[family] += new.get(family, frozenset()) - old.get(family, frozenset())
                removed[family] += old.get(family, frozenset()) - new.get(family, frozenset())
        return added, removed

    def _elements_of(self, owner: PortKey | str) -> Mapping[Family, frozenset[Element]]:
        if not isinstance(owner, PortKey):
            return {family: frozenset(node_elements(self._effective, family)) for family in self.families}
        state = self.plane.states.get(owner)
        if state is None:
            return NO_ELEMENTS
        bound = {bound_element(address) for address in self.plane.bound_by(owner)}
        return {owner.family: frozenset(port_elements(state, self._effective) | bound)}

    async def _run(self, function: Callable[[], None]) -> None:
        try:
            await self._thread.run(function)
        except (NetlinkError, NftError) as error:
            raise BackendError(str(error)) from error

    def _finish_ended(self) -> None:
        task = asyncio.get_running_loop().create_task(self._finish())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _finish(self) -> None:
        try:
            await self._thread.run(self.writer.finish_ended)
        except NetlinkError as error:
            _log.warning("cannot look for connections that have ended", error=error.message)
        self._settled()

    # Others' changes.

    def watch(self, touched: Callable[[], None]) -> None:
        """The kernel tells of changed rules, not of changed virtual servers."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._rule_events.fileno(), self._rules_changed, touched)
        self._loop.add_reader(self._address_events.fileno(), self._addresses_changed, touched)

    def _rules_changed(self, touched: Callable[[], None]) -> None:
        def concerns(change: Change) -> bool:
            return change.table == TABLE

        if self._rule_events.drain(concerns):
            touched()

    def _addresses_changed(self, touched: Callable[[], None]) -> None:
        """Where node ports answer on all addresses, one more or less is a change."""
        try:
            while self._address_events.receive(block=False):
                pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        if self._options.all_node_addresses and self._node_link.others() != self._own:
            touched()


def _is_special(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return ip.is_loopback or ip.is_link_local
