"""Parts of rules that look at the table's sets and maps. Keys are built from register 0 on."""

from __future__ import annotations

import struct

from clusterip.kernel.nftables import Family, Set, Table
from clusterip.kernel.nftables import expressions as x
from clusterip.proxy.backend import BackendOptions
from clusterip.proxy.nftables import target
from clusterip.proxy.nftables.sets import Entry, Sets

TABLE_NAME = "clusterip"


class Pieces(Sets):
    """A family's sets, and parts of rules for them."""

    def __init__(self, family: Family, options: BackendOptions, *, drop_invalid: bool = True) -> None:
        """``drop_invalid``: drop what connection tracking can make nothing of.

        Such packets are not translated back, so a client would see its server's own address, and break the
        connection off.
        """
        super().__init__(family)
        self.drop_invalid = drop_invalid
        version = 4 if family is Family.IPV4 else 6
        self.pods = options.pods._replace(
            cidrs=tuple(network for network in options.pods.cidrs if network.version == version)
        )
        self.knows_pods = bool(self.pods.cidrs or self.pods.bridge or self.pods.interface_prefix)
        """Whether Pods can be told from others."""
        self.table = Table(family, TABLE_NAME)
        self.masquerade_mark = 1 << options.masquerade_bit

    def entry_map(self, entry: Entry) -> Set:
        return self.entries[entry]

    def entry_key(self, entry: Entry) -> list[x.Expression]:
        """Load what the map of that entry is searched for."""
        return self.node_port_key() if entry.is_node_port else self.frontend_key()

    def frontend_key(self) -> list[x.Expression]:
        """Load destination address, protocol and port."""
        return [
            x.destination_address(self.family, 0),
            x.layer4_protocol(self.words),
            x.destination_port(self.words + 1),
        ]

    def node_port_key(self) -> list[x.Expression]:
        """Load protocol and port."""
        return [x.layer4_protocol(0), x.destination_port(1)]

    def mark_for_masquerade(self) -> list[x.Expression]:
        """Have the packet masqueraded when it leaves."""
        return [x.load_mark(0), x.set_bits(0, self.masquerade_mark), x.store_mark(0)]

    def is_local(self, *, source: bool) -> list[x.Expression]:
        """Only packets from (or to) an address of this node."""
        return [x.fib_address_type(0, source=source), x.equals(0, struct.pack("=I", x.RTN_LOCAL))]

    def is_new(self) -> list[x.Expression]:
        """Only the first packets of connections."""
        return [x.ct_state(0), x.keep_bits(0, x.CT_STATE_NEW), x.differs(0, bytes(4))]

    def is_from_pod(self, *, invert: bool = False) -> list[x.Expression]:
        """Only packets from Pods, or (``invert``) from elsewhere."""
        if self.pods.cidrs:
            return [x.source_address(self.family, 0), x.lookup(self.pod_cidrs.name, 0, invert=invert)]
        if self.pods.bridge:
            name = self.pods.bridge.encode().ljust(x.INTERFACE_NAME_LENGTH, b"\0")
        else:
            name = self.pods.interface_prefix.encode()
        return [x.input_interface(0), x.differs(0, name) if invert else x.equals(0, name)]

    def is_to(self, addresses: Set) -> list[x.Expression]:
        """Only packets to an address of the set."""
        return [x.destination_address(self.family, 0), x.lookup(addresses.name, 0)]

    def aim(self, entry: Entry) -> list[x.Expression]:
        """Store the target that an entry map has for the packet; no match if it has none."""
        return [
            *self.entry_key(entry),
            x.lookup_value(self.entries[entry].name, 0, 0),
            x.store_priority(0),
        ]

    def go_on(self) -> list[x.Expression]:
        """Go to the count chain that the packet's target names."""
        return [
            x.load_priority(0),
            x.keep_bits(0, target.CHAIN_MASK),
            x.lookup_verdict(self.dispatch.name, 0),
        ]
