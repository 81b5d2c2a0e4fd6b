"""Changes of the maps, in an order in which no connection ever finds nothing or a stranger."""

from __future__ import annotations

from dataclasses import dataclass, field

from clusterip.kernel.bpf import Map
from clusterip.proxy.ebpf.layout import Place


@dataclass(frozen=True)
class Maps:
    """The maps the proxy writes."""

    services: Map
    endpoints: Map
    members: Map


@dataclass
class Writes:
    """What is to be written. Keys and values are those of the maps."""

    members: dict[bytes, bytes] = field(default_factory=dict)
    slots: dict[bytes, Place] = field(default_factory=dict)
    services: dict[Place, bytes] = field(default_factory=dict)
    no_services: dict[Place, None] = field(default_factory=dict)
    no_slots: dict[bytes, None] = field(default_factory=dict)
    no_members: dict[bytes, None] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, vars(self).values()))

    def commit(self, maps: Maps) -> None:
        """Write everything: endpoints before the Services that count them, and away the other way round.

        Raises BpfError: what was written until then is consistent, and can be written again.
        """
        maps.members.put(list(self.members.items()))
        maps.endpoints.put(list(self.slots.items()))
        maps.services.put(list(self.services.items()))
        maps.services.delete(list(self.no_services))
        maps.endpoints.delete(list(self.no_slots))
        maps.members.delete(list(self.no_members))
