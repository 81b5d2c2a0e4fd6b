"""A place whose packets are recorded, and all that is read there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from clusterip.kernel import tracked
from clusterip.kernel.ipvs import Ipvs, NoIpvs
from clusterip.kernel.namespaces import run_in
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import Family, NftablesError
from clusterip.kernel.tracked import Tracked
from clusterip.trace import journey
from clusterip.trace.machine import Found
from clusterip.trace.network import Network
from clusterip.trace.recorder import Passage, Recorder
from clusterip.trace.rules import RuleBook
from clusterip.trace.story import Place, join

_IPVS_OPTIONS = {socket.IPPROTO_TCP: "-t", socket.IPPROTO_UDP: "-u", socket.IPPROTO_SCTP: "--sctp-service"}


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
    packed = ipaddress.ip_address(address).packed
    option = _IPVS_OPTIONS[protocol]

    def read() -> list[str]:
        try:
            kernel = Ipvs()
        except (NoIpvs, NetlinkError, OSError):
            return []
        with kernel:
            for server, settings in kernel.servers().items():
                if (server.address, server.port, server.protocol) == (packed, port, protocol):
                    name = f"{option} {join(address, port)}"
                    lines = [f"-A {name} -s {settings.scheduler}"]
                    for destination, state in kernel.destinations(server).items():
                        to = join(str(ipaddress.ip_address(destination.address)), destination.port)
                        lines.append(f"-a {name} -r {to} -m -w {state.weight}")
                    return lines
        return []

    return run_in(found.path, read)
