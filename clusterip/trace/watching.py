"""A place whose packets are recorded, and all that is read there."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from clusterip.kernel import tracked
from clusterip.kernel.ipvs import Ipvs, NoIpvs, Server
from clusterip.kernel.namespaces import run_in
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import Family, NftablesError
from clusterip.kernel.tracked import Tracked
from clusterip.trace import journey
from clusterip.trace.machine import Found
from clusterip.trace.network import Network
from clusterip.trace.recorder import Passage, Recorder
from clusterip.trace.rules import RuleBook
from clusterip.trace.story import Place


@dataclass
class Watched:
    """A namespace of this machine while a connection is followed. ``recorder`` is None if none could be made,
    and ``note`` says why."""

    place: Place
    found: Found
    mark: int
    recorder: Recorder | None
    rules: RuleBook
    network: Network
    note: str = ""

    def passages(self) -> list[Passage]:
        return self.recorder.passages() if self.recorder else []

    def there(self) -> list[journey.Leg]:
        """The legs of the first packet."""
        return journey.there(self.passages(), self.own_table, self.mark)

    def back(self) -> list[journey.Leg]:
        """The legs of the first answer."""
        return journey.back(self.passages(), self.own_table, self.mark)

    @property
    def own_table(self) -> str:
        return self.recorder.table.name if self.recorder else ""

    def is_own(self, passage: Passage) -> bool:
        return passage.chain[1] == self.own_table

    def entry_of(self, original: tracked.Tuple) -> Tracked | None:
        """The connection tracking entry here; None if there is none, or it cannot be asked for."""
        try:
            return run_in(self.found.path, lambda: tracked.find(original))
        except (NetlinkError, OSError):
            return None


def watch(
    place: Place, found: Found, version: int, protocol: int, ports: Iterable[int], mark: int
) -> Watched:
    """Begin to record at a place."""
    family = Family.IPV4 if version == 4 else Family.IPV6
    recorder, note = None, ""
    try:
        recorder = Recorder(found.path, family, protocol, ports, mark)
    except (NftablesError, OSError) as error:
        note = f"its packets could not be recorded: {error}"
    return Watched(place, found, mark, recorder, RuleBook(found.path), Network(found.path), note)


def ipvs_entry(found: Found, address: str, port: int, protocol: int) -> list[str]:
    """The IPVS virtual server for an address, as ``ipvsadm -S`` prints it; nothing if there is none."""
    wanted = Server(protocol, ipaddress.ip_address(address).packed, port)

    def read() -> list[str]:
        try:
            kernel = Ipvs()
        except (NoIpvs, NetlinkError, OSError):
            return []
        with kernel:
            for server, settings in kernel.servers().items():
                if server == wanted:
                    states = kernel.destinations(server).items()
                    return [
                        f"-A {server.option} -s {settings.scheduler}",
                        *(destination.command(server, state.weight) for destination, state in states),
                    ]
        return []

    return run_in(found.path, read)
