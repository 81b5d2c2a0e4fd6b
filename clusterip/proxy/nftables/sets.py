"""The sets and maps of the table."""

from __future__ import annotations

from enum import Enum

from clusterip.kernel.nftables import (
    CLASSID,
    INET_PROTO,
    INET_SERVICE,
    IPV4_ADDR,
    IPV6_ADDR,
    MARK,
    VERDICT,
    Family,
    Set,
    SetFlag,
)

_AFFINITY_SIZE = 1 << 20

SMALL = 32
"""Groups of up to so many endpoints share a map, and have chains that are there from the beginning.

The first rule of a chain that looks into a map has the kernel walk through all elements of it.
"""


ALLOWED = "allowed-"
"""How the names of the sets of allowed sources begin."""


class Entry(Enum):
    """The maps through which connections enter. The value is the map's name.

    Shortcuts are for Pods and this node, whom ``externalTrafficPolicy: Local`` does not bind.
    """

    SERVICES = "services"
    NODE_PORTS = "node-ports"
    SHORTCUTS = "shortcuts"
    NODE_PORT_SHORTCUTS = "node-port-shortcuts"

    @property
    def is_node_port(self) -> bool:
        return self in (Entry.NODE_PORTS, Entry.NODE_PORT_SHORTCUTS)


class Sets:
    """The sets and maps of one family's table."""

    def __init__(self, family: Family) -> None:
        address = IPV4_ADDR if family is Family.IPV4 else IPV6_ADDR
        frontend = (address, INET_PROTO, INET_SERVICE)
        node_port = (INET_PROTO, INET_SERVICE)
        self.family = family
        self.words = address.length // 4
        """How many 32-bit registers an address takes."""
        # Where connections enter: virtual address or node port -> target.
        self.entries = {
            entry: Set(entry.value, node_port if entry.is_node_port else frontend, (CLASSID,))
            for entry in Entry
        }
        # Where no endpoint can take them.
        self.rejected = Set("rejected", frontend)
        self.dropped = Set("dropped", frontend)
        self.rejected_node_ports = Set("rejected-node-ports", node_port)
        self.dropped_node_ports = Set("dropped-node-ports", node_port)
        # (group, slot) -> endpoint, of groups of up to SMALL endpoints and of larger ones.
        self.endpoints = Set("endpoints", (CLASSID, MARK), (address, INET_SERVICE))
        self.large = Set("large", (CLASSID, MARK), (address, INET_SERVICE))
        # With session affinity: (group, slot) -> handle -> endpoint, by policy; (port, client) -> handle.
        self.choices = Set("choices", (CLASSID, MARK), (CLASSID,))
        self.handles = Set("handles", (CLASSID,), (address, INET_SERVICE))
        self.local_handles = Set("local-handles", (CLASSID,), (address, INET_SERVICE))
        self.affinity = Set(
            "affinity", (CLASSID, address), (CLASSID,), SetFlag.TIMEOUT | SetFlag.EVAL, size=_AFFINITY_SIZE
        )
        # Target -> count chain.
        self.dispatch = Set("dispatch", (CLASSID,), (VERDICT,))
        self.cluster_ips = Set("cluster-ips", (address,))
        self.service_cidrs = Set("service-cidrs", (address,), flags=SetFlag.INTERVAL)
        self.pod_cidrs = Set("pod-cidrs", (address,), flags=SetFlag.INTERVAL)
        self.node_port_ips = Set("node-port-ips", (address,))
        # Addresses of this node's endpoints, twice: a Pod that reached itself.
        self.hairpins = Set("hairpins", (address, address))
        # loadBalancerSourceRanges: which addresses they limit, and to whom, by the length of the prefix.
        self.firewalled = Set("firewalled", frontend)
        self.allowed_by_length: dict[int, Set] = {}
        self._allowed_key = (*frontend, address)

    def allowed(self, length: int) -> Set:
        """The set of sources that are a prefix of that length; it is there from the first time on."""
        found = self.allowed_by_length.get(length)
        if found is None:
            found = self.allowed_by_length[length] = Set(f"{ALLOWED}{length}", self._allowed_key)
        return found

    @property
    def slot_sets(self) -> tuple[Set, ...]:
        """The maps that have endpoints, in the order in which to add to them."""
        return (self.handles, self.local_handles, self.choices, self.endpoints, self.large)

    def slots_of(self, count: int) -> Set:
        """The map that has the slots of groups of so many endpoints, without session affinity."""
        return self.endpoints if count <= SMALL else self.large

    @property
    def changing_sets(self) -> tuple[Set, ...]:
        """The sets and maps whose elements follow Services and endpoints, all of plain values.

        In an order in which a map comes after those that its values point into.
        """
        return (
            *self.slot_sets,
            *self.entries.values(),
            self.rejected,
            self.dropped,
            self.rejected_node_ports,
            self.dropped_node_ports,
            self.cluster_ips,
            self.hairpins,
            *self.allowed_by_length.values(),
            self.firewalled,
            self.node_port_ips,
        )

    @property
    def constant_sets(self) -> tuple[Set, ...]:
        """The others: those the kernel fills, those filled once, and the ranges of ClusterIPs."""
        return (self.affinity, self.dispatch, self.pod_cidrs, self.service_cidrs)
